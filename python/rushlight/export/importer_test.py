# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause

import pytest
import torch

import rushlight


class Named(torch.nn.Module):
    def forward(self, input, filter, id):
        return input * filter + id


@pytest.mark.parametrize("backend", ["portable", "cpu"])
@pytest.mark.parametrize(
    "model, inputs",
    [
        (torch.nn.Linear(8, 3), [(2, 8)]),
        (torch.nn.Conv2d(2, 3, 3), [(1, 2, 5, 5)]),
        (torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU()), [(2, 8)]),
        (Named(), [(2, 3)] * 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_inputs_that_are_named_as_functions_of_python(model, inputs, backend):
    torch.manual_seed(2)
    inputs = [torch.randn(size) for size in inputs]
    program = rushlight.compile(model.eval(), inputs, backend=backend)
    got = rushlight.load(program.buffer)(*inputs)
    torch.testing.assert_close(got, model(*inputs), atol=1e-5, rtol=1e-5)
