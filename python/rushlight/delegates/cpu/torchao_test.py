# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Models that torchao has quantized, by quantize_ and by convert_pt2e, against what they compute there."""

import math

import pytest
import torch
import transformers as T
from torch import nn
from torchao import quantization as Q
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

import rushlight
from rushlight.delegates.backend import call_delegate
from rushlight.delegates.cpu import Quantization
from rushlight.transformers.loading import load_text_model
from rushlight.transformers.text_generation import compile_text_generation

PER_GROUP, PER_ROW, PER_TENSOR = Q.PerGroup(32), Q.PerAxis(0), Q.PerTensor()
INT2, INT3, INT4, INT8 = torch.int2, torch.int3, torch.int4, torch.int8
ASYMMETRIC = Q.MappingType.ASYMMETRIC


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.up = nn.Embedding(64, 64), nn.Linear(64, 96)
        self.gate, self.down = nn.Linear(64, 96, bias=False), nn.Linear(96, 64)

    def forward(self, ids):
        x = self.embedding(ids)
        return x + self.down(nn.functional.silu(self.gate(x)) * self.up(x))


def is_embedding(module, _):
    return isinstance(module, nn.Embedding)


def run(program, *inputs):
    return torch.as_tensor(rushlight.load(program.buffer)(*inputs))


def error(got, expected):
    return float((got - expected).norm() / expected.norm())


def calls(program):
    return [n.target for n in program.exported_program().graph.nodes if n.op == "call_function"]


def int8_rows(**options):
    return Q.Int8DynamicActivationInt8WeightConfig(**options)


def dynamic(dtype, granularity, **options):
    return Q.Int8DynamicActivationIntxWeightConfig(
        weight_dtype=dtype, weight_granularity=granularity, **options
    )


def weights(dtype, granularity, **options):
    return Q.IntxWeightOnlyConfig(weight_dtype=dtype, granularity=granularity, **options)


# What the linear layers become, and the format they are packed in.
CONFIGS = {
    "int8 rows": (Q.Int8WeightOnlyConfig(), "int8"),
    "int8 groups": (Q.Int8WeightOnlyConfig(granularity=PER_GROUP), "int8"),
    "int8 at once": (Q.Int8WeightOnlyConfig(granularity=PER_TENSOR), "int8"),
    "intx 8": (weights(INT8, PER_ROW), "int8"),
    "intx 4": (weights(INT4, PER_GROUP), "int4"),
    "intx 4 rows": (weights(INT4, PER_ROW), "int4"),
    "intx 4 zeros": (weights(INT4, PER_GROUP, mapping_type=ASYMMETRIC), "int4"),
    "intx 2": (weights(INT2, PER_GROUP), "int4"),
    "intx 3 zeros": (weights(INT3, PER_GROUP, mapping_type=ASYMMETRIC), "int4"),
    "dynamic int8": (int8_rows(), "int8"),
    "dynamic int8 at once": (int8_rows(granularity=PER_TENSOR), "int8"),
    "dynamic int8 zeros": (int8_rows(act_mapping_type=ASYMMETRIC), "int8"),
    "dynamic int4": (dynamic(INT4, PER_GROUP), "int4"),
    "dynamic int4 zeros": (dynamic(INT4, PER_GROUP, weight_mapping_type=ASYMMETRIC), "int4"),
    "dynamic intx 8": (dynamic(INT8, PER_ROW), "int8"),
}
MOST_BITS = {"int8": 9.5, "int4": 7}  # a weight, with scales and minimums in 32 bits


def quantized(config):
    torch.manual_seed(0)
    model, ids = Model().eval(), torch.randint(64, (2, 7))
    with torch.no_grad():
        Q.quantize_(model, config)
        return model, ids, model(ids)


