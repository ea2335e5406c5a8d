# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a compiled program says about its weights, against the weights themselves."""

import numpy as np
import pytest
import torch
from torch import nn

import rushlight
from rushlight.delegates.backend import StoredWeights
from rushlight.delegates.cpu import Quantization
from rushlight.weights_report import error_of, layer_of, report


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32, bias=False) for _ in range(2))
        self.head = nn.Linear(32, 48, bias=False)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(x)


def test_of_a_program():
    torch.manual_seed(0)
    model = Layers().eval()
    quantization = Quantization("int4", modules={"head.*": "bf16", "layers.1.*": "float32"})
    program = rushlight.compile(model, (torch.randn(2, 32),), quantize=quantization)
    stored = {w.names: w for w in program.weights}
    assert set(stored) == {("layers.0.weight",), ("layers.1.weight",), ("head.weight",)}
    assert stored["layers.1.weight",].error == 0
    head = model.head.weight.detach()
    expected = (head.bfloat16().float() - head).norm() / head.norm()
    assert stored["head.weight",].error == pytest.approx(float(expected), rel=1e-3)
    assert stored["head.weight",].stored_bytes == 2 * head.numel()
    # The weights that a program multiplies by, seen through it (activations lose a little too).
    one = rushlight.compile(nn.Sequential(model.layers[0]), (torch.eye(32),), quantize="int4")
    got = rushlight.load(one.buffer).forward(torch.eye(32).numpy())
    weight = model.layers[0].weight.detach().numpy()
    seen = np.linalg.norm(np.array(got).reshape(32, 32).T - weight) / np.linalg.norm(weight)
    assert one.weights[0].error == pytest.approx(seen, rel=0.05)
    lines = report(program.weights)
    assert len(lines) == 4
    assert [line.split()[0] for line in lines[1:]] == ["layers.0", "layers.1", "head"]
    assert "int4" in lines[1] and "bfloat16" in lines[3]


def test_patterns_that_name_nothing_are_told():
    quantization = Quantization("int4", modules={"head.*": "bf16", "heads.*": "int8"})
    with pytest.raises(ValueError, match="'heads.\\*'; there are layers.0.weight"):
        quantization.check_names(["layers.0.weight", "head.weight"])


def test_export_options():
    from rushlight.cli import _parser, _quantization

    options = "export --model m -o o --quantize int8 --group 64 --kv-cache fp16 --scales int8"
    options += " --module a*=int4 --module b=c=bf16"
    assert _quantization(_parser().parse_args(options.split())) == Quantization(
        "int8", group=64, cache="float16", scales="int8", modules={"a*": "int4", "b=c": "bfloat16"}
    )
    assert _quantization(_parser().parse_args("export --model m -o o".split())) == Quantization()
    for wrong in ("--module int4", "--module a=int5", "--group 24"):
        with pytest.raises(ValueError, match="PATTERN=FORMAT|int5|24"):
            _quantization(_parser().parse_args(f"export --model m -o o {wrong}".split()))


def test_nothing_to_say_of_exact_weights():
    program = rushlight.compile(Layers().eval(), (torch.randn(2, 32),))
    assert len(program.weights) == 3 and report(program.weights) == []


def test_one_number_for_many():
    a = StoredWeights(("model.layers.3.q.weight", "model.layers.3.k.weight"), "int4", 300, 10, 0.1)
    b = StoredWeights(("model.layers.3.o.weight",), "int4", 100, 10, 0.3)
    assert error_of([a, b]) == pytest.approx((0.75 * 0.01 + 0.25 * 0.09) ** 0.5)
    assert error_of([]) == 0
    assert layer_of("model.layers.3.mlp.up_proj.weight") == "model.layers.3"
    assert layer_of("lm_head.weight") == "lm_head" and layer_of("weight") == "weight"
    assert "most in o 30.00 %" in report([a, b])[1]
    assert "most in q + k 40.00 %" in report([StoredWeights(a.names, "int4", 1, 1, 0.4), b])[1]
