# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A model's state, found by running it once.

Transformers keeps what a generation remembers in a Cache: keys and values, but also convolution and
recurrent states, counters.  Which tensors those are, and of what shapes, depends on the model.  So the
model is run on a few tokens with a static cache, and every tensor that its layers then hold becomes a
buffer of the wrapping module.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from rushlight.transformers import attention

# Names of buffers, as Transformers' own wrapper gives them.
_BUFFER_NAMES = {"keys": "key_cache", "values": "value_cache"}


@dataclass
class StateTensor:
    """One tensor of a cache layer: where it is, and the buffer it became."""

    layer: object
    attribute: str
    key: object  # of a dict attribute, else None
    buffer: str

    def bind(self, tensor: torch.Tensor) -> None:
        if self.key is None:
            setattr(self.layer, self.attribute, tensor)
        else:
            getattr(self.layer, self.attribute)[self.key] = tensor

    @property
    def is_counter(self) -> bool:
        return self.attribute == "cumulative_length"

    @property
    def is_positional(self) -> bool:
        """Keys and values: every slot is written before it is read.  Other state must be cleared when a
        generation begins."""
        return self.attribute in ("keys", "values")


def private_copy(model: nn.Module) -> nn.Module:
    """A copy of a model that shares its weights, and nothing else: its configuration can be changed."""
    tensors = [*model.parameters(), *model.buffers()]
    memo = {id(t): t for t in tensors}
    memo.update({id(t.data): t.data for t in tensors})
    return copy.deepcopy(model, memo)


def use_own_attention(model: nn.Module) -> bool:
    """Switches a (private) model to the attention of attention.py, where it lets itself be switched; whether it
    does."""
    name, switched = attention.register(), False
    for module in model.modules():
        if getattr(module, "_supports_attention_backend", False) and hasattr(module, "config"):
            for config in (module.config, module.config.get_text_config()):
                config._attn_implementation = name
            switched = True
    return switched


def make_cache(config, max_cache_len: int):
    """A StaticCache all of whose layers keep max_cache_len positions.  Layers with a sliding window are
    replaced by full ones: the mask applies the window, and positions stay what they are."""
    from transformers import StaticCache
    from transformers.cache_utils import StaticLayer

    cache = StaticCache(config=config, max_cache_len=max_cache_len)
    for i, layer in enumerate(cache.layers):
        if type(layer) is StaticLayer:
            continue
        if isinstance(layer, StaticLayer):
            cache.layers[i] = StaticLayer(max_cache_len)
        elif type(layer).__name__ == "DummyLayer":  # shares another layer's keys; never read
            cache.layers[i] = StaticLayer(0)
    return cache


def dry_run(model: nn.Module, cache, batch_size: int, device) -> None:
    """Lets every layer of the cache make its tensors."""
    tokens = 3
    arguments = {
        "input_ids": torch.zeros(batch_size, tokens, dtype=torch.long, device=device),
        "past_key_values": cache,
        "use_cache": True,
    }
    if takes_cache_position(model):
        arguments["cache_position"] = torch.arange(tokens, device=device)
    with torch.no_grad():
        model(**arguments)


def looks_ahead(model: nn.Module, device) -> bool:
    """Whether a token's output depends on those behind it, as in encoders whose configuration says that they are
    no decoders.  (Transformers 4 says so of all models, so that it is tried.)"""
    if getattr(model.config.get_text_config(), "is_decoder", None) is not False:
        return False
    training = model.training
    model.eval()
    with torch.no_grad():
        outputs = model(input_ids=torch.tensor([[0, 0, 0], [0, 0, 1]], device=device), use_cache=False)
    model.train(training)
    one, other = (outputs.logits if hasattr(outputs, "logits") else outputs.last_hidden_state)[:, 0].float()
    return not torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


def first_position(model: nn.Module) -> int:
    """The number that a model gives to its first token.  RoBERTa's count from behind the one of padding."""
    for name, module in model.named_modules():
        if name.endswith(".position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return module.padding_idx + 1
    return 0


def takes_cache_position(model: nn.Module) -> bool:
    """Transformers 4 passes positions to the model; 5 counts them in the cache."""
    return "cache_position" in inspect.signature(model.forward).parameters


def find_state(cache) -> Iterator[tuple[StateTensor, torch.Tensor]]:
    """Every tensor that the layers of a cache hold, in a fixed order."""
    for i, layer in enumerate(cache.layers):
        for attribute, value in sorted(vars(layer).items()):
            name = f"{_BUFFER_NAMES.get(attribute, attribute)}_{i}"
            if isinstance(value, torch.Tensor):
                yield StateTensor(layer, attribute, None, name), value
            elif isinstance(value, dict):
                for key, item in value.items():
                    if isinstance(item, torch.Tensor):
                        suffix = "" if len(value) == 1 else f"_{key}"
                        yield StateTensor(layer, attribute, key, name + suffix), item
