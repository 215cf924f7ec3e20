"""The text that MIT's energy estimation tool takes (energyestimation.mit.edu): 25 whole numbers for each layer.

Number of the layer; height, width, channels, number, zero entries and bit width of input maps, filters and output
maps; stride; padding. Groups show in filters that have fewer channels than their input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from picojoule.errors import LayerTableError, UsageError
from picojoule.workload.convolution import effective_pad
from picojoule.workload.data_flow import DataFlow
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.network import Layer, Network
from picojoule.workload.zeros import DENSE, Zeros
from picojoule.workload.row_text import Row, rows, unique
from picojoule.workload.table_limits import MACS_LIMIT
from picojoule.workload.table_reader import derived_kind, derived_op

_TENSOR = ("height", "width", "channels", "num", "num_zero_entries", "bitwidth")
COLUMNS = (
    "layer_index",
    *(f"{tensor}_{part}" for tensor in ("ifmap", "filter", "ofmap") for part in _TENSOR),
    "stride_y",
    "stride_x",
    "pad_top",
    "pad_bottom",
    "pad_left",
    "pad_right",
)
_AT = {name: column for column, name in enumerate(COLUMNS)}
_NUMBER = re.compile(r"[-+.\deE]+")
DEFAULT_BITS = 16
"""Of a layer that states no widths: those of Eyeriss, which the tool models."""
ROWS_LIMIT = 100_000


def recognises(text: str) -> bool:
    """Whether the first line is a row of at least ten numbers."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    cells = first.replace(",", " ").split()
    return len(cells) >= 10 and all(_NUMBER.fullmatch(cell) for cell in cells)


def read(text: str, path: Path) -> Network:
    """The network of such a text; who reads what is not in it, so that a chain is assumed.

    Partial sums have the width of outputs: the format has none of their own.

    Raises:
        LayerTableError: a cell is wrong or disagrees with others; ``where`` names file, line and column.
    """
    names: dict[str, int] = {}
    layers = [_layer(row, names) for row in map(_cut, rows(text, path, split="," if "," in text else None))]
    network = Network(
        name=path.stem, layers=tuple(layers), source=f"MIT energy tool's {path.name}", flow=DataFlow(chain=True)
    )
    if network.macs > MACS_LIMIT:
        raise LayerTableError(
            f"{network.macs} MACs in all are more than 2^62", where=str(path), hint="Check the sizes."
        )
    return network


def text(network: Network) -> str:
    """The text for a network: a line for each layer with a nest, or several where it runs several times.

    A layer without widths is written with ``DEFAULT_BITS``, one without zeros with none.

    Raises:
        UsageError: a layer is dilated, or runs more often than there may be lines.

    >>> from picojoule.workload.builtin import builtin_network
    >>> print(text(builtin_network("merkel:L1")), end="")
    1,1,1,3072,1,0,16,1,1,3072,10,0,16,1,1,10,1,0,16,1,1,0,0,0,0
    """
    layers = [layer for layer in network.layers if layer.nest]
    if sum(layer.repeats for layer in layers) > ROWS_LIMIT:
        raise UsageError(
            f"{network.name} would take more than {ROWS_LIMIT} lines, one for each run",
            where="mit",
            hint="--format yaml says it in one a layer.",
        )
    runs = (layer for layer in layers for _ in range(layer.repeats))
    return "".join(",".join(map(str, [index, *_cells(layer)])) + "\n" for index, layer in enumerate(runs, start=1))


def _cut(row: Row) -> Row:
    return Row(row.path, row.line, row.cells[:-1]) if row.cells[-1] == "" else row


