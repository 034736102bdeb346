"""Policies side by side in a steady queue: one stable load, warm-up discarded, prompts resampled.

The released evaluation drains bursts of 50 jobs that arrive at 4 to 36 times the capacity (``world.released``). Here
the load is below one, so that there is a long-run mean to speak of, and every draw resamples the prompts: an interval
covers another set of prompts and arrivals from the same source, not another run on the same ones.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.ssjf.evaluate import metrics
from credence.ssjf.model import EngineProfile, queueing
from credence.ssjf.model import profile as find_profile
from credence.ssjf.model.profiles import service_s
from credence.ssjf.world import gamma_arrivals, rate_for_load, simulate_arrays
from credence.ssjf.world.simulator import schedule_frame

# Class bounds of the released training script for first-round prompts (p25, p50, p75, p99) [tokens]; a class stands for
# the middle of its range where a policy needs a length and not only an order.
CLASS_BOUNDS = (0, 42, 141, 294, 503, 512)
SYSTEMS = {
    "FCFS": "fcfs",
    "random": "random",
    "MLFQ": "mlfq",
    "SSJF": "ssjf",
    "pSRPT": "psrpt",
    "SJF (oracle)": "sjf",
    "SRPT": "srpt",
}
QUANTITIES = ("mean_jct_s", "p50_jct_s", "p95_jct_s", "p99_jct_s", "longest_wait_s", "mean_slowdown", "jain_slowdown")


@dataclass(frozen=True)
class Setting:
    """A queue to compare policies in.

    Attributes
    ----------
    batching : {"none", "dynamic", "continuous"}
        Way of serving.
    slots : int
        Servers, or the largest batch.
    load : float
        Offered work over capacity.
    profile : str or EngineProfile
        Engine costs.
    arrival_cv : float
        Coefficient of variation of the gaps between arrivals; 1 is Poisson.
    aging : float
        Aging guard [s]; 0 is off.
    predictor_latency : float
        Time the predictor takes for a request [s].
    count : int
        Requests a draw, warm-up included.
    warm_up : float
        Share of them that is not counted.
    """

    batching: str = "none"
    slots: int = 1
    load: float = 0.8
    profile: str | EngineProfile = "ssjf-paper"
    arrival_cv: float = 1.0
    aging: float = 0.0
    predictor_latency: float = 0.0
    count: int = 10_000
    warm_up: float = 0.1

    def __post_init__(self):
        if not 0 < self.load < 1:
            raise InputError(f"load is {self.load!r}; allowed: above 0 and below 1 (a queue at 1 has no steady state)")


def population(predictions: pd.DataFrame, prompt_tokens: int = 0) -> pd.DataFrame:
    """Return requests to draw from: lengths, and the 5-class prediction as a length in tokens.

    Parameters
    ----------
    predictions : pandas.DataFrame
        ``output_token_length``, ``pred_multi_cls`` (class 0 to 4): the authors' file or its simulated stand-in.
    prompt_tokens : int
        For engines whose prefill costs something; neither file knows the prompts [tokens].
    """
    middle = np.convolve(CLASS_BOUNDS, [0.5, 0.5], mode="valid")
    return pd.DataFrame(
        {
            "prompt_tokens": prompt_tokens,
            "output_tokens": predictions["output_token_length"].to_numpy(),
            "predicted": middle[predictions["pred_multi_cls"].to_numpy()],
        }
    )


def draw_requests(source: pd.DataFrame, setting: Setting, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return one workload: prompts drawn with replacement from `source`, arriving at the setting's load.

    Returns
    -------
    dict of str to array [count]
        ``arrival_s``, ``prompt_tokens``, ``output_tokens``, ``predicted``.
    """
    rows = rng.integers(len(source), size=setting.count)
    drawn = {name: source[name].to_numpy()[rows] for name in ("prompt_tokens", "output_tokens", "predicted")}
    # the load is that of the source, not of the sample: a draw with long answers is a busier one
    rate = rate_for_load(
        setting.load,
        source["prompt_tokens"],
        source["output_tokens"],
        batching=setting.batching,
        slots=setting.slots,
        engine=setting.profile,
    )
    return {"arrival_s": gamma_arrivals(setting.count, rate, setting.arrival_cv, rng), **drawn}


