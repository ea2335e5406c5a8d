# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Programs of the shapes, and what the built tools say of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from shapes import MODELS, ROOT, Shape

BUILD = ROOT / "build/release"
FORMATS = ("int4", "int8", "bf16", "fp32")
# Weights that come in 4 bits are quantized anew, like the peers'.
INT4_OPTIONS = ("--scales", "int8")
# The file that every claim on SmolLM2 in 4 bits is made of.
SMOLLM2_INT4 = ROOT / "build/models/smollm2-135m-instruct-int4.pte"


def smollm2_int4() -> Path:
    """That file, made if it is not there."""
    if not SMOLLM2_INT4.exists():
        target = SMOLLM2_INT4.relative_to(ROOT)
        subprocess.run(["make", "--no-print-directory", target], cwd=ROOT, check=True)
    return SMOLLM2_INT4


def digest(path: Path) -> str:
    """As much of a file's SHA-256 as tells files apart."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def program(shape: Shape, form: str, *options: str) -> Path:
    """The compiled model, made anew: the compiler changes.  `options`: of `rushlight export`."""
    path = MODELS / f"{shape.name}-{form}{''.join('-' + o.strip('-') for o in options)}.pte"
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "rushlight", "export", "--quiet", "--model", shape.source(), "-o", path]
    command += options if form == "fp32" else ["--quantize", form, *options]
    command += INT4_OPTIONS if form == "int4" else ()
    subprocess.run(
        [str(word) for word in command],
        check=True,
        stdout=subprocess.DEVNULL,
        env={"PYTHONPATH": str(ROOT / "python"), "PATH": str(BUILD), "HF_HUB_OFFLINE": "1"},
    )
    return path


def bench(path: Path, threads: int, **options: int) -> dict:
    """What `rushlight bench` says, in a process of its own."""
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    command = [BUILD / "rushlight", "bench", path, "--json", "--threads", str(threads), *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bandwidth(size: int, threads: int) -> float:
    command = [BUILD / "bandwidth", str(max(1, size // 10**6)), str(threads)]
    return 1e9 * float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peaks() -> dict[str, float]:
    """10^9 operations a second that registers give one thread, by format of products."""
    return json.loads(
        subprocess.run([BUILD / "packed_bench", "--peaks"], check=True, capture_output=True).stdout
    )


def packed_bytes(path: Path) -> int:
    """Of weights: the file without what travels beside them."""
    import rushlight

    beside = rushlight.load(str(path)).named_data
    return path.stat().st_size - sum(len(v) for k, v in beside.items() if not k.startswith("rushlight.cpu."))
