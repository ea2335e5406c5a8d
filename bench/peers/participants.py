# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Who takes part: engines, their Pythons, their files and settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from child import Child

ROOT = Path(__file__).resolve().parents[2]
ENGINES = Path(__file__).parent / "engines"
sys.path.insert(0, str(ROOT / "bench"))
from shapes import MODELS, SHAPES, Shape  # noqa: E402

SMOLLM2 = SHAPES[0]


def gguf(shape: Shape = SMOLLM2) -> Path:
    """What llama.cpp's types are made of: SmolLM2-135M-Instruct as it comes, Q4_1; others in 16 bits."""
    source = shape.source()
    if source.suffix == ".gguf":
        return source
    target = source.with_name(f"{source.name}.gguf")
    if not target.exists():
        from shape_gguf import write_gguf

        part = target.with_suffix(".part")
        write_gguf(source, part)
        part.rename(target)
    return target


@dataclass(frozen=True)
class Participant:
    label: str
    engine: str  # engines/NAME.py
    python: Path
    model: Path
    settings: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, threads: int, *arguments: str) -> Child:
        given = json.dumps({"model": str(self.model), "threads": threads, **self.settings})
        return Child([self.python, ENGINES / f"{self.engine}.py", given, *arguments], self.environment)

    def file_size(self) -> int:
        """Bytes of the model, with the weights that lie beside it."""
        beside = [self.model.with_suffix(".bin"), self.model.with_name(f"{self.model.name}.data")]
        return sum(f.stat().st_size for f in (self.model, *beside) if f.exists())


def bench_python(name: str) -> Path:
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
    ", no extra buffers": {"extra_buffers": False},
}


Wanted = Callable[[str], bool]  # by label


def llamacpp(default_settings: bool, wanted: Wanted, shape: Shape = SMOLLM2) -> Iterator[Participant]:
    """Files are made for those that are wanted."""
    python = bench_python("llamacpp")
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
        model = MODELS / f"{shape.name}-{kind.lower().replace(' ', '-')}.gguf"
        if not model.exists():
            part = model.with_suffix(".part")
            subprocess.run(
                [python, script, "--quantize", gguf(shape), part, name, *options],
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
    python = bench_python("executorch")
    program = MODELS / "smollm2-executorch-8da4w.pte"
    if not program.exists():
        print("exporting SmolLM2 with optimum-executorch", flush=True)
        target = MODELS / "executorch.part"
        with _hugging_face_folder() as folder:
            _run(python.with_name("optimum-cli"), *_OPTIMUM, "--model", folder, "--output_dir", target)
        (target / "model.pte").rename(program)
        shutil.rmtree(target)
    yield Participant(label, "executorch_xnnpack", python, program)


def onnxruntime(wanted: Wanted) -> Iterator[Participant]:
    """ONNX Runtime GenAI with what its model builder makes: 4 bits in groups of 32, products of integers."""
    label = "ONNX Runtime int4"
    if not wanted(label):
        return
    python = bench_python("onnx")
    folder = MODELS / "smollm2-onnxruntime-int4"
    if not folder.exists():
        print("building SmolLM2 for ONNX Runtime", flush=True)
        part, options = folder.with_suffix(".part"), ["int4_accuracy_level=4", "int4_block_size=32"]
        builder = [python, "-m", "onnxruntime_genai.models.builder", "-p", "int4", "-e", "cpu"]
        with _hugging_face_folder() as source:
            _run(*builder, "-i", source, "-o", part, "-c", part / "cache", "--extra_options", *options)
        shutil.rmtree(part / "cache", ignore_errors=True)
        part.rename(folder)
    yield Participant(label, "onnxruntime_genai_int4", python, folder / "model.onnx")


def openvino(default_settings: bool, wanted: Wanted) -> Iterator[Participant]:
    """OpenVINO with llama.cpp's Q4_0, as OpenVINO GenAI reads it; its cache has 8 bits unless it is told
    otherwise."""
    settings = {"": {}, ", cache in 16 bits": {"KV_CACHE_PRECISION": "bf16"}}
    labels = {
        f"OpenVINO Q4_0{suffix}": of for suffix, of in settings.items() if not (default_settings and of)
    }
    labels = {label: of for label, of in labels.items() if wanted(label)}
    if not labels:
        return
    python = bench_python("openvino")
    folder = MODELS / "smollm2-openvino-q4_0"
    if not folder.exists():
        (source,) = llamacpp(True, lambda label: label == "llama.cpp Q4_0")
        part = folder.with_suffix(".part")
        _run(python, ENGINES / "openvino_decoder.py", "--convert", source.model, part)
        part.rename(folder)
    for label, of in labels.items():
        yield Participant(label, "openvino_decoder", python, folder / "openvino_model.xml", of)


def _run(*command) -> None:
    """What it prints is shown if it fails: exporters print a lot."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)  # the engine's Python has its own packages
    done = subprocess.run(
        [str(word) for word in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: ended with {done.returncode}\n{done.stdout[-4000:]}")


@contextmanager
def _hugging_face_folder() -> Iterator[Path]:
    """The weights as float32, and the tokenizer, in the form that other exporters read."""
    from rushlight.transformers.loading import load_text_model

    MODELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MODELS) as name:
        folder = Path(name)
        model, assets = load_text_model(gguf())
        model.save_pretrained(folder)
        (folder / "tokenizer.json").write_bytes(assets.tokenizer)
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **(assets.tokenizer_config or {})}
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        yield folder
