# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch itself, with an exported program: as it is, or compiled for this CPU."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # noqa: E402
from adapter import Encoder, serve  # noqa: E402


class Engine:
    name = f"PyTorch {torch.__version__}"

    def __init__(self, model: str, threads: int, dtype: str = "float32", compiled: bool = False):
        torch.set_num_threads(threads)
        self.dtype = getattr(torch, dtype)
        self.model = torch.export.load(model).module().to(self.dtype)
        if compiled:
            self.model = torch.compile(self.model)

    @torch.inference_mode()
    def run(self, inputs):
        tensors = [torch.from_numpy(x) for x in inputs]
        tensors = [x.to(self.dtype) if x.is_floating_point() else x for x in tensors]
        return self.model(*tensors).float().numpy()


if __name__ == "__main__":
    serve(Engine, Encoder)
