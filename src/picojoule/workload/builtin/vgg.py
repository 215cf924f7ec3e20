"""VGG-16, configuration D."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and number of 3 × 3 convolutions before each pool."""


def vgg16() -> Network:
    """VGG-16 for 224 × 224 images: 15.5 G MACs, 138 M parameters."""
    chain = Chain(3, 224)
    for stage, (channels, convolutions) in enumerate(STAGES, start=1):
        for index in range(1, convolutions + 1):
            chain.conv(f"conv{stage}_{index}", channels, 3, pad=1, bias=True)
        chain.max_pool(f"pool{stage}", 2, 2)
    chain.fc("fc6", 4096)
    chain.fc("fc7", 4096)
    chain.fc("fc8", 1000)
    chain.softmax("prob")
    return chain.network(
        "vgg16",
        variant="configuration D without BatchNorm, 224 × 224 input",
        source="Simonyan, Zisserman: Very deep convolutional networks, ICLR 2015 (arXiv 1409.1556), table 1",
    )
