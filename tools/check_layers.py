# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Checks that includes and imports point the way that docs/architecture.md says; its table is the list.

Prints each line that does not, and exits with 1.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAP = ROOT / "docs" / "architecture.md"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TORCH_HEADERS = re.compile(r"(torch|ATen|c10|caffe2|executorch)/")
ABOVE_ALL = re.compile(r"_(test|bench|fuzz)\.(cc|h)$")

# What must work where PyTorch is not installed: these modules, and all that they import at once.
PYTHON_RUNTIME = ["rushlight", "rushlight.__main__", "rushlight.cli", "rushlight.runtime"]
COMPILER_ONLY = {"torch", "torchao", "transformers"}


class Layers:
    """The table: `may[layer]` are the layers it may include, `of_header` the layer of a public header."""

    def __init__(self, text: str):
        self.may: dict[str, set[str]] = {}
        self.of_header: dict[str, str] = {}
        for cells in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", text, re.M):
            layer, headers, includes = cells[0], *(re.findall(r"`([^`]+)`", cell) for cell in cells[1:])
            earlier = set(self.may)
            if cells[2].strip() == "all":
                includes = earlier
            if not set(includes) <= earlier:
                sys.exit(f"{MAP}: {layer} includes {set(includes) - earlier}, which are not above it")
            self.may[layer] = {layer, *includes}
            self.of_header |= {f"rushlight/{header}": layer for header in headers}
        if not self.may:
            sys.exit(f"{MAP}: no table of layers")

    def of(self, path: str) -> str | None:
        """The layer of a file, or of what an include names; None for what is outside."""
        if path.startswith("rushlight/"):
            return self.of_header.get(path)
        match = re.match(r"src/(\w+)/", path)
        return match[1] if match else None


def check_include(layers: Layers, path: str, bracket: str, name: str) -> str | None:
    """What is wrong with an include of `name` in the file `path`, or None."""
    if TORCH_HEADERS.match(name):
        return "PyTorch's headers are not for the runtime"
    if name.startswith("rushlight/") and name not in layers.of_header:
        return "no layer of docs/architecture.md has this header"
    if bracket == "<":
        return None
    if path.startswith(("include/", "examples/")):
        if name.startswith(("src/", "tools/", "tests/")):
            return "only public headers, as users have them"
        if path.startswith("examples/"):
            return None
    elif not path.startswith("src/") or ABOVE_ALL.search(path):
        return None
    if name.startswith(("tools/", "tests/")):
        return "tools and tests are above the library"
    source, target = layers.of(path.removeprefix("include/")), layers.of(name)
    if target is not None and target not in layers.may[source]:
        return f"{source} may not include {target}"
    return None


def check_cpp(layers: Layers) -> list[str]:
    problems = []
    for folder in ("include", "src", "examples", "tools", "tests", "fuzz", "bench"):
        for file in sorted((ROOT / folder).rglob("*.*")):
            if file.suffix not in (".h", ".cc", ".c"):
                continue
            path = file.relative_to(ROOT).as_posix()
            if folder in ("include", "src") and layers.of(path.removeprefix("include/")) not in layers.may:
                problems.append(f"{path}: its layer is not in docs/architecture.md")
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                wrong = match and check_include(layers, path, match[1], match[2])
                if wrong:
                    problems.append(f"{path}:{number}: {wrong}: {line.strip()}")
    return problems


def module_file(module: str) -> Path | None:
    base = ROOT / "python" / Path(*module.split("."))
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.exists()), None)


def immediate_imports(node: ast.AST):
    """(line, module) of the imports that run when a module is imported: not those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.lineno, child.module or ""
            yield from ((child.lineno, f"{child.module}.{alias.name}") for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from immediate_imports(child)


def check_python() -> list[str]:
    problems = []
    waiting, seen = list(PYTHON_RUNTIME), set()
    while waiting:
        module = waiting.pop()
        file = module_file(module)
        if file is None or module in seen:
            continue
        seen.add(module)
        for line, imported in immediate_imports(ast.parse(file.read_text())):
            top = imported.split(".")[0]
            if top in COMPILER_ONLY:
                where = f"{file.relative_to(ROOT)}:{line}"
                problems.append(f"{where}: the runtime part of the package may not import {top}")
            if top == "rushlight":  # a submodule imports the packages above it
                parts = imported.split(".")
                waiting += [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return sorted(set(problems))


def main() -> None:
    layers = Layers(MAP.read_text())
    problems = check_cpp(layers) + check_python()
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
