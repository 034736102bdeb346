"""Claims on SSJF, computed again: the notebooks' own evaluation at the recorded size, with fewer draws."""

from functools import cache

import numpy as np

AUTHORS = "ssjf-vicuna13b-predictions"


@cache
def audit_study():
    from credence.ssjf import data
    from credence.ssjf.evaluate.audit import Evaluation
    from credence.ssjf.world.released_arrivals import Requests

    frame = data.vicuna_predictions(AUTHORS)
    requests = Requests(frame.output_token_length.to_numpy(), frame.pred_multi_cls.to_numpy())
    return Evaluation(requests, data.azure("conv").arrival_s.to_numpy(), draws=8)


def audit(mode, slots, quantity, column=None, **off):
    def compute():
        from credence.ssjf.world.released_quirks import ALL_OFF, ALL_ON

        quirks = ALL_OFF if off.pop("all_off", False) else ALL_ON.but(**off)
        found = [audit_study().compare("poisson", mode, batch, quirks)[quantity] for batch in slots]
        return np.mean([f if column is None else f[:, column] for f in found])

    return compute


def predictions(name, column="pred_multi_cls"):
    def compute():
        from scipy.stats import kendalltau
        from sklearn.metrics import accuracy_score, f1_score

        from credence.ssjf import data

        frame = data.vicuna_predictions(AUTHORS)
        bounds = [42, 141, 294, 503] if column == "pred_multi_cls" else [141]
        true = np.digitize(frame.output_token_length, bounds)
        called = np.minimum(frame[column], len(bounds))
        if name == "tau":
            return kendalltau(frame.output_token_length, called).statistic
        return accuracy_score(true, called) if name == "accuracy" else f1_score(true, called, average="macro")

    return compute


def steady(batching, slots, quantity):
    def compute():
        from credence.ssjf import data
        from credence.ssjf.evaluate import steady as queue

        source = queue.population(data.vicuna_predictions(AUTHORS))
        setting = queue.Setting(batching, slots, 0.8, count=10_000)
        frame = queue.changes(queue.compare_policies(source, setting, 8, seed=1, systems=("FCFS", "SSJF")))
        return frame.loc[frame["system"] == "SSJF", quantity].mean()

    return compute


def cell(load, slots, predictor, quantity, count, **place):
    def compute():
        from credence.ssjf.evaluate import maps

        source = maps.population(AUTHORS)
        draws = maps.map_draws(source, (load,), (slots,), (predictor,), count=count, draws=8, seed=1, **place)
        return maps.cell_metric(draws, quantity, load, slots, predictor).mean()

    return compute


def predicted_set(ending):
    from credence.ssjf.data.answers import castillo_chat, measured_answers

    return castillo_chat() if ending == "castillo" else measured_answers()


def lengths(metric):
    """Recorded out-of-fold predictions, scored again with fewer draws."""

    def compute():
        from credence.ssjf.evaluate import length_runs, length_study, recorded_lengths

        ending = metric.rpartition("_")[2]
        answers = predicted_set(ending)
        live = {}
        if metric.startswith("prompt_length"):
            every = length_runs.out_of_fold(answers, length_study.set_folds(answers))
            live[length_study.PROMPT_LENGTH] = every[length_study.PROMPT_LENGTH]
        study = length_study.study(answers, recorded_lengths.read(), live, length_study.JUDGED, draws=60, seed=1)
        return length_study.claim_metrics(study, ending)[metric].mean()

    return compute


def family_share():
    from credence.ssjf.evaluate import recorded_lengths

    return recorded_lengths.family_share_draws(predicted_set("own"), draws=60, seed=1).mean()


def proxy_cut(ending):
    def compute():
        from credence.ssjf.evaluate import length_study, length_worth, recorded_lengths

        answers = predicted_set(ending)
        runs = {length_study.PROXY: recorded_lengths.by_seed(recorded_lengths.read(), answers, length_study.PROXY)[0]}
        size = {"load": 0.9, "count": 6_000, "draws": 8, "seed": 1}
        taus, times = {length_study.PROXY: 0.5}, {length_study.PROXY: 0.01}
        return length_worth.cut_draws(length_worth.serve(answers, runs, taus, times, **size)[1]).mean()

    return compute


@cache
def engine_trials_frame():
    from credence.ssjf.evaluate import engine_trials

    trials = engine_trials.recorded()
    return engine_trials.forecast(trials.runs, trials.profile)


