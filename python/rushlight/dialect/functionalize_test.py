# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Mutation, against eager over several calls: what is written where, and what is seen of it."""

import pytest
import torch
from compiler_testing import Wrap, check, export, nodes_of
from torch.export import Dim
from torch.export.graph_signature import OutputKind

from rushlight.dialect.edge import to_edge_program
from rushlight.obstacles import CompileError


def numbers(*shape, start=1.0):
    return (torch.arange(start, start + torch.Size(shape).numel())).reshape(shape)


def is_functional(program) -> bool:
    return not any(
        isinstance(n.target, torch._ops.OpOverload) and n.target._schema.is_mutable
        for n in program.graph.nodes
    )


# Each function writes to a temporary, seen through one kind of view; [4, 6] in.


def add_to_view(x):
    y = x * 2
    y.view(24).add_(1)
    return y


def view_of_view_of_view(x):
    y = x * 2
    y.view(2, 2, 6).permute(2, 0, 1).select(0, 3)[1].mul_(10)
    return y


def older_view_after_write(x):
    y = x * 2
    row = y[1]
    y.add_(100)
    return row, y


def view_of_view_after_write_to_base(x):
    y = x * 2
    part = y[1:3].t()
    y[2].zero_()
    return part, part.sum(0)


def write_through_overlapping_views(x):
    y = x * 2
    first, last = y[:3], y[1:]
    first.add_(1)
    last.mul_(2)
    first[2].sub_(5)
    return y, first, last


def slices_with_steps(x):
    y = x * 2
    y[::2, 1::3] = 7
    y[:, -2:].neg_()
    return y


def negative_indices(x):
    y = x * 2
    y[-1, -1] = 0
    y.select(-1, -2).fill_(3)
    return y


def unsqueeze_squeeze(x):
    y = x * 2
    y.unsqueeze(0).unsqueeze(-1).squeeze(0).add_(1)
    y[:1].squeeze(0).mul_(3)
    y[:1].squeeze().sub_(1)
    return y


def transposed(x):
    y = x * 2
    y.t()[2] = -1
    y.transpose(0, 1).mT.add_(1)
    y.mT[0].mul_(5)
    return y


def diagonal(x):
    y = x * 2
    y.diagonal().fill_(0)
    y[:, 1:].diagonal(1).add_(9)
    return y


def as_strided(x):
    y = x * 2
    y.as_strided((2, 3), (12, 2), 1).fill_(5)
    return y


def flattened(x):
    y = x * 2
    y.flatten()[5:7] = 0
    y.reshape(6, 4)[1] = 1
    y.unflatten(1, (2, 3))[:, 1].mul_(2)
    return y


def expanded_source(x):
    y = x * 2
    y.copy_(torch.tensor([1.0, 2, 3, 4, 5, 6]))
    y[1:3] = torch.tensor(8.0)
    return y


def copy_other_dtype(x):
    y = x * 2
    y.copy_(torch.arange(24).reshape(4, 6))
    y[0] = torch.ones(6, dtype=torch.bool)
    z = torch.zeros(4, 6, dtype=torch.int32)
    z.copy_(y + 0.7)
    return y, z


def narrow_split_chunk_unbind(x):
    y = x * 2
    y.narrow(1, 2, 2).add_(1)
    for i, part in enumerate(y.split(2)):
        part.mul_(i + 2)
    a, b = y.chunk(2, 1)
    b.sub_(a)
    y.unbind(0)[3].zero_()
    c, d = y.tensor_split([1], dim=1)
    c.add_(1000)
    return y, a, b, d


def split_by_sizes(x):
    y = x * 2
    a, b, c = torch.split(y, [1, 2, 3], dim=1)
    b.copy_(c[:, :2])
    return a, b, c, y


def relu_on_result(x):
    return torch.nn.functional.relu_(x - 10), torch.nn.functional.relu(x - 10, inplace=True)


