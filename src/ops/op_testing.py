# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Runs one operator of the C++ table beside PyTorch's own, on the same tensors.

    check("aten::add.out", a, b, alpha=2)

Arguments are those of the schema without the outputs.  The expected result is PyTorch's; the output
tensors given to the operator are of PyTorch's dtype and layout, filled with garbage, with exactly
the capacity that the result needs.
"""

from __future__ import annotations

import math

import torch
from rushlight import _native

DTYPE_NUMBER = {
    torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4,
    torch.float16: 5, torch.float32: 6, torch.float64: 7, torch.complex32: 8, torch.complex64: 9,
    torch.complex128: 10, torch.bool: 11, torch.bfloat16: 15, torch.uint16: 27, torch.uint32: 28,
    torch.uint64: 29,
}  # fmt: skip
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
ALL_DTYPES = FLOATS + INTEGERS + (torch.bool,)
UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
COMPLEX = (torch.complex64, torch.complex128)
STORAGE_DTYPES = ALL_DTYPES + UNSIGNED + COMPLEX  # what can be moved

# Relative and absolute, for one rounding of an operator that computes in float32 or wider.
TOLERANCE = {
    torch.float64: (1e-12, 1e-12),
    torch.float32: (1e-5, 1e-6),
    torch.float16: (2e-3, 1e-4),
    torch.bfloat16: (1.6e-2, 1e-3),
}


class OperatorError(Exception):
    """What the operator refused: its `reason`, `code`, `argument`, `found`, `limit`."""

    def __init__(self, name, numbers):
        self.reason, self.code, self.argument, self.found, self.limit = numbers
        super().__init__(f"{name}: reason {self.reason >> 8}.{self.reason & 255}, argument "
                         f"{self.argument}, found {self.found}, limit {self.limit}")  # fmt: skip


def dim_order(t: torch.Tensor) -> list[int]:
    """The order of dimensions in memory, outermost first; [] for 0, 1, 2, ...  Raises ValueError
    for a tensor that is not dense in any order."""
    order = sorted(range(t.dim()), key=lambda d: (-t.stride(d), t.size(d) == 1, d))
    if t.is_contiguous():
        return []
    expected = 1
    for d in reversed(order):
        if t.size(d) != 1 and t.stride(d) != expected:
            raise ValueError(f"not dense: sizes {tuple(t.shape)}, strides {t.stride()}")
        expected *= t.size(d)
    return order


def reference(t: torch.Tensor, *, output: bool = False, dynamic: bool = False):
    """A TensorRef over a torch tensor, which must stay alive."""
    return _native.TensorRef(
        DTYPE_NUMBER[t.dtype], list(t.shape), dim_order(t), t.data_ptr(),
        t.numel() * t.element_size(), dynamic, not output,
    )  # fmt: skip


def _argument(schema_type: str, value):
    """(kind, value) of one schema argument."""
    if value is None:
        return ("none", None)
    if isinstance(value, torch.Tensor):
        return ("tensor", reference(value))
    if isinstance(value, torch.dtype):
        return ("int", DTYPE_NUMBER[value])
    if isinstance(value, (torch.memory_format, torch.layout)):
        return ("int", 0 if value in (torch.contiguous_format, torch.strided) else 1)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int) and "float" not in schema_type:
        return ("int", value)
    if isinstance(value, (int, float)):
        return ("double", float(value))
    if isinstance(value, str):
        return ("str", value)
    if isinstance(value, (list, tuple)):
        if "Tensor" in schema_type:
            optional = "Optional" in schema_type or "?" in schema_type
            return ("optional_tensors" if optional else "tensors",
                    [None if t is None else reference(t) for t in value])  # fmt: skip
        if "float" in schema_type:
            return ("doubles", [float(v) for v in value])
        return ("ints", [int(v) for v in value])
    raise TypeError(f"cannot pass {value!r}")


def _overload(name: str):
    namespace, rest = name.split("::")
    base, _, overload = rest.partition(".")
    return getattr(getattr(getattr(torch.ops, namespace), base), overload or "default")


def run(name: str, args, outputs, kwargs=None):
    """Calls the C++ operator with these outputs (tensors, or lists of them); returns the shapes
    that the outputs were given.  Raises OperatorError."""
    schema = _overload(name)._schema
    kwargs = dict(kwargs or {})
    arguments, refs = [], []
    pending = list(outputs)  # `outputs` keeps the memory alive
    position = 0
    for a in schema.arguments:
        written = a.alias_info is not None and a.alias_info.is_write
        if written and (a.is_out or not position < len(args)):
            out = pending.pop(0)
            if isinstance(out, (list, tuple)):
                group = [reference(o, output=True, dynamic=True) for o in out]
                refs.extend(group)
                arguments.append(("tensors", group))
            else:
                refs.append(reference(out, output=True, dynamic=True))
                arguments.append(("tensor", refs[-1]))
            continue
        if a.kwarg_only:
            value = kwargs.pop(a.name, a.default_value)
        elif position < len(args):
            value = args[position]
            position += 1
        else:
            value = kwargs.pop(a.name, a.default_value)
        if written:  # an in-place operator
            refs.append(reference(value, output=True))
            arguments.append(("tensor", refs[-1]))
        else:
            arguments.append(_argument(str(a.type), value))
    if kwargs:
        raise TypeError(f"unknown arguments {sorted(kwargs)}")
    error, _ = _native.call_op(name, arguments, False)
    if error is not None:
        raise OperatorError(name, error)
    return [tuple(r.sizes) for r in refs]


def _garbage_like(t: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(t, memory_format=torch.preserve_format).fill_(77)


def assert_close(actual, expected, rtol=None, atol=None, what=""):
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype} is not {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: {actual.shape} is not {expected.shape}"
    if not expected.dtype.is_floating_point and not expected.dtype.is_complex:
        assert torch.equal(actual, expected), f"{what}:\n{actual}\nis not\n{expected}"
        return
    default = TOLERANCE.get(expected.dtype, (0, 0))
    torch.testing.assert_close(
        actual, expected, rtol=default[0] if rtol is None else rtol,
        atol=default[1] if atol is None else atol, equal_nan=True,
        msg=lambda m: f"{what}: {m}")  # fmt: skip


def check(name: str, *args, rtol=None, atol=None, expected=None, **kwargs):
    """Compares the operator with PyTorch on these arguments.  `expected` replaces PyTorch's result
    (a tensor, or a tuple of what the schema returns)."""
    if expected is None:
        expected = _torch_result(name, args, kwargs)
    results = expected if isinstance(expected, (list, tuple)) else [expected]
    if any(a.is_out for a in _overload(name)._schema.arguments):
        outputs = [
            [_garbage_like(t) for t in r] if isinstance(r, (list, tuple)) else _garbage_like(r)
            for r in results
        ]
    else:  # an in-place operator
        outputs = [args[0].clone()]
        args = (outputs[0], *args[1:])
    shapes = run(name, args, outputs, kwargs)
    flat = lambda xs: [t for x in xs for t in (x if isinstance(x, (list, tuple)) else [x])]  # noqa: E731
    what = f"{name}({', '.join(describe(a) for a in args)}, {kwargs})"
    for got, want, shape in zip(flat(outputs), flat(results), shapes, strict=True):
        assert shape == tuple(want.shape), f"{what}: shape {shape} is not {tuple(want.shape)}"
        assert_close(got, want, rtol, atol, what)


def check_as_torch(name: str, *args, rtol=None, atol=None, **kwargs):
    """`check`, or, where PyTorch refuses these arguments, that the operator does so too."""
    try:
        expected = _torch_result(name, args, kwargs)
    except RuntimeError as refusal:
        shape = torch.broadcast_shapes(*[a.shape for a in args if isinstance(a, torch.Tensor)])
        try:  # any result could be stored as float64
            run(name, args, [torch.empty(shape, dtype=torch.float64)], kwargs)
        except OperatorError:
            return
        what = f"{name}({', '.join(describe(a) for a in args)}, {kwargs})"
        raise AssertionError(f"{what} was accepted; PyTorch: {refusal}") from None
    check(name, *args, rtol=rtol, atol=atol, expected=expected, **kwargs)


def describe(a) -> str:
    if isinstance(a, torch.Tensor):
        return f"{str(a.dtype).removeprefix('torch.')}{list(a.shape)}"
    return repr(a)


def _torch_result(name, args, kwargs):
    """PyTorch's own out variant, given empty outputs to resize; in the layout that the functional
    operator would choose."""
    overload = _overload(name)
    outs = [a for a in overload._schema.arguments if a.is_out]
    if not outs:  # an in-place operator
        copy = args[0].clone()
        return overload(copy, *args[1:], **kwargs)
    functional = _functional(overload)
    if functional is not None:
        return functional(*args, **kwargs)
    raise ValueError(f"{name}: no functional overload; give `expected`")


def _functional(overload):
    """The overload of the same packet that takes the same arguments but the outputs."""
    wanted = [(a.name, str(a.type)) for a in overload._schema.arguments if not a.is_out]
    packet = overload.overloadpacket
    for n in packet.overloads():
        candidate = getattr(packet, n)
        schema = candidate._schema
        if any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments):
            continue
        have = [(a.name, str(a.type)) for a in schema.arguments]
        # Factory functions have dtype, layout, device and pin_memory in place of `out`.
        extra = {"dtype", "layout", "device", "pin_memory"}
        if [h for h in have if h[0] not in extra] == [w for w in wanted if w[0] not in extra]:
            return candidate
    return None


def random_tensor(generator, shape, dtype=torch.float32, low=-4, high=5):
    """Values that every dtype holds; floats get fractions."""
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).to(torch.bool)
    if dtype.is_complex:
        return torch.randn(shape, dtype=torch.complex128, generator=generator).to(dtype)
    if dtype.is_floating_point:
        return torch.empty(shape, dtype=torch.float64).uniform_(low, high, generator=generator).to(dtype)
    if dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        low = max(low, 0)
    return torch.randint(math.floor(low), math.ceil(high), shape, generator=generator).to(dtype)


def broadcast_pairs(generator, count=12, max_rank=4, max_size=6):
    """Pairs of shapes that broadcast, empty, one-element and scalar ones among them."""

    def size():
        return int(torch.randint(0, max_size + 1, (), generator=generator))

    pairs = [((), ()), ((3,), ()), ((), (2, 3)), ((0,), (1,)), ((2, 0, 3), (1, 3)), ((1,), (1, 1)),
             ((5, 1, 3), (4, 1)), ((128,), (128,)), ((3, 200), (200,)), ((7, 33), (7, 1))]  # fmt: skip
    while len(pairs) < count + 10:
        rank = int(torch.randint(0, max_rank + 1, (), generator=generator))
        shape = [size() for _ in range(rank)]
        a = [1 if torch.rand((), generator=generator) < 0.3 else s for s in shape]
        b = [1 if torch.rand((), generator=generator) < 0.3 else s for s in shape]
        drop = int(torch.randint(0, rank + 1, (), generator=generator))
        pairs.append((tuple(a), tuple(b[drop:])))
    return pairs


def in_order(t: torch.Tensor, order) -> torch.Tensor:
    """The same tensor with its dimensions in this order in memory, outermost first."""
    inverse = [list(order).index(d) for d in range(t.dim())]
    return t.permute(*order).contiguous().permute(*inverse) if t.dim() else t


def channels_last(t: torch.Tensor) -> torch.Tensor:
    return t.to(memory_format=torch.channels_last)
