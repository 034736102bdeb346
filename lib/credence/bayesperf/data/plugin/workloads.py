"""Programs to trace: small single-threaded jobs that bear the names of HiBench's workloads (paper Figs 6 and 7).

    python workloads.py NAME [SCALE] [CORPUS]

Stand-alone, so that another machine's Python can run it inside QEMU: the standard library, and numpy for the jobs of
machine learning. They stand for kinds of work (sorting, counting words, graphs, tables, linear algebra); they are not
HiBench. CORPUS is a text file for the jobs that read text; without it they read the sources of Python's own library.
"""

import collections
import glob
import json
import math
import os
import random
import re
import sys
import zlib


def corpus(size, path=None):
    """Return about `size` characters of text."""
    names = [path] if path else sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py")))
    texts, length = [], 0
    for name in names:
        if length > size:
            break
        with open(name, encoding="utf-8", errors="replace") as stream:
            texts.append(stream.read(size))
        length += len(texts[-1])
    return "\n".join(texts)[:size]


def sort(scale, draw, text):
    """Sort random numbers."""
    numbers = [draw.random() for _ in range(int(150_000 * scale))]
    numbers.sort()
    return numbers[0]


def terasort(scale, draw, text):
    """Sort records of 100 bytes by their first ten and add them up."""
    records = [draw.getrandbits(80).to_bytes(10, "big") + b"x" * 90 for _ in range(int(60_000 * scale))]
    records.sort(key=lambda record: record[:10])
    check = 0
    for record in records:
        check = zlib.crc32(record, check)
    return check


def wordcount(scale, draw, text):
    """Count the words of a text."""
    words = collections.Counter(re.findall(r"[A-Za-z_.]+", text(int(6e6 * scale))))
    return words.most_common(20)[0][1]


def bayes(scale, draw, text):
    """Learn a naive Bayes classifier of lines, and classify them."""
    documents = [line for line in text(int(2e6 * scale)).split("\n") if len(line) > 20]
    words = [collections.Counter() for _ in range(5)]
    for line in documents:
        words[zlib.crc32(line[:8].encode()) % 5].update(line.split())
    total = [sum(counter.values()) for counter in words]
    chosen = 0
    for line in documents[:20_000]:
        chosen += max(
            range(5), key=lambda k: sum(math.log((words[k][word] + 1) / (total[k] + 1)) for word in line.split())
        )
    return chosen


def pagerank(scale, draw, text):
    """Rank the nodes of a random graph, eight rounds."""
    nodes = int(20_000 * scale)
    links = [[draw.randrange(nodes) for _ in range(draw.randrange(1, 12))] for _ in range(nodes)]
    rank = [1 / nodes] * nodes
    for _ in range(8):
        following = [0.15 / nodes] * nodes
        for node, targets in enumerate(links):
            share = 0.85 * rank[node] / len(targets)
            for target in targets:
                following[target] += share
        rank = following
    return sum(rank)


def nweight(scale, draw, text):
    """Find for each node of a graph the ten it is bound to most by three links."""
    nodes = int(4_000 * scale)
    graph = [{draw.randrange(nodes): draw.random() for _ in range(8)} for _ in range(nodes)]
    best = 0.0
    for node in range(nodes):
        weights = collections.defaultdict(float)
        for one, a in graph[node].items():
            for two, b in graph[one].items():
                for three, c in graph[two].items():
                    weights[three] += a * b * c
        best += sum(weight for _, weight in sorted(weights.items(), key=lambda pair: -pair[1])[:10])
    return best


def nutchindexing(scale, draw, text):
    """Make an inverted index of a text; write and read it as JSON."""
    index = collections.defaultdict(list)
    for number, line in enumerate(text(int(4e6 * scale)).split("\n")):
        for place, word in enumerate(re.split(r"\W+", line.lower())):
            if word:
                index[word].append((number, place))
    return len(json.loads(json.dumps(index)))


def tables(scale, draw):
    """Fill two tables of a data base in memory."""
    import sqlite3

    base = sqlite3.connect(":memory:")
    base.execute("create table a(id int, k int, v real, t text)")
    base.execute("create table b(k int, n text)")
    rows = (
        (i, draw.randrange(5000), draw.random(), f"row{draw.randrange(10**6)}") for i in range(int(120_000 * scale))
    )
    base.executemany("insert into a values(?,?,?,?)", rows)
    base.executemany("insert into b values(?,?)", ((i, f"n{i}") for i in range(5000)))
    return base


def scan(scale, draw, text):
    """Read a table six times for a pattern."""
    base = tables(scale, draw)
    like = "select count(*) from a where t like ? and v < 0.5"
    return sum(base.execute(like, (f"%{11 * k}%",)).fetchone()[0] for k in range(6))


def join(scale, draw, text):
    """Join two tables on an index."""
    base = tables(scale, draw)
    base.execute("create index bi on b(k)")
    return len(base.execute("select a.id, b.n from a join b on a.k = b.k order by b.n").fetchall())


def aggregate(scale, draw, text):
    """Sum up a table by groups."""
    groups = "select k, sum(v), avg(v), max(t), count(distinct t) from a group by k order by 2"
    return len(tables(scale, draw).execute(groups).fetchall())


def points(scale):
    """Return numpy, a generator, and points [rows, 20] around shifted centres."""
    import numpy as np

    rng = np.random.default_rng(0)
    rows, columns = int(60_000 * scale), 20
    return np, rng, rng.normal(size=(rows, columns)) + rng.integers(0, 8, size=(rows, 1))


