# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""ExecuTorch's own runtime with XNNPACK, with a program that takes (input_ids, cache_position): those of
optimum-executorch, and ours."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # noqa: E402
from adapter import serve  # noqa: E402
from executorch.extension.llm.custom_ops import custom_ops  # noqa: E402, F401  (the fused attention)
from executorch.extension.pybindings import portable_lib  # noqa: E402
from executorch.kernels import quantized  # noqa: E402, F401  (the 8-bit embedding)


class Engine:
    name = f"ExecuTorch {version('executorch')}"

    def __init__(self, model: str, threads: int):
        portable_lib._unsafe_reset_threadpool(threads)
        self.forward = portable_lib._load_for_executorch(model).forward
        self.position = 0

    def feed(self, tokens):
        positions = torch.arange(self.position, self.position + len(tokens))
        # Valid until the next call, which is all that is asked for.
        logits = self.forward((torch.tensor([tokens]), positions), clone_outputs=False)[0]
        self.position += len(tokens)
        return logits[0, -1].numpy()

    def rewind(self, position):
        self.position = position


if __name__ == "__main__":
    serve(Engine)
