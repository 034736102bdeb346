"""Claims on DriveFI, computed again: campaigns and examples at fewer draws, the same scenario seeds."""

from functools import cache

DRAWS = 200
PLACES = {"A": "DS6", "D": "DS1"}


@cache
def campaign_metrics():
    import pandas as pd

    from credence.drivefi.evaluate import campaigns
    from credence.drivefi.world.simulate import enumerate_pool

    goldens = pd.concat([campaigns.golden_runs(place, stack, range(50)) for stack, place in PLACES.items()])
    runs = [
        campaigns.campaign_runs(name, place, stack, range(50), 40)
        for stack, place in PLACES.items()
        for name in campaigns.CAMPAIGNS
    ]
    judged = campaigns.vulnerability(pd.concat(runs, ignore_index=True), goldens)
    pool = enumerate_pool([f"DS{number}" for number in range(1, 7)], range(4))
    return campaigns.claim_metrics(judged, pool, campaigns.final_compensations("DS1", range(4)), DRAWS, 1)


@cache
def safety_metrics():
    from credence.drivefi.evaluate import safety_study

    seeds = range(10)
    return safety_study.claim_metrics(
        safety_study.example_one(seeds, (1,)),
        safety_study.example_two(seeds, (160.0,), (0, 5, 10, 15, 20, 25, 30, 40)),
        safety_study.equation_6_errors((5.0, 13.0, 25.0), (0.0, 0.02, 0.1)),
        DRAWS,
        1,
    )


@cache
def race_metrics():
    from credence.drivefi.evaluate import race_recorded, race_tables

    rows = race_recorded.read("rows")
    return race_tables.race_metrics(rows[rows["training"] == "paid"], DRAWS, 1)


@cache
def engine_metrics():
    from credence.drivefi.evaluate import race_recorded, race_tables

    return race_tables.engine_metrics(race_recorded.read("engine"), 55350, race_recorded.TRAINING, DRAWS, 1)


def mean_of(metrics, name):
    return lambda: float(metrics()[name].mean())


CAMPAIGNS = (
    "random_hazards_per_5000",
    "single_fixed_hazards",
    "many_distance_hazards",
    "many_throttle_hazards_a",
    "many_throttle_hazards_d",
    "many_removal_hazards_a",
    "many_removal_hazards_d",
    "many_steer_hazards_a",
    "many_lane_hazards_a",
    "many_lane_hazards_d",
    "mvf_steer_a",
    "mvf_lane_a",
    "mvf_obstacle_a",
    "mvf_throttle_a",
    "mvf_order_a",
    "mvf_masked_d",
    "compensation_final",
)
SAFETY = ("example1_delta_change", "example2_hazards", "example2_delayed_hazards", "equation6_error")
AGAIN = {name: mean_of(campaign_metrics, name) for name in CAMPAIGNS}
AGAIN |= {name: mean_of(safety_metrics, name) for name in SAFETY}
ENGINE = ("tbn_precision", "tbn_selected", "tbn_beyond_random", "tbn_critical_scenes", "share_throttle")
ENGINE += ("share_pid_input", "share_fused_class", "speed_up_all_in")
RACE = ("gp_recall", "gp_recall_worst", "gp_types", "gp_beyond_peers", "gp_plain_beyond_peers")
AGAIN |= {name: mean_of(engine_metrics, name) for name in ENGINE} | {name: mean_of(race_metrics, name) for name in RACE}
SIMULATED = "minutes of another world, or of flips; tests/drivefi has small ones"
NOT_AGAIN = dict.fromkeys(("transfer_share", "transfer_lift", "hardware_silent"), SIMULATED)
