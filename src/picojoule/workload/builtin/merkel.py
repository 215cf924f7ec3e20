"""The CIFAR-10 networks of depth L whose energy and accuracy Merkel trades against each other."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network

DEPTHS = range(1, 12)
FILTERS = 64


def merkel(depth: int) -> Network:
    """L − 1 unpadded 3 × 3 convolutions of 64 filters, no pooling, and one fully connected layer."""
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {DEPTHS.start} … {DEPTHS.stop - 1}, got {depth}")
    chain = Chain(3, 32)
    for index in range(1, depth):
        chain.conv(f"conv{index}", FILTERS, 3, bias=True)
    chain.fc("fc", 10)
    chain.softmax("softmax")
    return chain.network(
        f"merkel:L{depth}",
        variant=f"{depth} layers with weights, unpadded 3 × 3 convolutions of {FILTERS} filters, no pooling, "
        "32 × 32 × 3 input",
        source="Merkel: Exploring Energy-Accuracy Tradeoffs in AI Hardware, arXiv 2011.08779",
    )
