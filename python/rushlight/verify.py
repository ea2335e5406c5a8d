# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A compiled text model beside the model it came from: the same tokens in, logits and choices compared."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

# Largest difference of logits that rounding explains, by the dtype the model computes in, as a share of
# the logits' largest magnitude.
TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}

PROMPTS = (
    "The capital of France is",
    "Once upon a time, there was a",
    "def fibonacci(n):\n    ",
    "Q: What is 12 times 12?\nA:",
)


class EagerDecoder:
    """A Transformers model token by token, with its own dynamic cache."""

    def __init__(self, model) -> None:
        self.model = model
        self.cache = None

    def feed(self, ids: Sequence[int]):
        """Logits float32 [V] that follow the last id."""
        import torch

        with torch.no_grad():
            out = self.model(torch.tensor([list(ids)]), past_key_values=self.cache, use_cache=True)
        self.cache = out.past_key_values
        return out.logits[0, -1].float()


@dataclass
class GreedyComparison:
    """Of choices along eager's own path: `excused` differ where eager's two best logits are too close to
    call, `wrong` differ elsewhere."""

    equal: int = 0
    excused: int = 0
    wrong: int = 0
    max_error: float = 0.0  # of logits, absolute
    largest_logit: float = 0.0

    @property
    def ids(self) -> int:
        return self.equal + self.excused + self.wrong

    def add(self, model, session, prompt: Sequence[int], tokens: int, close: float) -> None:
        """Feeds a prompt to both, then `tokens` greedy choices.  `session` is at position 0.  `close`: how
        near eager's two best logits must be for a different choice to be excused."""
        import torch

        eager = EagerDecoder(model)
        step = list(prompt)
        for _ in range(tokens):
            ours, theirs = torch.from_numpy(session.feed(step)), eager.feed(step)
            self.max_error = max(self.max_error, float((ours - theirs).abs().max()))
            self.largest_logit = max(self.largest_logit, float(theirs.abs().max()))
            best = theirs.topk(2)
            if int(ours.argmax()) == int(best.indices[0]):
                self.equal += 1
            elif float(best.values[0] - best.values[1]) <= close:
                self.excused += 1
            else:
                self.wrong += 1
            step = [int(best.indices[0])]


def _prompts(program, vocab_size: int) -> list[list[int]]:
    """Texts where the program has a tokenizer, otherwise ids from a fixed seed."""
    import torch

    from rushlight import _native
    from rushlight.transformers.text_generation import TOKENIZER

    data = program.named_data.get(TOKENIZER)
    if data is not None:
        tokenizer = _native.Tokenizer.open(data)
        return [tokenizer.encode(text) for text in PROMPTS]
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(vocab_size, (n,), generator=generator).tolist() for n in (3, 7, 11, 16)]


def verify_text_model(program_path: str, model_path: str, tokens: int = 32) -> int:
    """Prints a verdict; returns 0 where the program does what the model does."""
    from rushlight import _native, load
    from rushlight.transformers.loading import load_text_model

    program = load(program_path)
    dtype = {5: "float16", 6: "float32", 15: "bfloat16"}.get(
        program.get_dtype() if "get_dtype" in program.method_names else 6, "float32"
    )
    print(f"reading {model_path} as {dtype}", file=sys.stderr)
    model, _ = load_text_model(model_path, dtype=dtype)
    engine = _native.Engine.load(program_path)
    room = engine.info["max_context_len"]
    close = TOLERANCE[dtype]
    result = GreedyComparison()
    for ids in _prompts(program, engine.info["vocab_size"]):
        ids = ids[: max(1, room - 1)]
        count = min(tokens, room - len(ids) + 1)
        result.add(model, engine.session(), ids, count, close if dtype == "float32" else 10 * close)
    relative = result.max_error / max(result.largest_logit, 1e-30)
    good = result.wrong == 0 and relative <= TOLERANCE[dtype]
    print(
        f"{result.equal} of {result.ids} greedy tokens equal eager's, {result.excused} too close to call, "
        f"{result.wrong} wrong\n"
        f"largest difference of a logit: {result.max_error:.3g} ({relative:.2g} of the largest, "
        f"{TOLERANCE[dtype]:g} allowed)\n"
        f"{'the program does what the model does' if good else 'the program DIFFERS from the model'}"
    )
    return 0 if good else 1
