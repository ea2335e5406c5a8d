# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Programs on several threads: the same bits, whatever the number."""

import threading

import numpy as np
import pytest
import rushlight
import torch
from torch import nn

WIDTH, HEADS, VOCAB, CONTEXT, TOKENS = 192, 3, 512, 96, 24


class Layer(nn.Module):
    """Of a decoder, with a cache of keys and values."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.register_buffer("cache", torch.zeros(2, CONTEXT, HEADS, WIDTH // HEADS))

    def forward(self, x, positions):
        q, k, v = self.qkv(self.norm(x)).view(-1, 3, HEADS, WIDTH // HEADS).unbind(1)
        self.cache.index_copy_(1, positions, torch.stack((k, v)))
        mask = torch.arange(CONTEXT)[None, :] <= positions[:, None]
        keys, values = self.cache.transpose(1, 2)
        mixed = nn.functional.scaled_dot_product_attention(q.transpose(0, 1), keys, values, attn_mask=mask)
        x = x + self.out(mixed.transpose(0, 1).reshape(-1, WIDTH))
        return x + self.down(nn.functional.silu(self.up(self.norm(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(2))
        self.head = nn.Linear(WIDTH, VOCAB)

    def forward(self, tokens, positions):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, positions)
        logits = self.head(x)
        return logits, logits.softmax(0), logits.sort(-1).indices


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    torch.manual_seed(3)
    n = torch.export.Dim("n", min=1, max=TOKENS)
    with torch.no_grad():
        exported = torch.export.export(
            Model().eval(),
            (torch.zeros(4, dtype=torch.int64), torch.arange(4)),
            dynamic_shapes={"tokens": {0: n}, "positions": {0: n}},
        )
    path = tmp_path_factory.mktemp("threads") / "decoder.pte"
    rushlight.to_edge_transform_and_lower(exported).to_executorch().save(str(path))
    return path


def converse(program, **options) -> list[np.ndarray]:
    """The outputs of a prefill and some steps."""
    outputs = []
    for first, count in ((0, TOKENS), *((TOKENS + i, 1) for i in range(8))):
        positions = np.arange(first, first + count)
        outputs += program.method("forward").execute([positions * 37 % VOCAB, positions], **options)
    return outputs


def same(a, b) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def expected(path):
    return converse(rushlight.load(path, threads=1))


@pytest.mark.parametrize("threads", (0, 2, 3))
def test_same_bits(path, expected, threads):
    program = rushlight.load(path, threads=threads)
    assert 1 <= program.threads <= (threads or program.threads)
    assert same(converse(program), expected)
    for fewer in (1, 2):  # changed between calls
        program.reset_state()
        assert same(converse(program, threads=fewer), expected)


def test_conversations_at_once(path, expected):
    program = rushlight.load(path)
    results = {}

    def work(name):
        results[name] = converse(program.share())

    workers = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(same(results[i], expected) for i in range(3))
