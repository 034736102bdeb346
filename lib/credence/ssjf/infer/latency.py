"""How long one prediction takes: alone and in batches, in 32-bit floats and with 8-bit products."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from credence.bench.errors import InputError
from credence.ssjf.infer.proxy import Proxy, frame_of, predict
from credence.ssjf.model.network import word_pieces

WARM_UP = 5


class Int8Linear(nn.Module):
    """A linear layer that multiplies in 8-bit integers: dynamic quantisation.

    Weights are rounded once, to 127 steps of each output's largest weight; inputs in every call, to 127 steps of each
    row's largest entry. The products are summed exactly in 32-bit integers (torch._int_mm) and scaled back. torch's own
    quantize_dynamic does the same with one step for all rows; it is deprecated.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach()
        step = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        self.register_buffer("weight", (weight / step[:, None]).round().to(torch.int8).t())
        self.register_buffer("step", step)
        self.register_buffer("bias", linear.bias.detach().clone())
        self.out_features = linear.out_features

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the layer's output [..., out] of values [..., in]."""
        rows = values.reshape(-1, values.shape[-1])
        step = rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        product = torch._int_mm((rows / step).round().to(torch.int8), self.weight)
        result = torch.addcmul(self.bias, product.to(torch.float32) * step, self.step)
        return result.reshape(*values.shape[:-1], self.out_features)


def int8(proxy: Proxy) -> Proxy:
    """Return a copy of a proxy whose encoder multiplies in 8-bit integers; its small head stays as it is."""
    net = copy.deepcopy(proxy.net)
    for module in list(net.encoder.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
    return dataclasses.replace(proxy, net=net.eval())


def single(proxy: Proxy) -> Callable[[str], tuple[float, float]]:
    """Return a function of one prompt that gives its key and its predicted length [tokens], without a frame around."""
    settings, net, head, tokenizer = proxy.settings, proxy.net, proxy.head, proxy.tokenizer

    def predict_one(prompt: str) -> tuple[float, float]:
        ids = torch.from_numpy(word_pieces(tokenizer, [prompt], settings.max_tokens, settings.cut)[0])[None]
        with torch.inference_mode():
            output = net(ids, torch.ones_like(ids))
            key = float(head.key(output)[0])
            if head.tokens is not None:
                return key, min(float(head.tokens(output)[0]), proxy.calibration.limit)
            return key, float(frame_of(proxy, output)["tokens"][0])

    return predict_one


def measure(
    proxy: Proxy, prompts: Sequence[str], batches: Sequence[int] = (1, 8, 32), repeats: int = 100, threads: int = 1
) -> pd.DataFrame:
    """Time predictions, tokenizer included, in both precisions.

    Parameters
    ----------
    prompts
        Asked in turn, from the beginning again when they run out.
    batches : sequence of int
        Prompts a call.
    repeats : int
        Calls that count for each row, after a few that don't.
    threads : int
        Of torch, during the measurement.

    Returns
    -------
    pandas.DataFrame [precisions x batches, 7]
        ``precision`` ("fp32" or "int8"), ``batch`` [prompts], ``threads``, ``calls``, ``p50_ms`` and ``p99_ms`` of a
        call [ms], ``p50_ms_a_prompt`` [ms].
    """
    if not len(prompts) or repeats < 1 or min(batches) < 1:
        raise InputError(
            f"{len(prompts)} prompts, {repeats} repeats, batches {tuple(batches)}; allowed: 1 or more each"
        )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    rows = []
    try:
        for precision, timed in (("fp32", proxy), ("int8", int8(proxy))):
            for batch in batches:
                rows.append({"precision": precision, "batch": batch, "threads": threads, "calls": repeats})
                rows[-1] |= _times(timed, prompts, batch, repeats)
    finally:
        torch.set_num_threads(before)
    return pd.DataFrame(rows)


def _times(proxy: Proxy, prompts: Sequence[str], batch: int, repeats: int) -> dict[str, float]:
    alone = single(proxy)
    seconds = np.empty(repeats)
    for call in range(-WARM_UP, repeats):
        first = (call + WARM_UP) * batch
        chosen = [prompts[(first + place) % len(prompts)] for place in range(batch)]
        begun = time.perf_counter()
        if batch == 1:
            alone(chosen[0])
        else:
            predict(proxy, chosen)
        seconds[max(call, 0)] = time.perf_counter() - begun  # a call before 0 is overwritten by the first that counts
    p50, p99 = 1000 * np.quantile(seconds, [0.5, 0.99])
    return {"p50_ms": p50, "p99_ms": p99, "p50_ms_a_prompt": p50 / batch}
