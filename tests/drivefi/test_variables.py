"""The declaration of module outputs: 41 fault types, a topology in order, and what each fault does."""

import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.variables import INDEX, VARIABLES, Variable, fault_effect, fault_type, fault_types, variable


def test_the_declaration_gives_the_papers_41_types():
    types = fault_types()
    assert len(types) == 41
    assert [row.index for row in types] == list(range(41))
    assert len({row.name for row in types}) == 41
    assert {row.variable for row in types} == {item.name for item in VARIABLES if item.injectable}


def test_parents_are_declared_before_their_children_and_temporal_parents_at_all():
    for index, item in enumerate(VARIABLES):
        assert all(INDEX[parent] < index for parent in item.parents), item.name
        assert all(parent in INDEX for parent in item.previous), item.name


def test_a_users_own_declaration_gives_its_own_table():
    own = (
        Variable("yaw", "gyro", "unbounded", -1, 1),
        Variable("sign", "camera", "categorical", 0, 1, ("none", "stop")),
    )
    assert [row.name for row in fault_types(own)] == ["yaw=double", "yaw=half", "sign=class:none", "sign=class:stop"]


@pytest.mark.parametrize(
    ("name", "value", "effect"),
    [
        ("throttle", "max", (False, 1.0)),
        ("steer", "min", (False, -0.5)),
        ("vehicle_velocity", "double", (True, 2.0)),
        ("vehicle_velocity", "half", (True, 0.5)),
        ("fused_obstacle_class", "class:vehicle", (False, 2.0)),
        ("throttle", "0.6", (False, 0.6)),
        ("vehicle_velocity", "-3", (False, -3.0)),
    ],
)
def test_what_a_fault_does(name, value, effect):
    assert fault_effect(variable(name), value) == effect


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("throttle", "1.2", "allowed: 0 to 1"),
        ("throttle", "double", "min, max, a number"),
        ("throttle", "nan", "allowed"),
        ("lane_type", "1", "class:none, class:lane"),
        ("vehicle_velocity", "inf", "double, half, a number"),
    ],
)
def test_what_a_fault_cannot_do(name, value, says):
    with pytest.raises(InputError, match=says):
        fault_effect(variable(name), value)


def test_an_unknown_variable_is_named_with_a_near_one():
    with pytest.raises(InputError, match="did you mean 'throttle'"):
        variable("throtle")


def test_a_row_of_the_fault_table_is_found_by_what_it_does():
    for item in fault_types():
        assert fault_type(item.variable, item.value) == item
    with pytest.raises(InputError, match=r"throttle=often; allowed: .*throttle=max"):
        fault_type("throttle", "often")
