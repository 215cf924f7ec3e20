"""The built-in detectors on VGG-16 and the segmenter on MobileNet v2, as plain PyTorch modules.

Like `torch_networks`, they share no code with `picojoule.workload.builtin`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

BOXES = (4, 6, 6, 6, 4, 4)


class Scale(nn.Module):
    """Pixels of length one, times a learned factor per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(x) * self.weight.view(1, -1, 1, 1)


def _stage(inputs: int, outputs: int, depth: int) -> list[nn.Module]:
    return [
        part
        for index in range(depth)
        for part in (nn.Conv2d(inputs if index == 0 else outputs, outputs, 3, 1, 1), nn.ReLU())
    ]


class SSD(nn.Module):
    """SSD up to the shares of classes and the offsets of boxes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.base = nn.Sequential(
            *_stage(3, 64, 2), nn.MaxPool2d(2), *_stage(64, 128, 2), nn.MaxPool2d(2),
            *_stage(128, 256, 3), nn.MaxPool2d(2, ceil_mode=True), *_stage(256, 512, 3),
        )  # fmt: skip
        self.norm = Scale(512)
        self.rest = nn.Sequential(
            nn.MaxPool2d(2), *_stage(512, 512, 3), nn.MaxPool2d(3, 1, 1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(), nn.Conv2d(1024, 1024, 1), nn.ReLU(),
        )  # fmt: skip
        self.extras = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 1), nn.ReLU(), nn.Conv2d(b, c, 3, stride, pad), nn.ReLU())
            for a, b, c, stride, pad in (
                (1024, 256, 512, 2, 1), (512, 128, 256, 2, 1), (256, 128, 256, 1, 0), (256, 128, 256, 1, 0)
            )
        )  # fmt: skip
        channels = (512, 1024, 512, 256, 256, 256)
        self.scores = nn.ModuleList(
            nn.Conv2d(c, n * classes, 3, padding=1) for c, n in zip(channels, BOXES, strict=True)
        )
        self.offsets = nn.ModuleList(nn.Conv2d(c, n * 4, 3, padding=1) for c, n in zip(channels, BOXES, strict=True))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.base(x)
        maps, x = [self.norm(x)], self.rest(x)
        maps.append(x)
        for extra in self.extras:
            x = extra(x)
            maps.append(x)
        found: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for at, scores, offsets in zip(maps, self.scores, self.offsets, strict=True):
            for results, head, each in ((found[0], scores, self.classes), (found[1], offsets, 4)):
                results.append(head(at).permute(0, 2, 3, 1).reshape(at.shape[0], -1, each))
        locations = torch.cat(found[1], 1)
        return torch.softmax(torch.cat(found[0], 1), -1), locations


class DeepLab(nn.Module):
    """DeepLab v3 without a pyramid: one branch and the pooled image. ``backbone`` keeps a stride of 16."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.image, self.aspp0 = self._unit(320), self._unit(320)
        self.projection, self.logits = self._unit(512), nn.Conv2d(256, 21, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-2:]
        x = self.backbone(x)
        pooled = F.interpolate(self.image(F.adaptive_avg_pool2d(x, 1)), x.shape[-2:], mode="bilinear")
        x = self.logits(self.projection(torch.cat([pooled, self.aspp0(x)], 1)))
        return F.interpolate(x, size, mode="bilinear").argmax(1)

    @staticmethod
    def _unit(inputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU())
