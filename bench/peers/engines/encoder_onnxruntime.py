# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""ONNX Runtime, with an encoder.

encoder_onnxruntime.py ENGINE_AS_JSON                     serves (adapter.py)
encoder_onnxruntime.py --export FROM.pt2 TO.onnx          PyTorch's exporter
encoder_onnxruntime.py --fuse FROM.onnx TO.onnx HEADS WIDTH   its optimizer for transformers
encoder_onnxruntime.py --quantize FROM.onnx TO.onnx       int8 weights by channel, activations when it runs
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnxruntime  # noqa: E402
from adapter import Encoder, serve  # noqa: E402


class Engine:
    name = f"ONNX Runtime {onnxruntime.__version__}"

    def __init__(self, model: str, threads: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in self.session.get_inputs()]

    def run(self, inputs):
        return self.session.run(None, dict(zip(self.names, inputs, strict=True)))[0]


def export(source: str, target: str) -> None:
    import torch

    torch.onnx.export(torch.export.load(source), f=target, dynamo=True, external_data=False)


def fuse(source: str, target: str, heads: str, width: str) -> None:
    from onnxruntime.transformers.optimizer import optimize_model

    optimize_model(source, "bert", num_heads=int(heads), hidden_size=int(width)).save_model_to_file(target)


def quantize(source: str, target: str) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    steps = {"--export": export, "--fuse": fuse, "--quantize": quantize}
    if sys.argv[1] in steps:
        steps[sys.argv[1]](*sys.argv[2:])
    else:
        serve(Engine, Encoder)
