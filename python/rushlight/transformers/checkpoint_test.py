# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Folders with safetensors against what Transformers makes of them."""

import json
import os

import pytest
import torch
import transformers as T
from safetensors.torch import load_file, save_file

from rushlight import _native
from rushlight.transformers.checkpoint import Checkpoint, load_checkpoint
from rushlight.transformers.loading import load_text_model

IDS = torch.arange(8)[None]


def tiny(**options) -> T.LlamaForCausalLM:
    torch.manual_seed(0)
    config = T.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, **options,
    )  # fmt: skip
    return T.LlamaForCausalLM(config).eval()


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("shard", ["1GB", "20KB"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16])
def test_same_as_transformers(tmp_path, shard, tied, stored, wanted):
    model = tiny(tie_word_embeddings=tied).to(stored)
    model.generation_config.eos_token_id = 7
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert (tmp_path / "model.safetensors").exists() == (shard == "1GB")
    expected = T.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=wanted).eval()
    got = load_checkpoint(tmp_path, wanted)
    assert got.dtype == wanted and not got.training and got.generation_config.eos_token_id == 7
    assert (got.lm_head.weight is got.model.embed_tokens.weight) == tied
    for (name, a), (_, b) in zip(got.named_parameters(), expected.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(logits(got), logits(expected))


def test_weights_stay_in_the_file(tmp_path):
    tiny().save_pretrained(tmp_path)
    weight = load_checkpoint(tmp_path, torch.float32).model.layers[1].mlp.up_proj.weight
    maps = [line.split() for line in open("/proc/self/maps") if "model.safetensors" in line]
    ranges = [
        [int(x, 16) for x in m[0].split("-")] for m in maps if m[5] == str(tmp_path / "model.safetensors")
    ]
    assert any(low <= weight.data_ptr() < high for low, high in ranges)


def test_any_alignment(tmp_path):
    save_file({"a": torch.arange(4), "b": torch.zeros(1, dtype=torch.int8)}, tmp_path / "model.safetensors")
    data = (tmp_path / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    (tmp_path / "model.safetensors").write_bytes(
        (size + 1).to_bytes(8, "little") + data[8 : 8 + size] + b" " + data[8 + size :]
    )
    assert torch.equal(Checkpoint(tmp_path).tensor("a"), torch.arange(4))


def test_what_is_no_model_is_not_taken_for_a_name(tmp_path):
    text = tmp_path / "README.md"
    text.write_text("# A model")
    for path, what in (
        (tmp_path / "nowhere", "there is no"),
        (tmp_path / "nowhere.gguf", "there is no"),
        (tmp_path, "no config.json"),
        (text, "does not end in .gguf"),
    ):
        with pytest.raises((ValueError, OSError), match=what):
            load_text_model(path)


def test_wrong_folders(tmp_path):
    tiny().save_pretrained(tmp_path, max_shard_size="20KB")
    index = tmp_path / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    where = content["weight_map"]
    shard = where["lm_head.weight"]
    for wrong in ("../" + shard, "/etc/passwd", "", ".", "..", "a\0b", 1, None):
        where["lm_head.weight"] = wrong
        index.write_text(json.dumps(content))
        with pytest.raises((ValueError, _native.Error)):
            Checkpoint(tmp_path)
    where["lm_head.weight"] = next(s for s in where.values() if s != shard)
    index.write_text(json.dumps(content))
    with pytest.raises((ValueError, _native.Error)):
        Checkpoint(tmp_path)
    for wrong in ([], {}, {"weight_map": []}):
        index.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match="weight_map"):
            Checkpoint(tmp_path)


def test_a_checkpoint_that_lacks_something(tmp_path):
    tiny().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    os.remove(path)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="lacks model.layers.1.mlp.up_proj.weight"):
        load_text_model(tmp_path)
