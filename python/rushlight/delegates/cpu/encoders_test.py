# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Encoders on the CPU delegate against eager: few pieces, any batch and length, padding."""

import numpy as np
import pytest
import torch
import transformers as T
from torch.utils._pytree import tree_leaves

import rushlight
from rushlight.delegates.backend import call_delegate

SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
TEXT = dict(**SMALL, vocab_size=99, max_position_embeddings=96, pad_token_id=0)
PICTURE = dict(**SMALL, image_size=32, patch_size=8)
TOKENS = dict(bos_token_id=1, eos_token_id=2)
T5 = dict(vocab_size=99, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, use_cache=False)
WHISPER = dict(
    vocab_size=99, num_mel_bins=8, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=20, pad_token_id=0,
    decoder_start_token_id=1, use_cache=False, **TOKENS,
)  # fmt: skip
ENCODERS = {  # name: (model, pieces)
    "bert": (lambda: T.BertModel(T.BertConfig(**TEXT)), 2),  # a pooler, of each text's first row
    "distilbert": (lambda: T.DistilBertModel(T.DistilBertConfig(
        vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64)), 1),
    "roberta": (lambda: T.RobertaModel(T.RobertaConfig(**TEXT), add_pooling_layer=False), 1),
    "electra": (lambda: T.ElectraModel(T.ElectraConfig(**TEXT, embedding_size=16)), 1),
    "modernbert": (lambda: T.ModernBertModel(T.ModernBertConfig(
        **TEXT, local_attention=8, cls_token_id=1, sep_token_id=2, **TOKENS)), None),
    "t5": (lambda: T.T5EncoderModel(T.T5Config(**T5)), 1),
    "clip": (lambda: T.CLIPTextModel(T.CLIPTextConfig(**TEXT, hidden_act="quick_gelu", **TOKENS)), 1),
}  # fmt: skip
PICTURES = {  # patches are rows of another number
    "vit": (lambda: T.ViTModel(T.ViTConfig(**PICTURE), add_pooling_layer=False), 2),
    "dinov2": (lambda: T.Dinov2Model(T.Dinov2Config(**PICTURE)), 2),
    "clip": (lambda: T.CLIPVisionModel(T.CLIPVisionConfig(**PICTURE)), 2),
}


def make(factory):
    torch.manual_seed(1)
    model = factory().eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.std() == 0 or p.numel() == 1:
                p.add_(0.1 * torch.randn_like(p))
    return model