def serve(requests: dict[str, np.ndarray], system: str, setting: Setting, rng: np.random.Generator):
    """Return the schedule of one workload under one of `SYSTEMS`."""
    return simulate_arrays(
        requests["arrival_s"],
        requests["prompt_tokens"],
        requests["output_tokens"],
        predicted=requests["predicted"],
        policy=SYSTEMS[system],
        batching=setting.batching,
        slots=setting.slots,
        profile=setting.profile,
        aging=setting.aging,
        predictor_latency=setting.predictor_latency,
        rng=rng,
    )


def compare_policies(
    source: pd.DataFrame, setting: Setting, draws: int, seed: int, systems=tuple(SYSTEMS)
) -> pd.DataFrame:
    """Serve the same resampled workloads under each system.

    Parameters
    ----------
    source : pandas.DataFrame
        Population, see `population`.
    setting : Setting
        The queue.
    draws : int
        Resampled workloads; all systems see the same ones.
    seed : int
        The run's seed.
    systems : iterable of str
        Which of `SYSTEMS`.

    Returns
    -------
    pandas.DataFrame
        One row a draw and system: ``draw``, ``system`` and `QUANTITIES`.
    """
    rows = []
    for draw in track(range(draws), "workloads"):
        requests = draw_requests(source, setting, seeds.generator(seed, "steady", setting.batching, draw))
        frame = pd.DataFrame({k: requests[k] for k in ("arrival_s", "prompt_tokens", "output_tokens")})
        for system in systems:
            schedule = serve(requests, system, setting, seeds.generator(seed, "order", draw))
            found = metrics.summary(frame, schedule_frame(schedule), setting.warm_up, setting.profile)
            rows.append({"draw": draw, "system": system} | {name: found[name] for name in QUANTITIES})
    return pd.DataFrame(rows)


def changes(frame: pd.DataFrame, baseline: str = "FCFS") -> pd.DataFrame:
    """Return for each draw and system its change against `baseline` on the same workload [%].

    Returns
    -------
    pandas.DataFrame
        ``draw``, ``system``, ``mean_cut`` (positive: faster), ``p99_change`` (positive: slower tail) and
        ``longest_wait_ratio`` (a factor).
    """
    reference = frame[frame["system"] == baseline].set_index("draw")[list(QUANTITIES)]
    other = frame.join(reference.add_suffix("_reference"), on="draw")
    return pd.DataFrame(
        {
            "draw": other["draw"],
            "system": other["system"],
            "mean_cut": 100 * (1 - other["mean_jct_s"] / other["mean_jct_s_reference"]),
            "p99_change": 100 * (other["p99_jct_s"] / other["p99_jct_s_reference"] - 1),
            "longest_wait_ratio": other["longest_wait_s"] / other["longest_wait_s_reference"],
        }
    )


