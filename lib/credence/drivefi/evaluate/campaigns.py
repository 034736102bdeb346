"""The paper's campaigns (Table II): random and fixed faults, of one scene or many, and their effect (Fig. 11, 12)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.bench.seeds import generator
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.data.variables import INDEX, FaultType, fault_type, fault_types
from credence.drivefi.world.simulate import Faults, golden, run, traced

SHORTEST, LONGEST = 10, 100  # scenes of an M campaign (Table II)
# The paper names six targets; the values are ours where the name leaves them open: an obstacle's distance goes to its
# maximum, so that the stack takes it for far away.
TARGETS = {
    "throttle_max": ("throttle", "max"),
    "brake_max": ("brake", "max"),
    "steer_max": ("steer", "max"),
    "obstacle_rem": ("fused_obstacle_class", "class:none"),
    "obstacle_dist": ("fused_obstacle_distance", "max"),
    "lane_rem": ("lane_type", "class:none"),
}


@dataclass(frozen=True)
class Campaign:
    """One row of Table II.

    Attributes
    ----------
    name : str
        As in the paper.
    target : str or None
        Key of `TARGETS`; None: any of the 41 fault types, uniformly.
    many : bool
        10 to 100 consecutive scenes (uniformly) instead of one.
    """

    name: str
    target: str | None
    many: bool


CAMPAIGNS = {
    campaign.name: campaign
    for campaign in (
        Campaign("1-Random", None, False),
        *(Campaign(f"1-Fixed_{target}", target, False) for target in TARGETS),
        Campaign("M-Random", None, True),
        *(Campaign(f"M-Fixed_{target}", target, True) for target in TARGETS),
    )
}


def draw_faults(campaign: Campaign, size: int, scenes: int, rng: np.random.Generator) -> Faults:
    """Return `size` faults of a campaign: scene, length and, in a random campaign, type drawn uniformly."""
    if campaign.target is None:
        kind = rng.integers(0, len(fault_types()), size)
    else:
        kind = np.full(size, fault_type(*TARGETS[campaign.target]).index)
    duration = rng.integers(SHORTEST, LONGEST + 1, size) if campaign.many else np.ones(size, np.int64)
    return Faults(rng.integers(0, scenes, size), kind, duration)


def golden_runs(scenario: str, stack: str, seeds) -> pd.DataFrame:
    """Return one row a golden run: scenario, stack, seed, min_cipo_m, max_lane_offset_m, margin_m."""
    rows = []
    for seed in seeds:
        outcome = run(scenario, seed, stack)
        rows.append((scenario, stack, seed, outcome.min_cipo_m[0], outcome.max_lane_offset_m[0], outcome.margin_m[0]))
    return pd.DataFrame(rows, columns=["scenario", "stack", "seed", "min_cipo_m", "max_lane_offset_m", "margin_m"])


def campaign_runs(name: str, scenario: str, stack: str, seeds, per_seed: int, seed: int = 0) -> pd.DataFrame:
    """Run one campaign.

    Parameters
    ----------
    name : str
        Key of `CAMPAIGNS`.
    scenario, stack : str
        Where.
    seeds : iterable of int
        Scenario seeds; those whose golden run is hazardous itself are left out.
    per_seed : int
        Faults for each.
    seed : int
        Of the faults' draw.

    Returns
    -------
    DataFrame
        One row a run: campaign, scenario, stack, seed, scene, duration, variable, value, min_cipo_m,
        max_lane_offset_m, margin_m, delta_m, changed, critical.
    """
    campaign = CAMPAIGNS[choose(name, CAMPAIGNS, "campaign")]
    if per_seed < 1:
        raise InputError(f"per_seed is {per_seed}; allowed: an integer >= 1")
    types = fault_types()
    frames = []
    for point in seeds:
        item = load_scenario(scenario, point)
        if golden(item, point, stack).margin_m <= 0:
            continue
        faults = draw_faults(campaign, per_seed, item.scenes, generator(seed, "campaign", name, scenario, point))
        outcome = run(item, point, stack, faults)
        frames.append(
            pd.DataFrame(
                {
                    "campaign": name,
                    "scenario": scenario,
                    "stack": stack,
                    "seed": point,
                    "scene": faults.scene,
                    "duration": faults.duration,
                    "variable": [types[kind].variable for kind in faults.type],
                    "value": [types[kind].value for kind in faults.type],
                    "min_cipo_m": outcome.min_cipo_m,
                    "max_lane_offset_m": outcome.max_lane_offset_m,
                    "margin_m": outcome.margin_m,
                    "delta_m": outcome.delta_m,
                    "changed": outcome.changed,
                    "critical": outcome.critical,
                }
            )
        )
    if not frames:
        raise InputError(f"scenario {scenario}: every seed's golden run is hazardous; allowed: one that is safe")
    return pd.concat(frames, ignore_index=True)


def vulnerability(runs: pd.DataFrame, goldens: pd.DataFrame) -> pd.DataFrame:
    """Return, for each run, whether it is worse than the worst golden run (the paper's module vulnerability factor).

    Parameters
    ----------
    runs : DataFrame
        Of `campaign_runs`.
    goldens : DataFrame
        Of `golden_runs`; hazardous ones do not count.

    Returns
    -------
    DataFrame
        `runs` with the columns ``worse`` (than the worst golden run of the scenario and stack, in min-CIPO or max-LK)
        and ``worse_than_own`` (than the golden run of the same seed, by more than 5 cm).
    """
    safe = goldens[goldens["margin_m"] > 0]
    worst = safe.groupby(["scenario", "stack"], as_index=False).agg(
        worst_cipo_m=("min_cipo_m", "min"), worst_offset_m=("max_lane_offset_m", "max")
    )
    own = safe.rename(columns={"min_cipo_m": "own_cipo_m", "max_lane_offset_m": "own_offset_m"})
    own = own[["scenario", "stack", "seed", "own_cipo_m", "own_offset_m"]]
    both = runs.merge(worst, on=["scenario", "stack"]).merge(own, on=["scenario", "stack", "seed"])
    both["worse"] = (both["min_cipo_m"] < both["worst_cipo_m"]) | (both["max_lane_offset_m"] > both["worst_offset_m"])
    both["worse_than_own"] = (both["min_cipo_m"] < both["own_cipo_m"] - 0.05) | (
        both["max_lane_offset_m"] > both["own_offset_m"] + 0.05
    )
    return both.drop(columns=["worst_cipo_m", "worst_offset_m", "own_cipo_m", "own_offset_m"])


def shares(runs: pd.DataFrame, column: str, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return bootstrap draws [draws] of the share of runs in which `column` holds [%], resampling scenario seeds."""
    by_seed = runs.groupby("seed")[column].agg(["sum", "size"]).to_numpy(float)
    pick = rng.integers(0, len(by_seed), (draws, len(by_seed)))
    return 100.0 * by_seed[pick, 0].sum(axis=1) / by_seed[pick, 1].sum(axis=1)


def compensation(scenario: str, seed: int, stack: str, scene: int, duration: int = 30) -> pd.DataFrame:
    """Return how much more the stack brakes after a throttle fault (Fig. 12).

    ``c_K`` is the sum over scenes 0 … K of the brake command in the faulty run less that in the golden one.

    Parameters
    ----------
    scenario, seed, stack
        The run.
    scene, duration : int
        First scene, and number of consecutive scenes, with full throttle.

    Returns
    -------
    DataFrame
        One row a scene: scene, compensation, gap_m (faulty run), golden_gap_m.
    """
    plain = golden(scenario, seed, stack)
    faulty = traced(scenario, seed, FaultType(0, "throttle", "max"), scene, duration, stack)
    brake = INDEX["brake"]
    return pd.DataFrame(
        {
            "scene": np.arange(len(plain.time_s)),
            "compensation": np.cumsum(faulty.values[:, brake] - plain.values[:, brake]),
            "gap_m": faulty.cipo_m,
            "golden_gap_m": plain.cipo_m,
        }
    )


def shortest_hazard(scenario: str, seed: int, stack: str, longest: int = LONGEST) -> pd.DataFrame:
    """Return for every fault type the shortest run of consecutive scenes that is hazardous, over all starting scenes.

    Lengths up to 10 are all tried, longer ones in steps of about a fifth.

    Returns
    -------
    DataFrame
        One row a fault type: variable, value, scenes (NaN: none up to `longest`), share (of starting scenes that are
        hazardous at the longest).
    """
    types = fault_types()
    scenes = len(golden(scenario, seed, stack).time_s)
    starts = np.arange(scenes)
    lengths = np.unique(np.concatenate([np.arange(1, 11), np.geomspace(11, 100, 13).round().astype(int)]))
    lengths = lengths[lengths <= longest]
    rows = []
    for item in types:
        shortest, hazardous = np.nan, 0.0
        for length in lengths:
            kind = np.full(scenes, item.index)
            critical = run(scenario, seed, stack, Faults(starts, kind, np.full(scenes, length))).critical
            hazardous = float(critical.mean())
            if critical.any() and np.isnan(shortest):
                shortest = float(length)
        rows.append((item.variable, item.value, shortest, hazardous))
    return pd.DataFrame(rows, columns=["variable", "value", "scenes", "share"])


def claim_metrics(judged: pd.DataFrame, pool: pd.DataFrame, finals, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Return the metrics of the claims about campaigns, as draws over scenario seeds.

    Parameters
    ----------
    judged : DataFrame
        Of `vulnerability`: runs of all campaigns, stacks A and D.
    pool : DataFrame
        Of ``simulate.enumerate_pool``: every single fault.
    finals : sequence of float
        Compensation at the end, one a scenario seed.
    draws, seed : int
        Of the resampling.

    Returns
    -------
    dict
        Metric of ``data/claims/drivefi.toml`` to draws [draws].
    """

    def share(rows: pd.DataFrame, column: str, *axes: str) -> np.ndarray:
        return shares(rows, column, draws, generator(seed, "claims", *axes))

    def many(stack: str, target: str, column: str) -> np.ndarray:
        rows = judged[(judged["stack"] == stack) & (judged["campaign"] == f"M-Fixed_{target}")]
        return share(rows, column, stack, target)

    free = judged[(judged["stack"] == "D") & judged["campaign"].isin(["M-Fixed_lane_rem", "M-Fixed_obstacle_rem"])]
    finals = np.asarray(finals, float)
    picked = generator(seed, "claims", "compensation").integers(0, len(finals), (draws, len(finals)))
    found = {
        "random_hazards_per_5000": 50.0 * share(pool, "critical", "random"),
        "single_fixed_hazards": share(judged[judged["campaign"].str.startswith("1-Fixed")], "critical", "single"),
        "many_distance_hazards": share(judged[judged["campaign"] == "M-Fixed_obstacle_dist"], "critical", "distance"),
        "mvf_masked_d": share(free, "worse", "masked"),
        "compensation_final": finals[picked].mean(axis=1),
    }
    for name, target in (("throttle", "throttle_max"), ("removal", "obstacle_rem"), ("lane", "lane_rem")):
        found |= {f"many_{name}_hazards_{stack.lower()}": many(stack, target, "critical") for stack in "AD"}
    found["many_steer_hazards_a"] = many("A", "steer_max", "critical")
    for name, target in (("steer", "steer_max"), ("lane", "lane_rem"), ("obstacle", "obstacle_rem")):
        found[f"mvf_{name}_a"] = many("A", target, "worse")
    found["mvf_throttle_a"] = many("A", "throttle_max", "worse")
    found["mvf_order_a"] = np.minimum(
        found["mvf_steer_a"] - found["mvf_throttle_a"], found["mvf_lane_a"] - found["mvf_obstacle_a"]
    )
    return found


def final_compensations(scenario: str, seeds, scene: int = 60, stack: str = "D") -> list[float]:
    """Return the compensation in the last scene, one number a scenario seed."""
    return [float(compensation(scenario, seed, stack, scene)["compensation"].iloc[-1]) for seed in seeds]
