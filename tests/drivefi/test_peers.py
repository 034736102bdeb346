import sys

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.select import peers
from credence.drivefi.select.pool import PoolView, Purse

RUNS, SCENES, TYPES = 2, 6, 3
# walks through the space, every second proposal a repetition, and names one fault that the pool lacks
PEER = """
import itertools, json, sys
told = json.loads(sys.stdin.readline())
assert told["threshold"] == 0.25 and told["alpha"] == 0.9
for run, scene, kind in itertools.product(range(told["runs"]), range(told["scenes"] + 1), range(told["types"])):
    for _ in range(2):
        print(f"{run},{scene},{kind}", flush=True)
        margin = float(sys.stdin.readline())
        assert margin == (5.0 if scene == told["scenes"] else 0.1 * scene - 0.2), margin
"""


def pool():
    scene, kind = (part.ravel() for part in np.meshgrid(np.arange(RUNS * SCENES), np.arange(TYPES), indexing="ij"))
    return PoolView(
        scene_features=np.zeros((RUNS * SCENES, 1)),
        fault_embedding=np.eye(TYPES),
        pair_features=np.zeros((len(scene), 1)),
        scene=scene,
        type=kind,
        run=np.repeat(np.arange(RUNS), SCENES),
        position=np.tile(np.arange(SCENES), RUNS),
        golden=np.full((RUNS, 2), 5.0),
        active=np.ones(len(scene), bool),
    )


def simulate(faults):
    margin = 0.1 * (faults // TYPES % SCENES) - 0.2
    return np.stack([margin, np.full(len(faults), 5.0)], axis=1)


def test_a_peer_is_paid_for_what_is_new_only():
    purse = Purse(simulate, 7)
    peers.verifai(pool(), purse, np.random.default_rng(0), threshold=0.25, command=(sys.executable, "-c", PEER))
    assert purse.order == [0, 1, 2, 3, 4, 5, 6]


def test_faults_outside_the_pool_cost_nothing():
    purse = Purse(simulate, 20)
    peers.verifai(pool(), purse, np.random.default_rng(0), threshold=0.25, command=(sys.executable, "-c", PEER))
    assert purse.order == list(range(20))  # the walk leaves the first run behind its 18 faults


@pytest.mark.parametrize("program", ["", "print('nonsense', flush=True)"])
def test_a_peer_that_breaks_off_is_an_error(program):
    with pytest.raises(InputError, match="run,scene,type"):
        peers.verifai(pool(), Purse(simulate, 5), np.random.default_rng(0), command=(sys.executable, "-c", program))


def test_a_peer_that_only_repeats_itself_comes_to_an_end():
    repeat = "import sys\nfor line in sys.stdin:\n    print('0,0,0', flush=True)\n"
    purse = Purse(simulate, 5)
    peers.verifai(pool(), purse, np.random.default_rng(0), command=(sys.executable, "-c", repeat))
    assert purse.order == [0]


def test_without_the_environment_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setenv("CREDENCE_PEERS", str(tmp_path / "python"))
    with pytest.raises(InputError, match="make peers"):
        peers.verifai(pool(), Purse(simulate, 5), np.random.default_rng(0))
    with pytest.raises(InputError, match="sampler"):
        peers.verifai(pool(), Purse(simulate, 5), np.random.default_rng(0), sampler="bo")
