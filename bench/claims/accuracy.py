# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""MiniLM's sentence embeddings and MobileNetV2's logits beside eager PyTorch, at several sizes."""

from __future__ import annotations

from collections.abc import Iterator

import models
import torch
from report import Figure, run

SENTENCES = ((1, 1), (1, 7), (1, 128), (2, 12), (3, 31), (4, 128))
PICTURES = (1, 2, 3, 4)


def pictures(batch: int) -> torch.Tensor:
    """A photograph, and versions of it that are shifted, mirrored and dimmed."""
    from real_models import picture

    x = picture()
    return torch.cat([x, x.roll(20, 3), x.flip(3), x * 0.5])[:batch].contiguous()


def worst_error(model, exported, calls) -> float:
    import rushlight

    program = rushlight.load(rushlight.compile(exported, backend="portable").buffer)
    with torch.no_grad():
        return max(float((program(*call) - model(*call)).abs().max()) for call in calls)


def measure() -> Iterator[Figure]:
    import real_models

    model = real_models.minilm()
    calls = [models.sentences(*size, seed=i) for i, size in enumerate(SENTENCES)]
    error = worst_error(model, models.minilm(model), calls)
    sizes = ", ".join(f"{b}×{s}" for b, s in SENTENCES)
    yield Figure(
        f"MiniLM's sentence embeddings ({sizes})",
        "within 1e-5 of eager",
        f"{error:.1e}",
        error <= 1e-5,
    )

    model = real_models.mobilenet_v2()
    error = worst_error(model, models.mobilenet_v2(model), [(pictures(n),) for n in PICTURES])
    sizes = ", ".join(map(str, PICTURES))
    yield Figure(
        f"MobileNetV2's logits (batches of {sizes})", "within 1e-4 of eager", f"{error:.1e}", error <= 1e-4
    )


if __name__ == "__main__":
    run(measure)
