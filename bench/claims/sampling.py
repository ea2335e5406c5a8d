# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Where a command spends its time: samples of its program counter, by function (perf, of the Debian package
linux-perf)."""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter

from environments import run_child

FREQUENCY = 5000  # samples a second of CPU time


def samples(command) -> Counter[str]:
    """Samples in each function, by its name; time in the kernel is not seen."""
    with tempfile.NamedTemporaryFile() as data:
        run_child(["perf", "record", "-q", "-e", "cpu-clock:u", "-F", FREQUENCY, "-o", data.name, *command])
        report = ["perf", "report", "-q", "-i", data.name, "--stdio", "--sort", "symbol", "-n", "-F"]
        report += ["sample,symbol", "-t", "\t"]
        text = subprocess.run(report, check=True, capture_output=True, text=True).stdout
    found = Counter()
    for line in text.splitlines():
        count, _, name = line.partition("\t")
        if name and count.strip().isdigit():
            found[name.partition("]")[2].partition("\t")[0].strip()] += int(count)
    return found
