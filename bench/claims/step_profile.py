# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a decoded token spends beside its matrix products: SmolLM2 in int4, empty cache, one thread.

Functions are sampled in a process that decodes and in one that does the same for one token; the difference is
decoding.  Products are the functions of src/kernels/packed that multiply; quantizing their rows, their epilogues where
these are functions, and all that is not in a kernel count as the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from environments import ROOT, add_paths
from report import Figure, run
from sampling import samples

add_paths()
import runs  # noqa: E402

TOKENS, REPEAT = 64, 8
PRODUCT = re.compile(r"kernels::\w+::.*(Matmul|Tile)")
MOST = 0.12


def decoding(tokens: int, repeat: int) -> dict[str, int]:
    command = [ROOT / "build/release/rushlight", "bench", runs.smollm2_int4(), "--threads", 1]
    return samples([*command, "--prompt-tokens", 0, "--decode-tokens", tokens, "--repeat", repeat])


def measure() -> Iterator[Figure]:
    all_, beside = decoding(TOKENS, REPEAT), decoding(1, REPEAT)
    all_.subtract(beside)
    total = sum(all_.values())
    rest = {name: n for name, n in all_.items() if not PRODUCT.search(name)}
    most = sorted(rest, key=rest.get, reverse=True)[:4]
    short = [re.sub(r"<.*|\(anonymous namespace\)::|^rushlight::|kernels::", "", name) for name in most]
    names = ", ".join(f"{name} {rest[of] / total:.1%}" for name, of in zip(short, most, strict=True))
    share = sum(rest.values()) / total
    yield Figure(
        "what is not a matrix product, of a decoded token",
        f"at most {MOST:.0%}",
        f"{share:.1%} of {total} samples: {names}",
        share <= MOST,
    )


if __name__ == "__main__":
    run(measure)
