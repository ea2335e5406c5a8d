# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From the start of a process to the first token of SmolLM2 behind a prompt of 32 tokens, files in the system's cache:
`rushlight chat` beside a program that does no more than that with llama.cpp's library (compiled here).  By turns; medians.

ExecuTorch's package has no program that runs a language model: in its place stand its Python bindings, and what they
take from opening the file to the first token.  The interpreter's start, imports and the tokenizer do not count there."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from environments import BUILD, ROOT, add_paths
from report import Figure, run

add_paths()
import participants  # noqa: E402
import run as bench_run  # noqa: E402
import runs  # noqa: E402
from summary import ratios, turns  # noqa: E402

ROUNDS, BAR = 5, 3.0
SYSTEM, USER = "Be brief.", "What is the capital of France? Please name just the one big city."
# As SmolLM2's template has it.
PROMPT = (
    f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{USER}<|im_end|>\n<|im_start|>assistant\n"
)
TOKENS = 32


def from_start(command) -> float:
    """Seconds until a process has written a byte."""
    begin = time.monotonic()
    child = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False, bufsize=0
    )
    first = child.stdout.read(1)
    seconds = time.monotonic() - begin
    _, messages = child.communicate()
    prompt = re.search(rb"(\d+) tokens of prompt", messages)
    if child.returncode != 0 or not first or prompt is None or int(prompt[1]) != TOKENS:
        raise RuntimeError(f"{command[0]}: status {child.returncode}, {messages.decode()[-500:]}")
    return seconds


def llamacpp() -> Path:
    """The program, compiled with what the package installed."""
    target = BUILD / "first_token_llamacpp"
    target.parent.mkdir(parents=True, exist_ok=True)
    (packages,) = participants.bench_python("llamacpp").parents[1].glob("lib/python*/site-packages")
    library = packages / "llama_cpp/lib"
    command = [os.environ.get("CXX", "c++"), "-std=c++17", "-O2", "-isystem", packages / "include"]
    command += [ROOT / "bench/peers/first_token_llamacpp.cc", "-o", target, "-L", library]
    command += ["-lllama", "-lggml", "-lggml-base", f"-Wl,-rpath,{library}"]
    subprocess.run([str(word) for word in command], check=True)
    return target


def bindings(engine: participants.Participant, threads: int, ids: list[int]) -> float:
    with engine.start(threads) as child:
        return child.ready["load_seconds"] + child.ask(op="prefill", tokens=ids)["seconds"]


def measure() -> Iterator[Figure]:
    subprocess.run([ROOT / "tools/setup.sh", "bench-peers"], check=True)

    ids, program = bench_run.token_ids()[:TOKENS], llamacpp()
    for threads in (1, 2):
        ours = [
            ROOT / "build/release/rushlight",
            "chat",
            runs.smollm2_int4(),
            "--stats",
            "--threads",
            threads,
        ]
        ours += ["-s", SYSTEM, "-p", USER, "-n", 1]
        ways: dict[str, Callable[[], float]] = {"ours": partial(from_start, ours)}
        for peer in participants.llamacpp(True, lambda label: "Q4_0" in label):
            ways[peer.label] = partial(from_start, [program, peer.model, threads, PROMPT])
        for peer in participants.executorch(lambda label: True):
            ways[f"{peer.label} (bindings)"] = partial(bindings, peer, threads, ids)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way()
        for order in turns(len(ways), ROUNDS):
            for i in order:
                name = list(ways)[i]
                seconds[name].append(ways[name]())
        for peer in list(ways)[1:]:
            times = ratios(seconds[peer], seconds["ours"])
            mine, theirs = (sorted(seconds[of])[ROUNDS] for of in ("ours", peer))
            yield Figure(
                f"first token of a new process beside {peer}, threads: {threads}",
                f"{BAR:g} x sooner",
                f"{times:.2f} x; {1e3 * mine:.0f} and {1e3 * theirs:.0f} ms",
                times.median >= BAR,
            )


if __name__ == "__main__":
    run(measure)
