# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A Transformers model from a GGUF file.

The architectures below are read directly (src/compiler/gguf.h): names of tensors and of settings are
translated, weights go to float32 one by one.  Others go through Transformers' own, slower reader.
"""

from __future__ import annotations

from pathlib import Path

import torch

from rushlight import _native
from rushlight.delegates.cpu.weights import IntegerForm, IntegerRows, keep_integers
from rushlight.transformers.gguf_tokenizer import gguf_assets
from rushlight.transformers.text_generation import TextAssets

# Names within a layer: GGUF's, Transformers'.
_LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
# Settings: GGUF's (after the architecture's name), the configuration's.
_SETTINGS = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
_ARCHITECTURES = ("llama", "qwen2", "qwen3")


def load_gguf(path: Path, dtype: torch.dtype) -> tuple[torch.nn.Module, TextAssets]:
    file = _native.GgufFile(str(path))
    metadata = file.metadata
    architecture = metadata.get("general.architecture")
    if architecture not in _ARCHITECTURES or _has_unknown(file, metadata, architecture):
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=dtype
        ).eval()
    else:
        model = _build(file, metadata, architecture, dtype)
    return model, gguf_assets(metadata)


def _has_unknown(file, metadata, architecture: str) -> bool:
    """Tensors or settings that the tables do not cover: experts, scaled rotary embeddings."""
    names = {name for name, _, _ in file.tensors}
    known = all(_translate(name) is not None or name == "rope_freqs.weight" for name in names)
    scaling = metadata.get(f"{architecture}.rope.scaling.type", "none")
    return not known or "rope_freqs.weight" in names or scaling != "none"


def _translate(name: str) -> str | None:
    """The name of a tensor in Transformers' state dict."""
    stem, _, kind = name.rpartition(".")
    if kind not in ("weight", "bias"):
        return None
    if stem in _TOP:
        return f"{_TOP[stem]}.{kind}"
    block, _, part = stem.partition(".")[2].partition(".")
    if stem.startswith("blk.") and part in _LAYER:
        return f"model.layers.{block}.{_LAYER[part]}.{kind}"
    return None


def _configuration(file, metadata, architecture: str):
    from transformers import AutoConfig

    settings = {
        ours: metadata[f"{architecture}.{theirs}"]
        for theirs, ours in _SETTINGS.items()
        if f"{architecture}.{theirs}" in metadata
    }
    shapes = {name: shape for name, shape, _ in file.tensors}
    settings["vocab_size"] = shapes["token_embd.weight"][0]
    settings["tie_word_embeddings"] = "output.weight" not in shapes
    theta = metadata.get(f"{architecture}.rope.freq_base")
    if theta is not None:
        settings["rope_theta"] = theta
    for name in ("bos", "eos", "padding"):
        token = metadata.get(f"tokenizer.ggml.{name}_token_id")
        if token is not None:
            settings[f"{name.replace('padding', 'pad')}_token_id"] = token
    if architecture == "llama":
        settings["attention_bias"] = "blk.0.attn_q.bias" in shapes
    return AutoConfig.for_model(architecture, **settings)


def _build(file, metadata, architecture: str, dtype: torch.dtype) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = _configuration(file, metadata, architecture)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    state, sources = {}, {}
    for name, _, _ in file.tensors:
        target = _translate(name)
        rearrange = _rows_of(target, architecture, config)
        state[target] = rearrange(torch.from_numpy(file.dequantize(name))).to(dtype)
        sources[target] = name, rearrange
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    for target, parameter in model.named_parameters():
        if target in sources:
            _keep_integers(parameter, file, *sources[target])
    _fill_buffers(model, config)
    missing = [n for n, p in model.named_parameters() if p.is_meta]
    if missing:
        raise ValueError(f"the file lacks {missing[0]} ({len(missing)} tensors in all)")
    model.generation_config = GenerationConfig.from_model_config(config)
    return model.eval()


def _keep_integers(parameter: torch.nn.Parameter, file, name: str, rearrange) -> None:
    form = file.integer_form(name)
    if form is None:
        return

    def read() -> IntegerRows:
        parts = (None if part is None else torch.from_numpy(part) for part in file.integers(name))
        return IntegerRows(*parts).rearranged(rearrange)

    keep_integers(parameter, IntegerForm(*form), read)


def _rows_of(target: str, architecture: str, config):
    """What turns a tensor's rows into those of Transformers."""
    if architecture == "llama" and "q_proj" in target:
        return lambda rows: _unpermute(rows, config.num_attention_heads)
    if architecture == "llama" and "k_proj" in target:
        return lambda rows: _unpermute(rows, config.num_key_value_heads)
    return lambda rows: rows


def _unpermute(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """GGUF stores the rows of each head of Llama's queries and keys with the two halves interleaved."""
    half = weight.shape[0] // heads // 2
    return weight.view(heads, half, 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


def _fill_buffers(model: torch.nn.Module, config) -> None:
    """Buffers that are computed from the configuration (rotary frequencies): modules on the meta device
    have them without contents."""
    for name, module in list(model.named_modules()):
        if any(b.is_meta for b in module.buffers(recurse=False)):
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], type(module)(config))
