# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The weights of a Hugging Face folder, by our own reader of safetensors (src/compiler/safetensors.h).

Files are mapped: a parameter of the type that is asked for is the file's own pages.  What is quantized is
read by quantized.py.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from rushlight import _native
from rushlight.delegates.cpu.weights import keep_integers
from rushlight.transformers.quantized import read_weights

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "U16": torch.uint16, "I16": torch.int16,
    "U32": torch.uint32, "I32": torch.int32, "U64": torch.uint64, "I64": torch.int64,
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu,
}  # fmt: skip


class Checkpoint:
    """The tensors of a folder, by name.  Raises OSError, ValueError or _native.Error for files that are
    absent or wrong."""

    def __init__(self, folder: Path):
        self._files: dict[str, _native.SafetensorsFile] = {}
        self._shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
        single = folder / _SINGLE
        shards = {single.name: None} if single.exists() else _shards(folder / _INDEX)
        for shard, names in shards.items():
            file = _native.SafetensorsFile(str(folder / shard))
            tensors = file.tensors
            for name in tensors if names is None else names:
                if name not in tensors:
                    raise ValueError(f"{folder / shard} has no tensor {name!r}, as {_INDEX} says")
                self._files[name], self._shapes[name] = file, tensors[name]

    @staticmethod
    def exists(folder: Path) -> bool:
        return (folder / _SINGLE).exists() or (folder / _INDEX).exists()

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def tensor(self, name: str) -> torch.Tensor:
        """Not to be written to: its memory is the file's."""
        kind, shape = self._shapes[name]
        dtype = _DTYPES.get(kind)
        if dtype is None:
            raise ValueError(f"{name} is of type {kind}, which is not known here")
        data = self._files[name].bytes(name)
        if data.size == 0:
            return torch.empty(shape, dtype=dtype)
        if data.ctypes.data % dtype.itemsize:
            data = data.copy()
        with warnings.catch_warnings():  # PyTorch knows no memory that is only read
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(data).view(dtype).view(shape)


def _shards(index: Path) -> dict[str, list[str]]:
    """The files that an index names, each with its tensors."""
    content = json.loads(index.read_text(encoding="utf-8"))
    where = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(where, dict):
        raise ValueError(f"{index} has no weight_map")
    shards: dict[str, list[str]] = {}
    for name, shard in where.items():
        if not isinstance(shard, str) or Path(shard).name != shard or "\0" in shard:
            raise ValueError(f"{index}: {shard!r} is no name of a file beside it")
        shards.setdefault(shard, []).append(name)
    return shards


def load_checkpoint(folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """A causal language model in eval mode, from a folder with config.json and safetensors."""
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    config = AutoConfig.from_pretrained(str(folder))
    weights = read_weights(Checkpoint(folder), getattr(config, "quantization_config", None))
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the model is a plain one now
    with torch.device("meta"):
        kind = type(AutoModelForCausalLM.from_config(config))
    model, report = kind.from_pretrained(
        None, config=config, state_dict=weights.values, dtype=dtype, output_loading_info=True
    )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(f"the checkpoint lacks {missing[0]} ({len(missing)} tensors in all)")
    for name, parameter in model.named_parameters():
        if name in weights.integers:
            keep_integers(parameter, *weights.integers[name])
    if (folder / "generation_config.json").exists():
        model.generation_config = GenerationConfig.from_pretrained(str(folder))
    return model.eval()