def intervals(frame: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """Return mean and equal-tailed 90 % interval over draws: columns `by`, ``quantity``, ``mean``, ``lo``, ``hi``."""
    long = frame.melt(id_vars=by, value_vars=values, var_name="quantity")
    groups = long.groupby([*by, "quantity"], sort=False)["value"]
    found = pd.DataFrame({"mean": groups.mean(), "lo": groups.quantile(0.05), "hi": groups.quantile(0.95)})
    return found.reset_index()


def along(source, setting: Setting, field: str, values, draws: int, seed: int, system: str = "SSJF") -> pd.DataFrame:
    """Return the `changes` of one system along one field of the setting (``aging``, ``predictor_latency``).

    FCFS, which they are relative to, neither ages nor predicts: it is served once.
    """
    plain = compare_policies(source, replace(setting, aging=0.0, predictor_latency=0.0), draws, seed, ("FCFS",))
    found = []
    for value in values:
        other = compare_policies(source, replace(setting, **{field: value}), draws, seed, (system,))
        rows = changes(pd.concat([plain, other])).assign(**{field: value})
        found.append(rows[rows["system"] == system])
    return pd.concat(found, ignore_index=True)


def check_theory(source: pd.DataFrame, loads, draws: int, seed: int, count: int = 20_000) -> pd.DataFrame:
    """Compare the simulator with queueing theory: one server, Poisson arrivals, no predictor, no warm-up bias.

    Returns
    -------
    pandas.DataFrame
        ``load``, ``system``, ``mean_jct_s`` simulated [s] with ``lo``, ``hi`` (90 % of the draws), ``theory`` [s]:
        Pollaczek–Khinchine for FCFS, Cobham for SJF, Schrage–Miller for SRPT.
    """
    theory = {
        "FCFS": lambda rate, s, p: queueing.pollaczek_khinchine_wait(rate, s, p) + float(s @ p),
        "SJF (oracle)": lambda rate, s, p: queueing.sjf_wait(rate, s, p) + float(s @ p),
        "SRPT": queueing.srpt_response,
    }
    rows = []
    for load in loads:
        setting = Setting(load=load, count=count, warm_up=0.2)
        frame = compare_policies(source, setting, draws, seed, tuple(theory))
        service = service_s(find_profile(setting.profile), source["prompt_tokens"], source["output_tokens"])
        atoms, share = queueing.empirical_atoms(service)
        for row in intervals(frame, ["system"], ["mean_jct_s"]).to_dict("records"):
            expected = theory[row["system"]](load / float(atoms @ share), atoms, share)
            rows.append({"load": load, "system": row["system"], "mean_jct_s": row["mean"], "theory": expected} | row)
    return pd.DataFrame(rows)


def fit_errors(profiles: dict[str, EngineProfile]) -> pd.DataFrame:
    """Return how far each fitted engine is from measurements that its fit did not see.

    Returns
    -------
    pandas.DataFrame
        One row a fitted profile: mean absolute relative error of prefill, decode and whole requests [%], where the
        measurements tell them, and the signed error of the mean JCT of the whole measured run simulated FCFS [%].
    """
    rows = {}
    for name, item in profiles.items():
        fit = item.fit
        if not fit:
            continue
        parts = {part: 100 * fit[part]["mean_abs"] for part in ("prefill", "decode", "service") if part in fit}
        run = fit.get("simulated_run", {})
        rows[name] = parts | ({"simulated run": 100 * run["jct_error"]} if run else {})
    columns = {"prefill": "prefill [%]", "decode": "decode [%]", "service": "whole request [%]"}
    frame = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=[*columns, "simulated run"])
    return frame.rename(columns=columns | {"simulated run": "mean JCT of the simulated run [%]"})


def explain(
    source: pd.DataFrame, setting: Setting, seed: int, systems=("FCFS", "SSJF"), least: int = 16, most: int = 28
):
    """Return one busy period of one server served by several systems, one row a request and system.

    It is the first of a long workload with `least` to `most` requests. A server that never idles while something waits
    is busy over the same span in any order, so that the systems can be laid side by side.

    Returns
    -------
    pandas.DataFrame
        ``system``, ``request``, ``arrival_s``, ``start_s``, ``end_s`` [s], ``output_tokens``.

    Raises
    ------
    InputError
        If the workload holds no such period (at loads far from one: too short; near one: too long).
    """
    single = replace(setting, batching="none", slots=1)
    requests = draw_requests(source, single, seeds.generator(seed, "explain"))
    first = serve(requests, "FCFS", single, seeds.generator(seed, "order"))
    opens = np.flatnonzero(first.start_s <= requests["arrival_s"] + 1e-9)
    lengths = np.diff(opens)
    fitting = np.flatnonzero((lengths >= least) & (lengths <= most))
    if not fitting.size:
        raise InputError(f"no busy period of {least} to {most} requests among {setting.count} at load {setting.load:g}")
    begin = opens[fitting[0]]
    period = {name: values[begin : begin + lengths[fitting[0]]] for name, values in requests.items()}
    period["arrival_s"] = period["arrival_s"] - period["arrival_s"][0]
    found = []
    for system in systems:
        schedule = serve(period, system, single, seeds.generator(seed, "order"))
        frame = schedule_frame(schedule).assign(system=system)
        found.append(frame.assign(arrival_s=period["arrival_s"], output_tokens=period["output_tokens"]))
    return pd.concat(found, ignore_index=True)
