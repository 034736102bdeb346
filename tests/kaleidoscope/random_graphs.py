"""Made-up graphs and the naive answer by enumeration of every state of every component."""

import itertools
from types import SimpleNamespace

import numpy as np
from scipy.special import betaln, logsumexp

from credence.kaleidoscope.model.variants import Priors, Variant

# all working cells have one success rate, as the naive sums below take it
EVEN = Priors(up_strength=None)


def graph(rng, singles, groups, cells, crossed=3, sent=5, mixed_one=False):
    """A random graph: `singles` components in series, groups of the sizes given, each cell crosses some."""
    rows, following = [], singles
    for size in groups:
        rows.append(list(range(following, following + size)))
        following += size
    width = max(groups, default=1)
    members = np.array([row + [-1] * (width - len(row)) for row in rows], np.int32).reshape(len(rows), width)
    series = np.full((cells, crossed), -1, np.int32)
    taken = np.full((cells, 2), -1, np.int32)
    for c in range(cells):
        n = rng.integers(1, crossed + 1)
        series[c, :n] = rng.choice(singles, size=min(n, singles), replace=False)
        if groups:
            n = rng.integers(0, 2 if mixed_one else min(2, len(groups)) + 1)
            taken[c, :n] = rng.choice(len(groups), size=n, replace=False)
    lnet = np.arange(len(groups)) % 2 == 0
    kinds = np.zeros(following, np.int8)
    for g, row in enumerate(rows):
        kinds[row] = 5 if lnet[g] else 3
    kinds[:singles] = rng.integers(0, 5, singles)
    return SimpleNamespace(series=series, groups=taken, members=members, lnet=lnet, kinds=kinds, cells=cells)


def share_dead(paths, up, variant):
    """Share of each cell's probes that meet a dead end, by the definition of a path."""
    result = np.zeros(paths.cells)
    for c in range(paths.cells):
        working = 1.0
        for i in paths.series[c]:
            if i >= 0:
                working *= up[i]
        for g in paths.groups[c]:
            if g < 0:
                continue
            members = [m for m in paths.members[g] if m >= 0]
            alive = np.mean([up[m] for m in members])
            if paths.lnet[g] and variant.lnet == "mixture":
                working *= alive
            elif paths.lnet[g] or variant.pair:
                working *= alive > 0
            else:
                working *= alive == 1
        result[c] = 1 - working
    return result


def window(rng, paths, up, variant, sent=5, good=0.997, bad=(0.5, 0.5)):
    share = share_dead(paths, up, variant)
    rate = (1 - share) * good + share * rng.beta(*bad, paths.cells)
    total = np.full(paths.cells, sent)
    missing = rng.binomial(total, 0.05)
    return SimpleNamespace(sent=total, missing=missing, succeeded=rng.binomial(total - missing, rate))


def naive_cell(k, f, share, priors):
    """Log-likelihood of a cell's counts by a sum over which probes met a dead router."""
    a, b = priors.down
    terms = []
    from scipy.special import comb, xlogy

    for i in range(k + 1):
        for j in range(f + 1):
            through = xlogy(k - i + f - j, 1 - share) + xlogy(i + j, share)
            if np.isneginf(through):
                continue
            terms.append(
                np.log(comb(k, i) * comb(f, j))
                + through
                + (k - i) * np.log(priors.up_rate)
                + (f - j) * np.log1p(-priors.up_rate)
                + betaln(a + i, b + j)
                - betaln(a, b)
            )
    return logsumexp(terms)


def enumerate_states(paths, counts, priors=None, variant=None):
    """All states of all components: list of (state, log joint)."""
    priors, variant = priors or EVEN, variant or Variant()
    p_up = priors.of_components(paths.kinds)
    succeeded, failed = counts
    known = {}
    states, values = [], []
    for bits in itertools.product((1, 0), repeat=len(paths.kinds)):
        up = np.array(bits)
        value = np.log(np.where(up == 1, p_up, 1 - p_up)).sum()
        for k, f, share in zip(succeeded, failed, share_dead(paths, up, variant), strict=True):
            key = (int(k), int(f), round(float(share), 12))
            if key not in known:
                known[key] = naive_cell(*key, priors)
            value += known[key]
        states.append(bits)
        values.append(value)
    return np.array(states), np.array(values)
