# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The part of the command line that compiles: `rushlight export`, `rushlight verify`.  Everything else is
the C++ program's."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path


class Progress:
    """Says on standard error what is being done, and for how long."""

    def __init__(self, steps: int, quiet: bool):
        self.steps = steps
        self.quiet = quiet
        self.done = 0
        self.begin = time.monotonic()
        self.what = ""

    def __call__(self, what: str) -> None:
        self._finish()
        self.done += 1
        self.what = what
        if sys.stderr.isatty() and not self.quiet:
            filled = 20 * self.done // max(self.steps, self.done)
            bar = "#" * filled + "." * (20 - filled)
            print(f"\r\033[K[{bar}] {what} ...", end="", file=sys.stderr, flush=True)
        self.step_begin = time.monotonic()

    def _finish(self) -> None:
        if self.what and not self.quiet:
            seconds = time.monotonic() - self.step_begin
            start = "\r\033[K" if sys.stderr.isatty() else ""
            print(f"{start}{self.what}: {seconds:.1f} s", file=sys.stderr)

    def say(self, lines: list[str]) -> None:
        """Lines of their own, behind the step that is being done."""
        self._finish()
        self.what = ""
        if not self.quiet:
            print(*lines, sep="\n", end="\n" if lines else "", file=sys.stderr)

    def finish(self, what: str) -> None:
        self.say([f"{what} in {time.monotonic() - self.begin:.1f} s"])


def _export(arguments) -> int:
    progress = Progress(7, arguments.quiet)
    progress("importing PyTorch and Transformers")
    os.environ.setdefault("HF_HUB_OFFLINE", "1" if Path(arguments.model).exists() else "0")
    from rushlight.transformers.loading import load_text_model
    from rushlight.transformers.text_generation import compile_text_generation
    from rushlight.weights_report import report

    quantization = _quantization(arguments)
    folder = Path(arguments.output).absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} to write {arguments.output} to")
    progress(f"reading {arguments.model}")
    model, assets = load_text_model(arguments.model, dtype=arguments.dtype)
    program = compile_text_generation(
        model,
        assets=assets,
        max_context_len=arguments.max_context_len,
        max_seq_len=arguments.max_seq_len,
        all_logits=arguments.all_logits,
        backend=arguments.backend,
        quantize=None if quantization == type(quantization)() else quantization,
        progress=progress,
    )
    quantization.check_names(name for w in program.weights for name in w.names)
    progress(f"writing {arguments.output}")
    program.save(arguments.output)
    progress.say(report(program.weights))
    memory = program.memory["forward"]
    progress.finish(
        f"{arguments.output}: {program.file_bytes / 1e6:.1f} MB; planned memory "
        f"{', '.join(str(b) for b in memory.planned)} bytes (activations, state)"
    )
    return 0


def _quantization(arguments):
    """What the options say of weights and caches."""
    from rushlight.delegates.cpu import Quantization

    options = {
        "weights": arguments.quantize,
        "group": arguments.group,
        "activations": arguments.activations,
        "cache": arguments.kv_cache,
        "scales": arguments.scales,
    }
    modules = dict(_pattern_and_format(m) for m in arguments.module)
    return Quantization(
        **{name: value for name, value in options.items() if value is not None}, modules=modules
    )


def _pattern_and_format(text: str) -> tuple[str, str]:
    pattern, equals, format = text.rpartition("=")
    if not pattern or not equals or not format:
        raise ValueError(f"--module takes PATTERN=FORMAT, not {text!r}")
    return pattern, format


def _verify(arguments) -> int:
    from rushlight.verify import verify_text_model

    return verify_text_model(arguments.program, arguments.model)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rushlight")
    commands = parser.add_subparsers(required=True)
    export = commands.add_parser("export", help="compile a Transformers model to a program file")
    export.add_argument("--model", required=True, help="a Hugging Face folder, or a GGUF file")
    export.add_argument("--task", default="text-generation", choices=["text-generation"])
    export.add_argument("-o", "--output", required=True, help="the program file (.pte)")
    export.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    export.add_argument(
        "--backend",
        default="cpu",
        choices=["cpu", "portable"],
        help="cpu: fused steps, packed weights; portable: runs in stock ExecuTorch too",
    )
    export.add_argument(
        "--quantize",
        choices=["int4", "int8", "bf16", "fp16"],
        help="how weights are stored (float32); what a GGUF has in as many bits or fewer stays as it is",
    )
    export.add_argument(
        "--group", type=int, metavar="N", help="inputs that share a scale (32); 0: all of a row"
    )
    export.add_argument(
        "--activations",
        choices=["int8", "fp32", "bf16"],
        help="beside int8 and int4 weights (int8); fp32: slower, without that error; "
        "bf16: rounded beside bf16 weights, faster where CPUs multiply bf16",
    )
    export.add_argument(
        "--scales",
        choices=["int8", "bf16"],
        help="of groups of int4 (int8, but what a GGUF has stays as it is; given, that is quantized anew); "
        "int8: fast prefill; bf16: nearer to weights that were quantized before",
    )
    export.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="PATTERN=FORMAT",
        help="another format for parameters by name, as '*.lm_head.*=int8'; may be repeated",
    )
    export.add_argument(
        "--kv-cache",
        choices=["fp32", "bf16", "fp16", "int8"],
        help="how the cache is stored (bf16 where weights are not float32)",
    )
    export.add_argument("-q", "--quiet", action="store_true", help="no progress and no report of errors")
    export.add_argument(
        "--max-context-len", type=int, help="positions of the cache (the model's, 2048 at most)"
    )
    export.add_argument("--max-seq-len", type=int, help="most tokens of one call (512)")
    export.add_argument(
        "--all-logits", action="store_true", help="logits of every position, not only of the last"
    )
    export.set_defaults(run=_export)
    verify = commands.add_parser("verify", help="run a program and its model side by side")
    verify.add_argument("program")
    verify.add_argument("--model", required=True)
    verify.set_defaults(run=_verify)
    return parser


def _binary() -> str | None:
    """The C++ program: beside this package in a wheel, or on the path."""
    beside = Path(__file__).parent / "bin" / "rushlight"
    if beside.exists():
        return str(beside)
    found = shutil.which("rushlight")
    if found and Path(found).resolve() != Path(sys.argv[0]).resolve():
        with open(found, "rb") as file:
            if file.read(4) == b"\x7fELF":
                return found
    return None


def main() -> int:
    """The console script: Python's subcommands here, the others by the C++ program."""
    if len(sys.argv) > 1 and sys.argv[1] in ("export", "verify"):
        arguments = _parser().parse_args()
        try:
            return arguments.run(arguments)
        except (ValueError, OSError, RuntimeError, NotImplementedError) as error:
            print(f"rushlight: {error}", file=sys.stderr)
            return 1
    binary = _binary()
    if binary is None:
        print("rushlight: the C++ program is not installed beside the package", file=sys.stderr)
        return 1
    os.execv(binary, ["rushlight", *sys.argv[1:]])
