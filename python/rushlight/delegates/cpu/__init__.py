# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The CPU delegate: packed weights, and fused steps over rows (docs/rfc/cpu_delegate.md).

    rushlight.compile(model, inputs, backend="cpu", quantize="int4")

| File | Does |
|---|---|
| `patterns/` | one file a pattern: what models spell out becomes one operator |
| `ops.py` | those operators, as PyTorch knows them |
| `positions.py` | values that depend on positions alone, evaluated while compiling |
| `forms.py` | which nodes are rows of floats, and so can be steps |
| `partitioner.py` | which of them go together |
| `steps.py` | a partition as steps, fused; memory for their rows |
| `weights.py` | formats, and packing |
| `grid.py` | matrices that are quantized already |
"""

from rushlight.delegates.cpu.partitioner import CpuPartitioner
from rushlight.delegates.cpu.weights import Quantization

__all__ = ["CpuPartitioner", "Quantization"]
