# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""GGUF weights that keep their own quantization."""

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type

import rushlight
from rushlight import _native
from rushlight.delegates.cpu.weights import Quantization, integers_of
from rushlight.transformers.gguf_model import _build
from rushlight.transformers.text_generation import compile_text_generation

WIDTH, HEADS, KV_HEADS, VOCABULARY, TOKENS = 256, 4, 2, 80, 24
HALVES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q8_0: [0], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
}  # fmt: skip
# Divides random halves so that weights of every type are about as large.
LARGE = {Type.Q4_K: 500, Type.Q5_K: 1000, Type.Q6_K: 1500, Type.Q8_0: 15}


def blocks(rng, kind, rows, columns):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (rows, columns // elements, size), dtype=np.uint8)
    for at in HALVES[kind]:
        scale = rng.normal(scale=0.01 / LARGE.get(kind, 1), size=data.shape[:2]).astype(np.float16)
        data[:, :, at : at + 2] = scale.view(np.uint8).reshape(*data.shape[:2], 2)
    return data.reshape(rows, -1)


def write(path, body, some, architecture="llama"):
    """A decoder whose matrices are of type `body`, values and embedding of type `some`."""
    rng = np.random.default_rng(5)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    key_width = WIDTH // HEADS * KV_HEADS
    rows = {"attn_q": WIDTH, "attn_k": key_width, "attn_v": key_width, "attn_output": WIDTH}
    rows |= {"ffn_gate": WIDTH, "ffn_up": WIDTH, "ffn_down": WIDTH}
    for name, n in rows.items():
        kind = some if name == "attn_v" else body
        writer.add_tensor(f"blk.0.{name}.weight", blocks(rng, kind, n, WIDTH), raw_dtype=kind)
        if architecture == "qwen2" and name in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(f"blk.0.{name}.bias", np.zeros(n, np.float32))
    writer.add_tensor("token_embd.weight", blocks(rng, some, VOCABULARY, WIDTH), raw_dtype=some)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def built(path, architecture="llama"):
    file = _native.GgufFile(path)
    return file, _build(file, file.metadata, architecture, torch.float32)


def error(program, ids, expected):
    got = rushlight.load(program.buffer).forward(ids.numpy(), np.arange(TOKENS))
    return abs(np.array(got).reshape(-1) - expected).max() / abs(expected).max()


KINDS = [(Type.Q4_0, Type.Q8_0), (Type.Q4_1, Type.Q6_K), (Type.Q4_K, Type.Q6_K), (Type.Q5_K, Type.Q8_0)]


@pytest.mark.parametrize("body, some", KINDS, ids=lambda k: k.name)
def test_int8_keeps_all(body, some, tmp_path):
    _, model = built(write(tmp_path / "m.gguf", body, some))
    ids = torch.randint(0, VOCABULARY, (1, TOKENS), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(ids).logits[0, -1].numpy()
    program = compile_text_generation(model, max_context_len=32, quantize="int8")
    assert {w.error for w in program.weights} == {0.0}
    assert sum(w.numbers for w in program.weights) == sum(
        p.numel() for p in model.parameters() if p.dim() == 2
    )
    assert 0 < error(program, ids, expected) < 0.04
    in_floats = Quantization("int8", activations="fp32", cache="fp32")
    assert error(compile_text_generation(model, max_context_len=32, quantize=in_floats), ids, expected) < 5e-6


def test_int4_keeps_what_has_four_bits(tmp_path):
    _, model = built(write(tmp_path / "m.gguf", Type.Q4_K, Type.Q6_K))
    program = compile_text_generation(model, max_context_len=32, quantize="int4")
    changed = {name for w in program.weights if w.error > 0 for name in w.names}
    assert len(changed) == 2
    assert all("v_proj" in name or "embed_tokens" in name for name in changed)


@pytest.mark.parametrize("architecture", ("llama", "qwen2"))
def test_rows_are_the_parameters(architecture, tmp_path):
    """Queries and keys of Llama have other rows in a GGUF."""
    file, model = built(write(tmp_path / "m.gguf", Type.Q4_1, Type.Q6_K, architecture), architecture)
    assert file.integer_form("blk.0.ffn_norm.weight") is file.integer_form("output_norm.weight") is None
    with pytest.raises(ValueError):
        file.integers("output_norm.weight")
    matrices = [p for p in model.parameters() if p.dim() == 2]
    assert len(matrices) == 8
    for p in matrices:
        stored = integers_of(p)
        rows, group = stored.read(), stored.form.group
        values = rows.codes * rows.scales.repeat_interleave(group, 1)
        if stored.form.minimum:
            values += rows.minimums.repeat_interleave(group, 1)
        assert torch.equal(values, p)
