# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""OpenVINO, with a language model that OpenVINO GenAI read from a GGUF file.

openvino_decoder.py ENGINE_AS_JSON                     serves (adapter.py)
openvino_decoder.py --convert FROM.gguf TO             writes openvino_model.xml into that folder
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import openvino  # noqa: E402
from adapter import serve  # noqa: E402


class Engine:
    name = f"OpenVINO {openvino.__version__}"

    def __init__(self, model: str, threads: int, **settings):
        """Settings: properties of OpenVINO's, by their names."""
        settings |= {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        self.request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        self.position = 0

    def feed(self, tokens):
        end = self.position + len(tokens)
        inputs = {
            "input_ids": np.array([tokens], np.int64),
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(self.position, end, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        self.position = end
        return self.request.infer(inputs, share_inputs=True, share_outputs=True)[0][0, -1]

    def rewind(self, position):
        self.position = position
        if position == 0:
            self.request.reset_state()
            return
        for state in self.request.query_state():
            kept = np.ascontiguousarray(state.state.data[:, :, :position])
            state.state = openvino.Tensor(kept)


def convert(source: str, folder: str) -> None:
    import openvino_genai

    Path(folder).mkdir(parents=True, exist_ok=True)
    # It writes beside the file that it reads.
    copy = shutil.copy(source, Path(folder, "model.gguf"))
    openvino_genai.LLMPipeline(copy, "CPU", enable_save_ov_model=True)
    Path(copy).unlink()


if __name__ == "__main__":
    if sys.argv[1] == "--convert":
        convert(*sys.argv[2:])
    else:
        serve(Engine)
