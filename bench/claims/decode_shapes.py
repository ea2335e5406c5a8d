# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""decode.py for the shapes of other models, with random weights in int4."""

from __future__ import annotations

from collections.abc import Iterator

import decode
from decode import runs
from report import Figure, run


def measure() -> Iterator[Figure]:
    for shape in decode.SHAPES[1:]:
        program = runs.program(shape, "int4")
        for bar in decode.OTHERS:
            yield decode.figure(shape, program, bar)
        program.unlink()  # together they are large


if __name__ == "__main__":
    run(measure)