def kmeans(scale, draw, text):
    """Cluster points, eight rounds."""
    _, _, data = points(scale)
    centres = data[:8].copy()
    for _ in range(8):
        nearest = ((data[:, None, :] - centres[None]) ** 2).sum(2).argmin(1)
        for k in range(8):
            if (nearest == k).any():
                centres[k] = data[nearest == k].mean(0)
    return centres.sum()


def gmm(scale, draw, text):
    """Fit a mixture of five Gaussians by EM, six rounds."""
    np, _, data = points(scale)
    parts = 5
    mean, variance, weight = data[:parts].copy(), np.ones((parts, data.shape[1])), np.ones(parts) / parts
    for _ in range(6):
        score = np.stack(
            [
                -0.5 * ((data - mean[k]) ** 2 / variance[k] + np.log(variance[k])).sum(1) + np.log(weight[k])
                for k in range(parts)
            ],
            1,
        )
        share = np.exp(score - score.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        total = share.sum(0)
        mean = (share.T @ data) / total[:, None]
        variance = (
            np.stack([(share[:, k : k + 1] * (data - mean[k]) ** 2).sum(0) / total[k] for k in range(parts)]) + 1e-3
        )
        weight = total / total.sum()
    return mean.sum()


def lr(scale, draw, text):
    """Fit a logistic regression by gradient, 60 steps."""
    np, rng, data = points(scale)
    truth = (data @ rng.normal(size=data.shape[1]) > 0) * 1.0
    slope = np.zeros(data.shape[1])
    for _ in range(60):
        slope += 1e-5 * data.T @ (truth - 1 / (1 + np.exp(-data @ slope)))
    return slope.sum()


def linear(scale, draw, text):
    """Solve least squares ten times."""
    np, rng, data = points(scale)
    truth = data @ rng.normal(size=data.shape[1])
    for _ in range(10):
        slope = np.linalg.lstsq(data, truth, rcond=None)[0]
    return slope.sum()


def pca(scale, draw, text):
    """Take principal components six times."""
    np, _, data = points(scale)
    turned = data
    for _ in range(6):
        centred = data - data.mean(0)
        covariance = centred.T @ centred
        np.linalg.eigh(covariance)
        turned = centred @ covariance
    return turned.sum()


def svd(scale, draw, text):
    """Take the singular values of a matrix."""
    np, rng, _ = points(scale)
    return np.linalg.svd(rng.normal(size=(int(500 * scale), 300)))[1].sum()


def als(scale, draw, text):
    """Factor a sparse matrix of ratings by alternating least squares."""
    np, rng, _ = points(scale)
    users, items, rank = int(1_500 * scale), 600, 10
    ratings = rng.random((users, items)) * (rng.random((users, items)) < 0.05)
    left, right = rng.random((users, rank)), rng.random((items, rank))
    ridge = np.eye(rank) * 0.1
    for _ in range(2):
        for here, there, table in ((left, right, ratings), (right, left, ratings.T)):
            for row in range(len(here)):
                rated = table[row] > 0
                other = there[rated]
                here[row] = np.linalg.solve(other.T @ other + ridge, other.T @ table[row, rated])
    return left.sum()


def svm(scale, draw, text):
    """Fit a linear support vector machine by stochastic gradient."""
    np, rng, data = points(scale)
    truth, slope = np.sign(data @ rng.normal(size=data.shape[1])), np.zeros(data.shape[1])
    for step in range(1, int(40_000 * scale)):
        i = step % len(data)
        wrong = truth[i] * (data[i] @ slope) < 1
        slope = (1 - 1 / step) * slope
        if wrong:
            slope += truth[i] * data[i] / (1e-3 * step)
    return slope.sum()


def trees(scale, bagged):
    """Fit three regression trees to what those before left over."""
    np, rng, data = points(scale)
    truth = (data[:, 0] * data[:, 1] > 1).astype(float)
    predicted = np.zeros(len(data))

    def grow(rows, depth, residual):
        if depth == 0 or len(rows) < 50:
            predicted[rows] += 0.3 * residual[rows].mean()
            return
        best = None
        for feature in range(0, data.shape[1], 4):
            order = rows[np.argsort(data[rows, feature])]
            sums = np.cumsum(residual[order])
            left = np.arange(1, len(order))
            gain = sums[:-1] ** 2 / left + (sums[-1] - sums[:-1]) ** 2 / (len(order) - left)
            cut = gain.argmax()
            if best is None or gain[cut] > best[0]:
                best = (gain[cut], order, cut + 1)
        grow(best[1][: best[2]], depth - 1, residual)
        grow(best[1][best[2] :], depth - 1, residual)

    for _ in range(3):
        rows = rng.integers(0, len(data), len(data) // 2) if bagged else np.arange(len(data))
        grow(rows, 5, truth - predicted)
    return predicted.sum()


def rf(scale, draw, text):
    """Fit trees to bagged points."""
    return trees(scale, bagged=True)


def gbt(scale, draw, text):
    """Fit boosted trees."""
    return trees(scale, bagged=False)


JOBS = {
    job.__name__: job
    for job in (
        sort, terasort, wordcount, bayes, pagerank, nweight, nutchindexing, scan, join, aggregate,
        kmeans, gmm, lr, linear, pca, svd, als, svm, rf, gbt,
    )
}  # fmt: skip


def main(arguments):
    """Run one job; print what it computed, so that nothing of it can be left out."""
    if not arguments or arguments[0] not in JOBS or len(arguments) > 3:
        print(f"usage: workloads.py NAME [SCALE] [CORPUS]; NAME is one of {', '.join(JOBS)}", file=sys.stderr)
        return 2
    scale = float(arguments[1]) if len(arguments) > 1 else 1.0
    path = arguments[2] if len(arguments) > 2 else None
    print(JOBS[arguments[0]](scale, random.Random(1), lambda size: corpus(size, path)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
