# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The two names of Transformers' ExecuTorch integration, with the same signatures and errors."""

from __future__ import annotations

import inspect

import torch
from torch import nn

from rushlight.transformers.state import (
    dry_run,
    find_state,
    first_position,
    looks_ahead,
    make_cache,
    private_copy,
    takes_cache_position,
    use_own_attention,
)


class StaticCacheModule(nn.Module):
    """A causal language model with its cache as buffers, so that torch.export can capture it.

    The model given stays as it is; weights are shared.
    """

    def __init__(self, model, batch_size: int, max_cache_len: int, device=None) -> None:
        super().__init__()
        self.model = private_copy(model)
        switched = use_own_attention(self.model)
        device = model.device if device is None else device
        if looks_ahead(self.model, device):
            raise ValueError(
                f"{type(model).__name__} looks at what comes behind a token, so that it cannot generate text; "
                "if it is meant as a decoder, set is_decoder=True in its configuration"
            )
        self.static_cache = make_cache(self.model.config.get_text_config(), max_cache_len)
        dry_run(self.model, self.static_cache, batch_size, device)
        # A mask that a model makes itself would be as long as what its cache holds: data.
        whole = torch.ones(batch_size, max_cache_len, dtype=torch.long, device=device)
        self.register_buffer("_mask", None if switched else whole, persistent=False)
        self._takes_cache_position = takes_cache_position(self.model)
        self._takes_position_ids = "position_ids" in inspect.signature(self.model.forward).parameters
        self._first_position = first_position(self.model)
        self._state = []
        for state, tensor in find_state(self.static_cache):
            self.register_buffer(state.buffer, torch.zeros_like(tensor), persistent=False)
            self._state.append(state)
            flags = getattr(state.layer, "has_previous_state", None)
            if isinstance(flags, dict):  # several tokens then go the same way as one
                for key in flags:
                    flags[key] = True
        if all(s.is_counter for s in self._state):
            raise ValueError(
                f"{type(model).__name__} keeps nothing in a cache, so that it cannot take a text in parts"
            )
        self._bind()

    def _bind(self) -> None:
        """Makes the cache's tensors the buffers, whatever moved or replaced them."""
        for state in self._state:
            state.bind(getattr(self, state.buffer))

    def clear(self) -> None:
        """Forgets what was run."""
        for state in self._state:
            getattr(self, state.buffer).zero_()

    @property
    def can_rewind(self) -> bool:
        """Whether generation can go back to an earlier position: state of keys and values only."""
        return all(s.is_counter or s.is_positional for s in self._state)

    def run(self, cache_position: torch.Tensor, **arguments):
        """The model's outputs for tokens at cache_position int64 [S], consecutive.  Position 0 begins a
        new sequence."""
        if not torch.compiler.is_dynamo_compiling():
            self._bind()
        for state in self._state:
            if state.is_counter:
                getattr(self, state.buffer).copy_(cache_position[0])
            elif not state.is_positional:
                buffer = getattr(self, state.buffer)
                buffer.mul_((cache_position[0] > 0).to(buffer.dtype))
        if self._takes_cache_position:
            arguments["cache_position"] = cache_position
        if self._takes_position_ids:  # what a model would else count itself, some of them in a slice of data
            first = self._first_position
            arguments["position_ids"] = (cache_position + first if first else cache_position).unsqueeze(0)
        return self.model(
            attention_mask=self._mask, past_key_values=self.static_cache, use_cache=True, **arguments
        )


class TorchExportableModuleWithStaticCache(StaticCacheModule):
    """Takes (input_ids [B, S], cache_position [S]) and gives logits [B, S, V] (or the last hidden state
    of a model without a head).  batch_size, max_cache_len and device default to the entries of
    `generation_config.cache_config`.

    Raises AssertionError where the generation config does not ask for a static cache, ValueError where
    a size is missing.
    """

    def __init__(
        self,
        model,
        batch_size: int | None = None,
        max_cache_len: int | None = None,
        device: torch.device | None = None,
    ) -> None:
        generation_config = model.generation_config
        if generation_config is None:
            raise AssertionError(
                "The model must have a generation config to be exported with static caching. "
                "Please set `generation_config` in `model`."
            )
        if not generation_config.use_cache:
            raise AssertionError(
                "The model must have caching enabled to be exported with static caching. "
                "Please set `generation_config.use_cache=True`."
            )
        if generation_config.cache_implementation != "static":
            raise AssertionError(
                "The model must use a 'static' caching implementation to be exported with static caching. "
                "Please set `generation_config.cache_implementation='static'`."
            )
        defaults = generation_config.cache_config or {}
        batch_size = defaults.get("batch_size") if batch_size is None else batch_size
        if batch_size is None:
            raise ValueError("batch_size must be provided, either as an argument or in cache_config.")
        max_cache_len = defaults.get("max_cache_len") if max_cache_len is None else max_cache_len
        if max_cache_len is None:
            raise ValueError("max_cache_len must be provided, either as an argument or in cache_config.")
        super().__init__(
            model, batch_size, max_cache_len, defaults.get("device") if device is None else device
        )

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        cache_position: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """input_ids int64 [B, S] or inputs_embeds [B, S, D]; cache_position int64 [S], consecutive: where
        in the cache these tokens go."""
        outputs = self.run(cache_position, input_ids=input_ids, inputs_embeds=inputs_embeds)
        return outputs.logits if hasattr(outputs, "logits") else outputs.last_hidden_state

    @staticmethod
    def generate(
        exported_program: torch.export.ExportedProgram,
        prompt_token_ids: torch.Tensor,
        max_new_tokens: int,
    ) -> torch.Tensor:
        """Greedy decoding with an exported program that takes one token at a time.  prompt_token_ids
        int64 [1, n]; returns int64 [1, n + generated], the prompt included; stops where the cache is
        full."""
        run = exported_program.module()
        length = min(
            (b.shape[2] for name, b in run.named_buffers() if name.startswith("key_cache")),
            default=None,
        )
        ids = prompt_token_ids.flatten().tolist()
        last = len(ids) + max_new_tokens
        position = 0
        while position < len(ids) < last + 1 and (length is None or position < length):
            logits = run(input_ids=torch.tensor([[ids[position]]]), cache_position=torch.tensor([position]))
            position += 1
            if position == len(ids):
                if len(ids) == last:
                    break
                ids.append(int(logits[0, -1].argmax()))
        return torch.tensor([ids], dtype=torch.long)


def convert_and_export_with_cache(
    model,
    example_input_ids: torch.Tensor | None = None,
    example_cache_position: torch.Tensor | None = None,
    dynamic_shapes: dict | None = None,
    strict: bool | None = None,
) -> torch.export.ExportedProgram:
    """Exports a causal language model with a static cache.  The examples default to one token at position
    0; dynamic_shapes is a dict by `input_ids` and `cache_position`, as torch.export takes it."""
    if example_input_ids is None:
        example_input_ids = torch.tensor([[1]], dtype=torch.long, device=model.device)
    if example_cache_position is None:
        example_cache_position = torch.tensor([0], dtype=torch.long, device=model.device)
    with torch.no_grad():
        return torch.export.export(
            TorchExportableModuleWithStaticCache(model),
            args=(),
            kwargs={"input_ids": example_input_ids, "cache_position": example_cache_position},
            dynamic_shapes=dynamic_shapes,
            strict=True if strict is None else strict,
        )
