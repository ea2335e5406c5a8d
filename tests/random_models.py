# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Small random models, as Python text, from a seed.

A model is written line by line.  Each line is a random sentence of the grammar below about values that
are there already; it stays if eager PyTorch can run it and its results are finite and small.  Values are
multiples of 1/4, so that what most operators compute is exact; a value that is not (`exact` is False) is
never given to an operator that is not continuous, where a rounding error would show.
"""

from __future__ import annotations

import linecache
import random
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812  (as users write it)
from torch import nn
from torch._higher_order_ops import map as map_
from torch._higher_order_ops import scan, while_loop

# What the text of a model may use.
SCOPE = {"torch": torch, "F": F, "nn": nn, "map_": map_, "scan": scan, "while_loop": while_loop}
DYNAMIC = 5  # the size that becomes symbolic where shapes are dynamic
FLOATS = (
    "torch.float32",
    "torch.float32",
    "torch.float32",
    "torch.float64",
    "torch.float16",
    "torch.bfloat16",
)
INTEGERS = ("torch.int64", "torch.int64", "torch.int32", "torch.uint8", "torch.int8", "torch.int16")
HALVES = (torch.float16, torch.bfloat16)
LARGEST = 300.0


def random_tensor(rng: random.Random, shape, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
    low, high = (0, 5) if dtype == torch.uint8 else (-4, 5)
    values = torch.randint(low, high, shape, generator=generator)
    if dtype == torch.bool:
        return values > 0
    return values.to(dtype) / (4 if dtype.is_floating_point and rng.random() < 0.7 else 1)


class RandomModel(nn.Module):
    """forward(self, *inputs) compiled from `source`."""

    def __init__(self, source: str, name: str, tensors: dict[str, torch.Tensor]):
        super().__init__()
        self.source = source
        for key, tensor in tensors.items():
            self.register_buffer(key, tensor.clone())
        file = f"<{name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        scope = dict(SCOPE)
        exec(compile(source, file, "exec"), scope)  # noqa: S102
        self._function = scope["forward"]

    def forward(self, *args):
        return self._function(self, *args)


@dataclass
class Case:
    seed: int
    source: str
    tensors: dict[str, torch.Tensor]  # parameters and buffers
    inputs: list[torch.Tensor]
    dynamic_dims: list[dict[int, int]]  # of each input: dimension -> which symbol

    def model(self) -> RandomModel:
        return RandomModel(self.source, f"random model {self.seed}", self.tensors)

    def call(self, rng: random.Random, sizes: dict[int, int] | None = None) -> tuple:
        """Fresh inputs, with these sizes for the symbols."""
        made = []
        for tensor, dims in zip(self.inputs, self.dynamic_dims, strict=True):
            shape = [sizes[dims[d]] if sizes and d in dims else s for d, s in enumerate(tensor.shape)]
            made.append(random_tensor(rng, shape, tensor.dtype))
        return tuple(made)


@dataclass
class _Writer:
    """The text so far, and what its names stand for when it is run."""

    rng: random.Random
    dynamic: bool
    lines: list[str] = field(default_factory=list)
    scope: dict = field(default_factory=dict)
    exact: dict[str, bool] = field(default_factory=dict)
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    inputs: list[torch.Tensor] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    # -- Names --

    def names(self, test=lambda t: True) -> list[str]:
        return [
            n for n, t in self.scope.items() if isinstance(t, torch.Tensor) and n in self.exact and test(t)
        ]

    def pick(self, test=lambda t: True, exact=False) -> str:
        """A name, later ones more often; raises _NoSuch."""
        names = [n for n in self.names(test) if self.exact[n] or not exact]
        if not names:
            raise _NoSuch
        i = max(self.rng.randrange(len(names)) for _ in range(2))
        return names[i]

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.scope[name]

    def parameter(self, shape, dtype=torch.float32, positive=False) -> str:
        """A new parameter; its text."""
        name = f"w{len(self.tensors)}"
        tensor = random_tensor(self.rng, shape, dtype)
        self.tensors[name] = tensor.abs() + 0.5 if positive else tensor
        setattr(self.scope["m"], name, self.tensors[name].clone())
        return f"m.{name}"

    # -- Lines --

    def add(self, expression: str, exact: bool, results: int = 1) -> bool:
        """Appends `v = expression` if it runs."""
        first = len(self.exact)
        names = [f"v{first + i}" for i in range(results)]
        before = dict(self.scope)
        try:
            exec(f"{', '.join(names)} = {expression}", self.scope)
        except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
            self.scope.clear()
            self.scope.update(before)
            return False
        if not all(_is_tame(self.scope[n]) for n in names):
            self.scope.clear()
            self.scope.update(before)
            return False
        self.lines.append(f"{', '.join(names)} = {expression}")
        for n in names:
            is_float = self.scope[n].dtype.is_floating_point
            self.exact[n] = exact or not is_float
        return True

    def do(self, statement: str, target: str, exact: bool) -> bool:
        """Appends a statement that writes to what `target` names."""
        storage = self[target].untyped_storage().data_ptr()
        shared = [n for n in self.exact if self.scope[n].untyped_storage().data_ptr() == storage]
        saved = self[target].untyped_storage().clone()
        try:
            exec(statement, self.scope)
            ok = all(_is_tame(self.scope[n]) for n in shared)
        except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
            ok = False
        if not ok:
            self[target].untyped_storage().copy_(saved)
            return False
        self.lines.append(statement)
        if not exact:
            for n in shared:
                self.exact[n] = self.exact[n] and not self.scope[n].dtype.is_floating_point
        return True


class _NoSuch(Exception):
    """The grammar asked for a value of a kind that is not there."""


def _is_tame(t) -> bool:
    if not isinstance(t, torch.Tensor) or t.numel() > 4000 or t.dim() > 6 or t.is_complex():
        return False
    if t.numel() == 0:
        return t.dim() > 0 and all(s < 50 for s in t.shape)
    if t.dtype == torch.bool:
        return True
    values = t.double()
    return bool(torch.isfinite(values).all()) and float(values.abs().max()) <= LARGEST


def _is_float(t):
    return t.dtype.is_floating_point


def _is_number(t):
    return t.dtype != torch.bool


# The grammar.  A rule takes a writer and adds a line or two; it may fail.


def _dim(w, t, extra=0) -> int:
    rank = t.dim() + extra
    if rank == 0:
        raise _NoSuch
    return w.rng.randrange(-rank, rank)


def _scalar(w) -> str:
    return w.rng.choice(["2", "-1", "0", "1", "3", "0.5", "-1.5", "2.0", "True", "1.0"])


EXACT_UNARY = ["-{}", "{}.abs()", "torch.relu({})", "F.relu6({})", "F.hardtanh({})", "{}.clamp(-1, 1)",
               "{}.clamp(min=0)", "{}.clamp(max=1.5)", "torch.square({})", "{}.clone()", "{} + 0", "{} * 1",
               "F.leaky_relu({}, 0.25)", "F.threshold({}, 0.5, -1.0)", "{}.contiguous()", "{}.detach()",
               "F.dropout({}, 0.5, False)", "torch.zeros_like({})", "torch.ones_like({})", "{}.positive()",
               "torch.full_like({}, 2)", "{}.nan_to_num()", "{}.masked_fill({} > 1, 0)", "torch.empty_like({}).fill_(1)",
               "{}.new_full(({}.dim(), 2), 0.5)", "nn.Identity()({})"]  # fmt: skip
SMOOTH_UNARY = ["torch.exp({}.clamp(max=3))", "torch.sigmoid({})", "torch.tanh({})", "{}.abs().sqrt()", "torch.rsqrt({}.abs() + 1)",
                "torch.log1p({}.abs())", "torch.sin({})", "torch.cos({})", "torch.erf({})", "F.silu({})", "F.gelu({})",
                "F.gelu({}, approximate='tanh')", "F.softplus({})", "F.elu({})", "F.mish({})", "F.hardswish({})",
                "F.hardsigmoid({})", "F.selu({})", "F.logsigmoid({})", "torch.reciprocal({}.abs() + 1)", "torch.atan({})",
                "torch.expm1({}.clamp(max=2))", "{} / 3", "{}.abs() ** 0.5", "{} ** 2", "{} ** 3", "torch.log({}.abs() + 1)",
                "torch.sinh({}.clamp(-2, 2))", "torch.exp2({}.clamp(max=3))", "F.tanhshrink({})", "F.softsign({})",
                "F.celu({})", "torch.log2({}.abs() + 1)", "torch.asinh({})", "2 ** {}.clamp(-3, 3)", "1.5 - {}",
                "1 / ({}.abs() + 2)", "torch.sinc({})", "torch.logit({}.sigmoid())"]  # fmt: skip
STEPS = ["torch.sign({})", "torch.floor({})", "torch.ceil({})", "torch.round({})", "torch.trunc({})", "{} > 0", "{} <= 1",
         "{} == 0", "{} != 1", "{}.bool()", "{}.int()", "{}.long()", "torch.isnan({})", "torch.logical_not({})",
         "{}.to(torch.uint8)", "F.hardshrink({})", "F.softshrink({})", "torch.isfinite({})", "{}.gt(0.5)", "torch.frac({})",
         "torch.heaviside({}, torch.tensor(1.0, dtype={}.dtype))", "torch.signbit({})", "{} % 2", "{} // 2", "{}.fmod(2)",
         "{}.nonzero().sum(0)", "torch.round({}, decimals=1)"]  # fmt: skip
EXACT_BINARY = ["{} + {}", "{} - {}", "{} * {}", "torch.maximum({}, {})", "torch.minimum({}, {})", "torch.add({}, {}, alpha=2)",
                "torch.sub({}, {}, alpha=3)", "torch.rsub({}, {})", "torch.where({} > 0, {}, 1)", "torch.fmax({}, {})",
                "torch.where({} > 0, 0.5, {})", "torch.addcmul({0}, {1}, {0})", "torch.max({}, {})", "torch.relu({}) * {}"]  # fmt: skip
SMOOTH_BINARY = ["{} / ({}.abs() + 1)", "torch.atan2({}, {} + 20)", "torch.lerp({}, {}, 0.3)", "torch.hypot({}, {} + 10)",
                 "torch.addcdiv({0}, {0}, {1}.abs() + 1)", "torch.logaddexp({}, {})", "torch.sigmoid({}) * {}",
                 "torch.copysign({}, {} + 10)", "torch.pow({}.abs() + 0.5, {}.clamp(-2, 2))", "F.mse_loss({}, {})",
                 "torch.true_divide({}, {}.abs() + 2)", "F.cosine_similarity({}, {} + 5, dim=-1)"]  # fmt: skip
STEP_BINARY = ["{} > {}", "{} == {}", "torch.ne({}, {})", "torch.ge({}, {})", "torch.remainder({}, {}.abs() + 1)",
               "torch.fmod({}, {}.abs() + 1)", "torch.floor_divide({}, {}.abs() + 1)", "torch.logical_and({}, {})",
               "torch.logical_xor({}, {})", "torch.div({}, {}.abs() + 1, rounding_mode='trunc')",
               "torch.div({}, {}.abs() + 1, rounding_mode='floor')", "torch.where({0} > {1}, {0}, {1})"]  # fmt: skip
BIT_BINARY = ["{} & {}", "{} | {}", "{} ^ {}", "torch.bitwise_and({}, 3)", "~{}", "{} << 1", "{} >> 1",
              "torch.bitwise_or({}, {})"]  # fmt: skip
EXACT_REDUCTIONS = ["{}.amax({d}{k})", "{}.amin({d}{k})", "{}.sum({d}{k})", "{}.sum()", "{}.max()", "{}.min()",
                    "torch.cumsum({}, {d})", "{}.sum(-1, dtype=torch.float64)", "{}.sum(0, keepdim=True)",
                    "torch.max({}, {d})[0]", "torch.min({}, {d}{k}).values", "torch.diff({}, dim={d})"]  # fmt: skip
SMOOTH_REDUCTIONS = ["{}.mean({d}{k})", "{}.mean()", "{}.var({d}{k})", "{}.std({d}, correction=0)", "F.softmax({}, {d})",
                     "F.log_softmax({}, {d})", "torch.logsumexp({}, {d}{k})", "torch.linalg.vector_norm({}, dim={d}{k})",
                     "F.normalize({}, dim={d})", "torch.norm({})", "{}.clamp(-2, 2).prod({d})", "torch.var_mean({}, {d})[1]",
                     "{}.mean(tuple(range({}.dim())))", "{}.norm(1, {d})", "F.softmin({}, {d})", "{}.std(unbiased=False)",
                     "F.softmax({}.float(), {d}, dtype=torch.float32)"]  # fmt: skip
STEP_REDUCTIONS = ["{}.argmax({d})", "{}.argmin({d}{k})", "torch.any({} > 0, {d}{k})", "torch.all({} > -1, {d})", "{}.sort({d})[0]",
                   "torch.any({} > 1)", "({} > 0).sum({d})", "torch.sort({}, {d}, descending=True)[0]",
                   "{}.topk(2, {d})[0]", "torch.topk({}, 1, {d}, largest=False)[0]", "{}.argmax()", "torch.count_nonzero({}, {d})",
                   "{}.max({d})[1]", "torch.argsort({}, {d}, stable=True)", "{}.cummax({d})[0]"]  # fmt: skip
SHAPES = ["{}.unsqueeze({e})", "{}.squeeze()", "{}.squeeze({d})", "{}.flatten()", "{}.reshape(-1)", "{}.transpose({d}, {d2})",
          "{}.flip({d})", "{}.roll(1, {d})", "{}.unsqueeze(0).expand(2, *{}.shape)", "torch.stack([{}, {}], {e})",
          "torch.cat([{}, {}], {d})", "{}.repeat_interleave(2, {d})", "{}.narrow({d}, 1, 2)", "{}.select({d}, 1)", "{}[..., 1:]",
          "{}[1:-1]", "{}[:, ::2]", "{}[-1]", "{}[None]", "{}[..., None]", "{}[:2, ..., 0]", "{}.movedim({d}, {d2})",
          "{}.permute(*range({}.dim())[::-1])", "{}.mT", "{}.tril()", "{}.triu(1)", "{}.diagonal(dim1={d}, dim2={d2})",
          "F.pad({}, (1, 2))", "F.pad({}, (0, 1, 1, 0), value=0.5)", "F.pad({}, (1, -1))", "{}.unfold({d}, 2, 1)",
          "{}.reshape({}.shape[0], -1)", "{}.view(-1, {}.shape[-1])", "{}.repeat(2, *[1] * ({}.dim() - 1))", "{}.tile(2)",
          "torch.index_select({}, {d}, torch.tensor([1, 0, 1]))", "{}[torch.tensor([0, -1])]", "{}[:, torch.tensor([1, 1, 0])]",
          "torch.atleast_2d({})", "{}.swapaxes(0, -1).contiguous()", "{}[:, 1]", "{}[1:3] + {}[:2]", "torch.broadcast_to({}, (2, *{}.shape))",
          "torch.cat([{}, {}[:1]])", "torch.hstack([{}, {}])", "{}.flatten(0, 1)", "{}.unflatten({d}, (1, -1))", "torch.rot90({}, 1, (0, 1))",
          "{}.t()", "{}.expand_as({})", "torch.take_along_dim({0}, torch.zeros_like({0}, dtype=torch.int64), {d})", "{}[{}.shape[0] // 2:]",
          "{}.reshape({}.shape)", "{}[:, None] - {}[None]", "{}.view({}.numel())", "{}[..., ::2].contiguous()", "{}[:, :1].squeeze(1)",
          "torch.gather({0}, {d}, {0}.long().abs() % 2)", "{}.as_strided((2, 2), (1, 1))", "{}.ravel()[:4]"]  # fmt: skip
LISTS = ["{}.split(2, {d})", "{}.chunk(2, {d})", "{}.unbind({d})", "torch.tensor_split({}, 2, {d})", "{}.split([1, {n} - 1], {d})",
         "torch.broadcast_tensors({}, {})", "torch.var_mean({}, {d})", "torch.meshgrid({}.flatten()[:3], {}.flatten()[:2], indexing='ij')",
         "torch.aminmax({}, dim={d})"]  # fmt: skip
CASTS = ["{}.float()", "{}.double()", "{}.half()", "{}.bfloat16()", "{}.to(torch.float32)", "{}.type_as({})"]
WRITES = ["{t}.add_({s})", "{t}.mul_(2)", "{t}.sub_({s}, alpha=2)", "{t}.copy_({s})", "{t}.fill_(1)", "{t}.zero_()",
          "{t}.clamp_(-1, 1)", "{t}.relu_()", "{t}.neg_()", "{t}.masked_fill_({t} > 1, 0)", "{t}.abs_()", "{t}.mul_({s})",
          "{t}.add_(0.5)", "{t}.addcmul_({s}, {s})", "{t}.div_(2)"]  # fmt: skip
ASSIGNMENTS = ["{t}[0] = {s}", "{t}[..., 1:] = 1", "{t}[:, 0] += {s}", "{t}[1:] *= 2", "{t}[-1] = {s}", "{t}[::2] = 0", "{t}[:] = {s}",
               "{t}[torch.tensor([1, 0])] = {s}", "{t}[{t} > 1] = 0", "{t}[:, torch.tensor([0])] = 2", "{t} += {s}", "{t} *= {s}",
               "{t}[torch.tensor([0, 0])] += 1", "{t}.index_add_(0, torch.tensor([0, 1]), {s})", "{t}.select(0, 1).add_({s})",
               "{t}.index_copy_(0, torch.tensor([1]), {s})", "{t}.scatter_(0, torch.zeros_like({t}, dtype=torch.int64), 1)"]  # fmt: skip
VIEWS = ["{}", "{}[1:]", "{}[..., 0]", "{}.t()", "{}.view(-1)", "{}.transpose(0, -1)", "{}.unsqueeze(0)", "{}[-1]", "{}.diagonal()",
         "{}.select(-1, 1)", "{}.permute(*range({}.dim())[::-1])", "{}.view(-1)[2:5]", "{}[:, 1:2]", "{}.split(2)[0]", "{}.unbind(0)[1]",
         "{}.narrow(0, 1, 2)", "{}.squeeze()", "{}[::2]"]  # fmt: skip


def _fill(w, template: str, names: list[str]) -> str:
    """Puts names into {} (repeating them), dimensions into {d}, and so on."""
    t = w[names[0]]
    text = template
    values = {}
    if "{d" in template:
        values["d"], values["d2"] = _dim(w, t), _dim(w, t)
        values["n"] = f"{names[0]}.shape[{values['d']}]"
    if "{e}" in template:
        values["e"] = _dim(w, t, 1)
    if "{k}" in template:
        values["k"] = w.rng.choice(["", ", keepdim=True"])
    if "{0}" not in text:
        count = text.count("{}")
        names = [names[i % len(names)] for i in range(count)]
    return text.format(*names, **values)


def _unary(w, templates, exact_in, exact_out, test=_is_number):
    name = w.pick(test, exact_in)
    return w.add(_fill(w, w.rng.choice(templates), [name]), exact_out and w.exact[name])


def _binary(w, templates, exact_in, exact_out, test=_is_number):
    a = w.pick(test, exact_in)
    if w.rng.random() < 0.25 and "{0}" not in templates[0] and "{}.abs" not in templates[0]:
        template = w.rng.choice(["{} + ", "{} * ", "{} - "]) + _scalar(w)
        return w.add(template.format(a), w.exact[a])
    rank = w[a].dim()
    b = w.pick(lambda t: test(t) and (t.dim() <= rank or w.rng.random() < 0.3), exact_in)
    return w.add(_fill(w, w.rng.choice(templates), [a, b]), exact_out and w.exact[a] and w.exact[b])


def exact_unary(w):
    return _unary(w, EXACT_UNARY, False, True)


def smooth_unary(w):
    return _unary(w, SMOOTH_UNARY, False, False, _is_float)


def step(w):
    return _unary(w, STEPS, True, True)


def exact_binary(w):
    return _binary(w, EXACT_BINARY, False, True)


def smooth_binary(w):
    return _binary(w, SMOOTH_BINARY, False, False, _is_float)


def step_binary(w):
    return _binary(w, STEP_BINARY, True, True)


def bits(w):
    return _binary(w, BIT_BINARY, False, True, lambda t: not t.dtype.is_floating_point)


def reduction(w):
    kind = w.rng.randrange(3)
    if kind == 0:
        return _unary(w, EXACT_REDUCTIONS, False, True)
    if kind == 1:
        return _unary(w, SMOOTH_REDUCTIONS, False, False, _is_float)
    return _unary(w, STEP_REDUCTIONS, True, True)


def shape(w):
    names = [w.pick(), w.pick()]
    if w[names[0]].dtype != w[names[1]].dtype or w.rng.random() < 0.5:
        names = names[:1]
    return w.add(_fill(w, w.rng.choice(SHAPES), names), all(w.exact[n] for n in names))


def parts(w):
    name = w.pick(lambda t: t.dim() > 0)
    text = _fill(w, w.rng.choice(LISTS), [name])
    exact = w.exact[name] and "var" not in text
    return w.add(text, exact, 2)


def cast(w):
    if w.rng.random() < 0.3:
        name = w.pick(_is_number, exact=True)
        return w.add(f"{name}.to({w.rng.choice(INTEGERS)})", True)
    name = w.pick()
    return w.add(_fill(w, w.rng.choice(CASTS), [name, w.pick()]), w.exact[name])


def layout(w):
    name = w.pick(lambda t: t.dim() == 4)
    order = w.rng.choice(["torch.channels_last", "torch.contiguous_format"])
    return w.add(
        f"{name}.{w.rng.choice(['to', 'contiguous', 'clone'])}(memory_format={order})", w.exact[name]
    )


def product(w):
    a = w.pick(lambda t: _is_float(t) and t.dim() > 0)
    t = w[a]
    kind = w.rng.randrange(7)
    if kind == 0:
        weight = w.parameter((w.rng.randint(1, 4), t.shape[-1]), t.dtype)
        bias = w.parameter((w.tensors[weight[2:]].shape[0],), t.dtype) if w.rng.random() < 0.5 else "None"
        return w.add(f"F.linear({a}, {weight}, {bias})", False)
    b = w.pick(lambda u: u.dtype == t.dtype and u.dim() > 0)
    if kind == 1:
        return w.add(f"{a} @ {b}", False)
    if kind == 2:
        return w.add(f"torch.matmul({a}, {b}.transpose(-1, {max(-2, -w[b].dim())}))", False)
    if kind == 3:
        return w.add(f"torch.einsum('...i,...i->...', {a}, {b})", False)
    if kind == 4:
        return w.add(f"torch.outer({a}.flatten()[:3], {b}.flatten()[:4])", False)
    if kind == 5 and t.dim() == 2:
        return w.add(f"torch.addmm({w.parameter((1,), t.dtype)}, {a}, {a}.t(), beta=0.5, alpha=2)", False)
    q = w.pick(lambda u: u.dim() in (3, 4) and _is_float(u))
    if w.rng.random() < 0.5:
        return w.add(
            f"F.scaled_dot_product_attention({q}, {q}, {q}, is_causal={w.rng.random() < 0.5})", False
        )
    mask = w.pick(lambda u: u.dim() >= 2 and u.dtype in (torch.bool, w[q].dtype))
    return w.add(f"F.scaled_dot_product_attention({q}, {q}, {q}, attn_mask={mask})", False)


def layer(w):
    kind = w.rng.randrange(9)
    x = w.pick(lambda t: _is_float(t) and t.dim() in (3, 4) or (t.dim() == 2 and kind > 5 and _is_float(t)))
    t = w[x]
    channels = t.shape[1]
    if kind == 0 and t.dim() == 4:
        weight = w.parameter(
            (w.rng.choice([1, 2, 4]), channels, w.rng.choice([1, 2]), w.rng.choice([1, 3])), t.dtype
        )
        options = w.rng.choice(
            ["", ", stride=2", ", padding=1", ", dilation=2, padding=2", ", padding=(0, 1), stride=(1, 2)"]
        )
        return w.add(
            f"F.conv2d({x}, {weight}, {w.rng.choice(['None', w.parameter((w.tensors[weight[2:]].shape[0],), t.dtype)])}{options})",
            False,
        )
    if kind == 0:
        weight = w.parameter((2 * channels, 1, 2), t.dtype)
        return w.add(f"F.conv1d({x}, {weight}, padding=1, groups={channels})", False)
    if kind == 1 and t.dim() == 4:
        weight = w.parameter((channels, 2, 2, 2), t.dtype)
        return w.add(
            f"F.conv_transpose2d({x}, {weight}, stride=2{w.rng.choice(['', ', padding=1', ', output_padding=1'])})",
            False,
        )
    if kind == 2:
        d = t.dim() - 2
        pool = w.rng.choice([f"F.max_pool{d}d({x}, 2)", f"F.avg_pool{d}d({x}, 2, 1)", f"F.max_pool{d}d({x}, 2, 1, 1)",
                             f"F.adaptive_avg_pool{d}d({x}, 2)", f"F.adaptive_max_pool{d}d({x}, 1)",
                             f"F.avg_pool{d}d({x}, 3, 1, 1, count_include_pad=False)"])  # fmt: skip
        return w.add(pool, False)
    if kind == 3:
        mode = w.rng.choice(["scale_factor=2", "size=3", "scale_factor=1.5"])
        how = (
            w.rng.choice(["'nearest'", "'bilinear', align_corners=True", "'bilinear'"])
            if t.dim() == 4
            else "'nearest'"
        )
        return w.add(f"F.interpolate({x}, {mode}, mode={how})", False)
    if kind == 4:
        return w.add(f"F.group_norm({x}, {channels}, {w.parameter((channels,), t.dtype)})", False)
    if kind == 5:
        statistics = f"{w.parameter((channels,), t.dtype)}, {w.parameter((channels,), t.dtype, True)}"
        affine = w.rng.choice(
            ["", f", {w.parameter((channels,), t.dtype)}, {w.parameter((channels,), t.dtype)}"]
        )
        return w.add(f"F.batch_norm({x}, {statistics}{affine})", False)
    size = t.shape[-1]
    if kind == 6:
        affine = w.rng.choice(
            [
                "",
                f", {w.parameter((size,), t.dtype)}",
                f", {w.parameter((size,), t.dtype)}, {w.parameter((size,), t.dtype)}",
            ]
        )
        return w.add(f"F.layer_norm({x}, ({size},){affine})", False)
    if kind == 7:
        return w.add(f"F.rms_norm({x}, ({size},), {w.parameter((size,), t.dtype)}, 1e-5)", False)
    rows = w.parameter((5, 3))
    return w.add(f"F.embedding({w.pick(_is_number, exact=True)}.long().abs() % 5, {rows})", True)


def factory(w):
    x = w.pick(lambda t: t.dim() > 0)
    text = w.rng.choice([
        "torch.arange(4)", "torch.zeros(2, 3)", "torch.ones({}.shape)", "torch.arange({}.shape[-1])", "torch.eye(3)",
        "torch.full((3,), 0.5)", "torch.tensor([1.0, 2.0, 3.0])", "torch.tensor(3)", "torch.arange({}.shape[0], dtype=torch.float32)",
        "torch.linspace(0, 1, 5)", "{} * {}.shape[0]", "torch.tensor([[True, False, True]])", "torch.full(({}.shape[0], 2), 3)",
        "{}.new_zeros({}.shape[0])", "torch.arange(0, {}.shape[-1], 2)", "torch.ones({}.shape[0], {}.shape[0]).tril()",
        "{} + {}.shape[-1] * 2 - 1", "torch.scalar_tensor(2.5)", "F.one_hot(torch.arange(3), 4)", "{} / {}.shape[0]",
        "torch.cat([torch.arange({}.shape[0]), torch.tensor([7])])", "torch.arange(6).reshape(2, 3)",
    ])  # fmt: skip
    return w.add(_fill(w, text, [x]), w.exact[x] and "linspace" not in text and "/" not in text)


def parameter(w):
    shape = [w.rng.choice([1, 2, 3, 4]) for _ in range(w.rng.randint(0, 3))]
    dtype = w.rng.choice([torch.float32, torch.float32, torch.int64, torch.bool])
    return w.add(w.parameter(shape, dtype), True)


def write(w):
    name = w.pick(lambda t: t.dim() > 0 and _is_number(t))
    source = w.pick(_is_number)
    target = _fill(w, w.rng.choice(VIEWS), [name])
    text = w.rng.choice(WRITES).format(t=target, s=source)
    return w.do(text, name, w.exact[name] and w.exact[source] and w.rng.random() < 2)


def assignment(w):
    name = w.pick(lambda t: t.dim() > 0 and _is_number(t), exact=True)
    source = w.pick(_is_number)
    return w.do(w.rng.choice(ASSIGNMENTS).format(t=name, s=source), name, w.exact[source])


def state(w):
    """Reads and writes a buffer."""
    name = f"b{len(w.tensors)}"
    shape = [w.rng.choice([1, 2, 3]) for _ in range(w.rng.randint(0, 2))]
    w.tensors[name] = random_tensor(w.rng, shape, torch.float32)
    setattr(w.scope["m"], name, w.tensors[name].clone())
    if not w.add(f"m.{name}", True):
        return False
    v = f"v{len(w.exact) - 1}"
    source = w.pick(_is_float)
    text = w.rng.choice([
        "{b}.copy_({s}.mean())", "{b}.mul_(0.5)", "{b}.add_(1).clamp_(max=3)", "{b}.copy_(torch.tanh({b} + {s}.sum()))",
        "{b}[..., -1:] = {s}.flatten()[0]", "{b}.zero_()",
    ]).format(b=f"m.{name}", s=source)  # fmt: skip
    return w.do(text, v, False)


BRANCHES = ["{0} + {1}", "{0} * 2", "torch.sin({0})", "{0} - {1}.sum()", "{1}.mean() + {0}", "torch.relu({0})", "{0}.clone()",
            "torch.ones_like({0})"]  # fmt: skip


def branch(w):
    a = w.pick(lambda t: t.dtype == torch.float32)
    b = w.pick(lambda t: t.dtype == torch.float32)
    p = w.pick(_is_number, exact=True)
    f, g = (w.rng.choice(BRANCHES).format("x", "y") for _ in range(2))
    text = f"torch.cond({p}.sum() > 0, lambda x, y: {f}, lambda x, y: {g}, ({a}, {b}))"
    return w.add(text, False)


def loop(w):
    kind = w.rng.randrange(3)
    x = w.pick(lambda t: t.dtype == torch.float32 and t.dim() > 0 and t.shape[0] > 0)
    if kind == 0:
        body = w.rng.choice(["r * 2", "r + r.sum()", "torch.sigmoid(r)", "r.unsqueeze(0)"])
        return w.add(f"map_(lambda r: {body}, {x})", False)
    if kind == 1:
        step = w.rng.choice(["(c + r, c * 2)", "(torch.tanh(c) + r, r - c)", "(r * 0.5, c + 0)"])
        text = f"scan(lambda c, r: {step}, torch.zeros_like({x}[0]), {x}, dim=0)"
        return w.add(text, False, 2)
    count = w.rng.randint(0, 3)
    text = (
        f"while_loop(lambda i, c: i < {count}, lambda i, c: (i + 1, c * 0.5 + i), (torch.tensor(0), {x} + 0))"
    )
    return w.add(text, False, 2)


RULES = {
    exact_unary: 8, smooth_unary: 8, step: 5, exact_binary: 10, smooth_binary: 4, step_binary: 4, bits: 2, reduction: 8,
    shape: 16, parts: 5, cast: 4, layout: 2, product: 6, layer: 6, factory: 4, parameter: 4, write: 6, assignment: 5, state: 2,
    branch: 2, loop: 1,
}  # fmt: skip


def make(seed: int, dynamic: bool = False, lines: int | None = None) -> Case:
    """The model of a seed.  `dynamic`: its inputs have dimensions of the size DYNAMIC, which are meant to
    become symbolic."""
    rng = random.Random(seed * 2 + dynamic)
    writer = _Writer(rng, dynamic)
    writer.scope.update(SCOPE, m=type("Buffers", (), {})())
    dims = []
    for i in range(rng.randint(1, 3)):
        rank = rng.choice([0, 1, 2, 2, 3, 3, 4])
        sizes = [rng.choice([1, 2, 3, 3, 4, 6]) for _ in range(rank)]
        symbols = {}
        if dynamic and rank and (i == 0 or rng.random() < 0.5):
            for d in rng.sample(range(rank), 1 if rng.random() < 0.8 else min(2, rank)):
                symbols[d] = rng.choice([0, 0, 1])
                sizes[d] = DYNAMIC + symbols[d]
        dtype = eval(rng.choice(FLOATS * 2 + INTEGERS + ("torch.bool",)))  # noqa: S307
        writer.inputs.append(random_tensor(rng, sizes, dtype))
        dims.append(symbols)
        writer.scope[f"x{i}"] = writer.inputs[-1].clone()
        writer.exact[f"x{i}"] = True
    wanted = rng.randint(3, 12) if lines is None else lines
    rules, weights = list(RULES), list(RULES.values())
    for _ in range(20 * wanted):
        if len(writer.lines) >= wanted:
            break
        try:
            (rule,) = rng.choices(rules, weights)
            rule(writer)
        except _NoSuch:
            pass
    return Case(seed, _text(writer), writer.tensors, writer.inputs, dims)


def _text(w: _Writer) -> str:
    made = [n for n in w.exact if n.startswith("v")]
    last = made[-1:] + [n for n in w.exact if w.rng.random() < 0.3 and n not in made[-1:]]
    arguments = ", ".join(f"x{i}" for i in range(len(w.inputs)))
    body = "\n".join(f"    {line}" for line in w.lines)
    return f"def forward(m, {arguments}):\n{body}\n    return ({', '.join(last)},)\n"
