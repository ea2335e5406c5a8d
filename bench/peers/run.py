# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""SmolLM2-135M beside other runtimes: prefill, decoding, time to the first token, memory, file size.

    python bench/peers/run.py [--ours PROGRAM.pte] [--threads 1 2] [--rounds 5]
    python bench/peers/run.py --shape Qwen2.5-0.5B      another model's shape, with random weights, in int4

Every engine stays loaded in a process of its own and is asked by turns (forward, backward, forward ...); all
get the same token ids.  docs/benchmarks.md says how to read what comes out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import participants
import runs
from child import Child
from participants import ROOT, SHAPES, SMOLLM2, Participant, Shape
from summary import Spread, ratios, table, turns

sys.path.insert(0, str(ROOT / "python"))
PLOT_PYTHON = ROOT / ".venv-bench-plot/bin/python"
COLD_PROMPT = 32
SURPRISE_TOKENS = 512


@dataclass(frozen=True)
class Case:
    name: str
    command: dict
    tokens: int  # what the rate counts


def token_ids(shape: Shape = SMOLLM2) -> list[int]:
    """The text, by the model's tokenizer; random ones where there is none."""
    if shape.kind:
        return random.Random(0).choices(range(dict(shape.config)["vocab_size"]), k=1024)
    from rushlight import _native
    from rushlight.transformers.gguf_tokenizer import gguf_assets

    metadata = _native.GgufFile(str(participants.gguf())).metadata
    text = Path(__file__).with_name("text.txt").read_text(encoding="utf-8")
    return _native.Tokenizer(gguf_assets(metadata).tokenizer).encode(text)


def cases(ids: list[int]) -> list[Case]:
    prefills = [Case(f"prefill {n}", {"op": "prefill", "tokens": ids[:n]}, n) for n in (32, 128, 512)]
    decodes = [
        Case(f"decode at {n}", {"op": "decode", "tokens": ids[: n + 1], "n": 128}, 128) for n in (0, 990)
    ]
    return prefills + decodes


def measure_warm(
    engines: list[Participant], threads: int, rounds: int, work: list[Case]
) -> tuple[dict, dict, float]:
    """Seconds of every run, by case and label; what each engine says of itself; and how many CPUs other
    processes kept busy meanwhile."""
    seconds = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        children: list[Child] = []
        for engine in engines:
            children.append(stack.enter_context(engine.start(threads)))
        for case in work:
            for child in children:
                child.ask(**case.command)
                child.disturbances.clear()
            for order in turns(len(engines), rounds):
                for i in order:
                    answer = children[i].ask(**case.command)
                    seconds[case.name][engines[i].label].append(answer["seconds"])
        runs = [d for child in children for d in child.disturbances]
        names = {e.label: c.ready["name"] for e, c in zip(engines, children, strict=True)}
    return seconds, names, sum(d.cpu_seconds for d in runs) / sum(d.seconds for d in runs)


def measure_cold(engines: list[Participant], threads: int, rounds: int, ids: list[int]) -> dict:
    """From opening the file to the first token, in a new process each time (the file is in the system's
    cache), and the bytes that are resident at most after a prefill of 512 and some decoding."""
    found = {e.label: {"first_token_seconds": [], "resident": []} for e in engines}
    for order in turns(len(engines), rounds):
        for i in order:
            with engines[i].start(threads) as child:
                first = child.ask(op="prefill", tokens=ids[:COLD_PROMPT])
                child.ask(op="prefill", tokens=ids[:512])
                child.ask(op="decode", tokens=ids[:513], n=16)
                peak = child.ask(op="memory")["peak"]
                of = found[engines[i].label]
                of["first_token_seconds"].append(child.ready["load_seconds"] + first["seconds"])
                of["resident"].append(peak - child.ready["before"])
    return found


def measure_surprise(engines: list[Participant], threads: int, ids: list[int]) -> dict[str, float]:
    """How well each file predicts the text: that they are the same model, and what its bits cost."""
    found = {}
    for engine in engines:
        with engine.start(threads) as child:
            found[engine.label] = child.ask(op="surprise", tokens=ids[:SURPRISE_TOKENS])["nats"]
    return found


