# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Our files of real models in stock ExecuTorch, and stock's own files here: the same results."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import models
import torch
from accuracy import PICTURES, SENTENCES, pictures
from environments import ROOT, peers, run_peer
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


def compare(what: str, program, calls) -> Figure:
    """One file, run by both runtimes.  Errors are counted in units of the largest value: that of float32
    itself is 1.2e-7, and the logits of a language model go to 30."""
    pairs = [
        (a, b)
        for x, y in zip(here(program, calls), in_stock(program, calls), strict=True)
        for a, b in zip(x, y, strict=True)
    ]
    error = max(float((a - b).abs().max()) for a, b in pairs)
    largest = max(float(b.abs().max()) for _, b in pairs)
    return Figure(
        what,
        f"the two runtimes within {BAR:g} of the largest value",
        f"{error / largest:.1e} ({error:.1e} of {largest:.1f}) over {len(calls)} calls",
        error <= BAR * largest,
    )


def smollm2() -> Iterator[Figure]:
    from real_models import smollm2_path
    from rushlight import _native
    from rushlight.transformers.loading import load_text_model
    from rushlight.transformers.text_generation import compile_text_generation

    model, assets = load_text_model(smollm2_path())
    tokenizer = _native.Tokenizer(assets.tokenizer)
    program = models.output_path("smollm2.pte")
    compile_text_generation(
        model, max_context_len=models.CONTEXT, max_seq_len=models.TOKENS, backend="portable"
    ).save(program)
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


def small_programs() -> Figure:
    """tests/programs.py both ways, where stock ExecuTorch alone agrees with eager."""
    script = ROOT / "tests/stock/compare_with_stock.py"
    command = [sys.executable, script, "--stock-python", peers(), "--no-real-models"]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    able, ours, theirs = re.findall(r"^\D*?(\d+) (?:of|run)", done.stdout, re.MULTILINE)[-3:]
    return Figure(
        "small programs both ways, those that stock ExecuTorch computes as eager does",
        "all of them",
        f"{ours} of {able} of ours there, {theirs} of {able} of its here",
        done.returncode == 0,
    )


def measure() -> Iterator[Figure]:
    yield small_programs()
    sentences = [models.sentences(*size, seed=i) for i, size in enumerate(SENTENCES)]
    photographs = [(pictures(n),) for n in PICTURES]
    for model, calls in (("MiniLM", sentences), ("MobileNetV2", photographs)):
        export = next(m.export for m in models.REAL if m.name == model)
        ours = models.compile_to(export(), models.output_path(f"{model}.pte"))
        yield compare(f"our {model} in stock ExecuTorch", ours, calls)
        theirs = models.output_path(f"stock-{model}.pte")
        run_peer("stock.py", "compile", model, theirs)
        yield compare(f"stock's {model} here", theirs, calls)
    yield from smollm2()


if __name__ == "__main__":
    run(measure)
