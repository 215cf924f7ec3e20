"""The first line of a report: which network, which machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from picojoule.reporting.columns import spread
from picojoule.reporting.figures import grouped, printable, size
from picojoule.result import Estimate
from picojoule.units import parse_size_bits
from picojoule.workload.network import WEIGHTLESS

_AIMS = {"latency": "least latency", "edp": "least energy × delay"}


def headline(estimate: Estimate, width: int) -> list[Text]:
    """Network on the left, machine on the right; on two lines where one is too short."""
    about = [" × ".join(map(str, estimate.input_shape)).replace(" ", "")] if estimate.input_shape else []
    if not estimate.input_shape and estimate.batch != 1:
        about.append(f"batch {estimate.batch}")
    about.append(widths_text(estimate))
    if estimate.objective in _AIMS:
        about.append(_AIMS[estimate.objective])
    table = [f"table {printable(table_text(estimate.table))}"] if estimate.table["name"] else []
    left = Text.assemble((printable(estimate.model), "bold"), *(f" · {part}" for part in about))
    right = Text.assemble(
        (printable(str(estimate.hardware["name"])), "bold"),
        *(f" · {part}" for part in [*machine_size(estimate.hardware), *table]),
    )
    return spread(left, right, width)


def widths_text(estimate: Estimate) -> str:
    """The widths of the layers: those asked for, or the model's own where it states them."""
    # A product of activations has two operands of the width of inputs.
    stated = {tuple(layer.bits.items()) for layer in estimate.layers if layer.dims and layer.kind != WEIGHTLESS}
    if len(stated) > 1:
        return "bits by layer"
    return bits_text(dict(*stated) if stated else estimate.bits)


def table_text(table: Mapping[str, Any]) -> str:
    """The table's name, marked where it stands in for energies that nobody published of the machine."""
    return f"{table['name']} (estimated)" if table.get("estimated") else str(table["name"])


def machine_size(hardware: Mapping[str, Any]) -> list[str]:
    """How large a machine is: ``["168 PEs", "108 KiB"]``.

    The memory is all between the outermost level and the first array, of which there is one instance each; where there
    is none, the largest further in.

    Args:
        hardware: the machine as plain data, as a result file holds it.
    """
    hierarchy = hardware.get("hierarchy", [])
    fanouts = [entry for entry in hierarchy if "fanout" in entry]
    instances = math.prod(axis["size"] for entry in fanouts for axis in entry["axes"].values())
    first = hierarchy.index(fanouts[0]) if fanouts else len(hierarchy)
    shared, further = _sizes(hierarchy[1:first]), _sizes(hierarchy[first:])
    said = [f"{grouped(instances)} {printable(str(fanouts[-1]['fanout']))}s"] if fanouts else ["1 MAC unit"]
    memory = sum(shared) or max(further, default=0)
    return said + ([size(memory)] if memory else [])


def _sizes(entries: Sequence[Mapping[str, Any]]) -> list[int]:
    return [parse_size_bits(entry["capacity"]) for entry in entries if entry.get("capacity")]


def bits_text(bits: Mapping[str, int]) -> str:
    """Widths in few words: ``8 bit``, ``8 bit, psums 20``, ``weights 4, inputs 8, outputs 8, psums 20 bit``."""
    operands = {bits[tensor] for tensor in ("weights", "inputs", "outputs")}
    if len(operands) > 1:
        return ", ".join(f"{tensor} {width}" for tensor, width in bits.items()) + " bit"
    (width,) = operands
    return f"{width} bit" if bits["psums"] == width else f"{width} bit, psums {bits['psums']}"
