"""SqueezeNet with the trained weights of Deep Compression, and a photo prepared as for Caffe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from support.torch_networks import squeezenet

BLUE_GREEN_RED_MEANS = (104.0, 117.0, 123.0)
SIZE = 227


def trained(shared: Path) -> nn.Module:
    """The module with its weights, ready for inference."""
    module = squeezenet().eval()
    theirs = np.load(shared / "data" / "weights" / "squeezenet_v1.0_deepcompression.npz")
    names = {"conv1": "conv1", "conv10": "conv_final"}
    for index in range(2, 10):
        parts = {"squeeze": "conv1x1_1", "e1": "conv1x1_2", "e3": "conv3x3_2"}
        names |= {f"fire{index}.{ours}": f"fire{index}_{other}" for ours, other in parts.items()}
    with torch.no_grad():
        for ours, other in names.items():
            layer = module.get_submodule(ours)
            layer.weight.copy_(torch.from_numpy(theirs[f"{other}.weight"]))
            layer.bias.copy_(torch.from_numpy(theirs[f"{other}.bias"]))
    return module


def photo(shared: Path) -> np.ndarray:
    """The middle of the photo as 1 × 3 × 227 × 227, blue first, minus the means."""
    with Image.open(shared / "data" / "images" / "grace_hopper.bmp") as image:
        side = min(image.size)
        left, top = (image.size[0] - side) // 2, (image.size[1] - side) // 2
        pixels = image.convert("RGB").crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.BILINEAR)
    blue_first = np.asarray(pixels, dtype=np.float32)[:, :, ::-1] - np.array(BLUE_GREEN_RED_MEANS, dtype=np.float32)
    return np.ascontiguousarray(blue_first.transpose(2, 0, 1)[None])