def index_put(x):
    y = x * 2
    y[torch.tensor([0, 2, 0])] = 5.0
    y[torch.tensor([1]), torch.tensor([3])] += 100
    y.index_put_((torch.tensor([0, 0]),), torch.tensor(1.0), accumulate=True)
    return y


def masks(x):
    y = x * 2
    y.masked_fill_(y > 40, -1.0)
    y[y < 6] = 0
    y.clamp_(max=30)
    return y


def index_family(x):
    y = x * 2
    i = torch.tensor([0, 2])
    y.index_fill_(1, i, 4.0)
    y.index_copy_(0, i, torch.ones(2, 6))
    y.index_add_(0, i, torch.full((2, 6), 3.0))
    y.scatter_(1, torch.tensor([[1], [2]]), 9.0)
    y.scatter_add_(1, torch.tensor([[1, 1]]), torch.ones(1, 2))
    return y


def result_of_in_place(x):
    y = x * 2
    z = y.add_(1)
    w = z.mul_(2)
    return y, z, w, z + w


def chain_of_in_place(x):
    return (x * 2).add_(1).mul_(3).t().sub_(1).relu_()


def write_into_itself(x):
    y = x * 2
    y.add_(y)
    y[:2] = y[2:]
    y[1:] += y[:-1].clone()
    y[0].mul_(y[0])
    return y


def copy_back_and_forth(x):
    a, b = x * 2, x * 3
    t = a.clone()
    a.copy_(b)
    b.copy_(t)
    return a, b


def detached(x):
    y = x * 2
    y.detach().add_(1)
    y.detach()[1].mul_(2)
    return y


def written_in_a_list(x):
    parts = [x * i for i in range(3)]
    for p in parts:
        p += 1
    return torch.cat(parts), parts


def zeros_filled(x):
    out = torch.zeros(4, 6)
    for i in range(4):
        out[i, : i + 1] = x[i, : i + 1]
    return out


def out_of_new_tensor(x):
    y = torch.empty_like(x).copy_(x)
    z = x.new_zeros(4)
    z += y.sum(1)
    return y, z


def rolled(x):
    y = x * 2
    y[:, :-1] = y[:, 1:].clone()
    y[:, -1] = 0
    return y


def triangle(x):
    y = x * 2
    y.tril_()
    y.triu_(-1)
    return y


def math_in_place(x):
    y = x * 0.1
    y.exp_().sqrt_().sigmoid_().pow_(2).neg_().abs_().round_()
    z = x.clone()
    z.div_(3, rounding_mode="floor").remainder_(4).clamp_(0, 2)
    return y, z, x.clone().fill_(2), x.clone().zero_(), x.clone().lerp_(y, 0.5), x.clone().addcmul_(y, y)


def swapped_axes_views(x):
    y = x * 2
    y.movedim(0, 1).flip(0).add_(1)  # flip copies: y stays
    y.swapaxes(0, 1)[0].add_(1)
    return y


def diag_of_select_of_permute(x):
    y = torch.stack([x, x + 1, x + 2])
    y.permute(1, 2, 0)[1].diagonal().mul_(-1)
    y.permute(2, 0, 1)[:, 1:][2, 0].fill_(0)
    return y


CASES = [
    add_to_view,
    view_of_view_of_view,
    older_view_after_write,
    view_of_view_after_write_to_base,
    write_through_overlapping_views,
    slices_with_steps,
    negative_indices,
    unsqueeze_squeeze,
    transposed,
    diagonal,
    as_strided,
    flattened,
    expanded_source,
    copy_other_dtype,
    narrow_split_chunk_unbind,
    split_by_sizes,
    relu_on_result,
    index_put,
    masks,
    index_family,
    result_of_in_place,
    chain_of_in_place,
    write_into_itself,
    copy_back_and_forth,
    detached,
    written_in_a_list,
    zeros_filled,
    out_of_new_tensor,
    rolled,
    triangle,
    math_in_place,
    swapped_axes_views,
    diag_of_select_of_permute,
]


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_writes_to_temporaries(function):
    x = numbers(4, 6)
    edge = to_edge_program(export(function, (x,)))
    assert is_functional(edge)
    assert all(s.kind == OutputKind.USER_OUTPUT for s in edge.graph_signature.output_specs)
    check(function, (x,), (x - 7,))


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_writes_to_a_buffer(function):
    """The same writes, to what lies in a buffer: eager's state and ours stay the same."""

    def model(m, x):
        return function(m.b), m.b

    def through_buffer(m, x):
        m.b.add_(x)
        y = m.b.mul_(1.5)
        y.view(24)[3:5].add_(0.5)
        results = function(y)
        y.t()[1].copy_(x[:, 1])
        return results, y.sum(), m.b

    x = numbers(4, 6)
    calls = [(x,), (x * 0.1,), (-x,)]
    check(Wrap(model, b=numbers(4, 6)), *calls)
    check(Wrap(through_buffer, b=numbers(4, 6)), *calls, tolerance=(1e-4, 1e-3))


