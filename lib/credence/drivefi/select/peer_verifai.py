"""VerifAI's side of `credence.drivefi.select.peers`: a program for the peers' environment, which lacks this package.

Reads lines from its standard input and answers each with one: first a JSON object (``runs``, ``scenes``, ``types``,
``sampler`` "ce" or "mab", ``threshold``, ``alpha``, ``seed``), answered by the first proposal; then the margin of every
proposal, answered by the next one. A proposal is ``run,scene,type``.
"""

import json
import random
import sys

import numpy as np


def main() -> None:
    """Propose faults until the other side stops asking."""
    from dotmap import DotMap
    from verifai.features import Box, DiscreteBox, Feature, FeatureSpace, Struct
    from verifai.samplers.feature_sampler import FeatureSampler, default_sampler_params

    told = json.loads(sys.stdin.readline())
    random.seed(told["seed"])
    np.random.seed(told["seed"])  # noqa: NPY002 - VerifAI draws from NumPy's global generator
    # where in the drive is a matter of degree; which run and which fault type are not
    whole = {name: DiscreteBox((0, told[f"{name}s"] - 1)) for name in ("run", "type")}
    space = FeatureSpace({"fault": Feature(Struct({"when": Box((0.0, 1.0)), **whole}))})
    params = DotMap(default_sampler_params(told["sampler"]))
    params.thres, params.alpha = told["threshold"], told["alpha"]
    made = {"ce": FeatureSampler.crossEntropySamplerFor, "mab": FeatureSampler.multiArmedBanditSamplerFor}
    sampler, margin = made[told["sampler"]](space, params), None
    while True:
        fault = sampler.nextSample(margin).fault
        scene = min(int(fault.when[0] * told["scenes"]), told["scenes"] - 1)
        print(f"{int(fault.run[0])},{scene},{int(fault.type[0])}", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        margin = float(line)


if __name__ == "__main__":
    main()
