"""Layer tables: a network as a list of loop nests, in our own YAML or JSON or as other tools write it.

Our own is described in docs/reference/layer-table.md:
``{name, layers: [{name, N, G, K, C, P, Q, R, S, stride, dilation, pad, bits, biases, …}]}``; sizes left
out are 1, padding 0. The others are SCALE-Sim's topology and the text of MIT's energy tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from picojoule.errors import LayerTableError
from picojoule.workload import mit_table, scalesim
from picojoule.workload.data_flow import Given
from picojoule.workload.marked_yaml import parse_marked, read_text
from picojoule.workload.network import Layer, Network, NotCosted
from picojoule.workload.table_reader import (
    MOVED_KEYS,
    PAIR_KEYS,
    ZEROS_KEYS,
    TableReader,
    derived_kind,
    derived_op,
)

ROW_SUFFIXES = (".csv", ".txt")
"""Endings of files whose rows are lines."""


def load_layer_table(path: str | Path) -> Network:
    """The network that a layer table describes; its format is recognised by what is in it.

    Args:
        path: a file of at most 16 MB: YAML or JSON, a topology of SCALE-Sim, or the text of MIT's energy tool.

    Raises:
        UnknownNameError: there is no such file.
        SystemFailure: the file can't be read.
        LayerTableError: its contents are wrong; ``where`` names file, line and field.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.yaml"
    >>> _ = file.write_text("layers: [{name: conv1, K: 16, C: 3, P: 30, Q: 30, R: 3, S: 3}]")
    >>> load_layer_table(file).macs
    388800
    """
    path = Path(path)
    text = read_text(path)
    for recognises, read in ((scalesim.recognises, scalesim.read), (mit_table.recognises, mit_table.read)):
        if recognises(text):
            return read(text, path)
    if path.suffix.lower() in ROW_SUFFIXES:
        raise LayerTableError(
            "the first line is neither the head of a SCALE-Sim topology nor a row of numbers of MIT's energy tool",
            where=f"{path}:1",
            hint="Begin with `Layer name, IFMAP Height, …`, with `Layer, M, N, K,`, or with 25 numbers in a row.",
        )
    return TableReader(path).network(parse_marked(text, path))


def layer_table(network: Network) -> dict[str, Any]:
    """The table that gives this network again, as values for YAML or JSON.

    Of a network of which it isn't known who reads what the table says nothing of that, so that a chain is assumed
    when it is read.

    >>> from picojoule.workload.builtin import builtin_network
    >>> layer_table(builtin_network("merkel:L1"))["layers"][0]
    {'name': 'fc', 'K': 10, 'C': 3072, 'biases': 10}
    """
    table: dict[str, Any] = {"name": network.name}
    table |= {key: getattr(network, key) for key in ("variant", "source") if getattr(network, key)}
    if network.input_shape:
        table["input_shape"] = list(network.input_shape)
    flow = network.flow if network.flow and not network.flow.chain else None
    if flow:
        table["given"] = [_given(tensor) for tensor in flow.given]
    table["layers"] = [_row(layer) for layer in network.layers]
    if flow:
        before = flow.given[0].name if flow.given else None
        for row, reads in zip(table["layers"], flow.reads, strict=True):
            if reads != (() if before is None else (before,)):
                row["reads"] = list(reads)
            before = row["name"]
        if flow.outputs:
            table["outputs"] = list(flow.outputs)
    if network.not_costed:
        table["not_costed"] = [_entry(item) for item in network.not_costed]
    return table


def yaml_text(table: dict[str, Any]) -> str:
    """A layer table as YAML, one line for a layer.

    >>> print(yaml_text({"name": "tiny", "layers": [{"name": "fc", "K": 10, "C": 64}]}), end="")
    name: tiny
    layers:
      - {name: fc, K: 10, C: 64}
    """
    lines = []
    for key, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{key}:", *(f"  - {_flow_style(item)}" for item in value)]
        else:
            lines.append(f"{key}: {_flow_style(value)}")
    return "\n".join(lines) + "\n"


def _row(layer: Layer) -> dict[str, Any]:
    row: dict[str, Any] = {"name": layer.name}
    nest = layer.nest
    if nest is None or layer.kind != derived_kind(nest):
        row["kind"] = layer.kind
    if layer.op and (nest is None or layer.op != derived_op(layer.kind)):
        row["op"] = layer.op
    if nest is None:
        moved = (layer.read_elements, layer.written_elements, layer.vector_ops, layer.read_weights)
        row |= {key: count for key, count in zip(MOVED_KEYS, moved, strict=True) if count or key in ("read", "written")}
    else:
        row |= {dim: size for dim, size in nest.dims.items() if size != 1}
        row |= {key: list(getattr(nest, key)) for key in PAIR_KEYS if getattr(nest, key) != (1, 1)}
        if any(nest.pad):
            row["pad"] = list(nest.pad)
    if layer.bits:
        row["bits"] = {key: width for key, width in asdict(layer.bits).items() if width is not None}
    if layer.zeros:
        row["zeros"] = {key: getattr(layer.zeros, key) for key in ZEROS_KEYS}
    row |= {"biases": layer.biases} if layer.biases else {}
    row |= {"shared": True} if layer.shared else {}
    row |= {"repeats": layer.repeats} if layer.repeats != 1 else {}
    return row


def _given(tensor: Given) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": tensor.name, "elements": tensor.elements}
    return entry | {"held": True} if tensor.held else entry


def _entry(item: NotCosted) -> dict[str, Any]:
    entry: dict[str, Any] = {"op": item.op, "where": item.where}
    return entry if item.elements is None else entry | {"elements": item.elements}


_PLAIN = re.compile(r"[A-Za-z_][\w./]*(-[\w./]+)*")
_NOT_TEXT = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"))


def _flow_style(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow_style(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow_style, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


FORMATS: dict[str, Callable[[Network], str]] = {
    "yaml": lambda network: yaml_text(layer_table(network)),
    "scalesim": scalesim.text,
    "mit": mit_table.text,
}
"""Layer tables by the name of their format: a network becomes the text of a file."""


def left_out(network: Network) -> Sequence[str]:
    """Layers that only our own format has a row for."""
    return [layer.name for layer in network.layers if layer.nest is None]
