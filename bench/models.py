# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Our own speed on language models, beside what the memory allows: prefill, decoding, load, memory, size.

python bench/models.py                 SmolLM2 in int4 and int8
python bench/models.py --all           every shape and format
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from runs import FORMATS, bandwidth, bench, packed_bytes, program
from shapes import ROOT, SHAPES, Shape

sys.path.insert(0, str(ROOT / "bench/peers"))
from summary import table  # noqa: E402

PREFILLS, CONTEXTS = (32, 128, 512), (0, 1024)


def measure(shape: Shape, path: Path, threads: int) -> dict:
    result = {"file": path.stat().st_size, "weights": packed_bytes(path)}
    for n in PREFILLS:
        of = bench(path, threads, prompt_tokens=n, decode_tokens=0)
        result[f"prefill {n}"] = of["prefill_tokens_per_second"]
        if n == PREFILLS[0]:
            result["load_ms"], result["first_token_ms"] = of["load_ms"], of["load_ms"] + of["first_token_ms"]
        result["peak_rss"] = of["peak_rss_bytes"]
    for context in CONTEXTS:
        tokens = 32
        # Before and after, because a machine's neighbours come and go.
        limits = [bandwidth(result["weights"], threads)]
        of = bench(path, threads, prompt_tokens=0, decode_tokens=tokens, context=context)
        limits.append(bandwidth(result["weights"], threads))
        rate = of["decode_tokens_per_second"]
        read = result["weights"] + shape.cache_bytes(context + tokens // 2)
        result[f"decode at {context}"] = rate
        result[f"share at {context}"] = rate * read / max(limits)
        result[f"bandwidth at {context}"] = limits
    return result


def summary(results: list[dict]) -> str:
    heading = ["", "format", "threads", *(f"prefill {n}" for n in PREFILLS)]
    heading += [cell for n in CONTEXTS for cell in (f"decode at {n}", "of memory's speed")]
    rows = [[*heading, "load, ms", "first token, ms", "peak memory, MB", "file, MB"]]
    for r in results:
        row = [r["model"], r["format"], str(r["threads"]), *(f"{r[f'prefill {n}']:.0f}" for n in PREFILLS)]
        for n in CONTEXTS:
            row += [f"{r[f'decode at {n}']:.1f}", f"{100 * r[f'share at {n}']:.0f} %"]
        row += [f"{r['load_ms']:.1f}", f"{r['first_token_ms']:.0f}"]
        rows.append([*row, f"{r['peak_rss'] / 1e6:.0f}", f"{r['file'] / 1e6:.1f}"])
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every shape and format")
    parser.add_argument("--models", nargs="+", metavar="TEXT", help="shapes whose name contains one of these")
    parser.add_argument("--formats", nargs="+", choices=FORMATS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/models.json")
    arguments = parser.parse_args()
    names = arguments.models or ([""] if arguments.all else ["SmolLM2"])
    formats = arguments.formats or (FORMATS if arguments.all else FORMATS[:2])
    results = []
    for shape in (s for s in SHAPES if any(name in s.name for name in names)):
        for form in formats:
            path = program(shape, form)
            for threads in arguments.threads:
                found = {
                    "model": shape.name,
                    "format": form,
                    "threads": threads,
                    **measure(shape, path, threads),
                }
                print(f"{shape.name} {form}, threads {threads}: measured", file=sys.stderr, flush=True)
                results.append(found)
            if shape.kind:
                path.unlink()  # random weights in every format would fill the disk
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(f"{summary(results)}\n\n{arguments.output}")


if __name__ == "__main__":
    main()
