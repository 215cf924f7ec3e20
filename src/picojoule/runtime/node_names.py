"""The names that a model gives its nodes, for those that the runtime shows under others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_FUSED = 4
"""Nodes behind a convolution that the runtime may have drawn into it: bias, norm, activation, sum."""


def own_names(model: Path, shown: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The model's own name for each ``(name, operator)`` that a profile shows.

    A node that works on blocks of channels is shown under the name of the tensor that it makes, which is that of the last
    operator fused into it; the convolution or pool itself lies a few steps before. What isn't found keeps its name.
    """
    import onnx

    nodes = onnx.load(model, load_external_data=False).graph.node
    names = {node.name for node in nodes}
    makers = {output: node for node in nodes for output in node.output}
    found = {}
    for name, op in shown:
        found[name, op] = name
        node = makers.get(name)
        if name in names or node is None:
            continue
        for _ in range(_FUSED):
            if node is None or node.op_type == op:
                break
            node = makers.get(node.input[0]) if node.input else None
        if node is not None and node.op_type == op and node.name:
            found[name, op] = node.name
    return found
