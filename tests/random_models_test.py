# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Random models against eager, with static and with dynamic shapes, inputs and outputs planned and not.

    python tests/random_models_test.py --count 5000 --first 1000 --dynamic

(with python and tests in PYTHONPATH) runs many and prints those that fail, and why others were refused.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import re
import sys

import pytest
import rushlight
import torch
from compiler_testing import TOLERANCE, compare, compile_all
from random_models import Case, make
from rushlight.obstacles import CompileError
from torch.utils import _pytree as pytree


class Refused(Exception):
    """The model cannot be exported, or the compiler says what it cannot do."""


def export(case: Case, dynamic: bool) -> torch.export.ExportedProgram:
    shapes = None
    if dynamic:
        symbols = [torch.export.Dim("n", min=2, max=12), torch.export.Dim("k", min=2, max=12)]
        shapes = {"args": tuple({d: symbols[s] for d, s in dims.items()} for dims in case.dynamic_dims)}
    try:
        with torch.no_grad():
            return torch.export.export(
                case.model().eval(), case.call(random.Random(0)), dynamic_shapes=shapes
            )
    except Exception as error:
        raise Refused(f"export: {type(error).__name__}") from error


def run(seed: int, dynamic: bool) -> Case:
    """Compiles the model of a seed and compares three calls.  Raises Refused, or what went wrong."""
    torch.manual_seed(0)
    case = make(seed, dynamic)
    exported = export(case, dynamic)
    try:
        programs = compile_all(exported)
    except CompileError as error:
        raise Refused("; ".join(o.what for o in error.obstacles)) from error
    rng = random.Random(seed)
    sizes = [{0: 5, 1: 6}, {0: 2, 1: 3}, {0: 12, 1: 7}] if dynamic else [None] * 3
    calls = [call for s in sizes if _runs(case, call := case.call(rng, s))]
    loose = _tolerance(case, calls)
    for program in programs:
        compare(case.model(), rushlight.load(program.buffer), calls, loose)
    return case


def _runs(case: Case, call) -> bool:
    """Whether eager itself can do this call, with results that can be compared."""
    try:
        results = case.model()(*(t.clone() for t in call))
    except (RuntimeError, IndexError, ValueError):
        return False
    return all(
        torch.isfinite(t.double()).all() and t.double().abs().amax() < 1e5 for t in results if t.numel()
    )


def _tolerance(case: Case, calls) -> tuple[float, float]:
    """For the narrowest dtype in the model, and the largest number in its results."""
    largest = 1.0
    for call in calls:
        for t in pytree.tree_leaves(case.model()(*(t.clone() for t in call))):
            if t.numel():
                largest = max(largest, float(t.double().abs().max()))
    dtype = torch.float32
    for name, candidate in (("half", torch.float16), ("bfloat16", torch.bfloat16)):
        if name in case.source or any(t.dtype == candidate for t in case.inputs):
            dtype = candidate
    rtol, atol = TOLERANCE[dtype]
    return rtol, atol * max(1.0, largest)


def _check(seeds, dynamic: bool, least: float) -> None:
    """All seeds; fails where too many models were refused for the test to mean something."""
    refused, problems = 0, []
    for seed in seeds:
        try:
            run(seed, dynamic)
        except Refused:
            refused += 1
        except Exception as error:
            problems.append(f"seed {seed}: {type(error).__name__}: {error}\n{make(seed, dynamic).source}")
    assert not problems, "\n\n".join(problems)
    assert refused <= len(seeds) * (1 - least), f"{refused} of {len(seeds)} models were refused"


# Models of each kind; more in nightly runs: RUSHLIGHT_RANDOM_MODELS=1000.
COUNT = int(os.environ.get("RUSHLIGHT_RANDOM_MODELS", "40"))


def _blocks(count: int) -> list[range]:
    return [range(first, min(first + 10, count)) for first in range(0, count, 10)]


@pytest.mark.parametrize("seeds", _blocks(COUNT), ids=str)
def test_static(seeds):
    _check(seeds, False, 0.7)


@pytest.mark.parametrize("seeds", _blocks(COUNT // 2), ids=str)
def test_dynamic(seeds):
    _check(seeds, True, 0.4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--show", action="store_true", help="print the models that fail")
    options = parser.parse_args()
    refused = collections.Counter()
    failed = 0
    for seed in range(options.first, options.first + options.count):
        try:
            run(seed, options.dynamic)
        except Refused as error:
            refused[re.sub(r"in method.*|instruction \d+", "", str(error))[:150]] += 1
        except Exception as error:
            failed += 1
            text = " | ".join(str(error).splitlines()[:4])[:400]
            print(f"FAILED seed {seed}: {type(error).__name__}: {text}", flush=True)
            if options.show:
                print(make(seed, options.dynamic).source, flush=True)
    print(f"{options.count} models, {failed} failed, {refused.total()} refused")
    for reason, count in refused.most_common():
        print(f"  {count:5} {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