def rates(result: dict, engines: list[Participant], work: list[Case]) -> str:
    """Tokens a second."""
    rows = [["", *(case.name for case in work)]]
    for engine in engines:
        medians = [statistics.median(result["seconds"][c.name][engine.label]) for c in work]
        rows.append([engine.label, *(f"{c.tokens / s:.4g}" for c, s in zip(work, medians, strict=True))])
    return table(rows)


def comparison(result: dict, engines: list[Participant], work: list[Case]) -> str:
    """The first engine beside each other one."""
    reference, *peers = engines
    rows = [[f"{reference.label} is × as fast as", *(case.name for case in work)]]
    for peer in peers:
        cells = []
        for case in work:
            of = result["seconds"][case.name]
            cells.append(f"{ratios(of[peer.label], of[reference.label]):.2f}")
        rows.append([peer.label, *cells])
    fastest = [min(peers, key=lambda p: statistics.median(result["seconds"][c.name][p.label])) for c in work]
    rows.append(["the fastest of these", *(p.label.removeprefix("llama.cpp ") for p in fastest)])
    return table(rows)


def costs(result: dict, engines: list[Participant]) -> str:
    rows = [["", "first token, ms", "resident, MB", "file, MB", "surprise, nats a token"]]
    for engine in engines:
        cold = result["cold"][engine.label]
        first = Spread.of(cold["first_token_seconds"])
        rows.append(
            [
                engine.label,
                f"{1e3 * first.median:.0f} ({1e3 * first.low:.0f}–{1e3 * first.high:.0f})",
                f"{statistics.median(cold['resident']) / 1e6:.0f}",
                f"{engine.file_size() / 1e6:.1f}",
                f"{result['surprise'][engine.label]:.3f}",
            ]
        )
    return table(rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", type=Path, metavar="PROGRAM", help="a program of SmolLM2 (.pte)")
    parser.add_argument(
        "--shape", choices=[s.name for s in SHAPES], default=SMOLLM2.name, help="others: beside llama.cpp"
    )
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="peers whose label contains one of these")
    parser.add_argument("--default-settings", action="store_true", help="peers with no other settings")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5, help="each asks every engine twice")
    parser.add_argument("--cold-rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/peers.json")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    wanted = lambda label: not arguments.only or any(text in label for text in arguments.only)  # noqa: E731
    shape = next(s for s in SHAPES if s.name == arguments.shape)
    program = arguments.ours
    if program is None and shape.kind:
        program = runs.program(shape, "int4")
    engines = [participants.ours(program)] if program else []
    engines += participants.llamacpp(arguments.default_settings, wanted, shape)
    if shape is SMOLLM2:
        engines += participants.executorch(wanted)
        engines += participants.onnxruntime(wanted)
        engines += participants.openvino(arguments.default_settings, wanted)
    ids = token_ids(shape)
    work = cases(ids)
    report = {"cases": {c.name: c.tokens for c in work}, "files": {e.label: e.model.name for e in engines}}
    report["cpu"] = next(
        (
            s.split(":")[1].strip()
            for s in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in s
        ),
        "",
    )
    report["threads"] = {}
    for threads in arguments.threads:
        print(f"\n{threads} thread{'s' * (threads > 1)}; tokens a second\n", flush=True)
        seconds, names, busy = measure_warm(engines, threads, arguments.rounds, work)
        result = {"seconds": seconds, "names": names, "others_cpus": busy}
        print(rates(result, engines, work) + "\n")
        if len(engines) > 1:
            print(comparison(result, engines, work) + "\n", flush=True)
        result["cold"] = measure_cold(engines, threads, arguments.cold_rounds, ids)
        result["surprise"] = measure_surprise(engines, threads, ids)
        print(costs(result, engines))
        print(f"\nOther processes kept {busy:.2f} of {os.cpu_count()} CPUs busy meanwhile.", flush=True)
        report["threads"][threads] = result
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"\n{arguments.output}")
    if PLOT_PYTHON.exists():
        picture = arguments.output.with_suffix(".png")
        plot = Path(__file__).with_name("plot.py")
        subprocess.run([PLOT_PYTHON, plot, arguments.output, picture], check=True)
        print(picture)


if __name__ == "__main__":
    main()
