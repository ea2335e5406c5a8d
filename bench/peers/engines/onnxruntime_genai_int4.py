# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""ONNX Runtime's loop for language models, with a folder that its own model builder wrote."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import onnxruntime_genai as genai  # noqa: E402
from adapter import serve  # noqa: E402


class Engine:
    name = f"ONNX Runtime GenAI {version('onnxruntime-genai')}"

    def __init__(self, model: str, threads: int, context: int = 2048):
        config = genai.Config(str(Path(model).parent))
        session = {"intra_op_num_threads": threads}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
        self.model = genai.Model(config)
        params = genai.GeneratorParams(self.model)
        params.set_search_options(max_length=context)
        self.generator = genai.Generator(self.model, params)

    def feed(self, tokens):
        self.generator.append_tokens(np.array([tokens], np.int32))
        return self.generator.get_logits()[0, -1]

    def rewind(self, position):
        self.generator.rewind_to(position)


if __name__ == "__main__":
    serve(Engine)
