"""The CIFAR-10 networks of depth L whose energy and accuracy Merkel trades against each other."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network

DEPTHS = range(1, 12)
FILTERS = 64
SOURCE = "Merkel: Exploring Energy-Accuracy Tradeoffs in AI Hardware, arXiv 2011.08779"


def merkel(depth: int, filters: int = FILTERS) -> Network:
    """L − 1 unpadded 3 × 3 convolutions of 64 filters (or fewer), no pooling, and one fully connected layer."""
    _check(depth, filters)
    chain = Chain(3, 32)
    for index in range(1, depth):
        chain.conv(f"conv{index}", filters, 3, bias=True)
    chain.fc("fc", 10)
    chain.softmax("softmax")
    return chain.network(
        f"merkel:L{depth}" + (f"w{filters}" if filters != FILTERS else ""),
        variant=f"{depth} layers with weights, unpadded 3 × 3 convolutions of {filters} filters, no pooling, "
        "32 × 32 × 3 input",
        source=SOURCE,
    )


def merkel_exits(depth: int, filters: int = FILTERS) -> Network:
    """The network of that depth with a fully connected layer at its input, too, and after every convolution (Fig. 5(b)).

    Exit *e* is the layers ``conv1`` … ``conv{e}``, ``fc{e}`` and ``softmax{e}``; e is 0 … depth − 1.
    """
    _check(depth, filters)
    chain = Chain(3, 32)
    for exit_ in range(depth):
        if exit_:
            chain.conv(f"conv{exit_}", filters, 3, bias=True)
        features = chain.at
        chain.fc(f"fc{exit_}", 10)
        chain.softmax(f"softmax{exit_}")
        chain.at = features
    return chain.network(
        f"merkel:L{depth} with {depth} exits",
        variant=f"unpadded 3 × 3 convolutions of {filters} filters, no pooling, an exit at the input and after each",
        source=SOURCE,
    )


def _check(depth: int, filters: int) -> None:
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {DEPTHS.start} … {DEPTHS.stop - 1}, got {depth}")
    if filters not in range(1, FILTERS + 1):
        raise ValueError(f"there are 1 … {FILTERS} filters, got {filters}")
