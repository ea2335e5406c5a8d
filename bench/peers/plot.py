# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Draws what run.py measured: plot.py FROM.json TO.png.  Runs in the environment that has matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib
from summary import Spread

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def draw(report: dict, picture: str) -> None:
    """A row for each number of threads, a column for each case; bars from zero, whiskers are quartiles."""
    engines = list(report["files"])
    rows, columns = len(report["threads"]), len(report["cases"])
    figure, axes = plt.subplots(
        rows, columns, squeeze=False, figsize=(3 * columns, 1 + rows * (0.8 + 0.3 * len(engines)))
    )
    for (threads, result), row in zip(report["threads"].items(), axes, strict=True):
        for (case, tokens), axis in zip(report["cases"].items(), row, strict=True):
            rates = [Spread.of([tokens / s for s in result["seconds"][case][e]]) for e in engines]
            medians = [r.median for r in rates]
            whiskers = [
                [r.median - r.low for r in rates],
                [r.high - r.median for r in rates],
            ]
            colours = ["tab:orange" if e == "Rushlight" else "tab:gray" for e in engines]
            axis.barh(engines, medians, xerr=whiskers, color=colours, error_kw={"linewidth": 1})
            axis.set_title(f"{case}, {threads} thread{'s' * (threads != '1')}", fontsize=9)
            axis.tick_params(labelsize=8)
            axis.invert_yaxis()
            if axis is not row[0]:
                axis.set_yticklabels([])
    figure.supxlabel("tokens a second", fontsize=9)
    figure.tight_layout()
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])
