# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A causal language model as a program that generates text.

The program has the signature and the metadata methods that ExecuTorch's LLM runner looks for, and carries
what a chat needs beside the weights: tokenizer, chat template, generation settings.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass

import torch

from rushlight import _native
from rushlight.compiler import capture, own_partitioners
from rushlight.obstacles import CompileError, Obstacle, raised_at
from rushlight.program import (
    ExecutorchBackendConfig,
    ExecutorchProgramManager,
    to_edge_transform_and_lower,
)
from rushlight.transformers.state import first_position
from rushlight.transformers.static_cache import StaticCacheModule

# Keys of named data; stock ExecuTorch ignores them.
TOKENIZER = "rushlight.tokenizer"
TOKENIZER_CONFIG = "rushlight.tokenizer_config.json"
CHAT_TEMPLATE = "rushlight.chat_template.jinja"
GENERATION_CONFIG = "rushlight.generation_config.json"


@dataclass
class TextAssets:
    """What turns text into tokens and back: the contents of tokenizer.json, of tokenizer_config.json and
    of the chat template."""

    tokenizer: bytes | None = None
    tokenizer_config: dict | None = None
    chat_template: str | None = None


class TextGenerationModule(StaticCacheModule):
    """(input_ids int64 [1, S], cache_position int64 [S]) -> logits [1, 1, V] of the last token, or of
    all S."""

    def __init__(self, model, max_context_len: int, all_logits: bool = False) -> None:
        super().__init__(model, 1, max_context_len)
        self._all_logits = all_logits
        parameters = inspect.signature(self.model.forward).parameters
        self._keeps_logits = "logits_to_keep" in parameters

    def forward(self, input_ids: torch.Tensor, cache_position: torch.Tensor) -> torch.Tensor:
        keep = {} if self._all_logits or not self._keeps_logits else {"logits_to_keep": 1}
        logits = self.run(cache_position, input_ids=input_ids, **keep).logits
        return logits if self._all_logits or keep else logits[:, -1:]


def export_text_generation(module: TextGenerationModule, max_seq_len: int) -> torch.export.ExportedProgram:
    """The graph of calls with 1 to `max_seq_len` tokens."""
    length = min(3, max_seq_len)
    tokens = torch.export.Dim("tokens", min=1, max=max_seq_len) if max_seq_len > 1 else None
    inputs = {"input_ids": torch.zeros(1, length, dtype=torch.long), "cache_position": torch.arange(length)}
    shapes = {"input_ids": {1: tokens}, "cache_position": {0: tokens}} if tokens else None
    return capture(module, (), inputs, shapes)


def compile_text_generation(
    model,
    *,
    max_context_len: int | None = None,
    max_seq_len: int | None = None,
    all_logits: bool = False,
    assets: TextAssets | None = None,
    backend: str | None = None,
    quantize=None,
    config: ExecutorchBackendConfig | None = None,
    progress=lambda what: None,
) -> ExecutorchProgramManager:
    """Compiles a Transformers causal language model.

    max_context_len   positions of the cache; default: the model's, 2048 at most
    max_seq_len       most tokens of one call; default 512, or the context
    all_logits        logits of every token instead of the last one only (metadata get_logits_to_keep: 0, 1)
    backend, quantize    as rushlight.compile takes them
    """
    text_config = model.config.get_text_config()
    limit = getattr(text_config, "max_position_embeddings", None) or 2048
    limit -= first_position(model)
    max_context_len = min(limit, 2048) if max_context_len is None else max_context_len
    max_seq_len = min(512, max_context_len) if max_seq_len is None else min(max_seq_len, max_context_len)
    progress("finding the model's state")
    module = _with_cache(model.eval(), max_context_len, all_logits)
    progress("capturing the graph")
    exported = export_text_generation(module, max_seq_len)
    progress("lowering")
    edge = to_edge_transform_and_lower(
        exported,
        partitioner=own_partitioners(backend, quantize),
        constant_methods={
            **metadata(model, max_context_len, max_seq_len, all_logits),
            "get_can_rewind": module.can_rewind,
        },
        named_data=named_data(model, assets or TextAssets()),
    )
    progress("planning and emitting")
    return edge.to_executorch(config)


