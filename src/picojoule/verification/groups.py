"""Layers that run fused, re-derived: who may be a group, what every tile makes, what lies on the chip, and what all tiles cost.

The law is ``docs/explanation/fusion.md``. Rows and columns are told apart one by one here: a tile of the last result marks all
that it needs of the results before it, and what must stay on the chip is counted mark by mark.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.result import Estimate, LayerEstimate
from picojoule.verification.least import Least, least, touched
from picojoule.verification.outcome import refute_differences, same
from picojoule.verification.plan import Refuted
from picojoule.workload.nest import TENSORS, Bits, Nest

_KEYS = {
    "name", "layers", "at", "tile", "tiles", "halo", "weights", "beside", "taken_bits", "macs_executed", "value", "bound", "floor",
    "energy_pj", "bound_pj", "floor_pj", "latency_cycles", "status",
}  # fmt: skip

Marks = frozenset[int]
"""Rows, or columns, of a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one layer of a group has to run.

    Attributes:
        nests: with how often each runs.
        kept: of its tensors, those that live at the group's level.
        taken_bits: of that level, for others.
        made: elements of its result, those made again counted again.
        inside: how many tensors that it reads lie at the level.
        stage: how many tiles it is behind the first layers; ``order``: its nest for every tile, None where there is nothing to do.
    """

    nests: dict[Nest, int]
    kept: tuple[str, ...]
    taken_bits: int
    made: int
    inside: int
    stage: int
    order: list[Nest | None]


def find_groups(estimate: Estimate, machine: Accelerator) -> dict[str, tuple[dict[str, Any], Ran]]:
    """For every layer of a group its entry and what it runs.

    Raises:
        Refuted: a group that can't be.
    """
    found: dict[str, tuple[dict[str, Any], Ran]] = {}
    names = [row.name for row in estimate.layers]
    for entry in estimate.groups:
        if not isinstance(entry, dict) or set(entry) != _KEYS or not isinstance(entry["layers"], list):
            raise Refuted(f"a group has the keys {', '.join(sorted(_KEYS))}")
        listed = entry["layers"]
        first = names.index(listed[0]) if listed and listed[0] in names else -1
        if first < 0 or names[first : first + len(listed)] != listed or len(listed) < 2 or set(listed) & set(found):
            raise Refuted(f"group {entry['name']}: {listed} are no layers one after the other, each in one group")
        rows = estimate.layers[first : first + len(listed)]
        for name, ran in zip(listed, _run(entry, rows, estimate, machine), strict=True):
            found[name] = entry, ran
    grouped = [(row.name, row.group) for row in estimate.layers if row.group is not None]
    if grouped != [(name, found[name][0]["name"]) for name in names if name in found]:
        raise Refuted("the groups that the layers name are not those that are listed")
    return found


def _run(
    entry: dict[str, Any], rows: tuple[LayerEstimate, ...], estimate: Estimate, machine: Accelerator
) -> list[Ran]:
    at, here = entry["at"], {row.name: i for i, row in enumerate(rows)}
    _check_level(machine, at)
    sources = [_sources(row, i, rows, estimate) for i, row in enumerate(rows)]
    nests = [_nest(row) for row in rows]
    readers: list[list[int]] = [[j for j, s in enumerate(sources) if i in s] for i in range(len(rows))]
    if any(not after for after in readers[:-1]) or readers[-1]:
        raise Refuted(f"group {entry['name']}: a result that nobody in it reads")
    _check_private(rows, here, estimate)
    shapes = _shapes(rows, nests, sources)
    keep = entry["halo"] != "recomputed"
    height, width = entry["tile"]["rows"], entry["tile"]["columns"]
    if keep and width != shapes[-1][1]:
        raise Refuted(f"group {entry['name']}: line buffers go with whole rows")
    down = _marks(nests, readers, shapes, 0, height, keep)
    across = _marks(nests, readers, shapes, 1, width, False)
    if entry["tiles"] != len(down) * len(across) or (entry["halo"] == "none") != (entry["tiles"] == 1):
        raise Refuted(f"group {entry['name']}: {entry['tiles']} tiles with halo {entry['halo']}, re-derived {len(down) * len(across)}")
    resident = {"resident": True, "streamed": False}[entry["weights"]]
    if resident and not _can_reside(machine, at):
        raise Refuted(f"group {entry['name']}: no weights can lie in {at}")
    stages = _stages(rows, sources, machine) if entry["beside"] else [0] * len(rows)
    taken = _taken(rows, nests, readers, shapes, down, across, keep, stages if entry["beside"] else None)
    weights = sum(touched(n, "weights") * row.bits["weights"] for n, row in zip(nests, rows, strict=True) if n) if resident else 0
    taken = [bits + weights for bits in taken]
    if entry["taken_bits"] != taken:
        raise Refuted(f"group {entry['name']}: taken_bits is {entry['taken_bits']}, re-derived {taken}")
    capacity = machine.level(at).capacity_bits
    if capacity is not None and max(taken) >= capacity:
        raise Refuted(f"group {entry['name']}: {max(taken)} bits lie in {at}, which has {capacity}")
    result = []
    for i, row in enumerate(rows):
        order = [_part(nests[i], r[i], c[i]) for c in across for r in down] if nests[i] else []
        runs = Counter(nest for nest in order if nest is not None)
        kept = [
            name
            for name, lies in (
                ("weights", resident and nests[i] is not None),
                ("inputs", bool(sources[i] - {-1})),
                ("outputs", i < len(rows) - 1),
            )
            if lies
        ]
        made = sum(len(r[i]) for r in down) * sum(len(c[i]) for c in across) * shapes[i][2]
        inside = sum(name in here for name in _reads(row, estimate))
        result.append(
            Ran(
                nests=dict(runs), kept=tuple(kept), taken_bits=taken[i], made=made, inside=inside, stage=stages[i], order=order
            )
        )
    return result


def _check_level(machine: Accelerator, at: str) -> None:
    level = next((level for level in machine.levels if level.name == at), None)
    homes = {machine.home("inputs").name, machine.home("outputs").name}
    held = level is not None and {"inputs", "outputs"} <= set(level.keeps) and at not in homes
    if level is None or not held or level.latch or machine.fanouts_outside(at) or any(x.spill for x in machine.levels):
        raise Refuted(f"no results between layers can live in {at}")


def _can_reside(machine: Accelerator, at: str) -> bool:
    """Whether nothing that always holds weights lies between their home and a level that may hold them."""
    before = []
    for level in machine.levels:
        if level.name == at:
            return "weights" in level.keeps + level.may_keep and len(before) == 1
        if "weights" in level.keeps:
            before.append(level.name)
    return False


def _reads(row: LayerEstimate, estimate: Estimate) -> tuple[str, ...]:
    flow, rows = estimate.data_flow, estimate.layers
    if flow is None:
        raise Refuted(f"{row.name} is in a group, and who reads what isn't known")
    if flow["chain"]:
        before = next(i for i, other in enumerate(rows) if other.name == row.name) - 1
        return (rows[before].name,) if before >= 0 else ("",)
    return row.reads or ()


def _sources(row: LayerEstimate, i: int, rows: tuple[LayerEstimate, ...], estimate: Estimate) -> set[int]:
    """Places in the group of what a layer reads; −1 stands for everything outside."""
    places = {other.name: j for j, other in enumerate(rows)}
    reads = _reads(row, estimate)
    found = {places.get(name, -1) for name in reads}
    plain = row.dims is not None and row.kind != "matmul" and len(reads) == 1
    if row.runs != 1 or any(j >= i for j in found):
        raise Refuted(f"{row.name} can't be in a group")
    if i and not (found - {-1}):
        raise Refuted(f"{row.name} reads nothing of its group")
    if i and not plain and row.kind != "add":
        raise Refuted(f"{row.name} is neither a nest with one input nor a sum")
    if not i and (row.dims is None or row.kind == "matmul"):
        raise Refuted(f"{row.name} can't begin a group")
    return found


def _check_private(rows: tuple[LayerEstimate, ...], here: dict[str, int], estimate: Estimate) -> None:
    inner = {row.name for row in rows[:-1]}
    for other in estimate.layers:
        if other.name not in here and inner & set(_reads(other, estimate)):
            raise Refuted(f"{other.name} reads a result that never leaves its group")
    if estimate.data_flow is not None and inner & set(estimate.data_flow["outputs"]):
        raise Refuted("the network hands back a result that never leaves its group")


def _nest(row: LayerEstimate) -> Nest | None:
    if row.dims is None:
        return None
    try:
        return Nest(**row.dims, stride=row.stride or (1, 1), dilation=row.dilation or (1, 1), pad=row.pad or (0, 0, 0, 0))
    except (TypeError, ValueError) as error:
        raise Refuted(str(error)) from None


def _shapes(
    rows: tuple[LayerEstimate, ...], nests: list[Nest | None], sources: list[set[int]]
) -> list[tuple[int, int, int]]:
    """Rows, columns and maps of every result; a layer reads those of its group as they are and leaves out nothing."""
    shapes: list[tuple[int, int, int]] = []
    for row, nest, source in zip(rows, nests, sources, strict=True):
        before = {shapes[j] for j in source if j >= 0}
        if nest is not None:
            shapes.append((nest.P, nest.Q, nest.N * nest.G * nest.K))
            read = len(nest.touched("rows")), len(nest.touched("columns")), nest.N * nest.G * nest.C
            if before and before != {read} or (before and (nest.input_rows, nest.input_columns) != read[:2]):
                raise Refuted(f"{row.name} does not read all that its group hands on, as it is")
            continue
        written, read_ = (row.moved or {}).get("written", 0), (row.moved or {}).get("read", 0)
        if len(before) != 1 or math.prod(next(iter(before))) != written or read_ % written or "weights" in (row.moved or {}):
            raise Refuted(f"{row.name} is no sum of tensors of one shape")
        shapes.append(next(iter(before)))
    return shapes


def _marks(
    nests: list[Nest | None], readers: list[list[int]], shapes: list[tuple[int, int, int]], axis: int, size: int, keep: bool
) -> list[list[Marks]]:
    """``[step][layer]``: rows (or columns) that each makes."""
    total = shapes[-1][axis]
    if type(size) is not int or not 1 <= size <= total:
        raise Refuted(f"a tile of {size} of {total}")
    there: list[set[int]] = [set() for _ in nests]
    steps = []
    for start in range(0, total, size):
        made: list[Marks] = [frozenset()] * len(nests)
        made[-1] = frozenset(range(start, min(total, start + size)))
        for i in range(len(nests) - 2, -1, -1):
            wanted = _wanted(nests, readers[i], made, axis)
            if keep and wanted:  # line buffers fill without holes
                wanted = set(range(max(wanted) + 1)) - there[i]
            elif wanted:
                wanted = set(range(min(wanted), max(wanted) + 1))
            made[i] = frozenset(wanted)
            there[i] |= wanted
        steps.append(made)
    return steps


def _wanted(nests: list[Nest | None], readers: list[int], made: list[Marks], axis: int) -> set[int]:
    """Rows of a result that those who read it need for what they make."""
    wanted: set[int] = set()
    for j in readers:
        nest = nests[j]
        if nest is None:
            wanted |= made[j]
        else:
            _, taps, stride, dilation, pad, size = nest.window("columns" if axis else "rows")
            reached = {x * stride + tap * dilation - pad for x in made[j] for tap in range(taps)}
            inside = [x for x in reached if 0 <= x < size]
            wanted |= set(range(min(inside), max(inside) + 1)) if inside else set()
    return wanted


def _part(nest: Nest | None, rows: Marks, columns: Marks) -> Nest | None:
    if nest is None or not rows or not columns:
        return None
    pads = []
    for marks, axis in ((rows, "rows"), (columns, "columns")):
        _, taps, stride, dilation, pad, size = nest.window(axis)
        first, last = min(marks) * stride - pad, max(marks) * stride + (taps - 1) * dilation - pad
        pads.append((max(0, -first), max(0, last + 1 - size)))
    try:
        return replace(
            nest, P=len(rows), Q=len(columns), pad=(pads[0][0], pads[1][0], pads[0][1], pads[1][1])
        )
    except ValueError as error:
        raise Refuted(str(error)) from None


def _stages(rows: tuple[LayerEstimate, ...], sources: list[set[int]], machine: Accelerator) -> list[int]:
    if not any(fanout.depthwise for fanout in machine.fanouts):
        raise Refuted("layers run beside each other on a machine without a second engine")
    stages: list[int] = []
    for row, source in zip(rows, sources, strict=True):
        lanes = [stages[j] + (lane_of(rows[j], machine) != lane_of(row, machine)) for j in source if j >= 0]
        stages.append(max(lanes, default=0))
    return stages


def lane_of(row: LayerEstimate, machine: Accelerator) -> str:
    """The engine of a layer."""
    dims = row.dims or {}
    own = dims.get("G", 1) > 1 and dims.get("K") == dims.get("C") == 1
    return "depthwise" if own and any(fanout.depthwise for fanout in machine.fanouts) else "array"


def _taken(
    rows: tuple[LayerEstimate, ...],
    nests: list[Nest | None],
    readers: list[list[int]],
    shapes: list[tuple[int, int, int]],
    down: list[list[Marks]],
    across: list[list[Marks]],
    keep: bool,
    stages: list[int] | None,
) -> list[int]:
    """Most bits of results in between while each layer runs."""
    count = len(rows)
    bits = []
    for i, row in enumerate(rows):
        width = max([row.bits["outputs"], *(rows[j].bits["inputs"] for j in readers[i])])
        bits.append(width * shapes[i][2] * max(len(step[i]) for step in across))
    # needed[t][i]: the first row that is read in step t or later
    needed = [[shape[0] for shape in shapes] for _ in range(len(down) + 1)]
    for t in range(len(down) - 1, -1, -1):
        for i in range(count):
            wanted = _wanted(nests, readers[i], down[t], 0)
            needed[t][i] = min([needed[t + 1][i], *wanted])
    ends = [[max((max(s[i]) + 1 for s in down[: t + 1] if s[i]), default=0) for i in range(count)] for t in range(len(down))]
    if stages is not None:
        total = 0
        for i, after in enumerate(readers):
            if after:
                behind = max(stages[j] for j in after) - stages[i]
                rooms = [ends[min(t + behind, len(ends) - 1)][i] - needed[t][i] for t in range(len(down))]
                whole = max(len(step[i]) for step in down) * (1 + behind)
                total += (max(rooms) if keep else whole) * bits[i]
        return [total] * count
    most = [0] * count
    for t, step in enumerate(down):
        for running in range(count):
            total = 0
            for i, after in enumerate(readers):
                if not after:
                    continue
                if keep:
                    end = ends[t][i] if running >= i else ends[t - 1][i] if t else 0
                    total += max(0, end - needed[t + (running > max(after))][i]) * bits[i]
                elif i <= running <= max(after):
                    total += len(step[i]) * bits[i]
            most[running] = max(most[running], total)
    return most


def at_home(machine: Accelerator, at: str, tensors: tuple[str, ...], taken_bits: int) -> Accelerator:
    """The machine for a layer of a group: these tensors live at the level, of which so much is taken."""
    entries: list[Level | FanOut] = []
    inside = False
    for entry in machine.hierarchy:
        if isinstance(entry, Level) and entry.name == at:
            inside = True
            more = tuple(t for t in TENSORS if t in tensors and t not in entry.keeps)
            room = None if entry.capacity_bits is None else entry.capacity_bits - taken_bits
            left = tuple(t for t in entry.may_keep if t not in tensors)
            entry = replace(entry, keeps=entry.keeps + more, may_keep=left, capacity_bits=room)
        elif isinstance(entry, Level) and not inside:
            keys = ("keeps", "may_keep", "spill")
            entry = replace(entry, **{k: tuple(t for t in getattr(entry, k) if t not in tensors) for k in keys})
        entries.append(entry)
    return replace(machine, hierarchy=tuple(entries))


def group_least(nest: Nest, minding: Accelerator, bits: Bits) -> Least:
    """The floor of a layer whose group keeps some of its tensors on the chip."""
    return least(nest, minding, bits)


def check_groups(estimate: Estimate) -> str:
    """Raises ``Refuted`` unless the figures of every group are those of its layers."""
    rows = {row.name: row for row in estimate.layers}
    for entry in estimate.groups:
        members = [rows[name] for name in entry["layers"]]
        sums = {key: math.fsum(getattr(x, key) for x in members) for key in ("value", "bound", "floor", "energy_pj", "bound_pj", "floor_pj")}
        sums["latency_cycles"] = math.fsum(x.latency_cycles for x in members if x.latency_cycles is not None)
        sums["macs_executed"] = sum(a.reads for x in members for a in x.by if a.level == "mac")

        def differences(entry: dict[str, Any] = entry, sums: dict[str, float] = sums) -> Iterator[str]:
            for key, value in sums.items():
                if not same(entry[key], value):
                    yield f"{key} of group {entry['name']} is {entry[key]!r}, its layers make it {value!r}"

        refute_differences(differences())
        statuses = {row.status for row in members}
        right = next((s for s in ("INTERRUPTED", "GAP_OPEN") if s in statuses), "PROVED")
        if entry["status"] != right:
            raise Refuted(f"status of group {entry['name']} is {entry['status']!r}, its layers make it {right}")
    return f"{len(estimate.groups)} groups"