@pytest.mark.parametrize(
    "function",
    [add_to_view, older_view_after_write, write_through_overlapping_views, transposed, index_put, rolled],
    ids=lambda f: f.__name__,
)
def test_writes_in_a_dynamic_graph(function):
    """With sizes known at run time only."""

    def model(x, z):
        z = z + 1
        z[1:].mul_(2)
        z.t()[0] = 3
        return function(x), z, (z[1:].unsqueeze(1) + x.sum()).squeeze(1)

    shapes = ({}, {0: Dim("n", min=3, max=9)})
    x = numbers(4, 6)
    check(model, (x, numbers(4, 3)), (x, numbers(3, 3)), (x, numbers(9, 3)), dynamic_shapes=shapes)


def test_dynamic_writes():
    def model(x):
        y = x * 2
        y[1:] += 1
        y[-1] = 0
        a, b = y.split([1, 2], dim=1)
        b.mul_(2)
        y.view(-1)[2:5] = 7
        return y, a, b, y.t()

    n = {0: Dim("n", min=3, max=8)}
    check(model, (numbers(4, 3),), (numbers(3, 3),), (numbers(8, 3),), dynamic_shapes=(n,))


# State.


def test_two_buffers_swapped():
    def model(m, x):
        old = m.a.clone()
        m.a.copy_(m.b)
        m.b.copy_(old)
        return m.a + x, m.b - x

    check(Wrap(model, a=numbers(3), b=numbers(3) * 10), *[(torch.ones(3) * i,) for i in range(4)])


def test_buffers_rotate():
    def model(m):
        a, b, c = m.a.clone(), m.b.clone(), m.c.clone()
        m.a.copy_(c)
        m.b.copy_(a)
        m.c.copy_(b)
        return m.a, m.b, m.c

    check(Wrap(model, a=numbers(3), b=numbers(3) * 10, c=numbers(3) * 100), *[()] * 5)


def test_old_value_is_returned():
    def model(m, x):
        old = m.b.clone()
        m.b.copy_(x)
        return old, old.view(6), old[1], m.b, m.b.view(-1)[2:]

    check(Wrap(model, b=numbers(2, 3)), *[(numbers(2, 3) * i,) for i in range(4)])


def test_view_of_buffer_taken_before_the_write():
    def model(m, x):
        view = m.b[1]
        flat = m.b.view(-1)
        total = flat.sum()
        m.b.mul_(2)
        view.add_(x)
        return flat + 0, total, view * 2

    check(Wrap(model, b=numbers(2, 3)), *[(torch.tensor(float(i)),) for i in range(4)])


def test_counter():
    def model(m, x):
        m.n.add_(1)
        m.total += x
        return m.total / m.n, m.n

    buffers = {"n": torch.zeros((), dtype=torch.int64), "total": torch.zeros(3)}
    check(Wrap(model, **buffers), *[(numbers(3) * i,) for i in range(5)])


def test_ring():
    def model(m, x, p):
        m.ring[:, p % 4] = x.unsqueeze(1)
        m.ring.index_fill_(1, (p + 1) % 4, 0.0)
        return m.ring.sum(1), m.ring

    calls = [(numbers(2) * (i + 1), torch.tensor([i])) for i in range(6)]
    check(Wrap(model, ring=torch.zeros(2, 4)), *calls)


