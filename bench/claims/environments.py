# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The Pythons that claims run in, made on demand: ours, ours with an older Transformers, and the one with
stock ExecuTorch.  RUSHLIGHT_PEERS and RUSHLIGHT_TRANSFORMERS4 name others that are there already."""

from __future__ import annotations

import functools
import json
import os
import re
import resource
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BUILD = ROOT / "build/claims"


def _set_up(step: str) -> None:
    """Does nothing where it is done."""
    subprocess.run([ROOT / "tools/setup.sh", step], check=True)


@functools.cache
def peers() -> Path:
    """The Python that has stock ExecuTorch."""
    if "RUSHLIGHT_PEERS" in os.environ:
        return Path(os.environ["RUSHLIGHT_PEERS"])
    _set_up("peers")
    return ROOT / ".venv-peers/bin/python"


@functools.cache
def old_transformers() -> Path:
    """A folder that, first on the path, puts Transformers 4.56.2 in the place of the installed one."""
    if "RUSHLIGHT_TRANSFORMERS4" in os.environ:
        return Path(os.environ["RUSHLIGHT_TRANSFORMERS4"])
    _set_up("transformers4")
    return ROOT / "build/transformers-4.56.2"


@dataclass(frozen=True)
class Usage:
    """What a finished child used.  CPU seconds of user and system, all threads."""

    cpu_seconds: float
    output: str
    messages: str

    @property
    def answer(self):
        """What its last line says, as JSON."""
        return json.loads(self.output.splitlines()[-1])


def run_child(command, environment: Mapping[str, str] | None = None) -> Usage:
    """Runs a command; its last words are the exception's where it fails."""
    with tempfile.TemporaryFile("w+") as messages:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **(environment or {})},
        )
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        words = messages.read()
    if child.returncode != 0:
        command = " ".join(map(str, command))
        raise RuntimeError(f"{command}: status {child.returncode}\n{(output + words)[-2000:]}")
    return Usage(usage.ru_utime + usage.ru_stime, output, words)


def run_peer(script: str, *arguments) -> Usage:
    """A script of this folder in the peers' Python.  What that lacks (Transformers, the weights, this
    project) comes from our environment, behind its own packages."""
    return run_child(
        [peers(), HERE / script, *arguments], {"RUSHLIGHT_BEHIND": sysconfig.get_path("purelib")}
    )


def add_paths() -> None:
    """For scripts of this folder: where the project, its models and the rest of bench/ are."""
    sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]
    sys.path += [str(ROOT / "bench"), str(ROOT / "bench/peers")]
    behind = os.environ.get("RUSHLIGHT_BEHIND")
    if behind:
        sys.path.append(behind)


def cpu_seconds() -> float:
    """Of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_rss_bytes() -> int:
    """Of this process so far.  (What its parent is told, ru_maxrss, counts the parent's memory too: before
    exec the two are one.)"""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
