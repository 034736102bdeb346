"""Trained proxies on disk: the same data, settings and encoder are trained once.

A proxy is a folder with ``weights.safetensors``, only those that differ from the encoder's, and ``proxy.json``:
settings, scale of the head, calibration and diagnostics, so that a cached proxy still tells how its training went.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from credence.bench import paths
from credence.bench.errors import InputError
from credence.ssjf.data.answers import PromptSet
from credence.ssjf.infer.proxy import Calibration, Proxy, Settings, fast_settings, train, validation_rows
from credence.ssjf.model.encoder import Encoder, load_encoder
from credence.ssjf.model.heads import Scale, bind_head
from credence.ssjf.model.network import ProxyNet

# Raise it when training or this format changes: older folders are then passed over.
VERSION = 1
WEIGHTS, RECORD = "weights.safetensors", "proxy.json"


def trained(
    answers: PromptSet,
    settings: Settings | None = None,
    encoder: Encoder | None = None,
    auxiliary: np.ndarray | None = None,
    validation_share: float = 0.1,
) -> Proxy:
    """Return a proxy trained on all prompts of a set that have an answer, from the cache where it is there.

    Parameters
    ----------
    answers : PromptSet
        Prompts without any answer are left out.
    settings : Settings, optional
        :func:`~credence.ssjf.infer.proxy.fast_settings` by default.
    encoder : Encoder, optional
        MiniLM-L6 by default.
    auxiliary [prompts, targets], optional
        See :func:`~credence.ssjf.infer.proxy.train`.
    validation_share : float
        Share of the prompts, whole groups, that choose the epoch and calibrate.

    Returns
    -------
    Proxy
        ``diagnostics["cached"]`` says whether it was trained now.
    """
    settings = settings or fast_settings()
    encoder = encoder or load_encoder()
    known = np.isfinite(answers.lengths).any(axis=1)
    answers = answers.take(known)
    auxiliary = None if auxiliary is None else np.asarray(auxiliary)[known]
    validation = validation_rows(answers.group, validation_share, settings.seed)
    folder = paths.cache_dir() / "proxies" / cache_key(answers, settings, encoder, validation, auxiliary)
    if (folder / RECORD).is_file():
        # a folder that doesn't fit, or was cut short by hand, is trained again
        with contextlib.suppress(InputError):
            proxy = load(folder, encoder)
            proxy.diagnostics["cached"] = True
            return proxy
    proxy = train(
        answers.prompts,
        answers.lengths,
        answers.censored,
        settings,
        validation,
        encoder,
        auxiliary,
        answers.limit,
    )
    save(proxy, folder, encoder)
    proxy.diagnostics["cached"] = False
    return proxy


def cache_key(answers: PromptSet, settings: Settings, encoder: Encoder, validation, auxiliary=None) -> str:
    """Return 16 hex digits that change with encoder, data, split, settings (the seed is one of them) or version."""
    digest = hashlib.sha256()
    facts = {
        "version": VERSION,
        "label": encoder.label,
        "encoder": encoder.digest,
        "settings": dataclasses.asdict(settings),
        "prompts": answers.prompts,
        "limit": answers.limit,
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for array in (answers.lengths, answers.censored, validation, auxiliary):
        if array is not None:
            array = np.ascontiguousarray(array)
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def save(proxy: Proxy, folder: Path, encoder: Encoder) -> None:
    """Write a proxy into a new folder, all of it or nothing."""
    base = encoder.model.state_dict()
    weights = {
        name: tensor.contiguous()
        for name, tensor in proxy.net.state_dict().items()
        if not _same(tensor, base.get(name.removeprefix("encoder.")) if name.startswith("encoder.") else None)
    }
    record = {
        "version": VERSION,
        "label": proxy.label,
        "encoder": encoder.digest,
        "settings": dataclasses.asdict(proxy.settings),
        "scale": proxy.head.scale.to_dict(),
        "calibration": dataclasses.asdict(proxy.calibration),
        "diagnostics": proxy.diagnostics,
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".proxy-", dir=folder.parent))
    try:
        save_file(weights, work / WEIGHTS)
        (work / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        # another process may have put its own copy there meanwhile: it holds the same
        with contextlib.suppress(OSError):
            os.replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _same(tensor, other) -> bool:
    return other is not None and tensor.shape == other.shape and bool((tensor == other).all())


def load(folder: Path, encoder: Encoder | None = None) -> Proxy:
    """Read a proxy that :func:`save` wrote.

    Parameters
    ----------
    folder
        Where it is.
    encoder : Encoder, optional
        The encoder it was trained from; MiniLM-L6 by default.

    Raises
    ------
    InputError
        When the folder holds no such proxy, or one of another encoder.
    """
    encoder = encoder or load_encoder()
    place = paths.shown(Path(folder))
    try:
        record = json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))
        weights = load_file(Path(folder) / WEIGHTS)
        settings = Settings(**record["settings"])
        head = bind_head(settings.head, Scale(**{name: _tuple(value) for name, value in record["scale"].items()}))
        calibration = Calibration(**{name: _tuple(value) for name, value in record["calibration"].items()})
        label, digest, diagnostics = record["label"], record["encoder"], dict(record["diagnostics"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"{place}: no trained proxy ({error}); allowed: a folder that `save` wrote") from error
    if digest != encoder.digest:
        raise InputError(f"{place}: trained from encoder {digest} ({label}), not {encoder.digest}; allowed: its own")
    net = ProxyNet(encoder.copy_model(), head.width, settings.pooling)
    try:
        wrong = net.load_state_dict(weights, strict=False).unexpected_keys
    except RuntimeError as error:
        raise InputError(f"{place}: weights of another shape; allowed: a folder that `save` wrote") from error
    if wrong or not {f"out.{part}" for part in ("weight", "bias")} <= set(weights):
        raise InputError(f"{place}: weights don't belong to a proxy; allowed: a folder that `save` wrote")
    return Proxy(net.eval(), encoder.tokenizer, head, settings, calibration, label, diagnostics)


def _tuple(value):
    return tuple(value) if isinstance(value, list) else value