@pytest.mark.parametrize("name", CONFIGS)
def test_quantize(name):
    config, format = CONFIGS[name]
    model, ids, expected = quantized(config)
    program = rushlight.compile(model, (ids,))
    assert calls(program).count(call_delegate) == 1
    most = 0.025 if name.startswith("dynamic") else 1e-6  # rows are quantized otherwise, see docs/rfc
    assert error(run(program, ids), expected) < most
    by_name = {n: w for w in program.weights for n in w.names}
    assert by_name.pop("embedding.weight").format == "float32"
    assert set(by_name) == {f"{n}.weight" for n in ("up", "gate", "down")}
    for w in by_name.values():
        assert w.format == f"{format} as it came" and w.error == 0
        assert 8 * w.stored_bytes / w.numbers <= MOST_BITS[format]


@pytest.mark.parametrize("name", CONFIGS)
def test_quantize_without_a_delegate(name):
    model, ids, expected = quantized(CONFIGS[name][0])
    program = rushlight.compile(model, (ids,), backend="portable")
    assert error(run(program, ids), expected) < 1e-6


def rows_as_integers(x, group):
    """As the CPU delegate quantizes rows: for each group, the largest number is 127."""
    parts = x.unflatten(-1, (-1, group))
    scale = parts.abs().amax(-1, keepdim=True) / 127
    return (torch.round(parts / scale) * scale).flatten(-2)


def test_rows_are_quantized_for_each_group():
    """A graph that quantizes rows by a scale and a zero point for each of them runs as if its products
    quantized them by a scale for each group of the weights'."""
    torch.manual_seed(0)
    linear, x = nn.Linear(64, 48).eval(), torch.randn(5, 64)
    Q.quantize_(linear, dynamic(INT4, PER_GROUP))
    got = run(rushlight.compile(linear, (x,)), x)
    expected = nn.functional.linear(rows_as_integers(x, 32), linear.weight.dequantize(), linear.bias)
    assert error(got, expected) < 1e-6
    assert error(got, linear(x)) > 1e-4


def test_quantized_embedding():
    torch.manual_seed(0)
    model, ids = Model().eval(), torch.randint(64, (2, 7))
    Q.quantize_(model, weights(INT8, PER_ROW), filter_fn=is_embedding)
    Q.quantize_(model, weights(INT4, PER_GROUP))
    program = rushlight.compile(model, (ids,))
    assert error(run(program, ids), model(ids)) < 1e-6
    assert {w.format for w in program.weights} == {"int8 as it came", "int4 as it came"}


def test_integers_that_are_asked_for():
    """`quantize` says how the rest is stored; where it asks for integers, also what they are multiplied by,
    and what has more bits is quantized anew."""
    model, ids, expected = quantized(weights(INT4, PER_GROUP))
    formats = lambda program: [w.format for w in program.weights]  # noqa: E731
    half = rushlight.compile(model, (ids,), quantize="bf16")
    assert set(formats(half)) == {"bfloat16", "int4 as it came"}
    assert error(run(half, ids), expected) < 0.01
    integers = rushlight.compile(model, (ids,), quantize="int8")
    assert set(formats(integers)) == {"int8", "int4 as it came"}
    assert 1e-4 < error(run(integers, ids), expected) < 0.03
    by_name = Quantization(modules={"down.weight": "int4", "*": "float32"})
    model, ids, expected = quantized(Q.Int8WeightOnlyConfig())
    assert "int4" in formats(rushlight.compile(model, (ids,), quantize=by_name))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("config", [None, Q.Int8WeightOnlyConfig(), dynamic(INT4, PER_GROUP)])
def test_half_precision(dtype, config):
    """As operators, equal to eager."""
    torch.manual_seed(0)
    model, ids = Model().eval().to(dtype), torch.randint(64, (2, 7))
    if config is not None:
        Q.quantize_(model, config)
    expected = model(ids)
    got = run(rushlight.compile(model, (ids,)), ids)
    assert got.dtype == dtype
    torch.testing.assert_close(got, expected, rtol=2**-7, atol=2**-7 * float(expected.abs().max()))


