# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a program for run_program.py, with the compiler: 3 x + 1, counting its calls."""

import sys

import torch

import rushlight


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1, dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        return {"y": 3 * x + 1, "calls": self.calls.clone()}


x = torch.zeros(2, 3)
rows = torch.export.Dim("rows", min=1, max=8)
rushlight.compile(Model(), (x,), backend="portable", dynamic_shapes={"x": {0: rows}}).save(sys.argv[1])
