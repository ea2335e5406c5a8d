# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""That llama.cpp computes what Transformers does with a small model of each architecture of shape_gguf.py."""

import numpy as np
import participants
import pytest
import torch
import transformers
from shape_gguf import write_gguf

SHAPES = {
    "LlamaConfig": {"num_key_value_heads": 2},
    "Qwen2Config": {"num_key_value_heads": 2},
    "Gemma3TextConfig": {"num_key_value_heads": 1, "head_dim": 256, "sliding_window": 8},
}


@pytest.mark.skipif(not participants.bench_python("llamacpp").exists(), reason="llama.cpp is not set up")
@pytest.mark.parametrize("kind", SHAPES)
def test_predictions_are_those_of_transformers(kind, tmp_path):
    torch.manual_seed(0)
    config = getattr(transformers, kind)(
        vocab_size=128,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=7,
        num_attention_heads=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.08,
        **SHAPES[kind],
    )
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("norm.weight", "bias")):
            torch.nn.init.normal_(parameter, 1.5, 0.5)
    model.save_pretrained(tmp_path)
    tokens = list(range(3, 35))
    with torch.no_grad():
        expected = torch.log_softmax(model.float()(torch.tensor([tokens])).logits[0].double(), -1)
    original = tmp_path / "original.npy"
    np.save(original, expected[:-1].float().numpy())
    write_gguf(tmp_path, tmp_path / "model.gguf")
    python = participants.bench_python("llamacpp")
    engine = participants.Participant("", "llamacpp", python, tmp_path / "model.gguf", {"context": 64})
    with engine.start(1, "--score") as child:
        score = child.ask(op="score", tokens=tokens, original=str(original))
    assert score["divergence"] / (len(tokens) - 1) < 1e-2
    assert float((expected.exp() * expected).sum(-1).mean()) > -4  # they are not all alike