@pytest.mark.parametrize("dynamic_rows", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_decoder(dynamic_rows, tied):
    torch.manual_seed(0)
    sizes = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
    config = T.LlamaConfig(
        **sizes, intermediate_size=96, vocab_size=99, max_position_embeddings=64, tie_word_embeddings=tied
    )
    model, ids = T.LlamaForCausalLM(config).eval(), torch.randint(1, 99, (1, 20))
    Q.quantize_(model, weights(INT8, PER_ROW), filter_fn=is_embedding)
    Q.quantize_(model, dynamic(INT4, PER_GROUP) if dynamic_rows else weights(INT4, PER_GROUP))
    with torch.no_grad():
        expected = model(ids).logits[0, -1]
    program = compile_text_generation(model, max_context_len=64, max_seq_len=20)
    assert calls(program).count(call_delegate) == 1 and len(calls(program)) == 2
    got = torch.as_tensor(rushlight.load(program.buffer)(ids, torch.arange(20))).flatten()
    assert error(got, expected) < (0.025 if dynamic_rows else 1e-6)
    assert {w.format for w in program.weights} == {"int8 as it came", "int4 as it came"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_checkpoint(dtype, tmp_path):
    """A folder that Transformers saved is read as float32, whatever it was."""
    torch.manual_seed(0)
    config = T.LlamaConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96, vocab_size=99
    )
    T.LlamaForCausalLM(config).to(dtype).save_pretrained(tmp_path / "float")
    recipe = T.TorchAoConfig(weights(INT4, PER_GROUP))
    T.LlamaForCausalLM.from_pretrained(
        tmp_path / "float", quantization_config=recipe, dtype=dtype
    ).save_pretrained(tmp_path / "int4")
    model, _ = load_text_model(tmp_path / "int4")
    ids = torch.randint(1, 99, (1, 20))
    with torch.no_grad():
        expected = model(ids).logits[0, -1]
    program = compile_text_generation(model, max_context_len=64, max_seq_len=20)
    got = torch.as_tensor(rushlight.load(program.buffer)(ids, torch.arange(20))).flatten()
    assert error(got, expected) < 1e-6
    assert {w.format for w in program.weights} == {"float32", "int4 as it came"}


class PackedByPyTorch(nn.Module):
    """As torchao packs int4 for the CPU at hand."""

    def __init__(self):
        super().__init__()
        codes = torch.randint(16, (64, 32), dtype=torch.int32)
        self.register_buffer("packed", torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1))
        self.register_buffer("scales", torch.ones(1, 64, 2))

    def forward(self, x):
        return torch.ops.aten._weight_int4pack_mm_for_cpu(x, self.packed, 32, self.scales)


def test_what_is_packed_already_is_refused():
    with pytest.raises(rushlight.CompileError, match="IntxWeightOnlyConfig"):
        rushlight.compile(PackedByPyTorch(), (torch.randn(3, 32),))


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 10)

    def forward(self, x):
        return self.linear(torch.relu(self.convolution(x)).mean((2, 3)))


@pytest.mark.parametrize("backend", ["cpu", "portable"])
@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_pt2e(kind, is_dynamic, backend):
    torch.manual_seed(0)
    if kind == "linear":
        model, x = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64)), torch.randn(4, 64)
    else:
        model, x = Convolutions(), torch.randn(1, 3, 8, 8)
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_dynamic=is_dynamic))
    prepared = prepare_pt2e(torch.export.export(model.eval(), (x,)).module(), quantizer)
    prepared(x)
    converted = convert_pt2e(prepared)
    program = rushlight.compile(torch.export.export(converted, (x,)), backend=backend)
    most = 0.025 if is_dynamic and backend == "cpu" else 1e-6
    assert error(run(program, x), converted(x)) < most
    if backend == "cpu":
        assert program.weights and all(w.format == "int8 as it came" for w in program.weights)
        if is_dynamic and kind == "linear":
            assert calls(program).count(call_delegate) == 1


def test_what_is_not_finite_is_refused():
    model, ids, _ = quantized(weights(INT4, PER_GROUP))
    with torch.no_grad():
        model.up.weight.scale.fill_(math.nan)
    with pytest.raises(rushlight.CompileError, match="up.weight"):
        rushlight.compile(model, (ids,))
