"""The one table of papers. The bench knows a paper only by its row here; modules are named, not imported."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper that the workbench re-runs.

    Attributes
    ----------
    name : str
        Package below ``credence`` and folder below ``notebooks/``.
    title, short, venue, reference : str
        The paper's own title, the name its users say, where it appeared, and an address or identifier.
    headline : str
        Its headline claim, in the paper's own numbers.
    cli : str or None
        ``module:attribute`` of a typer app that becomes ``credence NAME …``.
    """

    name: str
    short: str
    title: str
    venue: str
    reference: str
    headline: str
    cli: str | None = None


PAPERS = {
    paper.name: paper
    for paper in (
        Paper(
            "bayesperf",
            "BayesPerf",
            "BayesPerf: minimizing performance monitoring errors using Bayesian statistics",
            "ASPLOS 2021",
            "doi:10.1145/3445814.3446739",
            "multiplexed counters: 40.1 % error cut to 7.6 %",
            cli="credence.bayesperf.cli:app",
        ),
        Paper(
            "kaleidoscope",
            "Kaleidoscope",
            "Live forensics for HPC systems: a case study on distributed storage systems",
            "SC 2020",
            "doi:10.1109/SC41405.2020.00069",
            "99.3 % of failures localised, 95.8 % of root causes named",
            cli="credence.kaleidoscope.cli:app",
        ),
        Paper(
            "ssjf",
            "SSJF",
            "Efficient interactive LLM serving with proxy model-based sequence length prediction",
            "AIOps at ASPLOS 2024",
            "arXiv:2404.08509",
            "job completion time cut by 30.5–39.6 %, throughput ×2.2–3.6 over FCFS",
            cli="credence.ssjf.cli:app",
        ),
        Paper(
            "drivefi",
            "DriveFI",
            "ML-based fault injection for autonomous vehicles: a case for Bayesian fault injection",
            "DSN 2019",
            "doi:10.1109/DSN.2019.00025",
            "561 critical faults in under 4 hours; random injection: none",
            cli="credence.drivefi.cli:app",
        ),
    )
}
