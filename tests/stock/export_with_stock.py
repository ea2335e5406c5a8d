# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Makes portable programs with stock ExecuTorch; started by the Python that has it.

    python export_with_stock.py FOLDER [NAME ...]

NAME.pte of each NAME.pt2 in the folder (an ExportedProgram, saved) and of the named models of
tests/programs.py; or NAME.error.txt, with what stock ExecuTorch says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from executorch.exir import EdgeCompileConfig, to_edge

sys.path.insert(0, str(Path(__file__).parent.parent))
from programs import PROGRAMS  # noqa: E402


def exported(folder: Path, name: str) -> torch.export.ExportedProgram:
    if name not in PROGRAMS:
        return torch.export.load(folder / f"{name}.pt2")
    case = PROGRAMS[name]
    first = case.calls[0]
    args, kwargs = ((), first) if isinstance(first, dict) else (first, {})
    with torch.no_grad():
        return torch.export.export(case.model(), args, kwargs, dynamic_shapes=case.dynamic_shapes)


def main(folder: Path, names: list[str]) -> None:
    for name in [*names, *(path.stem for path in sorted(folder.glob("*.pt2")))]:
        try:
            # Its check of operators refuses what its runtime has kernels for.
            edge = to_edge(exported(folder, name), compile_config=EdgeCompileConfig(_check_ir_validity=False))
            edge.to_executorch().save(str(folder / f"{name}.pte"))
        except Exception as error:
            (folder / f"{name}.error.txt").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
