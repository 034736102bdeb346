"""A small closed-loop world of the tests' own: a car behind another that brakes, seven variables, eight fault types."""

from types import SimpleNamespace

import numpy as np

from credence.drivefi.select.pool import PoolView

VARIABLES = (
    SimpleNamespace(name="speed", parents=(), previous=("speed", "pedal")),
    SimpleNamespace(name="offset", parents=(), previous=("offset", "speed", "steer")),
    SimpleNamespace(name="gap", parents=(), previous=("gap", "speed")),
    SimpleNamespace(name="wanted", parents=("speed", "gap"), previous=()),
    SimpleNamespace(name="pedal", parents=("wanted",), previous=("pedal",)),
    SimpleNamespace(name="steer", parents=("offset",), previous=("steer",)),
)
NAMES = [v.name for v in VARIABLES]
TYPES = (
    ("gap", "set", 80.0),
    ("gap", "set", 0.0),
    ("gap", "times", 2.0),
    ("wanted", "set", 3.0),
    ("wanted", "set", -6.0),
    ("pedal", "set", 3.0),
    ("steer", "set", 0.12),
    ("steer", "set", -0.12),
)
DT = 1 / 7.5


def simulate(run, scene, kind, scenes=60, hold=4):
    """Return logged values [B, scenes, 6] and margins [B] of one fault each (scene -1: none), held for `hold`
    scenes."""
    run, scene, kind = (np.atleast_1d(x) for x in (run, scene, kind))
    size = len(run)
    # the lead car brakes harder and later from run to run
    onset, rate = 15 + 3 * run, 3.0 + 0.25 * run
    speed, lead, room = np.full(size, 14.0), np.full(size, 14.0), np.full(size, 26.0)
    offset, heading, pedal, steer = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    rng = np.random.default_rng(5)
    logs, margin = np.zeros((size, scenes, 6)), np.full((size, 2), np.inf)

    def faulty(name, value, k):
        for number, (target, how, amount) in enumerate(TYPES):
            if target == name:
                hit = (kind == number) & (scene >= 0) & (k >= scene) & (k < scene + hold)
                value = np.where(hit, amount if how == "set" else value * amount, value)
        return value

    for k in range(scenes):
        noise = rng.normal(0, 0.05, 2)
        gap = faulty("gap", np.clip(room + noise[0], 0, 80), k)
        wish = 2.0 + 1.2 * speed
        wanted = faulty("wanted", np.clip(1.5 * (1 - (speed / 16) ** 4 - (wish / np.maximum(gap, 0.5)) ** 2), -6, 3), k)
        pedal = faulty("pedal", pedal + np.clip(wanted - pedal, -1.0, 1.0), k)
        steer = faulty("steer", 0.5 * steer - 0.3 * offset - 0.6 * heading + 0.02 * noise[1], k)
        logs[:, k] = np.stack([speed, offset, gap, wanted, pedal, steer], axis=1)
        braking = (k >= onset) & (k < onset + 18)
        lead = np.maximum(lead - DT * np.where(braking, rate, 0), 0)
        room = room + DT * (lead - speed)
        offset, heading = offset + DT * speed * heading * 0.5, heading + DT * steer
        speed = np.maximum(speed + DT * pedal, 0)
        margin = np.minimum(margin, np.stack([room - 1.0, 0.8 - np.abs(offset)], axis=1))
    return logs, np.clip(margin, -5, None)


def pool(runs=4, scenes=60):
    """Return PoolView, margins [faults, 2] of all its faults, and the golden logs [runs, scenes, 6]."""
    run, scene, kind = (x.ravel() for x in np.meshgrid(range(runs), range(scenes), range(len(TYPES)), indexing="ij"))
    golden, parts = simulate(np.arange(runs), np.full(runs, -1), np.zeros(runs, int), scenes)
    margins = simulate(run, scene, kind, scenes)[1]
    flat = golden.reshape(-1, 6)
    flat = (flat - flat.mean(axis=0)) / flat.std(axis=0)
    embedding = np.eye(len(NAMES))[[NAMES.index(name) for name, _, _ in TYPES]]
    signs = np.array([[1.0], [-1], [1], [1], [-1], [1], [1], [-1]])
    view = PoolView(
        scene_features=flat,
        fault_embedding=np.hstack([embedding, signs]),
        pair_features=np.zeros((len(run), 0)),
        scene=run * scenes + scene,
        type=kind,
        run=np.repeat(np.arange(runs), scenes),
        position=np.tile(np.arange(scenes), runs),
        golden=parts,
        active=np.ones(len(run), bool),
    )
    return view, margins, golden
