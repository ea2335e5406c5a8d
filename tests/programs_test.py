# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The public API: every program of programs.py against eager, and what one can do with a program."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import linear_relu
import numpy as np
import pytest
import rushlight
import torch
from compiler_testing import UNPLANNED, check, compare, expect_equal, export, operators
from programs import PROGRAMS, randn
from torch import nn
from torch.export import Dim

ROOT = Path(__file__).parent.parent


class Affine(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return torch.relu(self.layer(x)) + 1


X = randn(2, 8)


@pytest.mark.parametrize("case", PROGRAMS.values(), ids=PROGRAMS)
def test_program(case):
    check(case.model(), *case.calls, dynamic_shapes=case.dynamic_shapes, **case.options)


# ---- Ways to compile, and to load ----


def _staged(model, inputs):
    edge = rushlight.to_edge(torch.export.export(model, inputs))
    return edge.transform([]).to_executorch(rushlight.ExecutorchBackendConfig())


WAYS = {
    "compile": lambda m, x: rushlight.compile(m, x),
    "compile, strict": lambda m, x: rushlight.compile(m, x, strict=True),
    "compile an ExportedProgram": lambda m, x: rushlight.compile(torch.export.export(m, x)),
    "to_edge": _staged,
    "to_edge_transform_and_lower": lambda m, x: rushlight.to_edge_transform_and_lower(
        torch.export.export(m, x)
    ).to_executorch(),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_compile(way):
    model = Affine().eval()
    compare(model, rushlight.load(WAYS[way](model, (X,)).buffer), [(X,), (randn(2, 8),)])


@pytest.mark.parametrize("access", ["map", "read"])
def test_save_and_load(tmp_path, access):
    model = Affine().eval()
    program = rushlight.compile(model, (X,))
    program.save(tmp_path / "m.pte")
    with open(tmp_path / "other.pte", "wb") as file:
        program.write_to_file(file)
    assert (tmp_path / "m.pte").read_bytes() == (tmp_path / "other.pte").read_bytes() == program.buffer
    compare(model, rushlight.load(tmp_path / "m.pte", access=access), [(X,)])


def test_compiling_twice_gives_the_same_bytes():
    assert rushlight.compile(Affine(), (X,)).buffer == rushlight.compile(Affine(), (X,)).buffer


def test_numpy_in_numpy_out():
    model = Affine().eval()
    loaded = rushlight.load(rushlight.compile(model, (X,)).buffer)
    expected = model(X).detach().numpy()
    for x in (X.numpy(), np.asfortranarray(X.numpy()), np.repeat(X.numpy(), 2, 0)[::2], X.tolist()):
        y = loaded(np.asarray(x, np.float32))
        assert isinstance(y, np.ndarray) and y.dtype == np.float32
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_a_state_of_ones_own_and_reset():
    loaded = rushlight.load(check(PROGRAMS["Counter"].model(), *PROGRAMS["Counter"].calls).buffer)
    one = torch.tensor([1])
    assert [int(loaded(one)[1]) for _ in range(3)] == [11, 12, 13]
    assert int(loaded.share()(one)[1]) == 11
    loaded.reset_state()
    assert int(loaded(one)[1]) == 11


# ---- Arguments and results ----


@dataclass
class Result:
    total: torch.Tensor
    rest: dict
    missing: object = None


torch.export.register_dataclass(Result, serialized_type_name="programs_test.Result")
Pair = namedtuple("Pair", "first second")


def test_dataclasses_become_dicts_and_named_tuples_tuples():
    class Model(nn.Module):
        def forward(self, r: Result, p: Pair):
            return Result(r.total + 1, {"pair": Pair(p.second, p.first)})

    inputs = (Result(randn(2), {"a": randn(3)}), Pair(randn(1), randn(2)))
    loaded = rushlight.load(rushlight.compile(Model(), inputs).buffer)
    expected = {"total": inputs[0].total + 1, "rest": {"pair": (inputs[1].second, inputs[1].first)}}
    expect_equal(loaded(*inputs), expected)
    as_dict = {"total": inputs[0].total, "rest": inputs[0].rest}
    expect_equal(loaded(as_dict, tuple(inputs[1])), expected)
    with pytest.raises(TypeError, match=r"keys \['total', 'rest'\]"):
        loaded(Pair(1, 2), inputs[1])


BAD_CALLS = {
    "too few": ((X,), {}, TypeError, "2 positional|takes 1 positional"),
    "wrong name": ((), {"x": X, "z": X}, TypeError, "'z'"),
    "missing": ((), {"x": X}, TypeError, "missing argument 'y'"),
    "twice": ((X,), {"x": X, "y": X}, TypeError, "twice"),
    "dtype": ((), {"x": X, "y": X.double()}, rushlight.Error, "float64|Double|f64"),
    "rank": ((), {"x": X, "y": X[0]}, rushlight.Error, "rank|dimension"),
    "size": ((), {"x": X, "y": X[:, :3]}, rushlight.Error, "input 1 does not fit: size 3 in dimension 1.* 8"),
    "kind": ((), {"x": X, "y": "text"}, Exception, "."),
}


@pytest.mark.parametrize("bad", BAD_CALLS)
def test_wrong_calls_are_refused(bad):
    class Model(nn.Module):
        def forward(self, *, x, y):
            return x + y

    loaded = rushlight.load(rushlight.compile(Model(), kwargs={"x": X, "y": X}).buffer)
    args, kwargs, error, text = BAD_CALLS[bad]
    if bad == "too few":
        kwargs = {}
        text = "missing argument 'y'"
    with pytest.raises(error, match=text):
        loaded(*args, **kwargs)


def test_arrays_of_the_caller():
    model = Affine().eval()
    batch = Dim("batch", min=1, max=4)
    config = rushlight.ExecutorchBackendConfig(memory_planning_pass=UNPLANNED)
    program = rushlight.compile(model, (X,), dynamic_shapes=({0: batch},), config=config)
    method = rushlight.load(program.buffer).method("forward")
    assert [t["planned"] for t in method.meta["inputs"] + method.meta["outputs"]] == [False, False]
    for make, pointer in ((np.zeros, lambda a: a.ctypes.data), (torch.zeros, lambda t: t.data_ptr())):
        given = make((4, 4))
        given = given.astype(np.float32) if make is np.zeros else given
        x = X.numpy() if make is np.zeros else X
        (y,) = method.execute([x], outputs=[given])
        assert pointer(y) == pointer(given) and tuple(y.shape) == (2, 4)
        torch.testing.assert_close(torch.as_tensor(y), model(X))
        (other,) = method.execute([x])  # it is the program's own memory again
        assert pointer(other) != pointer(given)
    with pytest.raises(rushlight.Error, match="8 elements.*room for 4"):
        method.execute([X], outputs=[torch.zeros(1, 4)])
    with pytest.raises(TypeError, match="output 0 is of float32"):
        method.execute([X], outputs=[torch.zeros(4, 4, dtype=torch.float64)])
    with pytest.raises(rushlight.Error, match="output 1|1 outputs|no output"):
        method.execute([X], outputs=[None, torch.zeros(4, 4)])
    read_only = np.zeros((4, 4), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(TypeError, match="writable"):
        method.execute([X.numpy()], outputs=[read_only])
    planned = rushlight.load(rushlight.compile(model, (X,)).buffer).method("forward")
    with pytest.raises(rushlight.Error, match="method's own"):
        planned.execute([X], outputs=[torch.zeros(2, 4)])


# ---- Several methods ----


class Memo(nn.Module):
    """Two methods over one weight and one cache."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.layer = nn.Linear(64, 64)
        self.register_buffer("memory", torch.zeros(2, 64))

    def write(self, x):
        self.memory.copy_(self.layer(x))
        return x.sum()

    def read(self, scale):
        return self.layer(self.memory) * scale


class _Method(nn.Module):
    def __init__(self, memo, name):
        super().__init__()
        self.memo, self.name = memo, name

    def forward(self, x):
        return getattr(self.memo, self.name)(x)


def _memo():
    memo = Memo().eval()
    return memo, {name: _Method(memo, name) for name in ("write", "read")}


def test_methods_share_weights_and_state():
    memo, methods = _memo()
    inputs = {"write": (randn(2, 64),), "read": (torch.tensor(2.0),)}
    program = rushlight.compile(methods, inputs)
    assert len(program.buffer) < 1.5 * memo.layer.weight.nbytes  # one copy of the weight
    loaded = rushlight.load(program.buffer)
    assert sorted(loaded.method_names) == ["read", "write"]
    compare(memo.read, loaded.read, [inputs["read"]])
    for _ in range(2):
        x = randn(2, 64)
        compare(memo.write, loaded.write, [(x,)])
        compare(memo.read, loaded.read, [(torch.tensor(3.0),)])
    loaded.reset_state()
    expect_equal(loaded.read(torch.tensor(1.0)), Memo().read(1.0).detach())


def test_state_is_one_by_its_tensor_not_by_its_name():
    counter = PROGRAMS["Counter"].model

    class Peek(nn.Module):
        """Knows the counter's buffer under another name."""

        def __init__(self, counted):
            super().__init__()
            self.register_buffer("seen", counted.count)

        def forward(self, n):
            return self.seen + n

    a, b = counter(), counter()
    methods = {"a": a, "b": b, "peek": Peek(a)}
    one = torch.tensor([1])
    loaded = rushlight.load(rushlight.compile(methods, {name: (one,) for name in methods}).buffer)
    assert [int(loaded.a(one)[1]) for _ in range(3)] == [11, 12, 13]
    assert int(loaded.b(one)[1]) == 11
    assert int(loaded.peek(one)) == 4


CONSTANTS = {
    "number": 7,
    "real": 0.25,
    "flag": True,
    "nothing": None,
    "text": "größer",
    "tensor": torch.tensor([[1, 2], [3, 4]]),
    "reals": [0.5, 1.5],
    "empty": [],
    "nested": {"ids": [1, 2], "sizes": (3, {"deep": torch.tensor(2.5)}), "name": "n"},
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constant_methods(name):
    program = rushlight.compile(Affine(), (X,), constant_methods=CONSTANTS)
    loaded = rushlight.load(program.buffer)
    value = loaded.method(name)()
    if name == "empty":
        assert value == []
    else:
        expect_equal(value, CONSTANTS[name])
    with pytest.raises(TypeError, match="takes 0 positional"):
        loaded.method(name)(1)


def test_constant_methods_hold_no_objects():
    with pytest.raises(TypeError, match="'odd'.*set"):
        rushlight.compile(Affine(), (X,), constant_methods={"odd": {1, 2}})


# ---- What a user brings ----


def test_a_planner_of_ones_own():
    def one_after_the_other(request: rushlight.PlanRequest) -> rushlight.MemoryPlan:
        offsets, sizes = [], {}
        for b in request.buffers:
            begin = sizes.get(b.memory_id, 0) if b.fixed_offset is None else b.fixed_offset
            begin = -(-begin // b.alignment) * b.alignment
            offsets.append(begin)
            sizes[b.memory_id] = max(sizes.get(b.memory_id, 0), begin + b.nbytes)
        return rushlight.MemoryPlan(offsets, [sizes.get(i + 1, 0) for i in range(max(sizes))])

    def all_at_once(request):
        sizes = [0] * max(b.memory_id for b in request.buffers)
        for b in request.buffers:
            sizes[b.memory_id - 1] = max(sizes[b.memory_id - 1], b.nbytes)
        return rushlight.MemoryPlan([0] * len(request.buffers), sizes)

    case = PROGRAMS["CacheByIndexPut"]
    own = rushlight.MemoryPlanningPass(memory_planning_algo=one_after_the_other)
    config = rushlight.ExecutorchBackendConfig(memory_planning_pass=own)
    program = rushlight.compile(case.model(), case.calls[0], config=config)
    compare(case.model(), rushlight.load(program.buffer), case.calls)
    best = rushlight.compile(case.model(), case.calls[0])
    assert program.memory["forward"].planned[0] > best.memory["forward"].planned[0]
    assert best.memory["forward"].lower_bound[0] <= best.memory["forward"].planned[0]

    bad = rushlight.MemoryPlanningPass(memory_planning_algo=all_at_once)
    with pytest.raises(rushlight.CompileError, match="share memory"):
        rushlight.compile(
            case.model(), case.calls[0], config=rushlight.ExecutorchBackendConfig(memory_planning_pass=bad)
        )


class ReluToSigmoid(rushlight.Pass):
    def call(self, exported_program) -> bool:
        found = [n for n in exported_program.graph.nodes if n.target is torch.ops.aten.relu.default]
        for node in found:
            node.target = torch.ops.aten.sigmoid.default
        return bool(found)


def _graph_module_pass(module: torch.fx.GraphModule):
    for node in module.graph.nodes:
        if node.target is torch.ops.aten.relu.default:
            node.target = torch.ops.aten.sigmoid.default
    return rushlight.PassResult(module, True)


@pytest.mark.parametrize("own", [ReluToSigmoid(), _graph_module_pass], ids=["Pass", "function"])
@pytest.mark.parametrize("where", ["transform_passes", "config"])
def test_a_pass_of_ones_own(own, where):
    model = Affine().eval()
    options = (
        {"transform_passes": [own]}
        if where == "transform_passes"
        else {"config": rushlight.ExecutorchBackendConfig(passes=[own])}
    )
    program = rushlight.compile(model, (X,), **options)
    assert not any("relu" in name for name in operators(program))
    expect_equal(rushlight.load(program.buffer)(X), (torch.sigmoid(model.layer(X)) + 1).detach())


def binary(name: str) -> str:
    """A program that a build for this machine made: that of `make setup`, or a developer's own."""
    for build in ("release", "dev"):
        found = ROOT / "build" / build / name
        if found.exists():
            return str(found)
    raise FileNotFoundError(f"no build folder has {name}: make setup")


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)


def test_a_delegate_of_ones_own(tmp_path):
    torch.manual_seed(3)
    model = linear_relu.Model().eval()
    x = torch.arange(16, dtype=torch.float32).view(2, 8) / 8
    program = linear_relu.compile_model(model, (x,))
    program.save(tmp_path / "m.pte")
    meta = rushlight.load(tmp_path / "m.pte").method("forward").meta
    assert meta["delegates"] == ["LinearReluBackend"] * 2
    assert not any("linear" in name or "mm" in name for name in meta["operators"])
    with pytest.raises(rushlight.Error, match="LinearReluBackend"):
        rushlight.load(tmp_path / "m.pte")(x)
    result = run(binary("examples/delegate/example_delegate"), tmp_path / "m.pte")
    assert result.returncode == 0, result.stderr
    numbers = torch.tensor([float(t) for t in result.stdout.split()])
    torch.testing.assert_close(numbers, model(x).detach().flatten(), atol=1e-4, rtol=1e-4)


def test_a_delegate_that_is_not_announced_is_an_obstacle():
    exported = export(linear_relu.Model(), (X,))
    edge = rushlight.to_edge_transform_and_lower(exported, partitioner=[linear_relu.LinearReluPartitioner()])
    with pytest.raises(rushlight.CompileError, match="(?s)LinearReluBackend.*extra_delegates"):
        edge.to_executorch()


def test_weights_in_a_file_of_their_own(tmp_path):
    model = Affine().eval()
    config = rushlight.ExecutorchBackendConfig(external_constants=True)
    program = rushlight.compile(model, (X,), config=config)
    program.save(tmp_path / "m.pte")
    assert model.layer.weight.detach().numpy().tobytes() not in (tmp_path / "m.pte").read_bytes()
    loaded = rushlight.load(tmp_path / "m.pte", data_files=[tmp_path / "m.ptd"])
    compare(model, loaded, [(X,)])
    program.write_tensor_data_to_file(tmp_path)
    assert (tmp_path / "_default_external_constant.ptd").read_bytes() == (tmp_path / "m.ptd").read_bytes()
    with pytest.raises(rushlight.Error, match="external data file"):
        rushlight.load(tmp_path / "m.pte")(X)

    # Other weights for the same program.
    other = copy.deepcopy(model)
    nn.init.normal_(other.layer.weight)
    rushlight.compile(other, (X,), config=config).save(tmp_path / "other.pte")
    compare(other, rushlight.load(tmp_path / "m.pte", data_files=[tmp_path / "other.ptd"]), [(X,)])


# ---- Sizes out of bounds, and obstacles ----


@pytest.mark.parametrize("sizes", [(5, 3), (2, 7), (1, 100)])
def test_a_size_out_of_bounds(sizes):
    case = PROGRAMS["TwoDynamicDims"]
    program = rushlight.compile(case.model(), case.calls[0], dynamic_shapes=case.dynamic_shapes)
    loaded = rushlight.load(program.buffer)
    d, limit = (0, 4) if sizes[0] > 4 else (1, 6)
    with pytest.raises(
        rushlight.Error, match=f"input 0 does not fit: size {sizes[d]} in dimension {d}.* {limit}$"
    ):
        loaded(torch.zeros(*sizes, 4))
    compare(case.model(), loaded, case.calls)  # and it goes on


def test_an_unbounded_dim_is_refused():
    with pytest.raises(rushlight.CompileError, match="(?s)no upper bound.*Dim.*max"):
        rushlight.compile(Affine(), (X,), dynamic_shapes=({0: Dim("n", min=1)},))


def test_explain_names_every_obstacle_with_its_line():
    class Model(nn.Module):
        def forward(self, x):
            a = torch.linalg.qr(x)[0]  # first
            b = torch.fft.fft(x).real  # second
            return torch.linalg.det(a @ b.T)  # third

    obstacles = rushlight.explain(Model(), (randn(4, 4),))
    lines = {o.where for o in obstacles}
    assert len(obstacles) >= 3
    for remark in ("first", "second", "third"):
        assert any(remark in line and "programs_test.py:" in line for line in lines), (remark, lines)
    assert any(o.advice for o in obstacles)
    assert rushlight.explain(Affine(), (X,)) == []


# ---- From C, and from the command line ----


def test_the_c_api(tmp_path):
    model = Affine().eval()
    rushlight.compile(model, (X,)).save(tmp_path / "m.pte")
    example = binary("examples/c/example_c")
    result = run(example, tmp_path / "m.pte")
    assert result.returncode == 0, result.stderr
    numbers = torch.tensor([float(t) for t in result.stdout.split()])
    torch.testing.assert_close(numbers, model(torch.ones(2, 8)).detach().flatten(), atol=1e-4, rtol=1e-4)
    result = run(example, tmp_path / "missing.pte")
    assert result.returncode == 1 and result.stderr.strip()


def test_the_command_line(tmp_path):
    model = Affine().eval()
    config = rushlight.ExecutorchBackendConfig(external_constants=True)
    rushlight.compile(model, (X,), config=config).save(tmp_path / "m.pte")
    np.save(tmp_path / "x.npy", X.numpy())
    rushlight_ = binary("rushlight")
    data = ("--data", tmp_path / "m.ptd")
    result = run(
        rushlight_, "run", tmp_path / "m.pte", *data, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy"
    )
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(X).detach().numpy(), rtol=1e-5, atol=1e-6)
    result = run(rushlight_, "inspect", tmp_path / "m.pte", *data)
    assert result.returncode == 0, result.stderr
    for text in ("forward", "float32", "[2, 8]", "[2, 4]"):
        assert text in result.stdout, result.stdout
    result = run(rushlight_, "run", tmp_path / "m.pte", "-i", tmp_path / "x.npy")
    assert result.returncode == 1 and "rushlight:" in result.stderr
    result = run(rushlight_, "inspect", shutil.copy(tmp_path / "x.npy", tmp_path / "no.pte"))
    assert result.returncode == 1 and "rushlight:" in result.stderr


def test_the_command_line_knows_delegates(tmp_path):
    model = nn.Linear(1024, 1024).eval()
    rushlight.compile(model, (torch.zeros(1, 1024),)).save(tmp_path / "m.pte")
    result = run(binary("rushlight"), "inspect", tmp_path / "m.pte")
    assert result.returncode == 0, result.stderr
    weights = float(re.search(r"= weights ([\d.]+) kB", result.stdout)[1])
    assert weights * 1e3 >= model.weight.nbytes, result.stdout
    result = run(binary("rushlight"), "embed", tmp_path / "m.pte", "-o", tmp_path)
    assert result.returncode == 1 and 'backend="portable"' in result.stderr
