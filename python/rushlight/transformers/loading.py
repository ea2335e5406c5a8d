# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Reading models for export: Hugging Face folders and GGUF files, by our own readers."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from rushlight.transformers.text_generation import TextAssets


def load_text_model(path, dtype: str = "float32") -> tuple[torch.nn.Module, TextAssets]:
    """A causal language model in eval mode, and its tokenizer and chat template.  `path`: a folder with
    config.json and weights, a GGUF file, or a name that Transformers resolves.

    Raises OSError or ValueError where there is no such model.
    """
    path = Path(path)
    _check_path(path)
    torch_dtype = getattr(torch, dtype)
    if path.suffix == ".gguf":
        from rushlight.transformers.gguf_model import load_gguf

        return load_gguf(path, torch_dtype)
    from rushlight.transformers.checkpoint import Checkpoint, load_checkpoint

    if Checkpoint.exists(path) and not _is_torchao(path):
        return load_checkpoint(path, torch_dtype), read_assets(path)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(path), dtype=torch_dtype)
    return model.to(torch_dtype).eval(), read_assets(path)  # torchao's weights keep their own otherwise


def _check_path(path: Path) -> None:
    """Says what is wrong with a path, which Transformers would take for a model's name."""
    wanted = "expected the folder of a Transformers model, or a GGUF file"
    if path.is_dir() and not (path / "config.json").exists():
        raise FileNotFoundError(f"there is no config.json in {path}: {wanted}")
    if path.exists() and not path.is_dir() and path.suffix != ".gguf":
        raise ValueError(f"{path} does not end in .gguf: {wanted}")
    if not path.exists() and (path.is_absolute() or len(path.parts) > 2 or path.suffix == ".gguf"):
        raise FileNotFoundError(f"there is no {path}: {wanted}")


def _is_torchao(folder: Path) -> bool:
    """Whether torchao has quantized the weights: then it makes them, and they say in the graph what they
    mean."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # whoever reads the folder says what is wrong
    settings = config.get("quantization_config") if isinstance(config, dict) else None
    return isinstance(settings, dict) and settings.get("quant_method") == "torchao"


def read_assets(folder: Path) -> TextAssets:
    """tokenizer.json, tokenizer_config.json and the chat template of a folder, as far as they are there."""
    assets = TextAssets()
    tokenizer = folder / "tokenizer.json"
    if tokenizer.exists():
        assets.tokenizer = tokenizer.read_bytes()
    config = folder / "tokenizer_config.json"
    if config.exists():
        assets.tokenizer_config = json.loads(config.read_text(encoding="utf-8"))
    template = folder / "chat_template.jinja"
    if template.exists():
        assets.chat_template = template.read_text(encoding="utf-8")
    elif assets.tokenizer_config is not None:
        assets.chat_template = _template(assets.tokenizer_config.pop("chat_template", None))
    return assets


def _template(value) -> str | None:
    """One template, or the default one of several."""
    if isinstance(value, list):
        by_name = {t["name"]: t["template"] for t in value}
        return by_name.get("default") or next(iter(by_name.values()), None)
    return value
