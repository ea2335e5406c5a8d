#!/usr/bin/env python3
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The published mutation table: damages a program file 3,000 times and runs each copy.

    build/release/tests/hostile/hostile --write-seeds /tmp
    tests/hostile/mutate.py /tmp/perceptron.pte                            Rushlight
    tests/hostile/mutate.py /tmp/perceptron.pte --runtime executorch       where that is installed

One process for each mutant, with ten seconds and 8 GiB, loads it and runs `forward` once, on ones.
`hostile` runs the same mutants of this network in C++, byte for byte.
"""

import argparse
import collections
import os
import random
import resource
import signal
import sys
from pathlib import Path

SEED = 7
BOUNDARIES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF]
BOUNDARIES += [0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]


def mutants(original: bytes, count: int):
    generator = random.Random(SEED)
    for _ in range(count):
        mutant = bytearray(original)
        for _ in range(generator.choice((1, 1, 1, 2, 4))):
            offset = generator.randrange(len(mutant))
            width = generator.choice((1, 2, 4, 4, 4, 8))
            if generator.random() < 0.2:
                mutant[offset] ^= 1 << generator.randrange(8)
                continue
            boundary = generator.random() < 0.7
            value = generator.choice(BOUNDARIES) if boundary else generator.getrandbits(32)
            width = min(width, len(mutant) - offset)
            mutant[offset : offset + width] = value.to_bytes(8, "little")[:width]
        yield bytes(mutant)


def run_rushlight(data: bytes) -> bool:
    import numpy as np
    from rushlight import _native

    try:
        module = _native.Module.from_bytes(data)
        inputs = module.method_meta("forward")["inputs"]
        ones = [np.ones(i.get("sizes", ()), i.get("dtype", "float32")) for i in inputs]
        module.execute("forward", ones)
    except (_native.Error, TypeError):
        return False
    return True


def run_executorch(data: bytes) -> bool:
    import torch
    from executorch.runtime import Runtime, Verification

    try:
        program = Runtime.get().load_program(data, verification=Verification.InternalConsistency)
        method = program.load_method("forward")
        sizes = [method.metadata.input_tensor_meta(i).sizes() for i in range(method.metadata.num_inputs())]
        method.execute([torch.ones(s) for s in sizes])
    except (RuntimeError, ValueError):
        return False
    return True


def outcome(run, data: bytes) -> str:
    """How a process of its own ends that loads and runs `data`."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(10)
        os._exit(0 if run(data) else 1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hang" if number == signal.SIGALRM else f"crash: {signal.Signals(number).name}"
    return "ran" if os.WEXITSTATUS(status) == 0 else "refused"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--runtime", choices=("rushlight", "executorch"), default="rushlight")
    parser.add_argument("--mutants", type=int, default=3000)
    options = parser.parse_args()
    run = {"rushlight": run_rushlight, "executorch": run_executorch}[options.runtime]
    original = options.program.read_bytes()
    assert run(original), "the program itself does not run"
    counts = collections.Counter(outcome(run, m) for m in mutants(original, options.mutants))
    for name, count in counts.most_common():
        print(f"{count:6} {name}")
    return 0 if set(counts) <= {"ran", "refused"} else 1


if __name__ == "__main__":
    sys.exit(main())
