"""Which activations are in memory while each layer runs, found layer by layer from who reads what."""

from __future__ import annotations

import math
from typing import Any

from picojoule.result import Estimate, LayerEstimate
from picojoule.verification.layers import bits_of, nest_of
from picojoule.verification.least import touched
from picojoule.verification.outcome import differing, refute_differences
from picojoule.verification.plan import Refuted, check_sizes

_KEYS = {"chain", "given", "outputs"}
_GIVEN_KEYS = {"name", "elements", "held"}


def check_memory(estimate: Estimate) -> str:
    """Raises ``Refuted`` unless the bytes at every layer and their peak follow from the data flow."""
    flow, rows = estimate.data_flow, estimate.layers
    if not rows:
        raise Refuted("there are no layers")
    if flow is not None and (set(flow) != _KEYS or type(flow["chain"]) is not bool):
        raise Refuted(f"data_flow has the keys {', '.join(sorted(_KEYS))}, got {flow}")
    if flow is None or flow["chain"]:
        reading = [row.name for row in rows if row.reads is not None]
        if reading or (flow and (flow["given"] or flow["outputs"])):
            raise Refuted(
                f"who reads what stands at {(reading or ['data_flow'])[0]}, data_flow says that nobody stated it"
            )
    right: list[float | None]
    if flow is None:
        right = [None] * len(rows)
    elif flow["chain"]:
        right = [(_read(row) * bits_of(row.bits).inputs + _made(row) * bits_of(row.bits).outputs) / 8 for row in rows]
    else:
        right = [*_live(rows, flow)]
    peak = max((held for held in right if held is not None), default=None)
    stated = {f"{row.name} ({i}): memory_bytes": row.memory_bytes for i, row in enumerate(rows)}
    refute_differences(differing(stated, dict(zip(stated, right, strict=True))))
    refute_differences(
        differing({"peak_activation_bytes": estimate.peak_activation_bytes}, {"peak_activation_bytes": peak})
    )
    return "not known who reads what" if peak is None else f"at most {peak:,.0f} bytes"


def _live(rows: tuple[LayerEstimate, ...], flow: dict[str, Any]) -> list[float]:
    """Bytes at each layer: every tensor is asked whether it is there."""
    given = _given(flow)
    readers: dict[str, list[int]] = {name: [] for name in given}
    made: dict[str, int] = {}
    for step, row in enumerate(rows):
        if row.reads is None or any(name not in readers for name in row.reads):
            raise Refuted(f"{row.name} reads {row.reads}: each must be given or an earlier layer")
        if row.name in readers:
            raise Refuted(f"{row.name!r} is the name of two tensors")
        for name in row.reads:
            readers[name].append(step)
        readers[row.name], made[row.name] = [], step
    kept = flow["outputs"]
    if not isinstance(kept, list) or any(not isinstance(name, str) or name not in readers for name in kept):
        raise Refuted(f"the outputs {kept} are not all layers")
    stays: list[tuple[int, float, float]] = []
    for name, steps in readers.items():
        until = max(steps, default=-1)
        width = max((bits_of(rows[step].bits).inputs for step in steps), default=None)
        if name in given:
            size, held = given[name]
            width = bits_of(rows[0].bits).inputs if width is None else width
            stays.append((0, math.inf if held else until, size * width))
            continue
        row = rows[made[name]]
        width = bits_of(row.bits).outputs if width is None else width
        stays.append((made[name], until if steps and name not in kept else math.inf, _made(row) * width))
    return [sum(bits for since, until, bits in stays if since <= step <= until) / 8 for step in range(len(rows))]


def _given(flow: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    """Elements of the given tensors, and whether they are held to the end."""
    found: dict[str, tuple[int, bool]] = {}
    for tensor in flow["given"] if isinstance(flow["given"], list) else [None]:
        if (
            not isinstance(tensor, dict)
            or set(tensor) != _GIVEN_KEYS
            or not isinstance(tensor["name"], str)
            or tensor["name"] in found
            or type(tensor["elements"]) is not int
            or tensor["elements"] < 0
            or type(tensor["held"]) is not bool
        ):
            raise Refuted(f"a given tensor has a name of its own, elements and held, got {tensor}")
        found[tensor["name"]] = tensor["elements"], tensor["held"]
    return found


def _made(row: LayerEstimate) -> int:
    """What all runs of a layer make together."""
    once: int = (row.moved or {}).get("written", 0) if row.dims is None else nest_of(row).elements("outputs")
    return once * row.runs


def _read(row: LayerEstimate) -> int:
    if row.dims is None:
        return (row.moved or {}).get("read", 0)
    nest = nest_of(row)
    check_sizes(nest)
    return touched(nest, "inputs")
