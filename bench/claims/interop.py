# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Our files of real models in stock ExecuTorch, and stock's own files here: the same results."""

from __future__ import annotations

from collections.abc import Iterator

import models
import torch
from accuracy import PICTURES, SENTENCES, pictures
from environments import run_peer
from report import Figure, run

BAR = 1e-5
PROMPTS = ("The capital of France is", "Once upon a time, there was a", "Water boils at", "def add(a, b):")
TOKENS = 16


def in_stock(program, calls) -> list[list[torch.Tensor]]:
    given, taken = models.output_path("calls.pt"), models.output_path("outputs.pt")
    torch.save(calls, given)
    run_peer("stock.py", "run", program, given, taken)
    return torch.load(taken)


def here(program, calls) -> list[list[torch.Tensor]]:
    import rushlight

    forward = rushlight.load(program).method("forward")
    return [[t.clone() for t in forward.execute(call)] for call in calls]


def compare(what: str, program, calls, bar: float = BAR) -> Figure:
    """One file, run by both runtimes."""
    ours, theirs = here(program, calls), in_stock(program, calls)
    error = max(
        float((a - b).abs().max())
        for x, y in zip(ours, theirs, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    return Figure(
        what,
        f"the two runtimes within {bar:g}",
        f"{error:.1e} over {len(calls)} calls",
        error <= bar,
    )


def smollm2() -> Iterator[Figure]:
    from real_models import smollm2_path
    from rushlight import _native
    from rushlight.transformers.loading import load_text_model

    model, assets = load_text_model(smollm2_path())
    tokenizer = _native.Tokenizer(assets.tokenizer)
    program = models.compile_to(models.export_smollm2(model), models.output_path("smollm2.pte"))
    prompts = [tokenizer.encode(text) for text in PROMPTS]
    calls = [(torch.tensor([ids]), torch.arange(len(ids))) for ids in prompts]
    yield compare("our SmolLM2 in stock ExecuTorch: logits", program, calls)

    given, taken = models.output_path("prompts.pt"), models.output_path("ids.pt")
    torch.save({"prompts": prompts, "tokens": TOKENS}, given)
    run_peer("stock.py", "greedy", program, given, taken)
    engine = _native.Engine.load(str(program))
    equal = 0
    for ids, theirs in zip(prompts, torch.load(taken), strict=True):
        session, step = engine.session(), ids
        for token in theirs:
            step = [int(session.feed(step).argmax())]
            equal += step == [token]
    total = len(prompts) * TOKENS
    yield Figure(
        "our SmolLM2 in stock ExecuTorch: greedy tokens",
        "token for token",
        f"{equal} of {total}",
        equal == total,
    )


def measure() -> Iterator[Figure]:
    sentences = [models.sentences(*size, seed=i) for i, size in enumerate(SENTENCES)]
    photographs = [(pictures(n),) for n in PICTURES]
    # Stock's own files are held to the bars of accuracy.py: its MobileNetV2 keeps the batch norms apart from
    # the convolutions, so that there is more to round.
    for model, calls, bar in (("MiniLM", sentences, 1e-5), ("MobileNetV2", photographs, 1e-4)):
        export = next(m.export for m in models.REAL if m.name == model)
        ours = models.compile_to(export(), models.output_path(f"{model}.pte"))
        yield compare(f"our {model} in stock ExecuTorch", ours, calls)
        theirs = models.output_path(f"stock-{model}.pte")
        run_peer("stock.py", "compile", model, theirs)
        yield compare(f"stock's {model} here", theirs, calls, bar)
    yield from smollm2()


if __name__ == "__main__":
    run(measure)
