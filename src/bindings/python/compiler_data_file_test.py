# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Data files (.ptd) from Python."""

import numpy as np
import pytest
from rushlight import _native

FLOAT32, INT8 = 6, 1


def build(tmp_path=None):
    builder = _native.DataFileBuilder()
    weight = np.arange(6, dtype=np.float32)
    builder.add_tensor("weight", weight.ctypes.data, weight.nbytes, weight, FLOAT32, [2, 3], [1, 0])
    row = np.array([-1, 2], dtype=np.int8)
    builder.add_tensor("größe", row.ctypes.data, row.nbytes, row, INT8, [2])
    builder.add_bytes("packed", b"hello", 64)
    del weight, row  # the builder keeps them
    return builder


def test_round_trip(tmp_path):
    data = build().to_bytes()
    entries = _native.data_file_entries(data)
    # In ascending order of keys, as readers bisect them.
    assert [(e[0], *e[2:]) for e in entries] == [
        ("größe", 2, INT8, [2], [0]),
        ("packed", 5, None, [], []),
        ("weight", 24, FLOAT32, [2, 3], [1, 0]),
    ]
    contents = [data[offset : offset + size] for _, offset, size, *_ in entries]
    assert contents[:2] == [b"\xff\x02", b"hello"]
    assert np.array_equal(np.frombuffer(contents[2], np.float32), np.arange(6))
    assert all(offset % 128 == 0 for _, offset, *_ in entries)

    path = tmp_path / "x.ptd"
    build().write_file(str(path))
    assert path.read_bytes() == data
    assert _native.data_file_entries(np.memmap(path, mode="r")) == entries


def test_refused(tmp_path):
    data = build().to_bytes()
    for broken in (b"", data[:100], data[:-1], b"\0" + data[1:]):
        with pytest.raises(_native.Error):
            _native.data_file_entries(broken)
    with pytest.raises(_native.Error):
        build().write_file(str(tmp_path / "no" / "folder.ptd"))
    with pytest.raises(ValueError):
        _native.DataFileBuilder(100)
    builder = _native.DataFileBuilder()
    with pytest.raises(ValueError):
        builder.add_bytes("x", b"", 3)
    with pytest.raises(ValueError):
        builder.add_tensor("x", 0, 0, builder, 30, [0])
