"""The training loop of the proxy: batches, learning rates, epochs, early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from credence.bench import seeds
from credence.bench.progress import track
from credence.ssjf.infer.proxy_settings import Settings
from credence.ssjf.model.encoder import Encoder
from credence.ssjf.model.heads import Head, Targets, listwise_loss
from credence.ssjf.model.network import ProxyNet, padded, token_mask

# Batches of similar prompt lengths are cut from pools of this many batches: little padding, and still random company.
POOL = 8
PREDICT_BATCH = 32


@dataclass(frozen=True)
class Auxiliary:
    """Further targets [prompts, targets] beside the answers' lengths, and which of them are known."""

    values: torch.Tensor
    known: torch.Tensor

    @classmethod
    def of(cls, values: np.ndarray | None) -> Auxiliary | None:
        """Return the targets as tensors; None for none."""
        if values is None:
            return None
        known = np.isfinite(values)
        return cls(torch.from_numpy(np.where(known, values, 0.0).astype(np.float32)), torch.from_numpy(known))

    def loss(self, output: torch.Tensor, rows) -> torch.Tensor:
        """Return the mean squared error over the known targets of some prompts."""
        known = self.known[rows]
        return (known * (output - self.values[rows]) ** 2).sum() / known.sum().clamp(min=1)


@dataclass(frozen=True)
class Data:
    """What a training learns from: word pieces, targets, and the frozen layers' states where they are known."""

    pieces: list[np.ndarray]
    targets: Targets
    auxiliary: Auxiliary | None
    pad: int
    frozen_layers: int
    states: list[torch.Tensor] = field(default_factory=list)

    def summary(self, net: ProxyNet, rows) -> torch.Tensor:
        """Return the encoder's summary [rows, dim], from the frozen layers' states where they are known."""
        if not self.states:
            return net.summary(*padded([self.pieces[row] for row in rows], self.pad))
        states = torch.nn.utils.rnn.pad_sequence([self.states[row] for row in rows], batch_first=True)
        return net.upper(states, token_mask([len(self.pieces[row]) for row in rows]), self.frozen_layers)


def lower_states(net: ProxyNet, encoder: Encoder, pieces: list[np.ndarray], layers: int) -> list[torch.Tensor]:
    """Return the states [tokens, dim] of each prompt after the frozen layers; kept for the encoder's next training."""
    net.eval()
    known = encoder.frozen_states
    missing = [row for row, one in enumerate(pieces) if (layers, one.tobytes()) not in known]
    for rows in by_size([pieces[row] for row in missing]):
        chosen = [missing[row] for row in rows]
        with torch.no_grad():
            states = net.lower(*padded([pieces[row] for row in chosen], encoder.tokenizer.pad_token_id), layers)
        for row, one in zip(chosen, states, strict=True):
            known[layers, pieces[row].tobytes()] = one[: len(pieces[row])].clone()
    return [known[layers, one.tobytes()] for one in pieces]


