"""SCALE-Sim's topology files: a head, then a layer a line, as convolutions or as products of matrices (M, N, K).

The rules are those of its reader (scalesim-project/scale-sim-v2, scalesim/topology_utils.py): maps are given with
their padding, a last window that sticks out counts as a whole one, a name with "DP" in it marks a depthwise layer of
which every channel is a layer of its own, and each line ends with a comma.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from picojoule.errors import LayerTableError, UsageError
from picojoule.workload.convolution import effective_pad, fc_layer
from picojoule.workload.data_flow import DataFlow
from picojoule.workload.nest import Nest
from picojoule.workload.network import Layer, Network
from picojoule.workload.row_text import Row, rows, unique
from picojoule.workload.table_limits import MACS_LIMIT

HEAD = ("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter")
ONE_STRIDE, TWO_STRIDES = ("Strides",), ("Stride Height", "Stride Width")
PRODUCT_HEAD = ("Layer", "M", "N", "K")
DEPTHWISE = "DP"
"""Marks depthwise layers by their name."""
ROWS_LIMIT = 100_000
"""Most lines that are written for what a format can't say in one."""


def recognises(text: str) -> bool:
    """Whether the first line is the head of a topology."""
    head = _head(text)
    return _is_product(head) or (len(head) > 4 and head[0].startswith("layer") and head[1].startswith("ifmap"))


def read(text: str, path: Path) -> Network:
    """The network of a topology; who reads what is not in it, so that a chain is assumed.

    Raises:
        LayerTableError: a cell is wrong; ``where`` names file, line and column.
    """
    product = _is_product(_head(text))
    first, *lines = rows(text, path)
    _check_head(first, product)
    names: dict[str, int] = {}
    layers = [_product(row, names) if product else _convolution(row, names) for row in map(_cut, lines)]
    if not layers:
        raise LayerTableError(
            "there is no layer below the head", where=f"{path}:{first.line}", hint="A network needs at least one layer."
        )
    network = Network(
        name=path.stem, layers=tuple(layers), source=f"SCALE-Sim topology {path.name}", flow=DataFlow(chain=True)
    )
    if network.macs > MACS_LIMIT:
        raise LayerTableError(
            f"{network.macs} MACs in all are more than 2^62", where=str(path), hint="Check the sizes."
        )
    return network


def text(network: Network) -> str:
    """The topology of a network: a line for each convolution, depthwise or fully connected layer.

    What the format can't say in one line takes several of the same kind: groups, images of a batch, repeated runs.
    Padding becomes part of the map. Layers without nest have no line.

    Raises:
        UsageError: a layer is dilated, or there would be more than ``ROWS_LIMIT`` lines.

    >>> from picojoule.workload.builtin import builtin_network
    >>> print(text(builtin_network("merkel:L2")), end="")
    Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
    conv1, 32, 32, 3, 3, 3, 64, 1,
    fc, 1, 1, 1, 1, 57600, 10, 1,
    """
    layers = [layer for layer in network.layers if layer.nest]
    if sum(_lines_of(layer) for layer in layers) > ROWS_LIMIT:
        raise UsageError(
            f"{network.name} would take more than {ROWS_LIMIT} lines, one for each group and image",
            where="scalesim",
            hint="--format yaml says it in one a layer.",
        )
    two = any(layer.nest.stride[0] != layer.nest.stride[1] for layer in layers)
    head = [*HEAD, *(TWO_STRIDES if two else ONE_STRIDE)]
    lines = [head, *(cells for layer in layers for cells in _cells(layer, two))]
    return "".join(", ".join(map(str, cells)) + ",\n" for cells in lines)


def _head(text: str) -> list[str]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return [cell.strip().lower() for cell in first.split(",")]


def _is_product(head: list[str]) -> bool:
    return head[0].startswith("layer") and head[1:4] == ["m", "n", "k"]


def _check_head(first: Row, product: bool) -> None:
    known = PRODUCT_HEAD if product else (*HEAD, *TWO_STRIDES)
    cells = _cut(first).cells
    for column in range(len(known), len(cells)):
        first.fail(cells[column], column, "this column isn't read", f"Columns are {', '.join(known)}.")


def _cut(row: Row) -> Row:
    """The row without the comma and the remark at its end."""
    cells = list(row.cells)
    while cells and (not cells[-1] or cells[-1].startswith("#")):
        cells.pop()
    return Row(row.path, row.line, tuple(cells))


