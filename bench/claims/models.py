# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What the claims are measured on: three models with real weights, and small programs, each as the
ExportedProgram that both compilers are given."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from environments import BUILD, add_paths

add_paths()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402
from torch.export import Dim, ExportedProgram  # noqa: E402

# The bounds of SmolLM2's programs here.
CONTEXT, TOKENS = 256, 128
MINILM_BATCH, MINILM_LENGTH, MOBILENET_BATCH = 4, 128, 4


def smollm2(context: int = CONTEXT, tokens: int = TOKENS, all_logits: bool = False) -> ExportedProgram:
    """(input_ids, cache_position) -> logits of the last token, or of all."""
    from real_models import smollm2_path
    from rushlight.transformers.loading import load_text_model

    return export_smollm2(load_text_model(smollm2_path())[0], context, tokens, all_logits)


def export_smollm2(model, context: int = CONTEXT, tokens: int = TOKENS, all_logits: bool = False):
    from rushlight.transformers.text_generation import TextGenerationModule, export_text_generation

    return export_text_generation(TextGenerationModule(model.eval(), context, all_logits), tokens)


def sentences(batch: int, length: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and a mask as for sentences of different lengths, padded at the end."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1000, 30000, (batch, length), generator=generator)
    lengths = torch.randint(max(1, length // 2), length + 1, (batch, 1), generator=generator)
    lengths[0] = length
    mask = (torch.arange(length) < lengths).long()
    return ids * mask, mask


def minilm(model=None) -> ExportedProgram:
    """(input_ids, attention_mask) [B, S] -> sentence embeddings [B, 384]; both sizes dynamic."""
    from real_models import minilm as load

    batch, length = Dim("batch", min=1, max=MINILM_BATCH), Dim("length", min=1, max=MINILM_LENGTH)
    shape = {0: batch, 1: length}
    with torch.no_grad():
        return torch.export.export(
            model or load(), sentences(2, 12), dynamic_shapes=(shape, shape), strict=False
        )


def mobilenet_v2(model=None) -> ExportedProgram:
    """Pictures [B, 3, 224, 224] -> logits [B, 1000]; B dynamic."""
    from real_models import mobilenet_v2 as load

    batch = {0: Dim("batch", min=1, max=MOBILENET_BATCH)}
    with torch.no_grad():
        return torch.export.export(
            model or load(), (torch.zeros(2, 3, 224, 224),), dynamic_shapes=(batch,), strict=False
        )


class _Residual(nn.Module):
    """Three residual blocks of two convolutions; long-lived skips."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.a = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(3))
        self.b = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(3))

    def forward(self, x):
        x = self.first(x)
        for a, b in zip(self.a, self.b, strict=True):
            x = x + b(F.relu(a(x)))
        return x.mean((2, 3))


class _UNet(nn.Module):
    """Down, up, and concatenations of what was kept on the way down."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in ((3, 8), (8, 16), (16, 32))
        )
        self.up = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in ((48, 16), (24, 8), (11, 4)))

    def forward(self, x):
        kept = []
        for layer in self.down:
            kept.append(x)
            x = F.silu(layer(x))
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.silu(layer(torch.cat([x, kept.pop()], 1)))
        return x


class _Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(64, 192), nn.Linear(64, 64)
        self.norm = nn.LayerNorm(64)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).view(1, -1, 3, 4, 16).permute(2, 0, 3, 1, 4).unbind()
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return x + self.out(y)


class _Recurrent(nn.Module):
    """A GRU cell with its state in a buffer."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(40, 96)
        self.register_buffer("state", torch.zeros(1, 96))

    def forward(self, x):
        self.state.copy_(self.cell(x, self.state))
        return self.state.tanh()


class _Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in ((784, 256), (256, 512), (512, 64), (64, 10)))

    def forward(self, x):
        for layer in self.layers:
            x = F.gelu(layer(x))
        return x.softmax(-1)


def _small(module: type[nn.Module], *shape: int) -> Callable[[], ExportedProgram]:
    def export() -> ExportedProgram:
        torch.manual_seed(0)
        with torch.no_grad():
            return torch.export.export(module().eval(), (torch.randn(*shape),), strict=False)

    return export


@dataclass(frozen=True)
class Model:
    name: str
    export: Callable[[], ExportedProgram]


REAL = (
    Model("SmolLM2, last logits", smollm2),
    Model("SmolLM2, all logits", lambda: smollm2(all_logits=True)),
    Model("MiniLM", minilm),
    Model("MobileNetV2", mobilenet_v2),
)
SMALL = (
    Model("perceptron", _small(_Perceptron, 1, 784)),
    Model("residual", _small(_Residual, 1, 3, 32, 32)),
    Model("u-net", _small(_UNet, 1, 3, 64, 64)),
    Model("attention", _small(_Attention, 1, 50, 64)),
    Model("recurrent", _small(_Recurrent, 1, 40)),
)


def compile_to(exported: ExportedProgram, path: Path, backend: str = "portable", quantize=None) -> Path:
    """Writes our program, with inputs and outputs planned."""
    import rushlight

    path.parent.mkdir(parents=True, exist_ok=True)
    rushlight.compile(exported, backend=backend, quantize=quantize).save(path)
    return path


def output_path(name: str) -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    return BUILD / name