def test_cache_update():
    def model(m, x, position):
        m.cache.index_copy_(1, position, x)
        m.other[:, position] = x * 2
        return m.cache.sum(-1) + m.other.mean(-1)

    calls = [(torch.randn(2, 3, 4), torch.arange(3) + i) for i in range(0, 6, 3)]
    program = check(Wrap(model, cache=torch.zeros(2, 8, 4), other=torch.ones(2, 8, 4)), *calls)
    names = [n.target for n in nodes_of(program, torch.ops.aten.index_put.default)]
    assert len(names) == 2


def test_conditional_write_by_where():
    def model(m, x):
        m.b.copy_(torch.where(x > 0, x, m.b))
        return m.b

    check(Wrap(model, b=torch.zeros(4)), *[(torch.randn(4),) for _ in range(4)])


def test_bool_and_integer_buffers():
    def model(m, x):
        m.seen |= x > 2
        m.count += m.seen
        m.mask.logical_not_()
        m.bits.bitwise_xor_(3)
        return m.seen, m.count, m.mask, m.bits

    buffers = {
        "seen": torch.zeros(4, dtype=torch.bool),
        "count": torch.zeros(4, dtype=torch.int32),
        "mask": torch.tensor([True, False]),
        "bits": torch.arange(3, dtype=torch.uint8),
    }
    check(Wrap(model, **buffers), *[(numbers(4) - i,) for i in range(4)])


def test_buffer_written_and_unread():
    def model(m, x):
        m.log.copy_(x)
        return x * 2

    check(Wrap(model, log=torch.zeros(3)), (numbers(3),), (numbers(3),))


def test_buffer_assigned_anew():
    """self.b = f(self.b), which PyTorch turns into a mutation."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("b", torch.ones(3))

        def forward(self, x):
            self.b = self.b * 0.5 + x
            return self.b.sum()

    check(Model(), *[(numbers(3) * i,) for i in range(4)])


def test_batch_norm_in_training_mode():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(3)

        def forward(self, x):
            mean = x.mean(0)
            self.norm.running_mean.lerp_(mean, 0.1)
            self.norm.num_batches_tracked.add_(1)
            return self.norm(x), self.norm.num_batches_tracked

    check(Model(), *[(torch.randn(4, 3),) for _ in range(3)])


# Inputs.


def test_write_to_an_input():
    def model(x, y):
        x.add_(1)
        x[0].mul_(y)
        y.zero_()
        return x * 2, y + x

    edge = to_edge_program(export(model, (numbers(2, 3), numbers(3))))
    kinds = [s.kind for s in edge.graph_signature.output_specs]
    assert kinds.count(OutputKind.USER_INPUT_MUTATION) == 2
    check(model, (numbers(2, 3), numbers(3)), (numbers(2, 3) * 2, numbers(3)))


def test_inputs_swapped():
    def model(x, y):
        old = x.clone()
        x.copy_(y)
        y.copy_(old)
        return x, y, x - y

    check(model, (numbers(3), numbers(3) * 5), (numbers(3), numbers(3) * 2))


def test_constant_written_to_is_state():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = [torch.zeros(3)]  # no buffer: tracing lifts it

        def forward(self, x):
            self.hidden[0].add_(x)
            return self.hidden[0] * 2

    check(Model(), *[(numbers(3),)] * 3)


# What cannot be.


def test_no_functional_form():
    with torch.library._scoped_library("rl_test", "FRAGMENT") as library:
        library.define("scribble(Tensor(a!) x) -> ()")
        library.impl("scribble", lambda x: None, "CompositeExplicitAutograd")

        def model(x):
            y = x * 2
            torch.ops.rl_test.scribble(y)
            return y

        exported = export(model, (numbers(3),))
        with pytest.raises(CompileError, match="scribble"):
            to_edge_program(exported)
