"""Simpler ways to predict answer lengths than a fine-tuned encoder.

Each is a function ``fit(prompts, target, weight=None, …)`` that learns from texts, log lengths [prompts] and optional
weights [prompts], and returns a predictor: a function of texts that gives predicted log lengths [texts]. Whatever is
chosen (a penalty, the kind of features) is chosen on those prompts alone, by an inner cross-validation, so that a
caller who keeps test prompts out needs no further care. ``numpy.exp`` of a prediction is in tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from credence.bench.errors import InputError
from credence.ssjf.baselines.features import lexical_features

Predictor = Callable[[Sequence[str]], np.ndarray]
Fit = Callable[..., Predictor]

INNER_FOLDS = 3
TEXT_PENALTIES = (0.3, 1.0, 3.0, 10.0)
VECTOR_PENALTIES = tuple(float(value) for value in np.logspace(0, 5, 11))


@dataclass(frozen=True)
class TextSettings:
    """How TF-IDF sees a text, and the ridge penalty on it.

    Attributes
    ----------
    words : int
        Longest word n-gram; 0 for none.
    letters : int
        Longest n-gram of letters inside words, from 2; 0 for none.
    least : int
        Prompts a term must occur in.
    marks : bool
        Punctuation marks and one-letter words are words, too.
    lexical : bool
        Hand-made features beside the terms (:func:`~credence.ssjf.baselines.features.lexical_features`).
    penalty : float
        Ridge penalty.
    """

    words: int = 2
    letters: int = 0
    least: int = 2
    marks: bool = False
    lexical: bool = False
    penalty: float = 1.0


# Word 1- and 2-grams seen twice, logarithmic counts, penalty 1: an afternoon's baseline, not tuned.
PLAIN = TextSettings()
# What tuning chooses from, each with every penalty.
CANDIDATES = (
    PLAIN,
    TextSettings(words=2, lexical=True),
    TextSettings(words=3, marks=True, lexical=True),
    TextSettings(words=2, letters=5, lexical=True),
)


def constant(prompts: Sequence[str], target: np.ndarray, weight: np.ndarray | None = None) -> Predictor:
    """Predict the mean of the training targets, whatever is asked."""
    _checked(prompts, target)
    level = float(np.average(target, weights=weight))
    return lambda texts: np.full(len(texts), level)


def prompt_length(prompts: Sequence[str], target: np.ndarray, weight: np.ndarray | None = None) -> Predictor:
    """Predict from the prompt's length alone: monotone, up or down, whichever fits better (isotonic regression).

    Lengths are in characters, since every model has a tokenizer of its own.
    """
    from sklearn.isotonic import IsotonicRegression

    _checked(prompts, target)
    with warnings.catch_warnings():
        # scikit-learn doubts a direction that the data hardly show; that prompt lengths say little is the point
        warnings.filterwarnings("ignore", "Confidence interval of the Spearman", UserWarning)
        model = IsotonicRegression(increasing="auto", out_of_bounds="clip").fit(_characters(prompts), target, weight)
    return lambda texts: model.predict(_characters(texts))


def tfidf_ridge(
    prompts: Sequence[str], target: np.ndarray, weight: np.ndarray | None = None, *, settings: TextSettings = PLAIN
) -> Predictor:
    """Ridge regression on TF-IDF terms, with settings as given (by default the untuned ones).

    Parameters
    ----------
    prompts, target, weight [prompts]
        Training texts, log lengths and weights.
    settings : TextSettings
        Features and penalty.
    """
    from sklearn.linear_model import Ridge

    _checked(prompts, target)
    see, terms = _terms(prompts, settings)
    model = Ridge(alpha=settings.penalty).fit(terms, target, weight)
    return lambda texts: model.predict(see(texts))


def tfidf_tuned(
    prompts: Sequence[str],
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    group: Sequence[str] | None = None,
    candidates: Sequence[TextSettings] = CANDIDATES,
    penalties: Sequence[float] = TEXT_PENALTIES,
    seed: int = 0,
) -> Predictor:
    """Ridge regression on TF-IDF, features and penalty chosen by Kendall's tau in an inner cross-validation.

    Parameters
    ----------
    prompts, target, weight [prompts]
        Training texts, log lengths and weights.
    group [prompts]
        What the inner folds keep together. Default: nothing.
    candidates, penalties
        What is tried: every candidate with every penalty.
    seed : int
        Of the inner folds.

    Returns
    -------
    predictor
        Its attribute ``settings`` says what was chosen.
    """
    from sklearn.linear_model import Ridge

    target = _checked(prompts, target)
    fold = inner_folds(len(target), group, seed)
    trials = {}
    for settings in candidates:

        def path(rows, held, settings=settings):
            see, terms = _terms([prompts[row] for row in rows], settings)
            others = see([prompts[row] for row in held])
            models = [Ridge(alpha=penalty).fit(terms, target[rows], _some(weight, rows)) for penalty in penalties]
            return [model.predict(others) for model in models]

        for penalty, guess in zip(penalties, _inner_guesses(fold, path), strict=True):
            trials[replace(settings, penalty=float(penalty))] = _mean_tau(target, guess, fold)
    best = max(trials, key=trials.__getitem__)
    fitted = tfidf_ridge(prompts, target, weight, settings=best)

    def predict(texts: Sequence[str]) -> np.ndarray:
        return fitted(texts)

    predict.settings = best
    return predict


def embedding_ridge(
    prompts: Sequence[str],
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    embed: Callable[[Sequence[str]], np.ndarray],
    group: Sequence[str] | None = None,
    penalties: Sequence[float] = VECTOR_PENALTIES,
    seed: int = 0,
) -> Predictor:
    """Ridge regression on the standardised vectors of a frozen encoder, with a tuned penalty.

    Parameters
    ----------
    prompts, target, weight [prompts]
        Training texts, log lengths and weights.
    embed
        Gives vectors [texts, width] for texts; :func:`lookup` makes one of an array computed before.
    group [prompts], penalties, seed
        As in :func:`tfidf_tuned`.

    Returns
    -------
    predictor
        Its attribute ``settings`` is the penalty chosen.
    """
    target = _checked(prompts, target)
    vectors = np.asarray(embed(prompts), dtype=np.float64)
    centre, scale = vectors.mean(axis=0), vectors.std(axis=0) + 1e-9
    points = (vectors - centre) / scale
    fold = inner_folds(len(target), group, seed)

    def path(rows, held):
        return _ridge_path(points[rows], target[rows], _some(weight, rows), penalties)(points[held])

    guesses = _inner_guesses(fold, path)
    best = penalties[int(np.argmax([_mean_tau(target, guess, fold) for guess in guesses]))]
    model = _ridge_path(points, target, weight, [best])

    def predict(texts: Sequence[str]) -> np.ndarray:
        return model((np.asarray(embed(texts), dtype=np.float64) - centre) / scale)[0]

    predict.settings = best
    return predict


def template_mean(
    prompts: Sequence[str], target: np.ndarray, weight: np.ndarray | None = None, *, template: Mapping[str, str]
) -> Predictor:
    """Predict the mean of the training prompts of the same template; the grand mean for a template never seen.

    Parameters
    ----------
    prompts, target, weight [prompts]
        Training texts, log lengths and weights.
    template
        Template's name for each text, for training texts and all that will be asked.
    """
    target = _checked(prompts, target)
    weight = np.ones(len(target)) if weight is None else np.asarray(weight, dtype=np.float64)
    names, place = np.unique([template[text] for text in prompts], return_inverse=True)
    means = np.bincount(place, weight * target) / np.bincount(place, weight)
    known = dict(zip(names.tolist(), means.tolist(), strict=True))
    level = float(np.average(target, weights=weight))
    return lambda texts: np.array([known.get(template[text], level) for text in texts])


def stacked(
    prompts: Sequence[str],
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    members: Mapping[str, Fit],
    group: Sequence[str] | None = None,
    seed: int = 0,
) -> Predictor:
    """Combine several predictors, with weights >= 0 fitted to their inner out-of-fold predictions.

    Parameters
    ----------
    prompts, target, weight [prompts]
        Training texts, log lengths and weights.
    members
        Fit functions by name, each called as ``fit(prompts, target, weight)``.
    group [prompts], seed
        Of the inner folds, as in :func:`tfidf_tuned`.

    Returns
    -------
    predictor
        Its attribute ``shares`` has the weight of each member.
    """
    from scipy.optimize import nnls

    target = _checked(prompts, target)
    if not members:
        raise InputError("no members to combine; allowed: at least one fit function")

    def each(rows, held):
        fitted = [fit([prompts[row] for row in rows], target[rows], _some(weight, rows)) for fit in members.values()]
        return [member([prompts[row] for row in held]) for member in fitted]

    guesses = _inner_guesses(inner_folds(len(target), group, seed), each).T
    root = np.sqrt(np.ones(len(target)) if weight is None else np.asarray(weight, dtype=np.float64))
    centre, level = np.average(guesses, axis=0, weights=root**2), np.average(target, weights=root**2)
    shares, _ = nnls((guesses - centre) * root[:, None], (target - level) * root)
    fitted = [fit(prompts, target, weight) for fit in members.values()]

    def predict(texts: Sequence[str]) -> np.ndarray:
        return level + (np.column_stack([member(texts) for member in fitted]) - centre) @ shares

    predict.shares = dict(zip(members, shares.tolist(), strict=True))
    return predict


def lookup(prompts: Sequence[str], vectors: np.ndarray) -> Callable[[Sequence[str]], np.ndarray]:
    """Return a function that gives the vectors [texts, width] of texts it knows: rows of an array computed before."""
    place = {text: row for row, text in enumerate(prompts)}

    def embed(texts: Sequence[str]) -> np.ndarray:
        missing = [text for text in texts if text not in place]
        if missing:
            raise InputError(f"no vector for {missing[0][:60]!r} and {len(missing) - 1} more; allowed: known texts")
        return vectors[[place[text] for text in texts]]

    return embed


def inner_folds(count: int, group: Sequence[str] | None = None, seed: int = 0, folds: int = INNER_FOLDS) -> np.ndarray:
    """Return folds [count] of about equal size that keep groups together."""
    rng = np.random.default_rng(seed)
    names, place = np.unique(np.arange(count) if group is None else np.asarray(group, dtype=str), return_inverse=True)
    if len(names) < 2:
        raise InputError(f"{len(names)} group(s) of training prompts; allowed: 2 or more, to choose settings by")
    return (rng.permutation(len(names)) % min(folds, len(names)))[place]


def _inner_guesses(fold: np.ndarray, predict: Callable) -> np.ndarray:
    """Return out-of-fold guesses [ways, prompts]: ``predict(rows, held)`` gives those [ways, held] of each fold."""
    parts = {number: np.flatnonzero(fold == number) for number in np.unique(fold)}
    found = [np.asarray(predict(np.flatnonzero(fold != number), held)) for number, held in parts.items()]
    guesses = np.empty((len(found[0]), len(fold)))
    for held, part in zip(parts.values(), found, strict=True):
        guesses[:, held] = part
    return guesses


def _checked(prompts: Sequence[str], target: np.ndarray) -> np.ndarray:
    target = np.asarray(target, dtype=np.float64)
    if len(prompts) == 0 or target.shape != (len(prompts),) or not np.isfinite(target).all():
        raise InputError(
            f"{len(prompts)} prompts, targets {target.shape}: as many finite numbers are needed, one at least"
        )
    return target


def _characters(texts: Sequence[str]) -> np.ndarray:
    return np.array([len(text) for text in texts], dtype=np.float64)


def _some(weight, rows):
    return None if weight is None else np.asarray(weight)[rows]


def _terms(prompts, settings):
    """Return the function from texts to terms (sparse [texts, terms]), and the training texts' terms."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    least = min(settings.least, len(prompts))
    vectorizers = []
    if settings.words:
        pattern = r"\w+|[^\w\s]" if settings.marks else r"(?u)\b\w\w+\b"
        vectorizers.append(
            TfidfVectorizer(sublinear_tf=True, ngram_range=(1, settings.words), min_df=least, token_pattern=pattern)
        )
    if settings.letters:
        vectorizers.append(
            TfidfVectorizer(sublinear_tf=True, ngram_range=(2, settings.letters), min_df=least, analyzer="char_wb")
        )
    if not vectorizers:
        raise InputError("neither words nor letters; allowed: at least one of them from 1")
    try:
        blocks = [vectorizer.fit_transform(prompts) for vectorizer in vectorizers]
    except ValueError as error:  # no term is left
        raise InputError(f"{len(prompts)} prompts to learn terms from: {error}") from error
    if settings.lexical:
        extra = lexical_features(prompts)
        centre, scale = extra.mean(axis=0), np.maximum(extra.std(axis=0), 1e-9) * np.sqrt(extra.shape[1])
        scale[extra.std(axis=0) == 0] = np.inf  # says nothing in training: stay out
        blocks.append(sparse.csr_matrix((extra - centre) / scale))

    def see(texts):
        seen = [vectorizer.transform(texts) for vectorizer in vectorizers]
        if settings.lexical:
            seen.append(sparse.csr_matrix((lexical_features(texts) - centre) / scale))
        return sparse.hstack(seen, format="csr")

    return see, sparse.hstack(blocks, format="csr")


def _ridge_path(points, target, weight, penalties):
    """Fit ridge regressions for all penalties at once: a function from points to predictions [penalties, points]."""
    weight = np.ones(len(target)) if weight is None else np.asarray(weight, dtype=np.float64)
    centre, level = np.average(points, axis=0, weights=weight), np.average(target, weights=weight)
    root = np.sqrt(weight)
    left, values, right = np.linalg.svd(root[:, None] * (points - centre), full_matrices=False)
    rotated = left.T @ (root * (target - level))
    slopes = np.array([right.T @ (rotated * values / (values**2 + penalty)) for penalty in penalties])
    return lambda others: level + slopes @ (others - centre).T


def _mean_tau(target, guess, fold):
    from scipy.stats import kendalltau

    taus = [kendalltau(target[fold == number], guess[fold == number]).statistic for number in np.unique(fold)]
    return float(np.nan_to_num(np.mean(taus), nan=-1.0))
