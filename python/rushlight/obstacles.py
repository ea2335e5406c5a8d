# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Obstacles: what keeps a model from being compiled, all of them at once."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import fx


@dataclass(frozen=True)
class Obstacle:
    """One thing that stands in the way: what, where in the model, and the change that would help."""

    what: str
    where: str = ""  # "model.py:33: y = torch.sort(x)"
    advice: str = ""
    method: str = ""

    def __str__(self) -> str:
        lines = [f"- {self.what}"]
        if self.where:
            lines.append(f"    at {self.where}")
        if self.advice:
            lines.append(f"    {self.advice}")
        return "\n".join(lines)


class CompileError(Exception):
    """The model cannot be compiled.  `obstacles` lists every reason that was found."""

    def __init__(self, obstacles: Iterable[Obstacle]):
        self.obstacles = list(dict.fromkeys(obstacles))
        count = len(self.obstacles)
        heading = f"{count} obstacle{'s' if count != 1 else ''}:\n"
        super().__init__(heading + "\n".join(str(o) for o in self.obstacles))


def cannot(node: fx.Node | None, what: str, advice: str = "") -> CompileError:
    """The error for one node."""
    return CompileError([Obstacle(what, where(node), advice)])


def unbounded(node: fx.Node | None, error: ValueError) -> CompileError:
    """The error for a node with a size that nothing bounds."""
    return cannot(
        node,
        str(error),
        "give the dimension a bound: dynamic_shapes=... torch.export.Dim(name, max=...), or for a "
        "size that depends on data torch._check(size <= bound) in the model",
    )


_FRAME = re.compile(r'^\s*File "(?P<file>.+?)", line (?P<line>\d+)(?:, in (?P<function>.*))?$')


def source_of(node: fx.Node) -> tuple[str, int, str] | None:
    """(file, line, text) of the innermost line of the model that a node comes from.  Files are given
    relative to the import path, so that no machine's folders get into program files."""
    trace = node.meta.get("stack_trace")
    if not trace:
        return None
    lines = trace.splitlines()
    found = None
    for i, line in enumerate(lines):
        match = _FRAME.match(line)
        if match:
            text = lines[i + 1].strip() if i + 1 < len(lines) else ""
            found = (match["file"], int(match["line"]), "" if _FRAME.match(text) else text)
    if found is None:
        return None
    return (_relative(found[0]), found[1], found[2])


def _relative(path: str) -> str:
    best = os.path.basename(path)
    for root in sys.path:
        root = os.path.abspath(root or os.getcwd())
        if path.startswith(root + os.sep):
            shorter = path[len(root) + 1 :]
            if best == os.path.basename(path) or len(shorter) < len(best):
                best = shorter
    return best


def raised_at(error: BaseException) -> str:
    """The innermost line of the model that an exception came through on its way to us; "" where there is none."""
    libraries = tuple(os.path.dirname(file) + os.sep for file in (__file__, torch.__file__))
    frames = traceback.extract_tb(error.__traceback__)
    ours = [i for i, frame in enumerate(frames) if frame.filename.startswith(libraries[0])]
    for frame in reversed(frames[ours[0] :] if ours else []):
        if not frame.filename.startswith(libraries) and os.path.isfile(frame.filename):
            return f"{_relative(frame.filename)}:{frame.lineno}: {frame.line}"
    return ""


def where(node: fx.Node | None) -> str:
    source = source_of(node) if node is not None else None
    if source is None:
        return f"{node.name} ({node.target})" if node is not None else ""
    file, line, text = source
    return f"{file}:{line}" + (f": {text}" if text else "")
