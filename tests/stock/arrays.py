# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Calls in a file that two Python environments exchange: .npz, an entry for each argument.

The entry's name is call.position.dtype; NumPy has no bfloat16, so its bits travel as int16.  Tensors in
the order of channels_last are marked so.  What is no tensor is text, in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch

# The dimensions as they lie in memory, for a rank.
_ORDERS = {"contiguous": lambda rank: list(range(rank)), "channels_last": lambda rank: [0, 2, 3, 1]}


def _layout(tensor: torch.Tensor) -> str:
    last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return "channels_last" if last else "contiguous"


def save_calls(path, calls: Sequence[Sequence]) -> None:
    """`calls`: flat lists of tensors, numbers, texts and None."""
    entries = {}
    for i, call in enumerate(calls):
        for j, value in enumerate(call):
            if isinstance(value, torch.Tensor):
                dtype = str(value.dtype).removeprefix("torch.")
                layout = "contiguous" if value.is_contiguous() else _layout(value)
                value = value.detach().permute(_ORDERS[layout](value.dim())).contiguous()
                entries[f"{i}.{j}.{dtype}.{layout}"] = (
                    value.view(torch.int16) if dtype == "bfloat16" else value
                ).numpy()
            else:
                entries[f"{i}.{j}.json."] = np.array(json.dumps(value))
    np.savez(path, count=np.array(len(calls)), **entries)


def load_calls(path) -> list[list]:
    with np.load(path) as file:
        entries = {tuple(k.split(".")): file[k] for k in file.files if k != "count"}
        calls = [[] for _ in range(int(file["count"]))]
    for (i, _, dtype, layout), value in sorted(entries.items(), key=lambda e: (int(e[0][0]), int(e[0][1]))):
        if dtype == "json":
            calls[int(i)].append(json.loads(str(value)))
        else:
            tensor = torch.from_numpy(value.copy())
            tensor = tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor
            order = _ORDERS[layout](tensor.dim())
            calls[int(i)].append(tensor.permute([order.index(d) for d in range(tensor.dim())]))
    return calls
