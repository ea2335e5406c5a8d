# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Calls in a file that two Python environments exchange: .npz, an entry for each argument.

The entry's name is call.position.dtype; NumPy has no bfloat16, so its bits travel as int16.  What is no
tensor is text, in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch


def save_calls(path, calls: Sequence[Sequence]) -> None:
    """`calls`: flat lists of tensors, numbers, texts and None."""
    entries = {}
    for i, call in enumerate(calls):
        for j, value in enumerate(call):
            if isinstance(value, torch.Tensor):
                dtype = str(value.dtype).removeprefix("torch.")
                value = value.detach().contiguous()
                entries[f"{i}.{j}.{dtype}"] = (
                    value.view(torch.int16) if dtype == "bfloat16" else value
                ).numpy()
            else:
                entries[f"{i}.{j}.json"] = np.array(json.dumps(value))
    np.savez(path, count=np.array(len(calls)), **entries)


def load_calls(path) -> list[list]:
    with np.load(path) as file:
        entries = {tuple(k.split(".")): file[k] for k in file.files if k != "count"}
        calls = [[] for _ in range(int(file["count"]))]
    for (i, _, dtype), value in sorted(entries.items(), key=lambda e: (int(e[0][0]), int(e[0][1]))):
        if dtype == "json":
            calls[int(i)].append(json.loads(str(value)))
        else:
            tensor = torch.from_numpy(value.copy())
            calls[int(i)].append(tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor)
    return calls
