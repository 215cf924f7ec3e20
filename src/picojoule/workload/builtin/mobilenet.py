"""MobileNet v1 and v2 in every width and resolution that was published with weights."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network

V1_WIDTHS = ("1.0", "0.75", "0.5", "0.25")
V1_RESOLUTIONS = (224, 192, 160, 128)
V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""Output channels at width 1 and stride of each depthwise–pointwise pair (paper, table 1).

The table prints stride 2 for the last depthwise layer too; its sizes and TF-slim's code have stride 1.
"""

V2_WIDTHS = ("1.0", "0.75", "0.5", "0.35")
V2_RESOLUTIONS = (224, 192, 160, 128, 96)
V2_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, output channels at width 1, repetitions, stride of the first (paper, table 2)."""

V1_VARIANTS = tuple(f"{width}-{resolution}" for width in V1_WIDTHS for resolution in V1_RESOLUTIONS)
V2_VARIANTS = (
    "1.4-224",
    "1.3-224",
    *(f"{width}-{resolution}" for width in V2_WIDTHS for resolution in V2_RESOLUTIONS),
)


def mobilenet_v1(variant: str | None = None) -> Network:
    """MobileNet v1, ``variant`` WIDTH-RESOLUTION; 1.0-224 has 569 M MACs, 4.21 M parameters."""
    width, resolution = _parse(variant or "1.0-224")
    chain = Chain(3, resolution)
    chain.conv("conv1", _scale_v1(32, width), 3, stride=2, pad="same")
    for index, (channels, stride) in enumerate(V1_BLOCKS, start=1):
        chain.depthwise(f"dw{index}", 3, stride=stride, pad="same")
        chain.conv(f"pw{index}", _scale_v1(channels, width), 1)
    return _head(
        chain,
        f"mobilenet_v1:{variant}" if variant else "mobilenet_v1",
        f"width {width}, {resolution} × {resolution} input, TensorFlow's SAME padding",
        "Howard et al.: MobileNets, arXiv 1704.04861, table 1; padding and widths of TF-slim",
    )


def mobilenet_v2(variant: str | None = None) -> Network:
    """MobileNet v2, ``variant`` WIDTH-RESOLUTION; 1.0-224 has 301 M MACs, 3.47 M parameters."""
    width, resolution = _parse(variant or "1.0-224")
    chain = Chain(3, resolution)
    backbone_v2(chain, width)
    # Narrow networks keep the full last convolution (TF-slim's finegrain_classification_mode).
    chain.conv("conv_last", _round_to_8(1280 * max(1.0, width)), 1)
    return _head(
        chain,
        f"mobilenet_v2:{variant}" if variant else "mobilenet_v2",
        f"width {width}, {resolution} × {resolution} input, TensorFlow's SAME padding, channels in multiples of 8",
        "Sandler et al.: MobileNetV2, CVPR 2018 (arXiv 1801.04381), table 2; padding and widths of TF-slim",
    )


def backbone_v2(chain: Chain, width: float, *, output_stride: int = 32) -> None:
    """The first convolution and all blocks; beyond ``output_stride`` a stride becomes a dilation of what follows."""
    chain.conv("conv1", _round_to_8(32 * width), 3, stride=2, pad="same")
    index, reached, dilation = 0, 2, 1
    for expansion, channels, repetitions, first_stride in V2_BLOCKS:
        for repetition in range(repetitions):
            stride, dilated = first_stride if repetition == 0 else 1, dilation
            if stride > 1 and reached == output_stride:
                stride, dilation = 1, dilation * stride
            reached *= stride
            _inverted_residual(chain, f"b{index}", expansion, _round_to_8(channels * width), stride, dilated)
            index += 1


def _head(chain: Chain, name: str, variant: str, source: str) -> Network:
    chain.global_pool("pool")
    # TF-slim's last layer is a 1 × 1 convolution over one pixel, which is the same nest.
    chain.fc("fc", 1000)
    chain.softmax("prob")
    return chain.network(name, variant=f"{variant}, 1000 classes", source=source)


def _inverted_residual(chain: Chain, name: str, expansion: int, channels: int, stride: int, dilation: int = 1) -> None:
    entry = chain.at
    if expansion > 1:
        chain.conv(f"{name}_exp", expansion * entry.channels, 1)
    chain.depthwise(f"{name}_dw", 3, stride=stride, pad="same", dilation=dilation)
    chain.conv(f"{name}_proj", channels, 1)
    if chain.at.shape == entry.shape:
        chain.add(f"{name}_add", entry)


def _parse(variant: str) -> tuple[float, int]:
    width, resolution = variant.split("-")
    return float(width), int(resolution)


def _scale_v1(channels: int, width: float) -> int:
    return max(int(channels * width), 8)


def _round_to_8(channels: float) -> int:
    """Nearest multiple of 8, at least 8, and never more than a tenth below what was asked for."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
