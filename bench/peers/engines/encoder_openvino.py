# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""OpenVINO, with an encoder that ONNX Runtime reads too.

encoder_openvino.py ENGINE_AS_JSON                            serves (adapter.py)
encoder_openvino.py --quantize FROM.onnx TO.xml INPUTS.npz    int8 weights and activations, by NNCF's recipe
                                                              for transformers
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import openvino  # noqa: E402
from adapter import Encoder, serve  # noqa: E402


class Engine:
    name = f"OpenVINO {openvino.__version__}"

    def __init__(self, model: str, threads: int, **settings):
        """Settings: properties of OpenVINO's, by their names."""
        core = openvino.Core()
        compiled = core.compile_model(model, "CPU", settings | {"INFERENCE_NUM_THREADS": threads})
        self.request = compiled.create_infer_request()

    def run(self, inputs):
        return self.request.infer(inputs, share_inputs=True, share_outputs=True)[0]


def quantize(source: str, target: str, inputs: str) -> None:
    import nncf

    with np.load(inputs) as arrays:
        names = sorted(n for n in arrays.files if n.startswith("input"))
        samples = [list(sample) for sample in zip(*(arrays[n] for n in names), strict=True)]
    model = openvino.Core().read_model(source)
    model = nncf.quantize(model, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(model, target, compress_to_fp16=False)


if __name__ == "__main__":
    if sys.argv[1] == "--quantize":
        quantize(*sys.argv[2:])
    else:
        serve(Engine, Encoder)
