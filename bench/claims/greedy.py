# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Greedy decoding through the C++ runtime beside a plain eager loop.

Twenty chat prompts, 64 tokens each, end-of-text ignored, float32: 1,280 ids that must be equal.  A
mismatch is excused only where eager's two best logits are within 1e-4; the rest of that answer is then
compared along eager's own choice.  Also: the logits of a prompt taken in with one call, at every position.

    python bench/claims/greedy.py                 with Transformers 4.56.2 and with the installed one
    python bench/claims/greedy.py --installed     with the one that is found first; prints JSON
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from environments import add_paths, old_transformers, run_child
from report import Figure, run

add_paths()
warnings.filterwarnings("ignore")

QUESTIONS = [
    "What is the capital of France?", "Write a haiku about the sea.", "Explain gravity to a child.",
    "List three uses of salt.", "Translate 'good morning' into Spanish.", "What is 12 times 12?",
    "Who wrote Hamlet?", "Why is the sky blue?", "Give me a recipe for pancakes.",
    "Name the planets of the solar system.", "What does a compiler do?", "How do birds fly?",
    "Tell me a joke about cats.", "What is the largest ocean?", "Define entropy in one sentence.",
    "How many days are in a leap year?", "Suggest a name for a bakery.", "What causes tides?",
    "Summarise the plot of Cinderella.", "Write a polite refusal to an invitation.",
]  # fmt: skip
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
TOKENS = 64
CLOSE = 1e-4


def prompt(question: str) -> str:
    turns = [("system", SYSTEM), ("user", question)]
    return "".join(f"<|im_start|>{r}\n{t}<|im_end|>\n" for r, t in turns) + "<|im_start|>assistant\n"


def compare() -> dict:
    """Greedy decoding and prefill with the Transformers at hand."""
    import torch
    import transformers
    from real_models import smollm2_path
    from rushlight import _native, load
    from rushlight.transformers.loading import load_text_model
    from rushlight.transformers.text_generation import compile_text_generation
    from rushlight.verify import GreedyComparison

    model, assets = load_text_model(smollm2_path())
    tokenizer = _native.Tokenizer(assets.tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "last.pte")
        compile_text_generation(model, assets=assets, max_context_len=256, max_seq_len=128).save(path)
        engine = _native.Engine.load(str(path))
    found = GreedyComparison()
    for question in QUESTIONS:
        found.add(model, engine.session(), tokenizer.encode(prompt(question)), TOKENS, CLOSE)

    everything = compile_text_generation(model, max_context_len=256, max_seq_len=128, all_logits=True)
    program = load(everything.buffer)
    worst = 0.0
    for question in QUESTIONS[:5]:
        ids = torch.tensor([tokenizer.encode(prompt(question))])
        with torch.no_grad():
            expected = model(ids).logits
        got = program(ids, torch.arange(ids.shape[1]))
        worst = max(worst, float((got - expected).abs().max()))
    return {
        "transformers": transformers.__version__,
        "ids": found.ids,
        "equal": found.equal,
        "excused": found.excused,
        "wrong": found.wrong,
        "prefill_error": worst,
    }


def measure() -> Iterator[Figure]:
    for environment in ({"PYTHONPATH": str(old_transformers())}, {}):
        found = run_child([sys.executable, __file__, "--installed"], environment).answer
        version = found["transformers"]
        yield Figure(
            f"greedy tokens of SmolLM2, Transformers {version}",
            "1,280 equal to eager",
            f"{found['equal']:,} of {found['ids']:,} equal, {found['excused']} too close to call",
            found["ids"] == len(QUESTIONS) * TOKENS and found["wrong"] == 0,
        )
        yield Figure(
            f"logits of its prompts, Transformers {version}",
            "within 1e-3 of eager",
            f"{found['prefill_error']:.1e}",
            found["prefill_error"] <= 1e-3,
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["--installed"]:
        print(json.dumps(compare()))
    else:
        run(measure)
