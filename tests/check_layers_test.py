# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The check of include arrows finds what points back."""

import importlib.util
from pathlib import Path

import pytest

_PATH = Path(__file__).resolve().parents[1] / "tools" / "check_layers.py"
_SPEC = importlib.util.spec_from_file_location("check_layers", _PATH)
check_layers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(check_layers)


@pytest.fixture(scope="module")
def layers():
    return check_layers.Layers(check_layers.MAP.read_text())


@pytest.mark.parametrize(
    "path, name",
    [
        ("src/core/arena.cc", "src/program/schema.h"),
        ("src/core/arena.cc", "rushlight/method.h"),
        ("src/runtime/method.cc", "rushlight/ops.h"),
        ("src/runtime/method.cc", "rushlight/not_there.h"),
        ("src/kernels/copy/copy.cc", "rushlight/tensor.h"),
        ("src/ops/copy.cc", "src/runtime/footprint.h"),
        ("src/tokenizers/bpe.cc", "rushlight/module.h"),
        ("src/module/module.cc", "src/kernels/copy/copy.h"),
        ("src/llm/engine.cc", "tools/cli/npy.h"),
        ("include/rushlight/tensor.h", "rushlight/module.h"),
        ("include/rushlight/module.h", "src/core/no_throw.h"),
        ("examples/c/main.c", "src/module/module.h"),
        ("src/bindings/python/native.cc", "torch/torch.h"),
    ],
)
def test_refused(layers, path, name):
    assert check_layers.check_include(layers, path, '"', name)


@pytest.mark.parametrize(
    "path, name",
    [
        ("src/core/arena.cc", "rushlight/arena.h"),
        ("src/ops/copy.cc", "src/kernels/copy/copy.h"),
        ("src/runtime/method.cc", "src/program/schema.h"),
        ("src/runtime/method_test.cc", "src/compiler/program_builder.h"),
        ("src/program/schema.h", "program_generated.h"),
        ("tools/cli/embed.cc", "src/compiler/embed.h"),
        ("examples/delegate/main.cc", "linear_relu.h"),
    ],
)
def test_accepted(layers, path, name):
    assert check_layers.check_include(layers, path, '"', name) is None


def test_the_tree(layers):
    assert check_layers.check_cpp(layers) + check_layers.check_python() == []


def test_back_edges_are_refused():
    with pytest.raises(SystemExit, match="b"):
        check_layers.Layers("| `a` | | | `b` |\n| `b` | | | |\n")


def test_imports_inside_functions_run_later():
    source = "import a\ndef f():\n    import torch\nclass C:\n    from b import c\n"
    tree = check_layers.ast.parse(source)
    assert [name for _, name in check_layers.immediate_imports(tree)] == ["a", "b", "b.c"]
