# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Stock ExecuTorch's side of the claims; runs in the peers' Python.

stock.py run PROGRAM CALLS OUTPUTS     calls forward once for each tuple of inputs in CALLS (torch.save)
stock.py greedy PROGRAM PROMPTS IDS    greedy tokens behind each prompt
stock.py compile NAME OUTPUT           a model of models.py, portable; its planned bytes as JSON
stock.py cost OUTPUT                   SmolLM2 from GGUF to a program; CPU seconds as JSON
"""

from __future__ import annotations

import json
import sys

from environments import add_paths, cpu_seconds, peak_rss_bytes

add_paths()

import torch  # noqa: E402


def _load(path: str):
    from executorch.extension.pybindings.portable_lib import _load_for_executorch

    return _load_for_executorch(path)


def run(program: str, calls: str, outputs: str) -> None:
    forward = _load(program).forward
    results = [[t.clone() for t in forward(call)] for call in torch.load(calls)]
    torch.save(results, outputs)


def greedy(program: str, prompts: str, ids: str) -> None:
    wanted = torch.load(prompts)
    found = []
    for prompt in wanted["prompts"]:
        forward = _load(program).forward  # a fresh cache
        step, position, answer = prompt, 0, []
        for _ in range(wanted["tokens"]):
            positions = torch.arange(position, position + len(step))
            logits = forward((torch.tensor([step]), positions))[0]
            position += len(step)
            step = [int(logits[0, -1].argmax())]
            answer += step
        found.append(answer)
    torch.save(found, ids)


def _lower(exported, output: str) -> list[int]:
    """to_edge, to_executorch, to a file.  Returns the planned bytes of each memory."""
    from executorch.exir import ExecutorchBackendConfig, to_edge
    from executorch.exir.passes import MemoryPlanningPass

    config = ExecutorchBackendConfig(memory_planning_pass=MemoryPlanningPass())
    program = to_edge(exported).to_executorch(config)
    with open(output, "wb") as file:
        program.write_to_file(file)
    return list(program.executorch_program.execution_plan[0].non_const_buffer_sizes[1:])


def compile_model(name: str, output: str) -> None:
    from models import REAL, SMALL

    model = next(m for m in (*REAL, *SMALL) if m.name == name)
    print(json.dumps({"planned": _lower(model.export(), output)}))


def cost(output: str) -> None:
    from models import export_smollm2
    from real_models import smollm2_path
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = smollm2_path()
    AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name).save_pretrained(
        output + ".tokenizer"
    )
    model = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    exported = export_smollm2(model)
    import executorch.exir  # noqa: F401  (importing is not compiling)

    begin = cpu_seconds()
    _lower(exported, output)
    print(json.dumps({"cpu_seconds": cpu_seconds() - begin, "peak": peak_rss_bytes()}))


if __name__ == "__main__":
    {"run": run, "greedy": greedy, "compile": compile_model, "cost": cost}[sys.argv[1]](*sys.argv[2:])
