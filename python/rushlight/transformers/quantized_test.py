# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Quantized checkpoints, written here number by number, against models with the values they stand for."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import rushlight
from rushlight.delegates.cpu.weights import IntegerForm, integers_of, pack_integers
from rushlight.transformers.checkpoint import load_checkpoint
from rushlight.transformers.checkpoint_test import IDS, logits, tiny
from rushlight.transformers.text_generation import compile_text_generation

AWQ_COLUMNS = [0, 2, 4, 6, 1, 3, 5, 7]  # the output of each nibble of a word


def words(codes: np.ndarray, bits: int, order=None) -> torch.Tensor:
    """Codes [rows, columns], each row's in 32-bit words, padded."""
    per_word = 32 // bits
    order = order or range(per_word)
    result = np.zeros((codes.shape[0], -(-codes.shape[1] // per_word)), np.uint32)
    for r in range(result.shape[0]):
        for w in range(result.shape[1]):
            for i, column in enumerate(order):
                if w * per_word + column < codes.shape[1]:
                    result[r, w] |= np.uint32(int(codes[r, w * per_word + column]) << i * bits)
    return torch.from_numpy(result.view(np.int32))


class Random:
    """Codes, scales and zero points [n, groups] of a matrix, and its values."""

    def __init__(self, n, k, bits, group, symmetric=False, group_of=None, seed=0):
        rng = np.random.default_rng(seed)
        groups = -(-k // group)
        self.codes = rng.integers(0, 2**bits, (n, k))
        self.scales = torch.from_numpy(rng.uniform(0.001, 0.02, (n, groups))).half()
        self.zeros = rng.integers(0, 2**bits, (n, groups))
        if symmetric:
            self.zeros[:] = 2 ** (bits - 1)
        self.group_of = group_of(k) if group_of else np.arange(k) // group
        signed = torch.from_numpy(self.codes - self.zeros[:, self.group_of]).float()
        self.values = signed * self.scales.float()[:, self.group_of]


def transposed(array) -> np.ndarray:
    return np.ascontiguousarray(array.T)


def gptq(m: Random, bits: int, less: int):
    return {
        "qweight": words(transposed(m.codes).T, bits).T.contiguous(),
        "qzeros": words((transposed(m.zeros) - less) % 2**bits, bits),
        "scales": m.scales.T.contiguous(),
        "g_idx": torch.tensor(m.group_of, dtype=torch.int32),
    }


def awq(m: Random):
    return {
        "qweight": words(transposed(m.codes), 4, AWQ_COLUMNS),
        "qzeros": words(transposed(m.zeros), 4, AWQ_COLUMNS),
        "scales": m.scales.T.contiguous(),
    }


def packed(m: Random, bits: int, symmetric: bool):
    parts = {
        "weight_packed": words(m.codes, bits),
        "weight_scale": m.scales.clone(),
        "weight_shape": torch.tensor(m.codes.shape),
    }
    if not symmetric:
        parts["weight_zero_point"] = words(transposed(m.zeros), bits).T.contiguous()
    return parts


def as_int8(m: Random):
    return {"weight": torch.from_numpy((m.codes - 128).astype(np.int8)), "weight_scale": m.scales.clone()}


def write(folder, make, settings, **options):
    """A checkpoint whose projections are `make(Random)`; the model it stands for."""
    model = tiny()
    tensors = {}
    for i, (name, p) in enumerate(model.state_dict().items()):
        if not name.endswith("_proj.weight"):
            tensors[name] = p.clone()
            continue
        matrix = Random(*p.shape, seed=i, **options)
        p.copy_(matrix.values)
        stem = name.removesuffix(".weight")
        tensors.update({f"{stem}.{part}": t for part, t in make(matrix).items()})
    config = {
        **model.config.to_dict(),
        "quantization_config": settings,
        "architectures": ["LlamaForCausalLM"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return model


def check(folder, make, settings, **options):
    expected = write(folder, make, settings, **options)
    got = load_checkpoint(folder, torch.float32)
    for (name, a), (_, b) in zip(got.named_parameters(), expected.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(logits(got), logits(expected))
    for name, p in got.named_parameters():
        stored = integers_of(p)
        if stored is not None:
            rows, groups = stored.read(), p.shape[1] // (stored.form.group or p.shape[1])
            spread = lambda t: t.repeat_interleave(p.shape[1] // groups, 1)  # noqa: B023, E731
            values = rows.codes * spread(rows.scales)
            assert torch.equal(values if rows.minimums is None else values + spread(rows.minimums), p), name
            assert pack_integers(rows, stored.form).error == 0
    return got


def kept(model) -> set[IntegerForm]:
    """The forms of the projections' integers."""
    found = {n: integers_of(p) for n, p in model.named_parameters() if n.endswith("_proj.weight")}
    assert len({form is None for form in found.values()}) == 1
    return {stored.form for stored in found.values() if stored is not None}


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("kind, less", [("gptq", 1), ("gptq_v2", 0)])
def test_gptq(tmp_path, bits, kind, less):
    settings = {"quant_method": "gptq", "bits": bits, "group_size": 16, "checkpoint_format": kind}
    got = check(tmp_path, lambda m: gptq(m, bits, less), settings, bits=bits, group=16)
    format = "int8" if bits == 8 else "int4"
    assert {(f.format, f.group, f.minimum) for f in kept(got)} == {(format, 16, True)}


def test_gptq_for_whole_rows(tmp_path):
    settings = {"quant_method": "gptq", "bits": 4, "group_size": -1, "desc_act": False}
    make = lambda m: {k: v for k, v in gptq(m, 4, 1).items() if k != "g_idx"}  # noqa: E731
    got = check(tmp_path, make, settings, bits=4, group=64)  # 64 is the most inputs
    assert {f.group for f in kept(got)} == {0}


def test_gptq_in_the_order_of_activations(tmp_path):
    settings = {"quant_method": "gptq", "bits": 4, "group_size": 16, "desc_act": True}
    shuffled = lambda k: np.random.default_rng(k).permutation(np.arange(k) // 16)  # noqa: E731
    got = check(tmp_path, lambda m: gptq(m, 4, 1), settings, bits=4, group=16, group_of=shuffled)
    assert kept(got) == set()


def test_awq(tmp_path):
    settings = {"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemm", "zero_point": True}
    got = check(tmp_path, awq, settings, bits=4, group=16)
    assert {(f.format, f.group, f.minimum) for f in kept(got)} == {("int4", 16, True)}


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("group", [16, 64])
def test_compressed_tensors_packed(tmp_path, bits, symmetric, group):
    settings = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
    make = lambda m: packed(m, bits, symmetric)  # noqa: E731
    got = check(tmp_path, make, settings, bits=bits, group=group, symmetric=symmetric)
    scale = {"float16"} if symmetric else {f.scale for f in kept(got)}
    assert {(f.format, f.minimum, f.scale) for f in kept(got)} == {(f"int{bits}", not symmetric, *scale)}


def test_compressed_tensors_int8(tmp_path):
    settings = {"quant_method": "compressed-tensors", "format": "int-quantized"}
    got = check(tmp_path, as_int8, settings, bits=8, group=64, symmetric=True)
    assert kept(got) == {IntegerForm("int8", 0, "float16", False)}


def test_compressed_tensors_float8(tmp_path):
    settings = {"quant_method": "compressed-tensors", "format": "float-quantized"}

    def make(m):
        weight = (m.values / 0.25).to(torch.float8_e4m3fn)
        m.values.copy_(weight.float() * 0.25)
        return {"weight": weight, "weight_scale": torch.tensor([0.25])}

    model = tiny()
    tensors = {n: p.clone() for n, p in model.state_dict().items()}
    for name, p in model.state_dict().items():
        if name.endswith("_proj.weight"):
            m = Random(*p.shape, bits=8, group=64)
            tensors.update({f"{name.removesuffix('weight')}{k}": t for k, t in make(m).items()})
            p.copy_(m.values)
    config = {**model.config.to_dict(), "quantization_config": settings}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(tensors, tmp_path / "model.safetensors")
    assert torch.equal(logits(load_checkpoint(tmp_path, torch.float32)), logits(model))


def test_integers_reach_the_program(tmp_path):
    settings = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
    model = write(tmp_path, lambda m: packed(m, 4, False), settings, bits=4, group=16)
    got = load_checkpoint(tmp_path, torch.float32)
    program = compile_text_generation(got, max_context_len=16, quantize="int4")
    projections = [w for w in program.weights if all("_proj" in n for n in w.names)]
    assert {(w.format, w.error) for w in projections} == {("int4 as it came", 0.0)}
    assert sum(len(w.names) for w in projections) == 14
    plain = compile_text_generation(got, max_context_len=16)
    position = torch.arange(IDS.shape[1])
    expected = logits(model)[:, -1:]
    for compiled, error in ((plain, 1e-4), (program, 0.15)):
        result = torch.from_numpy(rushlight.load(compiled.buffer)(IDS.numpy(), position.numpy()))
        assert (result - expected).abs().max() < error * expected.abs().max()


COMPRESSED = {"quant_method": "compressed-tensors"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"weight_shape": torch.tensor([32.0, 32.0])}, "no sizes"),
        ({"weight_shape": torch.tensor([32, 99])}, "words for"),
        ({"weight_shape": torch.tensor([32, -32])}, "words for"),
        ({"weight_scale": torch.zeros(32, 0)}, "scales"),
        ({"weight_scale": torch.zeros(1, 1, 1)}, "scales"),
        ({"weight_scale": torch.zeros(5, 2)}, "scales"),
        ({"weight_packed": torch.zeros(32, 4)}, "weight_packed"),
        ({"weight_zero_point": torch.zeros(7, dtype=torch.int8)}, "zero points"),
        ({"weight_zero_point": torch.zeros(1, 1, dtype=torch.int32)}, "zero points"),
        ({"weight_g_idx": torch.zeros(3, dtype=torch.int32)}, "weight_g_idx"),
    ],
)
def test_compressed_tensors_that_are_refused(tmp_path, change, message):
    make = lambda m: {**packed(m, 4, False), **{k: v.clone() for k, v in change.items()}}  # noqa: E731
    write(tmp_path, make, COMPRESSED, bits=4, group=16)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(tmp_path, torch.float32)


def test_compressed_tensors_with_an_order_of_groups(tmp_path):
    shuffled = lambda k: np.random.default_rng(k).permutation(np.arange(k) // 16)  # noqa: E731
    order = lambda m: {"weight_g_idx": torch.tensor(m.group_of, dtype=torch.int32)}  # noqa: E731
    make = lambda m: {**packed(m, 4, False), **order(m)}  # noqa: E731
    assert kept(check(tmp_path, make, COMPRESSED, bits=4, group=16, group_of=shuffled)) == set()
    unused = lambda m: {**packed(m, 4, False), "weight_g_idx": -order(m)["weight_g_idx"] * 0 - 1}  # noqa: E731
    assert kept(check(tmp_path, unused, COMPRESSED, bits=4, group=16)) != set()


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 16}


@pytest.mark.parametrize(
    "settings, change, message",
    [
        ({"quant_method": "other"}, {}, "not known here; gptq, awq"),
        ({"quant_method": ["gptq"]}, {}, "not known here; gptq, awq"),
        ({**GPTQ, "bits": 3}, {}, "bits 3"),
        ({**GPTQ, "bits": "4"}, {}, "bits '4'"),
        ({**GPTQ, "group_size": 0}, {}, "group_size 0"),
        ({**GPTQ, "checkpoint_format": "marlin"}, {}, "unknown format"),
        ({**GPTQ, "group_size": 8}, {"g_idx": None}, "does not fit"),
        (GPTQ, {"scales": None}, "has no scales"),
        (GPTQ, {"scales": torch.zeros(2, 5)}, "scales"),
        (GPTQ, {"scales": torch.zeros(0, 0)}, "scales"),
        (GPTQ, {"qweight": torch.zeros(4, 4)}, "qweight"),
        (GPTQ, {"qzeros": torch.zeros(1, dtype=torch.int32)}, "qzeros"),
        (GPTQ, {"g_idx": torch.zeros(3, dtype=torch.int32)}, "g_idx"),
        ({**GPTQ, "group_size": -1}, {"g_idx": torch.full((64,), 99, dtype=torch.int32)}, "does not fit"),
        ({**GPTQ, "group_size": -1}, {"g_idx": torch.full((64,), -1, dtype=torch.int32)}, "does not fit"),
        ({"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemv"}, {}, "gemv"),
        ({"quant_method": "compressed-tensors", "transform_config": {"a": 1}}, {}, "transform_config"),
    ],
)
def test_what_is_refused(tmp_path, settings, change, message):
    def make(m):
        parts = {**gptq(m, 4, 1), **{k: v for k, v in change.items() if v is not None}}
        return {k: v.clone() for k, v in parts.items() if change.get(k, v) is not None}

    write(tmp_path, make, settings, bits=4, group=16)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(tmp_path, torch.float32)
