# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Small models, each with the calls to compare it by: one table for all tests that want programs.

    for case in PROGRAMS.values():
        model = case.model()

The first call gives the example inputs; later ones have other values, and other sizes where shapes are
dynamic.  State goes from call to call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812  (as users write it)
from torch import nn
from torch._higher_order_ops import map as map_
from torch._higher_order_ops import scan, while_loop
from torch.export import Dim


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[], nn.Module]
    calls: Sequence  # tuples of arguments, or dicts of keyword arguments
    dynamic_shapes: object = None
    options: dict = field(default_factory=dict)  # of compiler_testing.check

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make().eval()


PROGRAMS: dict[str, Case] = {}


class _Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def program(*calls, dynamic_shapes=None, **options):
    """Puts a function, or a class of modules, into the table."""

    def register(model):
        make = model if isinstance(model, type) else lambda: _Function(model)
        PROGRAMS[model.__name__] = Case(model.__name__, make, calls, dynamic_shapes, options)
        return model

    return register


_generator = torch.Generator().manual_seed(20)


def randn(*shape, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=_generator).to(dtype)


def randint(low: int, high: int, shape, dtype=torch.int64) -> torch.Tensor:
    return torch.randint(low, high, shape, generator=_generator).to(dtype)


def _ints(*values) -> torch.Tensor:
    return torch.tensor(values)


# ---- Control flow ----

PLUS, MINUS = torch.full((3, 4), 0.5), torch.full((3, 4), -0.5)


@program((PLUS, randn(3, 4), _ints(3)), (MINUS, randn(3, 4), _ints(5)))
def cond_with_several_operands(x, y, n):
    return torch.cond(x.sum() > 0, lambda a, b, k: (a + b * k, b), lambda a, b, k: (a - k, b * 2), (x, y, n))


@program((PLUS, PLUS), (PLUS, MINUS), (MINUS, PLUS), (MINUS, MINUS))
def nested_cond(x, y):
    def positive(x, y):
        return torch.cond(y.sum() > 0, lambda x, y: x + y, lambda x, y: x - y, (x, y))

    def negative(x, y):
        return torch.cond(y.sum() > 0, lambda x, y: x * y, lambda x, y: (x * 2).sin(), (x, y))

    return torch.cond(x.sum() > 0, positive, negative, (x, y)) * 2


@program((randn(6, 2),), (randn(2, 2),), (randn(4, 2),), dynamic_shapes=({0: Dim("n", min=2, max=8)},))
def cond_on_a_size(x):
    return torch.cond(x.shape[0] > 3, lambda x: x + 1, lambda x: x * 2, (x,))


@program((randn(4, 3), randn(4, 2), randn(3)), (randn(4, 3), randn(4, 2), randn(3)))
def map_over_two(xs, ys, bias):
    return map_(lambda row, bias: torch.relu(row[0] + bias).sum() * row[1], (xs, ys), bias)


@program((randn(5, 3),), (randn(1, 3),), (randn(7, 3),), dynamic_shapes=({0: Dim("n", min=1, max=8)},))
def map_of_dynamic_length(xs):
    return map_(lambda row: row.cumsum(0), xs)


@program((randn(5, 3), randn(5, 3), randn(3)), (randn(5, 3), randn(5, 3), randn(3)))
def scan_two_carries(xs, ys, start):
    def step(carry, row):
        total, largest = carry
        x, y = row
        total = total + x * y
        return (total, torch.maximum(largest, x)), (total * 2, x - y)

    return scan(step, (start, start - 1), (xs, ys))


@program((_ints(4).squeeze(), randn(3)), (_ints(0).squeeze(), randn(3)), (_ints(9).squeeze(), randn(3)))
def while_with_several_operands(n, x):
    def more(i, a, b):
        return i < n

    def step(i, a, b):
        return i + 1, a + b, a * 0.5

    return while_loop(more, step, (torch.zeros_like(n), x, x * 2))


@program((PLUS,), (MINUS,))
def loop_in_a_branch(x):
    def loop(x):
        (_, y) = while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), (torch.tensor(0), x + 0))
        return y

    def mapped(x):
        return map_(lambda row: row - row.sum(), x)

    return torch.cond(x.sum() > 0, loop, mapped, (x,))


@program((torch.tensor([[1.0, 2.0], [-3.0, 1.0], [0.0, 5.0]]),), (-torch.ones(3, 2),))
def branch_in_a_loop(xs):
    def row(x):
        return torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x.cos(), (x,))

    return map_(row, xs)


# ---- Dtypes ----


@program((randn(2, 8, dtype=torch.float16),), (randn(2, 8, dtype=torch.float16),))
class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.LayerNorm(6)).half()

    def forward(self, x):
        return F.softmax(self.layers(x), -1)


@program((randn(2, 8, dtype=torch.bfloat16),), (randn(2, 8, dtype=torch.bfloat16),))
class BFloat(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 6), nn.SiLU(), nn.Linear(6, 3)).bfloat16()

    def forward(self, x):
        return self.layers(x), x.float().mean()


@program((randint(-100, 100, (3, 4), torch.int8), randint(-100, 100, (4,), torch.int8)))
def int8_wraps(a, b):
    return a + b, a * b, (a.to(torch.int32) * b).sum(0), a > b, -a


@program((torch.tensor([2**40, -5, 7]), torch.tensor([3, 2, -2])), (_ints(1, 2, 3), _ints(7, -7, 4)))
def int64(a, b):
    return a * 3 + b, a // b, a % b, a & b, a.sum(), torch.div(a, b)


@program((randn(3, 4) > 0, randn(3, 4) > 0), (randn(3, 4) > 1, randn(3, 4) > 1))
def booleans(a, b):
    return a & b, a ^ b, ~a, a.any(1), a.all(), torch.where(a, 1.5, 2.0), a.sum(), a.float() @ b.float().t()