def text(batch, length, seed=2):
    """Token numbers, and a mask that leaves at least one of each text."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 99, (batch, length), generator=random)
    left = torch.randint(1, length + 1, (batch, 1), generator=random)
    return {"input_ids": ids, "attention_mask": (torch.arange(length) < left).long()}


def first(output):
    return tree_leaves(output.to_tuple() if hasattr(output, "to_tuple") else output)[0]


def check(loaded, model, inputs):
    with torch.no_grad():
        expected = first(model(**inputs)).numpy()
    got = np.array(first(loaded(**inputs)))
    np.testing.assert_allclose(got, expected, atol=3e-6 * abs(expected).max())
    return got


def pieces(program):
    return sum(n.target is call_delegate for n in program.exported_program().graph.nodes)


@pytest.mark.parametrize("name", ENCODERS)
def test_texts(name):
    factory, most = ENCODERS[name]
    model, inputs = make(factory), text(3, 11)
    program = rushlight.compile(model, (), kwargs=inputs)
    assert 1 <= pieces(program) <= (most or 1)
    check(rushlight.load(program.buffer), model, inputs)


@pytest.mark.parametrize("name", ENCODERS)
def test_texts_of_any_number_and_length(name):
    factory, most = ENCODERS[name]
    model, inputs = make(factory), text(2, 7)
    sizes = {0: torch.export.Dim("batch", min=1, max=4), 1: torch.export.Dim("length", min=2, max=24)}
    program = rushlight.compile(
        model, (), kwargs=inputs, dynamic_shapes={"input_ids": sizes, "attention_mask": sizes}
    )
    assert most is None or 1 <= pieces(program) <= most
    loaded = rushlight.load(program.buffer)
    for batch, length in ((2, 7), (1, 24), (4, 2), (3, 17)):
        check(loaded, model, text(batch, length))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name):
    factory, most = PICTURES[name]
    model = make(factory)
    inputs = {"pixel_values": torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))}
    program = rushlight.compile(model, (), kwargs=inputs)
    assert 1 <= pieces(program) <= most
    check(rushlight.load(program.buffer), model, inputs)


@pytest.mark.parametrize("quantize, most", [("bf16", 0.03), ("int8", 0.05), ("int4", 0.5)])
def test_quantized(quantize, most):
    model, inputs = make(ENCODERS["bert"][0]), text(2, 9)
    with torch.no_grad():
        expected = first(model(**inputs)).numpy()
    loaded = rushlight.load(rushlight.compile(model, (), kwargs=inputs, quantize=quantize).buffer)
    error = abs(np.array(first(loaded(**inputs))) - expected).max() / abs(expected).max()
    assert 0 < error < most


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_a_text_is_what_it_is_alone_bit_for_bit(quantize):
    model, inputs = make(ENCODERS["bert"][0]), text(4, 21)
    sizes = {0: torch.export.Dim("batch", min=1, max=4), 1: torch.export.Dim("length", min=2, max=80)}
    shapes = {"input_ids": sizes, "attention_mask": sizes}
    file = rushlight.compile(model, (), kwargs=inputs, dynamic_shapes=shapes, quantize=quantize).buffer
    for length in (21, 80):
        inputs = text(4, length)
        together = np.array(first(rushlight.load(file, threads=1)(**inputs)))
        np.testing.assert_array_equal(np.array(first(rushlight.load(file, threads=2)(**inputs))), together)
        for i in range(4):
            alone = rushlight.load(file, threads=2)(**{k: v[i : i + 1] for k, v in inputs.items()})
            np.testing.assert_array_equal(np.array(first(alone))[0], together[i])


def test_encoders_and_decoders_together():
    model = make(lambda: T.WhisperModel(T.WhisperConfig(**WHISPER)))
    random = torch.Generator().manual_seed(4)
    inputs = {
        "input_features": torch.randn(1, 8, 40, generator=random),
        "decoder_input_ids": torch.randint(3, 99, (1, 5), generator=random),
    }
    check(rushlight.load(rushlight.compile(model, (), kwargs=inputs).buffer), model, inputs)


class Shared(torch.nn.Module):
    """Keys for two attentions, the second under a mask that an operator makes of the first."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.out = (torch.nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        heads = lambda y: y.view(2, 6, 2, 8).transpose(1, 2)  # noqa: E731
        q, k = heads(self.query(x)), heads(self.key(x))
        attend = torch.nn.functional.scaled_dot_product_attention
        y = self.out(attend(q, k, k).transpose(1, 2).reshape(2, 6, 16))
        mask = torch.erf(y.sum(-1)).view(2, 1, 1, 6)
        return self.out(attend(heads(y), k, k, attn_mask=mask).transpose(1, 2).reshape(2, 6, 16))


class Last(torch.nn.Module):
    """Scales, shifts and attention of one row, behind attention of many."""

    def __init__(self):
        super().__init__()
        self.into, self.out = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
        self.scale = torch.nn.Parameter(torch.rand(16))

    def forward(self, x):
        def attend(y):
            h = y.view(1, y.shape[1], 2, 8).transpose(1, 2)
            y = torch.nn.functional.scaled_dot_product_attention(h, h, h)
            return y.transpose(1, 2).reshape(1, -1, 16)

        last = self.out(attend(self.into(x)))[:, -1:]
        return self.out(attend(self.into(last)) * self.scale + self.scale)


@pytest.mark.parametrize("model, x", [(Shared, (2, 6, 16)), (Last, (1, 6, 16))])
def test_what_pieces_cannot_hold(model, x):
    torch.manual_seed(6)
    model, x = model().eval(), torch.randn(x)
    with torch.no_grad():
        got = rushlight.load(rushlight.compile(model, (x,)).buffer)(x)
        torch.testing.assert_close(got, model(x), atol=1e-6, rtol=1e-5)


def test_masks_that_hide_everything():
    """Of nothing, attention is nothing."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.out = torch.nn.Linear(16, 48), torch.nn.Linear(16, 16)

        def forward(self, x, mask):
            q, k, v = (y.view(2, 6, 2, 8).transpose(1, 2) for y in self.into(x).chunk(3, -1))
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            return self.out(y.transpose(1, 2).reshape(2, 6, 16))

    model, x = Model().eval(), torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(5))
    mask = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    program = rushlight.compile(model, (x, mask))
    assert pieces(program) == 1
    loaded = rushlight.load(program.buffer)
    mask[0], mask[1, :, 2] = False, False
    with torch.no_grad():
        torch.testing.assert_close(loaded(x, mask), model(x, mask), atol=1e-5, rtol=1e-5)
