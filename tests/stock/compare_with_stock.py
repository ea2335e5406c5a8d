# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Programs both ways between Rushlight and stock ExecuTorch: ours in its runtime, its in ours.

    python compare_with_stock.py --stock-python PATH [--folder FOLDER] [--no-real-models] [NAME ...]

PATH is the Python of an environment with executorch.  Results are compared with eager PyTorch.  Prints a
line for each program, then two counts; fails where a program gives a wrong result, or where one that
stock ExecuTorch itself can run does not run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.utils import _pytree as pytree

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "python")]

import rushlight  # noqa: E402
from arrays import load_calls, save_calls  # noqa: E402
from compiler_testing import TOLERANCE, export, split  # noqa: E402
from programs import PROGRAMS  # noqa: E402


@dataclass
class Subject:
    """A model with its calls, and how it fared."""

    make: Callable[[], nn.Module]
    calls: list
    dynamic_shapes: object = None
    ours_there: str = ""
    theirs_here: str = ""
    expected: list[list] = field(default_factory=list)  # flat results of eager, for each call


def subjects(names: list[str], real_models: bool) -> dict[str, Subject]:
    found = {
        name: Subject(case.model, list(case.calls), case.dynamic_shapes)
        for name, case in PROGRAMS.items()
        if not names or name in names
    }
    if real_models and not names:
        import real_models as real

        ids = torch.tensor([[101, 7592, 2088, 102, 0, 0]])
        found["minilm"] = Subject(real.minilm, [(ids, (ids > 0).long())])
        found["mobilenet_v2"] = Subject(real.mobilenet_v2, [(real.picture(),)])
    return found


def flat(call) -> list:
    return pytree.tree_leaves(split(call))


def evaluate(subject: Subject) -> None:
    model = subject.make()
    for call in subject.calls:
        args, kwargs = split(call)
        with torch.no_grad():
            results = pytree.tree_leaves(model(*args, **kwargs))
        subject.expected.append([r.clone() if isinstance(r, torch.Tensor) else r for r in results])


def compare(actual: list[list], expected: list[list]) -> str:
    """ "equal", or the first difference."""
    for i, (a_call, e_call) in enumerate(zip(actual, expected, strict=True)):
        if len(a_call) != len(e_call):
            return f"call {i}: {len(a_call)} results, expected {len(e_call)}"
        for j, (a, e) in enumerate(zip(a_call, e_call, strict=True)):
            if not isinstance(e, torch.Tensor):
                if a != e:
                    return f"call {i}, result {j}: {a!r}, expected {e!r}"
                continue
            a = torch.as_tensor(a)
            if a.dtype != e.dtype or a.shape != e.shape:
                return (
                    f"call {i}, result {j}: {a.dtype} {tuple(a.shape)}, expected {e.dtype} {tuple(e.shape)}"
                )
            rtol, atol = TOLERANCE.get(e.dtype, (0, 0))
            if not torch.allclose(a, e, rtol=rtol, atol=atol, equal_nan=True):
                return f"call {i}, result {j}: differs by {float((a.double() - e.double()).abs().max()):.3g}"
    return "equal"


def run_script(python: str, script: str, folder: Path, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [python, "-W", "ignore", str(HERE / script), str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


def first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0][:110] if lines else "failed"


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][-160:] if lines else "failed"


def ours_in_stock(python: str, folder: Path, all_subjects: dict[str, Subject]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, s in all_subjects.items():
        try:
            exported = export(s.make(), s.calls[0], s.dynamic_shapes)
            rushlight.compile(exported).save(folder / f"{name}.pte")
            save_calls(folder / f"{name}.inputs.npz", [flat(c) for c in s.calls])
        except rushlight.CompileError as error:
            s.ours_there = f"refused: {first_line(error.obstacles[0].what)}"
    run_script(python, "run_with_stock.py", folder)
    for name, s in all_subjects.items():
        outputs, error = folder / f"{name}.outputs.npz", folder / f"{name}.error.txt"
        if outputs.exists():
            s.ours_there = compare(load_calls(outputs), s.expected)
        elif error.exists():
            s.ours_there = f"stock does not run it: {last_line(error.read_text())}"


def stock_in_ours(python: str, folder: Path, all_subjects: dict[str, Subject]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, s in all_subjects.items():
        if name not in PROGRAMS:
            torch.export.save(export(s.make(), s.calls[0], s.dynamic_shapes), folder / f"{name}.pt2")
    run_script(python, "export_with_stock.py", folder, *(n for n in all_subjects if n in PROGRAMS))
    for name, s in all_subjects.items():
        path = folder / f"{name}.pte"
        if not path.exists():
            s.theirs_here = (
                f"stock does not make it: {first_line((folder / f'{name}.error.txt').read_text())}"
            )
            continue
        try:
            method = rushlight.load(path).method("forward")
            s.theirs_here = compare([method.execute(flat(c)) for c in s.calls], s.expected)
        except Exception as error:
            s.theirs_here = f"failed: {first_line(str(error))}"


def is_good(result: str) -> bool:
    return result == "equal" or result.startswith("stock does not make it")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of tests/programs.py; default: all")
    parser.add_argument("--stock-python", required=True)
    parser.add_argument("--folder", type=Path, help="keeps the files")
    parser.add_argument("--no-real-models", action="store_true")
    options = parser.parse_args()
    found = subjects(options.names, not options.no_real_models)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for s in found.values():
            evaluate(s)
        ours_in_stock(options.stock_python, folder / "ours", found)
        stock_in_ours(options.stock_python, folder / "stock", found)
    print(f"{'program':28} {'ours in stock ExecuTorch':44} stock's in ours")
    for name, s in found.items():
        print(f"{name:28} {s.ours_there:44} {s.theirs_here}")
    there = sum(s.ours_there == "equal" for s in found.values())
    made = [s for s in found.values() if not s.theirs_here.startswith("stock does not make it")]
    here = sum(s.theirs_here == "equal" for s in made)
    print(f"ours in stock ExecuTorch: {there} of {len(found)} equal eager")
    print(f"stock's in ours: {here} of {len(made)} equal eager ({len(found) - len(made)} it does not make)")
    return 0 if all(is_good(s.ours_there) and is_good(s.theirs_here) for s in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
