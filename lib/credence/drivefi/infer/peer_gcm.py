"""DoWhy's answers to do() queries: a program for the peers' environment, which lacks this package.

Reads one JSON object from its standard input and writes one to its standard output. Nothing is fitted: the mechanisms
are the linear-Gaussian ones it is given.

In: ``nodes``, by name: ``weights`` (by parent), ``intercept`` and ``sigma``; ``counterfactual``, a list of
``observed`` (a value for every node) and ``do`` (values by node); ``interventional``, a list of ``do``; ``draws``
(samples of each of the latter) and ``seed``.

Out: ``counterfactual``, a list of values by node (the noise of `observed` is abducted and kept); ``interventional``, a
list of ``mean`` and ``deviation`` by node, over the samples.
"""

import json
import sys

import networkx as nx
import numpy as np


def linear_model(nodes: dict[str, dict]):
    """Return DoWhy's invertible structural causal model with the given linear-Gaussian mechanisms."""
    from dowhy import gcm
    from dowhy.gcm.causal_models import PARENTS_DURING_FIT
    from dowhy.graph import get_ordered_predecessors
    from scipy import stats

    class Linear(gcm.ml.PredictionModel):
        """A mechanism's mean, its coefficients known beforehand."""

        def __init__(self, weights, intercept):
            self.weights, self.intercept = np.asarray(weights, float), float(intercept)

        def fit(self, X, Y):
            raise NotImplementedError("the coefficients are given")

        def predict(self, X):
            return (X @ self.weights + self.intercept)[:, None]

        def clone(self):
            return Linear(self.weights, self.intercept)

    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((parent, child) for child, told in nodes.items() for parent in told["weights"])
    if set(graph) != set(nodes):
        raise ValueError(f"parents that are no nodes: {sorted(set(graph) - set(nodes))}")
    model = gcm.InvertibleStructuralCausalModel(graph)
    for name, told in nodes.items():
        # DoWhy hands a mechanism its parents in an order of its own
        parents = get_ordered_predecessors(graph, name)
        if parents:
            mean = Linear([told["weights"][parent] for parent in parents], told["intercept"])
            noise = gcm.ScipyDistribution(stats.norm, loc=0.0, scale=told["sigma"])
            mechanism = gcm.AdditiveNoiseModel(mean, noise)
        else:
            mechanism = gcm.ScipyDistribution(stats.norm, loc=told["intercept"], scale=told["sigma"])
        model.set_causal_mechanism(name, mechanism)
        # what fitting would have noted, and what DoWhy refuses to answer without
        graph.nodes[name][PARENTS_DURING_FIT] = parents
    return model


def held(values: dict[str, float]) -> dict:
    """Return DoWhy's form of do(): a function for each node."""
    return {name: (lambda _, value=value: value) for name, value in values.items()}


def main() -> None:
    """Answer the queries of the standard input."""
    import pandas as pd
    from dowhy import gcm

    told = json.load(sys.stdin)
    gcm.util.general.set_random_seed(told["seed"])
    model = linear_model(told["nodes"])
    found = {"counterfactual": [], "interventional": []}
    for query in told["counterfactual"]:
        seen = pd.DataFrame([query["observed"]])
        answer = gcm.counterfactual_samples(model, held(query["do"]), observed_data=seen)
        found["counterfactual"].append(answer.iloc[0].to_dict())
    for query in told["interventional"]:
        drawn = gcm.interventional_samples(model, held(query["do"]), num_samples_to_draw=told["draws"])
        found["interventional"].append({"mean": drawn.mean().to_dict(), "deviation": drawn.std().to_dict()})
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