def fit(net: ProxyNet, head: Head, data: Data, training, validation, settings: Settings) -> dict:
    """Train a network in place, and keep its best epoch.

    Parameters
    ----------
    net, head, data, settings
        What learns, by which loss, from what and how.
    training, validation : ndarray of int
        Prompts to learn from, and prompts that choose the epoch.

    Returns
    -------
    dict
        ``epochs`` (one dict each with ``epoch``, ``loss``, ``validation_tau``), ``best_epoch``, ``validation_tau``.
    """
    rng = seeds.generator(settings.seed, "proxy batches")
    sizes = np.array([len(row) for row in data.pieces])
    steps = -(-len(training) // settings.batch)
    optimiser, rates = _optimiser(net, settings)
    summaries = None
    records, best, best_tau = [], None, -np.inf
    truth = _middle(data.targets, validation)
    for epoch in track(range(settings.epochs), f"proxy {settings.head}"):
        tuned = epoch < settings.tuned_epochs
        if not tuned and summaries is None:
            net.encoder.requires_grad_(False)
            # a frozen encoder says the same in every epoch (its dropout is off here, on in the release)
            summaries = _summaries(net, data)
        net.train()
        losses = []
        for step, rows in enumerate(_batches(training, sizes, settings.batch, rng)):
            progress = (epoch * steps + step) / (settings.epochs * steps)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = (rate if tuned else settings.frozen_lr * group["above"]) * _slope(progress, settings)
            with torch.autocast("cpu", torch.bfloat16, enabled=tuned and settings.precision == "bfloat16"):
                summary = data.summary(net, rows) if tuned else summaries[rows]
            output, further = net.heads(summary.float())
            targets = data.targets.take(rows)
            loss = head.loss(output, targets)
            if settings.ranking > 0:
                loss = loss + settings.ranking * listwise_loss(head.key(output), targets)
            if further is not None:
                loss = loss + settings.auxiliary * data.auxiliary.loss(further, rows)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            losses.append(float(loss.detach()))
        net.eval()
        output = _validation_output(net, data, validation, summaries)
        tau = _tau(head.key(output).numpy(), truth)
        records.append({"epoch": epoch + 1, "loss": float(np.mean(losses)), "validation_tau": tau})
        if settings.stop_early and tau > best_tau:
            best_tau, best = tau, {name: tensor.clone() for name, tensor in net.state_dict().items()}
    if best is not None:
        net.load_state_dict(best)
    taus = [record["validation_tau"] for record in records]
    chosen = int(np.argmax(taus)) + 1 if settings.stop_early else settings.epochs
    return {"epochs": records, "best_epoch": chosen, "validation_tau": taus[chosen - 1]}


def _validation_output(net: ProxyNet, data: Data, validation, summaries: torch.Tensor | None) -> torch.Tensor:
    with torch.no_grad():
        if summaries is not None:
            return net.heads(summaries[validation])[0]
        result = torch.empty(len(validation), net.out.out_features)
        for rows in by_size([data.pieces[row] for row in validation]):
            result[rows] = net.heads(data.summary(net, validation[rows]))[0]
    return result


def _optimiser(net: ProxyNet, settings: Settings):
    layers = list(net.encoder.transformer.layer)
    if settings.frozen_layers >= 0:
        net.encoder.embeddings.requires_grad_(False)
        for layer in layers[: settings.frozen_layers]:
            layer.requires_grad_(False)
    above = [*net.body.parameters(), *net.out.parameters()]
    above += [] if net.auxiliary is None else [*net.auxiliary.parameters()]
    groups, rates = [{"params": above, "above": 1.0}], [settings.head_lr]
    for depth, part in enumerate([*reversed(layers), net.encoder.embeddings]):
        learned = [parameter for parameter in part.parameters() if parameter.requires_grad]
        if learned:
            groups.append({"params": learned, "above": 0.0})
            rates.append(settings.encoder_lr * settings.layer_decay**depth)
    return torch.optim.AdamW(groups, lr=settings.head_lr, weight_decay=settings.weight_decay, fused=True), rates


def _slope(progress: float, settings: Settings) -> float:
    if progress < settings.warm_up:
        return progress / settings.warm_up
    return (1 - progress) / (1 - settings.warm_up)


def _batches(rows: np.ndarray, sizes: np.ndarray, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the rows in random batches of similar prompt length."""
    rows = rng.permutation(rows)
    pools = [rows[start : start + POOL * batch] for start in range(0, len(rows), POOL * batch)]
    result = []
    for pool in pools:
        pool = pool[np.argsort(sizes[pool], kind="stable")]
        result += [pool[start : start + batch] for start in range(0, len(pool), batch)]
    return [result[place] for place in rng.permutation(len(result))]


def _summaries(net: ProxyNet, data: Data) -> torch.Tensor:
    net.eval()
    result = torch.empty(len(data.pieces), net.encoder.config.dim)
    for rows in by_size(data.pieces):
        with torch.no_grad():
            result[rows] = data.summary(net, rows)
    return result


def by_size(pieces: Sequence[np.ndarray], batch: int = PREDICT_BATCH) -> list[np.ndarray]:
    """Return the places of texts, the short ones first, a batch at a time."""
    order = np.argsort([len(row) for row in pieces], kind="stable")
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def _middle(targets: Targets, rows) -> np.ndarray:
    """Mean log length of a prompt's samples; cut ones as they are."""
    chosen = targets.take(rows)
    known = chosen.known.numpy()
    logs = np.where(known, np.log(chosen.lengths.numpy()), 0.0).sum(1)
    return np.where(known.any(1), logs / np.maximum(known.sum(1), 1), np.nan)


def _tau(key: np.ndarray, truth: np.ndarray) -> float:
    from scipy.stats import kendalltau

    there = np.isfinite(truth)
    if np.ptp(key[there]) == 0 or np.ptp(truth[there]) == 0:
        return 0.0
    return float(kendalltau(key[there], truth[there]).statistic)
