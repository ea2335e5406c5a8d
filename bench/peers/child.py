# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""An engine in a process of its own, which runs only while it is asked something.

In between it is stopped with a signal: engines whose threads wait by spinning would otherwise take the CPU
from the one that is measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float:
    """CPU time that all processes of this machine have used, of user and system."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS


@dataclass(frozen=True)
class Disturbance:
    """What others computed during a run: CPU seconds, of seconds that passed."""

    cpu_seconds: float
    seconds: float


class Child:
    def __init__(self, command: list, environment: dict[str, str]):
        self.command = command
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.disturbances: list[Disturbance] = []
        self.ready = self._answer()
        self._stop()

    def ask(self, **command) -> dict:
        self.process.send_signal(signal.SIGCONT)
        begin, busy = time.monotonic(), _busy_seconds() - self._cpu_seconds()
        print(json.dumps(command), file=self.process.stdin, flush=True)
        answer = self._answer()
        others = _busy_seconds() - self._cpu_seconds() - busy
        self.disturbances.append(Disturbance(max(0.0, others), time.monotonic() - begin))
        self._stop()
        return answer

    def close(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self.command))}: ended with {self.process.wait()}")
        return json.loads(line)

    def _stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def _cpu_seconds(self) -> float:
        # Fields behind the name, which may hold anything but is in brackets.
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS
