# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A folder of Hugging Face's as GGUF, in its own 16 bits and without a tokenizer: what llama.cpp makes its types of
where a model is a shape with random weights (bench/shapes.py)."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import torch
from safetensors.torch import load_file

# The architecture, by the configuration's model_type.
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
}


def _rope_theta(config: dict) -> float:
    of = config.get("rope_parameters") or {}
    of = of.get("full_attention", of)
    return of.get("rope_theta") or config["rope_theta"]


def write_gguf(folder: Path, target: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = config["model_type"]
    arch, layers = ARCHITECTURES[kind], config["num_hidden_layers"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(_rope_theta(config))
    if kind == "gemma3_text":
        writer.add_sliding_window(config["sliding_window"])
    writer.add_tokenizer_model("none")

    names = gguf.get_tensor_name_map(arch, layers)
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            if kind == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
                # Halves that rotate together lie side by side there.
                count = heads if "q_proj" in name else kv_heads
                halves = tensor.reshape(count, 2, width // 2, -1)
                tensor = halves.swapaxes(1, 2).reshape(tensor.shape)
            if kind == "gemma3_text" and name.endswith("norm.weight"):
                tensor = tensor.float() + 1
            target_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if tensor.ndim == 1:
                writer.add_tensor(target_name, tensor.float().numpy())
                continue
            bits = tensor.bfloat16().contiguous().view(torch.uint8).numpy()
            writer.add_tensor(target_name, bits, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
