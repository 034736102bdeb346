"""The gate that a fitted posterior passes before a report uses it: R-hat, effective sample size, divergences."""

from dataclasses import asdict, dataclass

from credence.bench.errors import InputError


@dataclass(frozen=True)
class Gate:
    """What the gate found.

    Attributes
    ----------
    name : str
        Which fit.
    passed : bool
        True if every check holds.
    r_hat_max, ess_bulk_min, ess_tail_min : float
        Worst over all variables.
    divergences : int
        Divergent transitions after tuning.
    checks : dict of str to bool
        Each check with its threshold in its name.
    """

    name: str
    passed: bool
    r_hat_max: float
    ess_bulk_min: float
    ess_tail_min: float
    divergences: int
    checks: dict[str, bool]

    def __str__(self) -> str:
        failed = ", ".join(name for name, held in self.checks.items() if not held)
        state = "passed" if self.passed else f"FAILED ({failed})"
        return (
            f"{self.name}: {state}; R-hat <= {self.r_hat_max:.3f}, bulk ESS >= {self.ess_bulk_min:.0f}, "
            f"tail ESS >= {self.ess_tail_min:.0f}, {self.divergences} divergences"
        )


gates: list[dict] = []


def gate(posterior, name: str, *, r_hat: float = 1.01, ess: float = 400, variables: list[str] | None = None) -> Gate:
    """Check a posterior; the result also goes into the run's record, where a report shows it.

    Parameters
    ----------
    posterior : xarray.DataTree
        With a group ``posterior`` and, where the sampler has it, ``sample_stats`` with ``diverging``.
    name : str
        What was fitted, for the report.
    r_hat, ess : float
        Thresholds: largest split R-hat, least effective sample size (bulk and tail) [draws].
    variables : list of str, optional
        Variables to check; all by default.

    Raises
    ------
    InputError
        If there is no posterior group, or fewer than two chains (R-hat then says nothing).
    """
    import arviz_stats
    import numpy as np

    if "posterior" not in posterior.children:
        raise InputError(f"{name}: no group 'posterior'; groups: {', '.join(posterior.children) or 'none'}")
    sample = posterior["posterior"].dataset
    if sample.sizes.get("chain", 0) < 2:
        raise InputError(f"{name}: {sample.sizes.get('chain', 0)} chains; R-hat needs at least 2")
    sample = sample[variables] if variables else sample

    def worst(values, reduce) -> float:
        # a constant variable has no R-hat; it cannot fail to converge either
        found = [float(reduce(v.values[np.isfinite(v.values)])) for v in values.values() if np.isfinite(v.values).any()]
        return float(reduce(found)) if found else float("nan")

    with np.errstate(invalid="ignore", divide="ignore"):
        r_hat_max = worst(arviz_stats.rhat(sample), np.max)
        bulk = worst(arviz_stats.ess(sample, method="bulk"), np.min)
        tail = worst(arviz_stats.ess(sample, method="tail"), np.min)
    divergences = 0
    if "sample_stats" in posterior.children and "diverging" in posterior["sample_stats"].dataset:
        divergences = int(posterior["sample_stats"].dataset["diverging"].sum())
    checks = {
        f"R-hat <= {r_hat:g}": bool(r_hat_max <= r_hat),
        f"bulk ESS >= {ess:g}": bool(bulk >= ess),
        f"tail ESS >= {ess:g}": bool(tail >= ess),
        "no divergences": divergences == 0,
    }
    result = Gate(name, all(checks.values()), r_hat_max, bulk, tail, divergences, checks)
    gates.append(asdict(result))
    return result
