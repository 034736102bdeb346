"""Which scenarios may be mined: those that start safe, end safe without a fault, and in which everything can happen."""

from credence.bench.errors import InputError
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.world.parameters import Stack
from credence.drivefi.world.parameters import stack as load_stack
from credence.drivefi.world.simulate import golden


def refusal(scenario: Scenario | str, seed: int = 0, stack: str | Stack = "A") -> str | None:
    """Return why a scenario cannot be mined, or None if it can.

    The paper's campaigns start safe (Section VI). A golden run that is hazardous itself says nothing about a fault, and
    an actor whose trigger the ego never reaches is a mistake in the file rather than a safe scenario.
    """
    item = scenario if isinstance(scenario, Scenario) else load_scenario(scenario, seed)
    constants = load_stack(stack)
    run = golden(item, seed, constants)
    for actor, place in zip(item.actors, run.actors[0], strict=True):
        beside = abs(place[1]) < 0.5 * (constants.width_m + (1.85 if actor.kind == "vehicle" else 0.6))
        if beside and place[0] <= 0.0:
            return f"initially unsafe: {actor.name} stands where the ego starts (gap {place[0]:.1f} m)"
    if run.delta_along_m[0] <= 0.0:
        return (
            f"initially unsafe: at {run.speed_mps[0]:.1f} m/s and a gap of {run.cipo_m[0]:.1f} m the safety potential "
            f"is {run.delta_along_m[0]:.1f} m with a_max = {constants.a_max_mps2:g} m/s²"
        )
    if run.delta_across_m[0] <= 0.0:
        return f"initially unsafe: the lane leaves a safety potential of {run.delta_across_m[0]:.2f} m to its borders"
    for index, actor in enumerate(item.actors):
        if actor.trigger_gap_m > 0.0 and run.actors[:, index, 0].min() > actor.trigger_gap_m:
            return (
                f"unreachable: {actor.name} moves when the ego is within {actor.trigger_gap_m:g} m, but in "
                f"{item.scenes} scenes the ego comes no nearer than {run.actors[:, index, 0].min():.1f} m"
            )
    if run.margin_m <= 0.0:
        return (
            f"unsafe without a fault: closest approach {run.cipo_m.min():.2f} m in scene {int(run.cipo_m.argmin())}, "
            f"{run.lane_offset_m.max():.2f} m off the lane's centre (margin {run.margin_m:.2f} m)"
        )
    return None


def require_admissible(scenario: Scenario | str, seed: int = 0, stack: str | Stack = "A") -> None:
    """Raise an `InputError` with the reason if a scenario cannot be mined."""
    reason = refusal(scenario, seed, stack)
    if reason:
        name = scenario.name if isinstance(scenario, Scenario) else scenario
        raise InputError(
            f"scenario {name}, seed {seed}: {reason}; allowed: one that is safe without a fault, from its first scene "
            "on, and whose actors all come into play"
        )