def _with_cache(model, max_context_len: int, all_logits: bool) -> TextGenerationModule:
    """Raises CompileError for what Transformers says of models that its static cache does not fit."""
    try:
        module = TextGenerationModule(model, max_context_len, all_logits)
        same = _is_same_in_parts(module, model, max_context_len)
    except Exception as error:
        place = raised_at(error)
        if not place:  # by us
            raise
        what = f"{type(model).__name__} does not run with a static cache: {type(error).__name__}: {error}"
        raise CompileError([Obstacle(what, place)]) from error
    if not same:
        what = f"{type(model).__name__} gives other logits with a static cache than without one"
        raise CompileError(
            [Obstacle(what, advice="this is how Transformers has the model: it needs a mend there")]
        )
    return module


def _is_same_in_parts(module: TextGenerationModule, model, max_context_len: int) -> bool:
    """Whether a text in two parts, with the cache, has the logits that the model gives to the whole."""
    count = min(5, max_context_len)
    ids = torch.arange(1, count + 1)[None] % model.config.get_text_config().vocab_size
    positions = torch.arange(count)
    with torch.no_grad():
        whole = model(input_ids=ids, use_cache=False).logits[0, -1].float()
        first = count // 2
        if first > 0:
            module(ids[:, :first], positions[:first])
        parts = module(ids[:, first:], positions[first:])[0, -1].float()
        module.clear()
    tolerance = 0.02 if model.dtype == torch.float32 else 0.2  # the others round
    return bool((parts - whole).abs().max() <= tolerance * whole.abs().max())


def metadata(model, max_context_len: int, max_seq_len: int, all_logits: bool) -> dict[str, object]:
    """Constant methods under the names of ExecuTorch's LLM runner, and `get_logits_to_keep` as
    Transformers names it: 1, the last token's; 0, all."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    methods = {
        "get_max_seq_len": max_seq_len,
        "get_max_context_len": max_context_len,
        "get_vocab_size": config.vocab_size,
        "get_n_layers": config.num_hidden_layers,
        "get_n_kv_heads": getattr(config, "num_key_value_heads", None) or heads,
        "get_head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads,
        "get_dtype": {torch.float16: 5, torch.float32: 6, torch.bfloat16: 15}.get(model.dtype, 6),
        "get_max_batch_size": 1,
        "get_logits_to_keep": 0 if all_logits else 1,
        "use_kv_cache": True,
        "use_sdpa_with_kv_cache": False,
        "enable_dynamic_shape": max_seq_len > 1,
    }
    generation = getattr(model, "generation_config", None)
    for name, attribute in (("get_bos_id", "bos_token_id"), ("get_eos_ids", "eos_token_id")):
        value = getattr(generation, attribute, None)
        value = getattr(config, attribute, None) if value is None else value
        if value is not None:
            methods[name] = value
    if methods.get("get_eos_ids") is not None and not isinstance(methods["get_eos_ids"], list):
        methods["get_eos_ids"] = [methods["get_eos_ids"]]
    return methods


def named_data(model, assets: TextAssets) -> dict[str, bytes]:
    data = {}
    if assets.tokenizer:
        data[TOKENIZER] = _native.compile_tokenizer(assets.tokenizer)
    if assets.tokenizer_config:
        data[TOKENIZER_CONFIG] = json.dumps(assets.tokenizer_config).encode()
    if assets.chat_template:
        data[CHAT_TEMPLATE] = assets.chat_template.encode()
    generation = getattr(model, "generation_config", None)
    if generation is not None:
        data[GENERATION_CONFIG] = json.dumps(generation.to_diff_dict(), default=str).encode()
    return data
