# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
import pytest
import torch
import transformers
from compiler_testing import Wrap, check

BEFORE_5 = int(transformers.__version__.split(".")[0]) < 5


@pytest.mark.parametrize("low, high, bins", ((0, 3, 4), (-1.5, 2.5, 7), (0, 1, 1)))
def test_histc(low, high, bins):
    edges = torch.linspace(low - 1, high + 1, 41)
    values = torch.cat([edges, torch.tensor([low, high, float("inf"), -float("inf")], dtype=torch.float32)])
    check(Wrap(lambda x: torch.histc(x, bins=bins, min=low, max=high)), (values,))


@pytest.mark.skipif(BEFORE_5, reason="experts of Transformers 4 choose their rows by data")
@pytest.mark.parametrize("name", ("Mixtral", "Qwen3Moe"))
def test_mixture_of_experts(name):
    config = getattr(transformers, f"{name}Config")(
        vocab_size=32, hidden_size=16, intermediate_size=24, moe_intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_local_experts=4, num_experts=4,
        num_experts_per_tok=2, use_cache=False, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)

    def logits(ids):
        return model(ids).last_hidden_state

    wrapped = Wrap(logits)
    wrapped.model = model
    n = torch.export.Dim("n", min=2, max=16)
    calls = [(torch.randint(3, 32, (1, length)),) for length in (7, 2, 16)]
    check(wrapped, *calls, dynamic_shapes=({1: n},))
