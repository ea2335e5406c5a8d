# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The side of a measurement that runs beside the engine, in the engine's own Python.

A script in engines/ is a class of two methods and a line that serves it:

    class Engine:
        name: str                          what is measured, with its version
        def __init__(self, model: str, threads: int, **settings): ...
        def feed(self, tokens: list[int]) -> np.ndarray:    logits behind the last token, float32 [vocab]
        def rewind(self, position: int) -> None:            forgets what was fed from there on

    if __name__ == "__main__":
        serve(Engine)

It is started with a JSON object of `model`, `threads` and settings as its only argument, says one line when
the model is loaded (what it is called, how long the constructor took, bytes resident before that), and then answers commands, one JSON object a line:

    {"op": "prefill", "tokens": [...]}          feeds all of them to an empty cache
    {"op": "decode", "tokens": [...], "n": 9}   feeds all but the last, not timed; from that one on n tokens,
                                                each the best of the one before
    {"op": "surprise", "tokens": [...]}         mean of -log p of each token behind the ones before it
    {"op": "memory"}                            bytes resident at most, so far

Every engine has the same loop around it, in Python: a call and an argmax for each token.

An engine of encoders has one method, `run(inputs: list[np.ndarray]) -> np.ndarray`, and is served with
`serve(Engine, Encoder)`.  Inputs and what they should give lie in a file that encoder_cases.py wrote:

    {"op": "encode", "case": "inputs.npz", "seconds": 0.1}   calls until that time is over: their median
    {"op": "agree", "case": "inputs.npz"}                    cosine of the result and of PyTorch's

One whose predictions are compared with the original's has `logits(tokens)`, and is served with `serve(Engine, Scorer)`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time

import numpy as np


def _resident(key: str) -> int:
    with open("/proc/self/status", encoding="utf-8") as status:
        return 1024 * int(re.search(rf"{key}:\s+(\d+) kB", status.read())[1])


class Decoder:
    def __init__(self, engine):
        self.engine = engine
        self.fed: list[int] = []

    def _feed(self, tokens: list[int]) -> np.ndarray:
        logits = self.engine.feed(tokens)
        self.fed += tokens
        return logits

    def _rewind(self, position: int) -> None:
        self.engine.rewind(position)
        del self.fed[position:]

    def prefill(self, tokens: list[int]) -> dict:
        self._rewind(0)
        begin = time.monotonic()
        first = int(self._feed(tokens).argmax())
        return {"seconds": time.monotonic() - begin, "id": first}

    def decode(self, tokens: list[int], n: int) -> dict:
        *context, token = tokens
        if self.fed[: len(context)] == context:
            self._rewind(len(context))
        else:
            self._rewind(0)
            self._feed(context)
        ids = []
        begin = time.monotonic()
        for _ in range(n):
            token = int(self._feed([token]).argmax())
            ids.append(token)
        return {"seconds": time.monotonic() - begin, "ids": ids}

    def surprise(self, tokens: list[int]) -> dict:
        self._rewind(0)
        total = 0.0
        for token, following in zip(tokens, tokens[1:], strict=False):
            logits = self._feed([token]).astype(np.float64)
            top = logits.max()
            total += top + np.log(np.exp(logits - top).sum()) - logits[following]
        return {"nats": float(total / (len(tokens) - 1))}

    def memory(self) -> dict:
        return {"peak": _resident("VmHWM")}


class Encoder:
    def __init__(self, engine):
        self.engine = engine

    def encode(self, case: str, seconds: float) -> dict:
        inputs, _ = read_case(case)
        times = []
        while sum(times) < seconds or len(times) < 3:
            begin = time.monotonic()
            self.engine.run(inputs)
            times.append(time.monotonic() - begin)
        return {"seconds": float(np.median(times))}

    def agree(self, case: str) -> dict:
        inputs, expected = read_case(case)
        given = np.asarray(self.engine.run(inputs), np.float64).ravel()
        expected = expected.astype(np.float64).ravel()
        return {"cosine": float(given @ expected / np.sqrt((given @ given) * (expected @ expected)))}

    def memory(self) -> dict:
        return {"peak": _resident("VmHWM")}


class Scorer:
    """For engines with `logits(tokens) -> np.ndarray`, float32 [tokens, vocab]: how far a format's
    predictions are from the original's, token by token."""

    def __init__(self, engine):
        self.engine = engine

    def score(self, tokens: list[int], original: str) -> dict:
        """Sums over all tokens but the last.  `original`: a file of logarithms of probabilities."""
        divergence = surprise = agreements = 0.0
        logits = self.engine.logits(tokens)
        for p, row, following in zip(np.load(original, mmap_mode="r"), logits, tokens[1:], strict=False):
            q = log_softmax(row)
            divergence += np.sum(np.exp(p.astype(np.float64)) * (p - q))
            surprise -= q[following]
            agreements += p.argmax() == q.argmax()
        return {"divergence": float(divergence), "surprise": float(surprise), "agreements": int(agreements)}


def log_softmax(row: np.ndarray) -> np.ndarray:
    row = row.astype(np.float64)
    row -= row.max()
    return row - np.log(np.exp(row).sum())


def read_case(path: str) -> tuple[list[np.ndarray], np.ndarray]:
    """The first sample's inputs, and the output that belongs to them."""
    with np.load(path) as arrays:
        names = sorted(n for n in arrays.files if n.startswith("input"))
        return [np.ascontiguousarray(arrays[n][0]) for n in names], arrays["output"]


def serve(engine_class, server_class=Decoder) -> None:
    """Answers commands until there are no more."""
    # Libraries print; what they print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    before = _resident("VmRSS")
    begin = time.monotonic()
    engine = engine_class(**json.loads(sys.argv[1]))
    server = server_class(engine)
    say({"name": engine.name, "load_seconds": time.monotonic() - begin, "before": before})
    for line in sys.stdin:
        command = json.loads(line)
        say(getattr(server, command.pop("op"))(**command))
