# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the runtime costs an image, in bytes, against its budgets.

Builds the presets `size` and `cortex-m33` and compares a program that loads and runs program files, checks
of the file included, with an empty one (both linked with --gc-sections).  Then looks through every object of
core and ops, with nm, for what small machines lack: a heap, exceptions, code that runs before main, and
without an operating system files and threads too.  Last, builds the example of an image with selected
operators and runs it.  Fails where a budget or a rule is broken.

  python3 tools/size/size.py            the standard library is all that this needs
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Target:
    name: str
    preset: str
    binutils: str  # prefix
    budget: int
    operating_system: bool

    @property
    def build(self) -> Path:
        return ROOT / "build" / self.preset


TARGETS = [
    Target("x86-64", "size", "", 48 * 1024, operating_system=True),
    Target("Cortex-M33", "cortex-m33", "arm-none-eabi-", 32 * 1024, operating_system=False),
]

# Symbols, mangled, that nothing may refer to nor define.
FORBIDDEN = {
    "the heap": r"([mc]|re|aligned_)alloc|free|(posix_)?memalign|strn?dup|_Zn[aw].*|_Zd[al].*",
    "exceptions": r"__cxa_(throw|rethrow|allocate_exception|begin_catch|end_catch)|_Unwind_.*"
    r"|__gxx_personality_.*|__aeabi_unwind_.*|_ZSt\d+__throw_.*",
    "type information": r"_ZT[IS].*|__dynamic_cast",
    "code before or after main": r"_GLOBAL__(sub_)?[ID]_.*|(__cxa_|__aeabi_)?atexit|_ZNSt8ios_base4Init.*",
}
WITHOUT_SYSTEM = {
    "files and the console": r"f?open|f?close|f?read|f?write|v?[fs]?n?printf|puts|fputs|putchar|exit|abort",
    "threads": r"pthread_.*|_ZNSt6thread.*|__cxa_guard_.*",
}


def run(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], cwd=ROOT, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def section_bytes(binutils: str, image: Path) -> dict[str, int]:
    lines = run(binutils + "size", "-A", image).splitlines()
    return {m[1]: int(m[2]) for line in lines if (m := re.match(r"(\.\S+)\s+(\d+)", line))}


def code_bytes(sections: dict[str, int]) -> int:
    return sections.get(".text", 0) + sections.get(".rodata", 0)


def forbidden_symbols(target: Target) -> list[str]:
    rules = FORBIDDEN if target.operating_system else FORBIDDEN | WITHOUT_SYSTEM
    found = []
    for library in ("core", "ops"):
        archive = target.build / f"librushlight_{library}.a"
        for line in run(target.binutils + "nm", "--print-file-name", archive).splitlines():
            where, symbol = line.split()[0], line.split()[-1]
            for what, pattern in rules.items():
                if re.fullmatch(pattern, symbol.split("@")[0]):
                    found.append(f"{target.name}: {where.split(':')[1]} refers to {what}: {symbol}")
    return found


def programs(target: Target) -> list[dict[str, int]]:
    """Builds what is measured; the sections of the empty program, and of the one that loads and runs."""
    run("cmake", "--preset", target.preset)
    run("cmake", "--build", target.build, "--target", "core", "ops", "size_empty", "size_load_and_run")
    folder = target.build / "tools" / "size"
    return [section_bytes(target.binutils, folder / f"size_{name}") for name in ("empty", "load_and_run")]


def load_and_run_bytes(target: Target) -> int:
    empty, program = programs(target)
    return code_bytes(program) - code_bytes(empty)


def check(target: Target) -> list[str]:
    """Prints the target's figures; returns what is wrong with them."""
    empty, program = programs(target)
    used = code_bytes(program) - code_bytes(empty)
    print(f"load and run, {target.name:<28}{used:>7} of {target.budget}", flush=True)
    problems = forbidden_symbols(target)
    if used >= target.budget:
        problems.append(f"{target.name}: {used} bytes, of {target.budget}; nm -S --size-sort shows where")
    if program.get(".init_array", 0) != empty.get(".init_array", 0):
        problems.append(f"{target.name}: something runs before main")
    return problems


def main() -> None:
    print("Bytes of .text and .rodata, less those of an empty program, -Os")
    problems = [problem for target in TARGETS for problem in check(target)]
    run("tools/test_bare_metal.sh")
    cortex = TARGETS[-1]
    image = code_bytes(section_bytes(cortex.binutils, ROOT / "build" / "bare_metal" / "image"))
    print(f"examples/bare_metal, all of it, {cortex.name:<10}{image:>7}")
    if problems:
        sys.exit("\n".join(problems))
    print("No heap, exceptions or static initialisers in core and ops; the image runs under QEMU.")


if __name__ == "__main__":
    main()
