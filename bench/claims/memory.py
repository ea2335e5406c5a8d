# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The peak of resident memory (VmHWM) of `rushlight run`, beside what `rushlight inspect` said before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import models
import numpy as np
import torch
from accuracy import pictures
from environments import ROOT, run_child
from report import Figure, run

RUSHLIGHT = ROOT / "build/release/rushlight"
# Small programs are weighed by bytes: a page of a library more or less is a percent there.
SLACK = 2_000_000


def number(name: str, text: str) -> int:
    return int(re.search(rf"{name}:? (\d+)", text)[1])


def weigh(what: str, program: Path, inputs, shapes: float = 1.0, state: float = 1.0) -> Figure:
    """`shapes`, `state`: the share of the shapes' bounds and of the cache that the inputs take up."""
    said = run_child([RUSHLIGHT, "inspect", program, "--shapes", shapes, "--state", state]).output
    estimate = number("estimated_peak_rss_bytes", said)
    command = [RUSHLIGHT, "run", program, "--stats"]
    for i, x in enumerate(inputs):
        path = models.output_path(f"input-{i}.npy")
        np.save(path, x.numpy())
        command += ["-i", path]
    peak = number("peak_rss_bytes", run_child(command).messages)
    return Figure(
        f"peak memory of {what}",
        "0.95 to 1.00 of the estimate, or within 2 MB below",
        f"{peak / 1e6:.2f} MB of {estimate / 1e6:.2f} MB, {peak / estimate:.3f}",
        peak <= estimate and (peak >= 0.95 * estimate or estimate - peak <= SLACK),
    )


def smollm2(context: int, tokens: int, model, backend: str = "portable", quantize=None) -> Figure:
    """One call with `tokens` tokens into an empty cache of `context` positions."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(49152, (1, tokens), generator=generator)
    exported = models.export_smollm2(model, context, tokens)
    path = models.output_path(f"smollm2-{context}-{backend}.pte")
    program = models.compile_to(exported, path, backend, quantize)
    return weigh(
        f"SmolLM2 ({backend}, {quantize or 'fp32'}), {tokens} tokens of {context}",
        program,
        (ids, torch.arange(tokens)),
        state=tokens / context,
    )


def measure() -> Iterator[Figure]:
    from real_models import smollm2_path
    from rushlight.transformers.loading import load_text_model

    generator = torch.Generator().manual_seed(0)
    program = models.compile_to(models.mobilenet_v2(), models.output_path("MobileNetV2.pte"))
    for batch in (1, models.MOBILENET_BATCH):
        share = batch / models.MOBILENET_BATCH
        yield weigh(f"MobileNetV2, batch {batch}", program, (pictures(batch),), share)
    program = models.compile_to(models.minilm(), models.output_path("MiniLM.pte"))
    ids = torch.randint(1000, 30000, (models.MINILM_BATCH, models.MINILM_LENGTH), generator=generator)
    yield weigh("MiniLM", program, (ids, torch.ones_like(ids)))
    model, _ = load_text_model(smollm2_path())
    yield smollm2(256, 256, model)
    yield smollm2(1024, 256, model)
    yield smollm2(1024, 256, model, "cpu")
    yield smollm2(1024, 256, model, "cpu", "int4")


if __name__ == "__main__":
    run(measure)
