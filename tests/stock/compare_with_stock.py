# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Programs both ways between Rushlight and stock ExecuTorch: ours in its runtime, its in ours.

    python compare_with_stock.py --stock-python PATH [--folder FOLDER] [--no-real-models] [NAME ...]

PATH is the Python of an environment with executorch.  Results are compared with eager PyTorch; where
stock ExecuTorch cannot make or run its own program, or gets another result than eager, that is shown, and
nothing is expected of ours there, or of its program here (but what stock gives is accepted).  Prints a
line for each program, then two counts; fails where one is wrong.
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
    theirs_there: str = ""  # stock ExecuTorch alone: what can be expected of it
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


def run_in_stock(python: str, folder: Path, all_subjects: dict[str, Subject]) -> dict[str, str | list]:
    """The results of stock ExecuTorch for each NAME.pte of a folder; a str where it does not run it."""
    for path in folder.glob("*.pte"):
        calls = all_subjects[path.stem].calls
        save_calls(path.with_suffix(".inputs.npz"), [flat(c) for c in calls])
    run_script(python, "run_with_stock.py", folder)
    results = {}
    for path in folder.glob("*.pte"):
        outputs, error = path.with_suffix(".outputs.npz"), path.with_suffix(".error.txt")
        results[path.stem] = (
            load_calls(outputs) if outputs.exists() else f"does not run: {last_line(error.read_text())}"
        )
    return results


def ours_in_stock(python: str, folder: Path, all_subjects: dict[str, Subject]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, s in all_subjects.items():
        try:
            exported = export(s.make(), s.calls[0], s.dynamic_shapes)
            rushlight.compile(exported, backend="portable").save(folder / f"{name}.pte")
        except rushlight.CompileError as error:
            s.ours_there = f"refused: {first_line(error.obstacles[0].what)}"
    for name, result in run_in_stock(python, folder, all_subjects).items():
        s = all_subjects[name]
        s.ours_there = result if isinstance(result, str) else compare(result, s.expected)


def stock_in_ours(python: str, folder: Path, all_subjects: dict[str, Subject]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, s in all_subjects.items():
        if name not in PROGRAMS:
            torch.export.save(export(s.make(), s.calls[0], s.dynamic_shapes), folder / f"{name}.pt2")
    run_script(python, "export_with_stock.py", folder, *(n for n in all_subjects if n in PROGRAMS))
    there = run_in_stock(python, folder, all_subjects)
    for name, s in all_subjects.items():
        if name not in there:
            s.theirs_there = f"is not made: {first_line((folder / f'{name}.error.txt').read_text())}"
            s.theirs_here = "-"
            continue
        theirs = there[name]
        s.theirs_there = theirs if isinstance(theirs, str) else compare(theirs, s.expected)
        try:
            method = rushlight.load(folder / f"{name}.pte").method("forward")
            results = [method.execute(flat(c)) for c in s.calls]
        except Exception as error:
            s.theirs_here = f"does not run: {first_line(str(error))}"
            continue
        s.theirs_here = compare(results, s.expected)
        if s.theirs_here != "equal" and not isinstance(theirs, str) and compare(results, theirs) == "equal":
            s.theirs_here = "as there"


def is_good(subject: Subject) -> bool:
    """Whether both directions give what eager gives, or what stock ExecuTorch gives alone."""
    if subject.theirs_there != "equal":  # nothing to measure by, unless ours runs there all the same
        return True
    return subject.ours_there == "equal" and subject.theirs_here == "equal"


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
    row = "{:28} {:32} {:32} {}"
    print(row.format("program", "ours in stock", "stock's in ours", "stock alone"))
    for name, s in found.items():
        print(row.format(name, s.ours_there, s.theirs_here, s.theirs_there))
    able = [s for s in found.values() if s.theirs_there == "equal"]
    print(f"stock ExecuTorch alone does what eager does for {len(able)} of {len(found)} programs; of these")
    print(f"  {sum(s.ours_there == 'equal' for s in able)} of ours run in stock ExecuTorch as in eager")
    print(f"  {sum(s.theirs_here == 'equal' for s in able)} of stock's run here as in eager")
    bad = [name for name, s in found.items() if not is_good(s)]
    if bad:
        print(f"wrong: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
