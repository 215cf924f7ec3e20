"""The network of document 001 with its six exits and published weights, so that channels can be taken from it.

A classifier is a convolution as large as its map, which is the same product: torch-pruning then knows which of its weights
belong to which channel.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from picojoule.exits.networks import CHANNELS, CLASSES, SIDE, WIDEST
from picojoule.train import load_tensors

MERKEL = Path(__file__).resolve().parents[1] / "merkel"
EXITS = 6
EXAMPLE = torch.zeros(1, CHANNELS, SIDE, SIDE)


class Exits(nn.Module):
    """Five convolutions, and a classifier of the image and of what each leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(WIDEST if e else CHANNELS, WIDEST, 3) for e in range(EXITS - 1))
        self.heads = nn.ModuleList(
            nn.Conv2d(WIDEST if e else CHANNELS, CLASSES, SIDE - 2 * e) for e in range(EXITS)
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        logits = [self.heads[0](x).flatten(1)]
        for conv, head in zip(self.convs, self.heads[1:], strict=True):
            x = conv(x).relu()
            logits.append(head(x).flatten(1))
        return logits


def document_001() -> tuple[nn.Module, torch.Tensor]:
    """The network in evaluation mode, and an example input."""
    network, (weights, _) = Exits(), load_tensors(MERKEL / "weights" / "combined.safetensors")
    for e in range(EXITS):
        side, own = SIDE - 2 * e, weights[f"heads.{e}.weight"]
        weights[f"heads.{e}.weight"] = own.view(CLASSES, side, side, -1).permute(0, 3, 1, 2)
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return network.eval().to(memory_format=torch.channels_last), EXAMPLE
