# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What compile_text_generation says of models that it cannot compile."""

import pytest
import transformers

from rushlight.obstacles import CompileError
from rushlight.transformers.text_generation import compile_text_generation

LAYERS = {"vocab_size": 64, "num_hidden_layers": 2, "hidden_size": 32}


def test_a_model_that_its_cache_does_not_fit():
    config = transformers.WhisperConfig(
        vocab_size=64, d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=32, decoder_ffn_dim=32, max_target_positions=64,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    with pytest.raises(CompileError, match="WhisperForCausalLM does not run with a static cache") as caught:
        compile_text_generation(transformers.WhisperForCausalLM(config), max_context_len=32, max_seq_len=8)
    (obstacle,) = caught.value.obstacles
    assert obstacle.where.startswith("transformers/")


def test_a_graph_that_cannot_be_captured():
    model = transformers.MptForCausalLM(
        transformers.MptConfig(d_model=32, n_heads=4, n_layers=2, vocab_size=64, max_seq_len=32)
    )
    with pytest.raises(CompileError, match="cannot capture the model|static cache") as caught:
        compile_text_generation(model, max_context_len=32, max_seq_len=8)
    assert "modeling_mpt.py" in caught.value.obstacles[0].where


def test_a_model_whose_cache_changes_its_answers():
    config = transformers.GPTNeoConfig(
        vocab_size=64, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
        max_position_embeddings=64, window_size=8,
    )  # fmt: skip
    with pytest.raises(CompileError, match="static cache"):
        compile_text_generation(transformers.GPTNeoForCausalLM(config), max_context_len=32, max_seq_len=8)


def test_a_model_without_a_cache():
    model = transformers.MambaForCausalLM(transformers.MambaConfig(**LAYERS, state_size=8))
    with pytest.raises(ValueError, match="keeps nothing in a cache"):
        compile_text_generation(model, max_context_len=32, max_seq_len=8)