@program((randn(2, 3, dtype=torch.float64), randint(0, 200, (2, 3), torch.uint8)))
def promotions(x, n):
    return x * n, n + 1, n / 2, n.float() + x.float(), x.to(torch.int32)


@program((randint(-9, 9, (4,)), torch.tensor([1.0, float("nan"), 3.0, -1.0]), randn(4)))
def shifts_and_nans(n, x, y):
    return n << 2, n >> 1, torch.fmax(x, y), torch.fmin(x, y), torch.maximum(x, y)


# ---- State ----


@program(*[(_ints(i),) for i in (1, 5, 2)])
class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("start", torch.full((1,), 10, dtype=torch.int64))

    def forward(self, n):
        before = self.count.clone()
        self.count += n
        return before, self.count + self.start


class _Cache(nn.Module):
    """A cache [2, 8, 3] that `write` puts new rows into."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(2, 8, 3))

    def forward(self, rows, position):
        self.write(rows, position)
        return self.cache.sum(-1), (self.cache[:, :3] @ rows.transpose(1, 2))


def _cache_calls():
    return [(randn(2, 2, 3), _ints(p, p + 1)) for p in (0, 2, 5, 1)]


@program(*_cache_calls())
class CacheByIndexCopy(_Cache):
    def write(self, rows, position):
        self.cache.index_copy_(1, position, rows)


@program(*_cache_calls())
class CacheByIndexPut(_Cache):
    def write(self, rows, position):
        self.cache[:, position] = rows


@program(*[(randn(2, 2, 3),) for _ in range(3)])
class CacheBySliceCopy(nn.Module):
    """Moves everything by two rows, and writes at the end."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(2, 8, 3))

    def forward(self, rows):
        self.cache[:, :-2] = self.cache[:, 2:].clone()
        self.cache[:, -2:].copy_(rows)
        return self.cache.sum(-1)


@program((randn(3),), (randn(3),))
def writes_to_its_input(x):
    y = x * 2
    x.add_(1)
    return y, x


# ---- Dynamic shapes ----

_B, _S = Dim("b", min=1, max=4), Dim("s", min=2, max=6)


@program((randn(2, 3, 4),), (randn(1, 2, 4),), (randn(4, 6, 4),), (randn(3, 5, 4),),
         dynamic_shapes=({0: _B, 1: _S},))  # fmt: skip
class TwoDynamicDims(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 5)

    def forward(self, x):
        b, s, _ = x.shape
        y = self.layer(x)
        return y.reshape(b * s, 5).softmax(0), y.transpose(1, 2).mean(1), x.new_full((b, 2), s)


@program((randn(3, 2), randn(6, 2)), (randn(2, 2), randn(4, 2)), (randn(6, 2), randn(12, 2)),
         dynamic_shapes=({0: _S}, {0: 2 * _S}))  # fmt: skip
def derived_dim(x, y):
    return torch.cat([x, x]) * y, y[: x.shape[0]] + x, y.reshape(-1, 4)


@program((randint(0, 9, (1, 3)), torch.arange(3)), (randint(0, 9, (1, 6)), torch.arange(6)),
         dynamic_shapes=({1: _S}, {0: _S}))  # fmt: skip
class CausalAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 8)

    def forward(self, ids, position):
        x = self.embed(ids)
        mask = position[None, :] <= position[:, None]
        heads = x.view(1, -1, 2, 4).transpose(1, 2)
        y = F.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask)
        return y.transpose(1, 2).flatten(2) @ self.embed.weight.t()


# ---- Arguments and results ----


@program({"x": randn(3), "scale": randn(3)}, {"x": randn(3), "scale": randn(3)})
def keyword_arguments(*, x, scale):
    return x * scale


@program(({"a": randn(3), "b": [randn(2), randn(2)]}, (randn(3), randn(1))))
def nested(tree, pair):
    total = tree["a"] + pair[0]
    return {"sum": total, "parts": [tree["b"][0] * pair[1], (tree["b"][1],)], "none": None, "n": 3}


@program((randn(3), None), (randn(3), None))
def none_input(x, bias):
    return x * 2 if bias is None else x + bias


@program((randn(3), 2, True, "twice"), (randn(3), 2, True, "twice"))
def constant_inputs(x, n, negate, mode):
    y = x * n if mode == "twice" else x
    return -y if negate else y


@program((randn(2, 3),), (randn(2, 3),))
def the_same_output_twice(x):
    y = x + 1
    return y, y, x, y.view(3, 2), x.t()


@program((torch.zeros(0, 3), torch.tensor(2.5)), (torch.zeros(0, 3), torch.tensor(-1.0)))
def empty_and_rank_0(x, s):
    return x + s, x.sum(), x.sum(0), torch.cat([x, x]), s * 2, s.reshape(1, 1)


# ---- Layers ----


@program((randn(1, 3, 8, 8).to(memory_format=torch.channels_last),))
class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6(), nn.MaxPool2d(2)
        ).to(memory_format=torch.channels_last)

    def forward(self, x):
        return self.layers(x) * 2


@program((randn(2, 5, 8),))
class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        return self.layer(x)


@program((randn(5, 1, 4), randn(1, 1, 6), randn(1, 1, 6)))
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6)

    def forward(self, x, h, c):
        y, (h, c) = self.lstm(x, (h, c))
        return y, h, c


@program((randn(3, 8),), (randn(3, 8),))
def ranking(x):
    values, indices = x.topk(3)
    ordered, order = torch.sort(x, dim=1, descending=True)
    return values, indices, ordered, x.gather(1, order), x.argmax(1), order.flip(0)
