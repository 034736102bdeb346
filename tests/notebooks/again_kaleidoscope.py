"""Claims on Kaleidoscope, computed again: the recorded tables, resampled with other and fewer draws."""

from functools import cache

DRAWS = 200


@cache
def production_metrics():
    from credence.kaleidoscope.evaluate import production_tables as tables

    return tables.metrics(tables.read("issues"), tables.read("quiet"), DRAWS, seed=1)


@cache
def cause_metrics():
    from credence.kaleidoscope.evaluate import production_causes
    from credence.kaleidoscope.evaluate import production_tables as tables

    return production_causes.metrics(tables.read("causes"), DRAWS, seed=1)


def mean_of(metrics, name):
    return lambda: metrics()[name].mean()


AGAIN = {
    name: mean_of(metrics, name)
    for metrics, names in (
        (
            production_metrics,
            "localised detected_in_ten_minutes recall_over_netbouncer recall_over_netbouncer_tuned "
            "alarms_over_netbouncer false_alarms_over_netbouncer_same_recall partial_router_first_window",
        ),
        (cause_metrics, "root_cause root_cause_reliability root_cause_overload"),
    )
    for name in names.split()
}

# Metrics without a function above, and why.
NOT_AGAIN: dict[str, str] = {}
