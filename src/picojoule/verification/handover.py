"""Which results stay on the chip for the layers that read them, found anew from the rows of a result."""

from __future__ import annotations

from picojoule.hardware.accelerator import Accelerator
from picojoule.result import Estimate, LayerEstimate
from picojoule.verification.plan import Refuted
from picojoule.verification.settling import stays_at
from picojoule.workload.nest import TENSORS

Stays = dict[str, dict[str, int]]
"""Bits of the tensors that stay, by layer and tensor."""


def what_stays(estimate: Estimate, machine: Accelerator) -> Stays:
    """What the rule of ``docs/explanation/counting.md``, "The machine of a layer", has stay; layers without any are left out."""
    at, flow = stays_at(machine), estimate.data_flow
    # Where layers are fused, groups decide what stays.
    if at is None or flow is None or estimate.groups or estimate.counting != "exact":
        return {}
    capacity = machine.level(at).capacity_bits
    found: Stays = {}
    rows = estimate.layers
    for i, row in enumerate(rows):
        if not _leaves_results(row) or row.name in flow["outputs"]:
            continue
        readers = [rows[i + 1]] if flow["chain"] and i + 1 < len(rows) else _readers(rows, row.name)
        if not readers or not all(_takes_only(reader, row.name, flow["chain"]) for reader in readers):
            continue
        assert row.dims is not None
        bits = row.bits["outputs"]
        for dim in ("N", "G", "K", "P", "Q"):
            bits *= row.dims[dim]
        waiting = found.get(row.name, {}).get("inputs", 0)
        if capacity is not None and 2 * (bits + waiting) > capacity - capacity % 2:
            continue
        found.setdefault(row.name, {})["outputs"] = bits
        for reader in readers:
            found.setdefault(reader.name, {})["inputs"] = bits
    return found


def check_stays(estimate: Estimate, stays: Stays) -> str:
    """Raises ``Refuted`` unless every row says which of its tensors stay."""
    for row in estimate.layers:
        right = tuple(t for t in TENSORS if t in stays.get(row.name, {}))
        if row.stays != right:
            raise Refuted(f"{row.name}: stays is {list(row.stays)}, re-derived {list(right)}")
    return f"{sum('outputs' in sizes for sizes in stays.values())} results stay on the chip"


def _leaves_results(row: LayerEstimate) -> bool:
    """Whether a row is a depthwise layer that runs once."""
    dims = row.dims or {}
    return row.runs == 1 and dims.get("G", 1) > 1 and (dims.get("K"), dims.get("C")) == (1, 1)


def _readers(rows: tuple[LayerEstimate, ...], name: str) -> list[LayerEstimate]:
    return [row for row in rows if name in (row.reads or ())]


def _takes_only(row: LayerEstimate, name: str, chain: bool) -> bool:
    return row.dims is not None and row.runs == 1 and (chain or row.reads == (name,))