def _layer(row: Row, names: dict[str, int]) -> Layer:
    if len(row.cells) != len(COLUMNS):
        row.fail(
            "row", None, f"has {len(row.cells)} numbers, {len(COLUMNS)} are needed", f"They are {', '.join(COLUMNS)}."
        )
    values = {
        name: row.whole(
            column, name, least=_least(name), most=64 if "bitwidth" in name else 2**62 if "zero" in name else 2**31
        )
        for name, column in _AT.items()
    }
    groups = _groups(row, values)
    stride = values["stride_y"], values["stride_x"]
    before = values["pad_top"], values["pad_left"]
    after = values["pad_bottom"], values["pad_right"]
    reached = []
    for axis, (side, first, last) in enumerate(zip(("height", "width"), before, after, strict=True)):
        size, taps, outputs = (values[f"{tensor}_{side}"] for tensor in ("ifmap", "filter", "ofmap"))
        room = size + first + last - taps
        if room < 0 or room // stride[axis] + 1 != outputs:
            right = f"gives {room // stride[axis] + 1}" if room >= 0 else "has no room for it"
            row.fail(
                f"ofmap_{side}",
                _AT[f"ofmap_{side}"],
                f"is {outputs}; a filter of {taps} over {size} with padding {first} and {last}"
                f" and stride {stride[axis]} {right}",
                "The output is (input + padding − filter) ÷ stride + 1, rounded down.",
            )
        reached.append(effective_pad(size, outputs, taps, stride[axis], 1, first))
    sizes = {
        "N": values["ifmap_num"],
        "G": groups,
        "K": values["filter_num"] // groups,
        "C": values["filter_channels"],
        "P": values["ofmap_height"],
        "Q": values["ofmap_width"],
        "R": values["filter_height"],
        "S": values["filter_width"],
    }
    row.check_size(sizes)
    try:
        nest = Nest(**sizes, stride=stride, pad=(*before, *reached))
    except ValueError as error:
        row.fail("pad_top", _AT["pad_top"], str(error), "A filter must reach into the map.")
    kind = derived_kind(nest)
    return Layer(
        name=unique(names, f"layer{values['layer_index']}", row),
        kind=kind,
        op=derived_op(kind),
        nest=nest,
        bits=Bits(
            weights=values["filter_bitwidth"],
            inputs=values["ifmap_bitwidth"],
            outputs=values["ofmap_bitwidth"],
            psums=values["ofmap_bitwidth"],
        ),
        zeros=Zeros(**dict(_zeros(row, values))),
    )


def _least(name: str) -> int:
    return 0 if name.startswith("pad") or "zero" in name else 1


def _groups(row: Row, values: dict[str, int]) -> int:
    """How many groups the channels make, once channels and numbers agree with each other."""
    inputs, each, filters = (values[key] for key in ("ifmap_channels", "filter_channels", "filter_num"))
    if inputs % each or filters % (inputs // each):
        row.fail(
            "filter_channels",
            _AT["filter_channels"],
            f"{filters} filters of {each} channels make no whole groups over {inputs} input channels",
            "Without groups the two numbers of channels are equal.",
        )
    for one, other in (("ofmap_channels", "filter_num"), ("ofmap_num", "ifmap_num")):
        if values[one] != values[other]:
            row.fail(one, _AT[one], f"is {values[one]}, but {other} is {values[other]}", "The two must be equal.")
    return inputs // each


def _zeros(row: Row, values: dict[str, int]) -> Iterator[tuple[str, float]]:
    for ours, theirs in (("weights", "filter"), ("inputs", "ifmap"), ("outputs", "ofmap")):
        elements = 1
        for part in _TENSOR[:4]:
            elements *= values[f"{theirs}_{part}"]
        zeros = values[f"{theirs}_num_zero_entries"]
        if zeros > elements:
            column = f"{theirs}_num_zero_entries"
            row.fail(column, _AT[column], f"{zeros} zeros are more than the {elements} elements that there are")
        yield ours, zeros / elements


def _cells(layer: Layer) -> Iterator[int]:
    nest = layer.nest
    if nest.dilation != (1, 1):
        raise UsageError(
            f"MIT's energy tool knows no dilation, {layer.name} has {list(nest.dilation)}",
            where="mit",
            hint="--format yaml keeps it.",
        )
    zeros = layer.zeros or DENSE
    shapes = {
        "inputs": (nest.input_rows, nest.input_columns, nest.G * nest.C, nest.N),
        "weights": (nest.R, nest.S, nest.C, nest.G * nest.K),
        "outputs": (nest.P, nest.Q, nest.G * nest.K, nest.N),
    }
    for tensor, shape in shapes.items():
        elements = 1
        for size in shape:
            elements *= size
        yield from (*shape, round(getattr(zeros, tensor) * elements), getattr(layer.bits, tensor, None) or DEFAULT_BITS)
    top, left, bottom, right = nest.pad
    yield from (*nest.stride, top, bottom, left, right)
