# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Runs programs with stock ExecuTorch; started by the Python that has it.

    python run_with_stock.py FOLDER

For each NAME.pte (with NAME.ptd, if that is there) calls `forward` with the calls of NAME.inputs.npz, one
after the other, and writes NAME.outputs.npz, or NAME.error.txt.  Each program has a process of its own:
stock ExecuTorch ends the process where it does not like an argument.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from arrays import load_calls, save_calls
from executorch.extension.pybindings import portable_lib


def run(path: Path) -> list[list]:
    data = path.with_suffix(".ptd")
    if data.exists():
        module = portable_lib._load_for_executorch(str(path), str(data))
    else:
        module = portable_lib._load_for_executorch(str(path))
    outputs = []
    for call in load_calls(path.with_suffix(".inputs.npz")):
        results = module.forward(call)
        outputs.append([r.clone() if isinstance(r, torch.Tensor) else r for r in results])
    return outputs


def run_in_child(path: Path) -> None:
    errors = path.with_suffix(".error.txt")
    child = os.fork()
    if child == 0:
        log = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 2)
        try:
            save_calls(path.with_suffix(".outputs.npz"), run(path))
            os._exit(0)
        except Exception as error:
            os.write(log, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    if os.waitpid(child, 0)[1] == 0:
        errors.unlink()


def main(folder: str) -> None:
    for path in sorted(Path(folder).glob("*.pte")):
        run_in_child(path)


if __name__ == "__main__":
    main(sys.argv[1])
