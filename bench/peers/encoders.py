# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Encoders beside other runtimes, in float32, bfloat16 and int8: milliseconds of a call.

    python bench/peers/encoders.py [--only MiniLM] [--threads 1 2] [--rounds 5]

As in run.py, every engine stays loaded in a process of its own and is asked by turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from encoder_cases import FORMATS, EncoderCase, cases
from participants import ENGINES, ROOT, Participant, bench_python
from runs import peaks
from summary import ratios, table, turns

SECONDS = 0.1  # of calls, each time an engine is asked


def _made(target: Path, engine: str, python: Path, step: str, *arguments) -> Path:
    """The file that a step of an engine's script writes, unless it is there already."""
    if not target.exists():
        part = target.with_name(f"part-{target.name}")
        command = [python, ENGINES / f"{engine}.py", step, arguments[0], part, *arguments[1:]]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        if target.suffix == ".xml":
            part.with_suffix(".bin").rename(target.with_suffix(".bin"))
        part.rename(target)
    return target


def _onnxruntime(case: EncoderCase, form: str) -> Iterator[Participant]:
    name, python = "encoder_onnxruntime", bench_python("onnx")
    plain = _made(case.folder / "model.onnx", name, python, "--export", case.exported)
    fused = _made(case.folder / "fused.onnx", name, python, "--fuse", plain, case.heads, case.width)
    for label, model in (("ONNX Runtime", plain), ("ONNX Runtime, fused", fused)):
        if form == "int8":
            model = _made(model.with_name(f"int8-{model.name}"), name, python, "--quantize", model)
        if form != "bf16":
            yield Participant(label, name, python, model)


def _openvino(case: EncoderCase, form: str) -> Iterator[Participant]:
    name, python = "encoder_openvino", bench_python("openvino")
    model, settings = case.folder / "model.onnx", {}  # the default is bfloat16 where the CPU has it
    if form == "fp32":
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
    elif form == "int8":
        model = _made(case.folder / "int8.xml", name, python, "--quantize", model, case.inputs)
    yield Participant("OpenVINO", name, python, model, settings)


def _pytorch(case: EncoderCase, form: str) -> Iterator[Participant]:
    dtypes = {"fp32": "float32", "bf16": "bfloat16"}
    if form in dtypes:
        for label, compiled in (("PyTorch", False), ("PyTorch, compiled", True)):
            settings = {"dtype": dtypes[form], "compiled": compiled}
            yield Participant(label, "encoder_pytorch", Path(sys.executable), case.exported, settings)


PEERS: list[Callable[[EncoderCase, str], Iterator[Participant]]] = [_onnxruntime, _openvino, _pytorch]


def measure(case: EncoderCase, form: str, threads: int, rounds: int) -> dict:
    """Seconds of every run and the cosine to PyTorch's float32 result, by label; ours comes first."""
    engines = [Participant("Rushlight", "encoder_ours", Path(sys.executable), case.program(form))]
    engines += (engine for peer in PEERS for engine in peer(case, form))
    found = {e.label: {"seconds": [], "file": e.file_size()} for e in engines}
    with ExitStack() as stack:
        children = [stack.enter_context(engine.start(threads)) for engine in engines]
        for engine, child in zip(engines, children, strict=True):
            found[engine.label]["name"] = child.ready["name"]
            found[engine.label] |= child.ask(op="agree", case=str(case.inputs))
            child.ask(op="encode", case=str(case.inputs), seconds=SECONDS)
        for order in turns(len(engines), rounds):
            for i in order:
                answer = children[i].ask(op="encode", case=str(case.inputs), seconds=SECONDS)
                found[engines[i].label]["seconds"].append(answer["seconds"])
        peak = 1e9 * threads * peaks()["u8" if form == "int8" else "f32"]
    ours = found[engines[0].label]
    ours["of_peak"] = case.operations / statistics.median(ours["seconds"]) / peak
    return found


def summary(results: dict[str, dict]) -> str:
    """A row for each case: our milliseconds, and how many times as long the peers take."""
    labels = list(next(iter(results.values())))
    rows = [
        [
            "",
            f"{labels[0]}, ms",
            "of peak",
            *(f"{label} takes ×" for label in labels[1:]),
            "1 − cosine, ours / worst",
        ]
    ]
    for name, found in results.items():
        ours = found[labels[0]]
        cells = [f"{1e3 * statistics.median(ours['seconds']):.2f}", f"{ours['of_peak']:.0%}"]
        for label in labels[1:]:
            cells.append(f"{ratios(found[label]['seconds'], ours['seconds']):.2f}")
        worst = max(1 - of["cosine"] for of in found.values())
        rows.append([name, *cells, f"{1 - ours['cosine']:.1e} / {worst:.1e}"])
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="cases whose name contains one of these")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5, help="each asks every engine twice")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/encoders.json")
    arguments = parser.parse_args()
    chosen = [c for c in cases() if not arguments.only or any(text in c.name for text in arguments.only)]
    for case in chosen:
        print(f"preparing {case.name}", flush=True)
        case.prepare()
    report = []
    for threads in arguments.threads:
        for form in arguments.formats:
            results = {case.name: measure(case, form, threads, arguments.rounds) for case in chosen}
            print(f"\n{form}, {threads} thread{'s' * (threads > 1)}\n\n{summary(results)}", flush=True)
            report.append({"threads": threads, "format": form, "cases": results})
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"\n{arguments.output}")


if __name__ == "__main__":
    main()