def _expect(row: Row, least: int, most: int, columns: tuple[str, ...]) -> None:
    if not least <= len(row.cells) <= most:
        wanted = str(least) if least == most else f"{least} or {most}"
        row.fail("row", None, f"has {len(row.cells)} cells, {wanted} are allowed", f"Columns are {', '.join(columns)}.")


def _product(row: Row, names: dict[str, int]) -> Layer:
    _expect(row, 4, 4, PRODUCT_HEAD)
    name = unique(names, row.text(0, "Layer"), row)
    rows_, columns, inner = row.wholes(PRODUCT_HEAD[1:], 1, least=1)
    row.check_size({"N": rows_, "K": columns, "C": inner})
    return fc_layer(name, in_features=inner, out_features=columns, rows=rows_)


def _convolution(row: Row, names: dict[str, int]) -> Layer:
    _expect(row, len(HEAD) + 1, len(HEAD) + 2, (*HEAD, *TWO_STRIDES))
    name = unique(names, row.text(0, HEAD[0]), row)
    height, width, taps, across, channels, filters = row.wholes(HEAD[1:], 1, least=1)
    strides = row.wholes(TWO_STRIDES[: len(row.cells) - len(HEAD)], len(HEAD), least=1)
    stride = (strides[0], strides[-1])
    for column, size, window in ((3, height, taps), (4, width, across)):
        if window > size:
            row.fail(
                HEAD[column], column, f"a filter of {window} doesn't fit in a map of {size}", "Count the padding in."
            )
    if (taps, across, width, stride) == (1, 1, 1, (1, 1)) and DEPTHWISE not in name:
        row.check_size({"N": height, "K": filters, "C": channels})
        return fc_layer(name, in_features=channels, out_features=filters, rows=height)
    outputs = [
        -(-(size - window) // step) + 1
        for size, window, step in zip((height, width), (taps, across), stride, strict=True)
    ]
    groups, inner = (channels, 1) if DEPTHWISE in name else (1, channels)
    sizes = {"G": groups, "K": filters, "C": inner, "P": outputs[0], "Q": outputs[1], "R": taps, "S": across}
    row.check_size(sizes)
    below = effective_pad(height, outputs[0], taps, stride[0], 1, 0)
    right = effective_pad(width, outputs[1], across, stride[1], 1, 0)
    nest = Nest(**sizes, stride=stride, pad=(0, 0, below, right))
    return Layer(name=name, kind="depthwise" if groups > 1 == filters else "conv", op="Conv", nest=nest)


def _is_depthwise(nest: Nest) -> bool:
    return nest.G > 1 and nest.C == 1 and not _is_matrix(nest)


def _is_matrix(nest: Nest) -> bool:
    return nest.P == nest.Q == nest.R == nest.S == 1


def _lines_of(layer: Layer) -> int:
    nest = layer.nest
    images = 1 if _is_matrix(nest) else nest.N
    return layer.repeats * images * (1 if _is_depthwise(nest) else nest.G)


def _cells(layer: Layer, two_strides: bool) -> Iterator[list[str | int]]:
    nest = layer.nest
    if nest.dilation != (1, 1):
        raise UsageError(
            f"the topology of SCALE-Sim knows no dilation, {layer.name} has {list(nest.dilation)}",
            where="scalesim",
            hint="--format yaml keeps it.",
        )
    # What the reader would take for a column or for its mark of depthwise layers is spelled otherwise.
    name = layer.name.replace(",", ";")
    if not _is_depthwise(nest):
        name = name.replace(DEPTHWISE, DEPTHWISE.lower())
    height = (nest.P - 1) * nest.stride[0] + nest.R
    width = (nest.Q - 1) * nest.stride[1] + nest.S
    channels = nest.C
    if _is_matrix(nest):
        height, width = nest.N, 1
    elif _is_depthwise(nest):
        name, channels = name if DEPTHWISE in name else f"{name}_{DEPTHWISE}", nest.G
    strides = nest.stride if two_strides else nest.stride[:1]
    if _is_matrix(nest):
        strides = (1,) * len(strides)
    count = _lines_of(layer)
    for index in range(1, count + 1):
        own = name if count == 1 else f"{name}.{index}"
        yield [own, height, width, nest.R, nest.S, channels, nest.K, *strides]
