# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A delegate of one's own, the part that compiles: takes `linear` (with a bias or without) followed by
`relu`, as one piece.

    python linear_relu.py model.pte        compiles a small model with it; prints input and output

The part that runs is linear_relu.h and linear_relu.cc; main.cc runs the program with it.
"""

from __future__ import annotations

import hashlib
import struct
import sys

import rushlight
import torch
from rushlight.delegates.partitioner import tag_constant_data
from torch.export import ExportedProgram

aten = torch.ops.aten
VERSION = 1


class LinearReluBackend(rushlight.BackendDetails):
    """The payload: version, inputs, outputs, has_bias (uint32 each), then the key of the weights.  The
    weights: float32 [outputs, inputs], then the bias [outputs]."""

    @staticmethod
    def preprocess(edge_program: ExportedProgram, compile_specs) -> rushlight.PreprocessResult:
        constants = {**edge_program.state_dict, **edge_program.constants}
        targets = {s.arg.name: s.target for s in edge_program.graph_signature.input_specs}
        linear = next(n for n in edge_program.graph.nodes if n.target is aten.linear.default)
        tensors = [
            constants[targets[node.name]].detach().float() for node in linear.args[1:] if node is not None
        ]
        data = b"".join(t.contiguous().numpy().tobytes() for t in tensors)
        key = hashlib.sha256(data).hexdigest()
        outputs, inputs = tensors[0].shape
        header = struct.pack("<4I", VERSION, inputs, outputs, len(tensors) - 1)
        return rushlight.PreprocessResult(
            processed_bytes=header + key.encode(), named_data=[rushlight.NamedData(key, data)]
        )


class LinearReluPartitioner(rushlight.Partitioner):
    """Marks float32 linear nodes whose weights are constants and whose only user is relu."""

    def ops_to_not_decompose(self, exported_program):
        return [aten.linear.default], None

    def partition(self, exported_program: ExportedProgram) -> rushlight.PartitionResult:
        constants = set(exported_program.graph_signature.inputs_to_parameters)
        tags = {}
        for relu in exported_program.graph.nodes:
            if relu.target is not aten.relu.default:
                continue
            linear = relu.args[0]
            if linear.target is not aten.linear.default or len(linear.users) != 1:
                continue
            if linear.meta["val"].dtype != torch.float32:
                continue
            if any(w is not None and w.name not in constants for w in linear.args[1:]):
                continue
            tag = f"linear_relu_{len(tags)}"
            linear.meta["delegation_tag"] = relu.meta["delegation_tag"] = tag
            tags[tag] = rushlight.DelegationSpec("LinearReluBackend")
        tag_constant_data(exported_program)
        return rushlight.PartitionResult(exported_program, tags)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(8, 16)
        self.out = torch.nn.Linear(16, 4, bias=False)

    def forward(self, x):
        return torch.relu(self.out(torch.relu(self.hidden(x)))) - 1


def compile_model(model: torch.nn.Module, inputs, **options):
    """`model` compiled with the delegate."""
    # The compiler tries the program on this machine, where there is no such delegate: it is told so.
    config = rushlight.ExecutorchBackendConfig(extra_delegates=["LinearReluBackend"])
    return rushlight.compile(model, inputs, partitioner=LinearReluPartitioner(), config=config, **options)


def main(path: str) -> None:
    torch.manual_seed(0)
    model, x = Model(), torch.arange(16, dtype=torch.float32).view(2, 8) / 8
    batch = torch.export.Dim("batch", min=1, max=4)
    compile_model(model, (x,), dynamic_shapes=({0: batch},)).save(path)
    print(" ".join(f"{v:.4f}" for v in model(x).flatten().tolist()))


if __name__ == "__main__":
    main(sys.argv[1])
