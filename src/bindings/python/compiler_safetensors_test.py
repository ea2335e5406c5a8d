# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Safetensors files against the `safetensors` package."""

import gc

import pytest
import torch
from rushlight import _native
from safetensors.torch import save_file

NAMES = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.int32: "I32",
    torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32",
    torch.float64: "F64", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
}  # fmt: skip


def test_tensors_of_every_type(tmp_path):
    torch.manual_seed(0)
    tensors = {f"t.{i}": torch.randn(2, 3, i + 1).to(dtype) for i, dtype in enumerate(NAMES)}
    tensors |= {"scalar": torch.tensor(1.5), "none": torch.zeros(0, 4), "ä": torch.ones(1)}
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    file = _native.SafetensorsFile(str(path))
    assert file.tensors == {n: (NAMES[t.dtype], tuple(t.shape)) for n, t in tensors.items()}
    for name, t in tensors.items():
        assert file.bytes(name).tobytes() == t.flatten().view(torch.uint8).numpy().tobytes()


def test_bytes_outlive_the_file(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.arange(100000)}, path)
    data = _native.SafetensorsFile(str(path)).bytes("a")
    gc.collect()
    assert not data.flags.writeable
    assert torch.equal(torch.frombuffer(bytearray(data), dtype=torch.int64), torch.arange(100000))


def test_errors(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(KeyError):
        _native.SafetensorsFile(str(path)).bytes("b")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(_native.Error, match="tensor 0 ends at 8, behind its segment's end at 7"):
        _native.SafetensorsFile(str(path))
    path.write_bytes(b"\x02" + bytes(7) + b"{]")
    with pytest.raises(_native.Error, match="JSON"):
        _native.SafetensorsFile(str(path))
    with pytest.raises(_native.Error):
        _native.SafetensorsFile(str(tmp_path / "absent"))
