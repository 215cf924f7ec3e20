"""Zeros in the activations of a trained MobileNet v1 0.25/128 on a photo: its 8-bit weights, run in floating point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

SIZE = 128


def run(shared: Path) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """Shares of zeros in inputs and outputs (behind the activation) of every layer, by the names of the built-in network, and
    the scores of the 1001 classes."""
    stored = np.load(shared / "data" / "weights" / "mobilenet_v1_0.25_128_quant.npz")
    layers = sorted({key.partition(".")[0] for key in stored.files})
    names = ["conv1", *(f"{kind}{n}" for n in range(1, 14) for kind in ("dw", "pw")), "fc"]
    zeros: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        data = torch.from_numpy(_photo(shared))
        for name, layer in zip(names, layers, strict=True):
            if name == "fc":
                data = data.mean(dim=(2, 3), keepdim=True)
            before = float((data == 0).float().mean())
            data = _convolved(data, stored, layer, name)
            if name != "fc":
                data = data.clamp(0, 6)
            zeros[name] = {"inputs": before, "outputs": float((data == 0).float().mean())}
    return zeros, data.flatten().numpy()


def _photo(shared: Path) -> np.ndarray:
    with Image.open(shared / "data" / "images" / "grace_hopper.bmp") as image:
        side = min(image.size)
        left, top = (image.size[0] - side) // 2, (image.size[1] - side) // 2
        pixels = image.convert("RGB").crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.BILINEAR)
    return np.ascontiguousarray((np.asarray(pixels, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1)[None])


def _convolved(data: torch.Tensor, stored: np.lib.npyio.NpzFile, layer: str, name: str) -> torch.Tensor:
    """A convolution with TensorFlow's SAME padding."""
    quantized = stored[f"{layer}.weight"].astype(np.float32) - stored[f"{layer}.weight_zero_point"].astype(np.float32)
    weights = torch.from_numpy(quantized * stored[f"{layer}.weight_scale"])
    bias = torch.from_numpy(stored[f"{layer}.bias"].astype(np.float32) * stored[f"{layer}.bias_scale"])
    depthwise = "depthwise" in layer
    weights = weights.permute(3, 0, 1, 2) if depthwise else weights.permute(0, 3, 1, 2)
    stride = 2 if name in ("conv1", "dw2", "dw4", "dw6", "dw12") else 1
    taps, size = weights.shape[2], data.shape[2]
    pad = max(0, (-(-size // stride) - 1) * stride + taps - size)
    data = functional.pad(data, (pad // 2, pad - pad // 2, pad // 2, pad - pad // 2))
    return functional.conv2d(data, weights.contiguous(), bias, stride=stride, groups=data.shape[1] if depthwise else 1)