def engine(function, name):
    def compute():
        from credence.ssjf.evaluate import engine_trials

        draws = getattr(engine_trials, function)(engine_trials_frame(), 200, np.random.default_rng(5))
        return draws[name].mean()

    return compute


def proxy_latency():
    from credence.ssjf.evaluate import length_times

    return length_times.p99_draws(1000 * length_times.one_at_a_time(length_times.recorded()), 60, 1).mean()


MEASURED = {"batching": "continuous", "engine": "vllm-rtxpro6000-llama3-8b"}
AGAIN = {
    "released_cut_none": audit("none", (1,), "jct_cut"),
    "released_cut_dynamic": audit("dynamic", (2, 4, 8), "jct_cut"),
    "released_cut_continuous": audit("continuous", (2, 4, 8), "jct_cut"),
    "fair_cut_continuous": audit("continuous", (2, 4, 8), "jct_cut", d2=False),
    "fair_cut_continuous_8": audit("continuous", (8,), "jct_cut", d2=False),
    "all_off_cut_none": audit("none", (1,), "jct_cut", all_off=True),
    "all_off_cut_continuous": audit("continuous", (8,), "jct_cut", all_off=True),
    "released_ratio25_none": audit("none", (1,), "ratios", 0),
    "released_ratio25_dynamic": audit("dynamic", (2, 4, 8), "ratios", 0),
    "released_ratio25_continuous": audit("continuous", (2, 4, 8), "ratios", 0),
    "released_ratio100_none": audit("none", (1,), "ratios", 1),
    "released_p99_change_none": audit("none", (1,), "p99_change"),
    "fair_p99_change_continuous_8": audit("continuous", (8,), "p99_change", d2=False),
    "accuracy_five": predictions("accuracy"),
    "macro_f1_five": predictions("macro_f1"),
    "tau_five": predictions("tau"),
    "accuracy_binary": predictions("accuracy", "pred_binary_cls"),
    "steady_cut_none": steady("none", 1, "mean_cut"),
    "steady_cut_dynamic": steady("dynamic", 8, "mean_cut"),
    "steady_cut_continuous": steady("continuous", 8, "mean_cut"),
    "steady_p99_change": steady("none", 1, "p99_change"),
    "map_cut_rho95_slots1": cell(0.95, 1, "own", "cut", 6_000),
    "map_cut_rho80_slots16": cell(0.8, 16, "own", "cut", 6_000),
    "p99_change_rho95_slots1": cell(0.95, 1, "own", "p99_change", 6_000),
    "engine_error_fcfs": engine("error_draws", "fcfs"),
    "engine_error_ssjf": engine("error_draws", "ssjf"),
    "engine_cut_steady": engine("cut_draws", "steady"),
    "engine_cut_bursty": engine("cut_draws", "bursty"),
    "engine_cut_burst": engine("cut_draws", "burst"),
    "engine_predictor_p99_ms": engine("predictor_draws", "latency_p99_ms"),
    "engine_predictor_share": engine("predictor_draws", "share"),
    "cut_continuous_fitted": cell(0.9, 16, 0.63, "cut", 4_000, **MEASURED),
    "family_share_of_ceiling": family_share,
    "proxy_latency_p99_ms": proxy_latency,
    "proxy_cut_castillo": proxy_cut("castillo"),
    "proxy_cut_own": proxy_cut("own"),
}
PREDICTED = ("proxy_tau", "proxy_minus_tfidf", "accuracy_five", "accuracy_binary", "ranking_minus_regression")
PREDICTED += ("fast_minus_paper", "prompt_length_tau", "stack_tau", "proxy_minus_states")
AGAIN |= {f"{name}_{ending}": lengths(f"{name}_{ending}") for name in PREDICTED for ending in ("own", "castillo")}
# single pass over a whole trace or file: nothing to draw fewer of, and their own tests cover them
NOT_AGAIN = {"cut_azure_conv_replay", "predictor_latency_cost", "predictor_latency_ms"}
# simulated twice, at every latency; the curve it is read from has tests of its own
NOT_AGAIN |= {"proxy_latency_cost_64_slots"}
# measured here, and in git: the engine, the proxy's time, answers to our own prompts
HERE = {"proxy_latency_p99_ms", "family_share_of_ceiling"}
HERE |= {name for name in AGAIN if name.startswith("engine_") or name.endswith("_own")}
NEEDS = dict.fromkeys(set(AGAIN) - HERE, (AUTHORS,))
