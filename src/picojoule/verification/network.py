"""The checks of a result as a whole: its machine, its totals, what it says was left out, and that nobody changed it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator
from picojoule.hardware.describe import accelerator_from_data, accelerator_to_data
from picojoule.result import SCHEMA, Estimate, LayerEstimate, content_hash
from picojoule.verification.layers import bits_of, check_gap
from picojoule.verification.memory import check_memory
from picojoule.verification.outcome import Check, attempt, differing, refute_differences
from picojoule.verification.plan import Refuted
from picojoule.workload.nest import TENSORS

OBJECTIVES = ("energy", "latency", "edp")
COUNTINGS = ("exact", "timeloop")
UNPROVED_BOUND = "bound: order only (its proof isn't in the file)"


def rebuilt_machine(estimate: Estimate) -> Accelerator:
    """The machine that a result carries with it.

    Raises:
        Refuted: its data describes none.
    """
    try:
        return accelerator_from_data(estimate.hardware, "hardware")
    except HardwareError as error:
        raise Refuted(str(error)) from None


def whole_checks(
    estimate: Estimate, document: dict[str, Any], machine: Accelerator, *, certified: bool = False
) -> Iterator[Check]:
    """Every check that concerns more than one row; ``certified``: the bounds have a check of their own."""
    tests: list[tuple[str, Callable[[], str]]] = [
        ("content hash", partial(_check_hash, document)),
        ("machine and table", partial(_check_machine, estimate, machine)),
        ("what was asked", partial(_check_asked, estimate)),
        ("sums over layers", partial(_check_sums, estimate)),
        ("totals", partial(_check_totals, estimate, machine)),
        ("status of the network", partial(_check_status, estimate)),
        ("coverage", partial(_check_coverage, estimate, machine)),
        ("activations in memory", partial(check_memory, estimate)),
        ("front", partial(_check_front, estimate)),
        ("zeros", partial(_check_zeros, estimate)),
        ("power", partial(_check_power, estimate, machine)),
        ("nothing that isn't modelled", partial(_check_absent, estimate)),
    ]
    if estimate.fusion is not None:
        tests.append(("fusion", partial(_check_fusion, estimate, estimate.fusion)))
    if not certified:
        tests.append((UNPROVED_BOUND, partial(_check_bound, estimate)))
    for name, test in tests:
        yield attempt(name, "", test)


def _check_hash(document: dict[str, Any]) -> str:
    stated, right = document["provenance"].get("content_hash"), content_hash(document)
    if stated != right:
        raise Refuted("the result was changed after it was written: its content hash is another")
    return right


def _check_machine(estimate: Estimate, machine: Accelerator) -> str:
    data = accelerator_to_data(machine)
    if data != estimate.hardware:
        keys = [k for k in {**data, **estimate.hardware} if data.get(k) != estimate.hardware.get(k)]
        raise Refuted(f"the machine's data reads back otherwise in {', '.join(keys)}")
    table = {
        "name": machine.table_name,
        "source": machine.table_source,
        "unit": machine.unit,
        "node_nm": machine.node_nm,
        "estimated": machine.estimated,
    }
    if estimate.table != table:
        raise Refuted(f"the table is {estimate.table}, the machine's is {table}")
    if estimate.area_mm2 != machine.area_mm2:
        raise Refuted(f"area_mm2 is {estimate.area_mm2}, the machine's is {machine.area_mm2}")
    return machine.name


def _check_asked(estimate: Estimate) -> str:
    if estimate.schema != SCHEMA:
        raise Refuted(f"schema is {estimate.schema!r}")
    if estimate.objective not in OBJECTIVES:
        raise Refuted(f"objective is {estimate.objective!r}, allowed: {', '.join(OBJECTIVES)}")
    if estimate.counting not in COUNTINGS:
        raise Refuted(f"counting is {estimate.counting!r}, allowed: {', '.join(COUNTINGS)}")
    if estimate.batch < 1:
        raise Refuted(f"batch is {estimate.batch}")
    bits_of(estimate.bits)
    if not estimate.layers:
        raise Refuted("there are no layers")
    return f"{estimate.objective}, batch {estimate.batch}"


def _check_sums(estimate: Estimate) -> str:
    layers = estimate.layers
    right = {
        "energy_pj": math.fsum(x.energy_pj for x in layers),
        "bound_pj": math.fsum(x.bound_pj for x in layers),
        "floor_pj": math.fsum(x.floor_pj for x in layers),
        "macs": sum(x.macs for x in layers),
        "params": sum(x.params for x in layers),
    }

    least = {key: right.pop(key) for key in ("bound_pj", "floor_pj")} if unproved_cuts(estimate) else {}

    def differences() -> Iterator[str]:
        for key, value in least.items():
            if getattr(estimate, key) > value:
                yield f"{key} is {getattr(estimate, key)!r}, more than the layers' {value!r}"
        for key, value in right.items():
            if getattr(estimate, key) != value:
                yield f"{key} is {getattr(estimate, key)!r}, the layers add up to {value!r}"

    refute_differences(differences())
    return "exact"


def _check_totals(estimate: Estimate, machine: Accelerator) -> str:
    rows = estimate.layers
    cycles = math.fsum(x.latency_cycles for x in rows if x.latency_cycles is not None)
    joules = machine.unit == "pJ"
    seconds = cycles / machine.clock_hz if joules and machine.clock_hz else None
    outermost = machine.levels[0].name
    solved = [x.search for x in rows if x.search is not None and x.same_as is None]
    energy, stated = estimate.energy_pj, estimate.provenance.get("search")
    right: dict[str, float | None] = {
        "energy_pj_per_inference": energy / estimate.batch,
        "latency_cycles": cycles,
        "latency_s": seconds,
        "throughput_inf_s": estimate.batch / seconds if seconds else None,
        "edp_pj_s": None if seconds is None else energy * seconds,
        "gops_per_w": 2000 * estimate.macs / energy if joules and energy else None,
        "dram_bytes": sum(a.bits for x in rows for a in x.by if a.level == outermost) / 8,
        "weight_bytes": sum(x.params * bits_of(x.bits).weights for x in rows) / 8,
    }
    wrong = list(differing({key: getattr(estimate, key) for key in right}, right))
    totals = {key: sum(entry.get(key, 0) for entry in solved) for key in ("visited", "pruned")}
    # How many layers came from the cache can't be told from the figures; that it is a number of layers can.
    from_cache = stated.get("from_cache", 0) if isinstance(stated, dict) else 0
    possible = type(from_cache) is int and 0 <= from_cache <= len(solved)
    if not possible or stated not in (totals, {**totals, "from_cache": from_cache}):
        wrong.append(f"provenance.search is {stated}, the {len(solved)} layers searched add up to {totals}")
    refute_differences(iter(wrong))
    return f"{len(right)} figures"


def _check_status(estimate: Estimate) -> str:
    """Value, bound and floor of the objective, and what the layers' statuses make of the network's."""
    rows, value = estimate.layers, estimate.value
    if estimate.objective == "edp":
        # Energies and delays add up, their products don't; the bound is that of Cauchy and Schwarz.
        right = {"value": estimate.energy_pj * (estimate.latency_cycles or 0.0)}
        right["bound"] = min(math.fsum(math.sqrt(max(0.0, x.bound)) for x in rows) ** 2, right["value"])
        right["floor"] = min(math.fsum(math.sqrt(max(0.0, x.floor)) for x in rows) ** 2, right["bound"])
    else:
        right = {key: math.fsum(getattr(x, key) for x in rows) for key in ("value", "bound", "floor")}
    if unproved_cuts(estimate):
        for key in ("bound", "floor"):
            least = right.pop(key)
            if getattr(estimate, key) > least * (1 + 1e-9):
                raise Refuted(f"{key} is {getattr(estimate, key)!r}, more than the layers' {least!r}")
    refute_differences(differing({key: getattr(estimate, key) for key in right}, dict(right)))
    for low, middle, high in (
        (estimate.floor, estimate.bound, value),
        (estimate.floor_pj, estimate.bound_pj, estimate.energy_pj),
    ):
        if not 0 <= low <= middle <= high:
            raise Refuted(f"floor {low!r}, bound {middle!r}, value {high!r} don't rise")
    check_gap(value, estimate.bound, estimate.gap)
    found = {x.status for x in rows}
    status = next((s for s in ("INTERRUPTED", "GIVEN", "GAP_OPEN") if s in found), "PROVED")
    if estimate.objective == "edp" and status != "INTERRUPTED":
        status = "PER_LAYER"
    if status != "INTERRUPTED" and estimate.fusion is not None and estimate.fusion.get("status") != "PROVED":
        status = str(estimate.fusion.get("status"))
    if estimate.status != status:
        raise Refuted(f"status is {estimate.status!r}, the layers' make it {status}")
    return status


def _check_coverage(estimate: Estimate, machine: Accelerator) -> str:
    coverage = estimate.coverage
    if not set(coverage) >= {"macs", "bytes", "not_costed", "vector_ops_not_priced"}:
        raise Refuted(f"coverage has the keys {sorted(coverage)}")
    for key in ("not_costed", "vector_ops_not_priced"):
        for entry in coverage[key] if isinstance(coverage[key], list) else [None]:
            where = entry.get("where") if isinstance(entry, dict) else None
            if (
                not isinstance(where, list)
                or not where
                or entry.get("count") != len(where)
                or not isinstance(entry.get("op"), str)
            ):
                raise Refuted(f"{key} lists {entry}: an operator, the number of its places, the places")
    unpriced: dict[str, list[str]] = {}
    for layer in estimate.layers:
        if machine.vector_energy is None and layer.moved and layer.moved.get("vector_ops"):
            unpriced.setdefault(layer.op or layer.kind, []).append(layer.name)
    listed = {entry["op"]: entry["where"] for entry in coverage["vector_ops_not_priced"]}
    if listed != unpriced or len(listed) != len(coverage["vector_ops_not_priced"]):
        raise Refuted(f"vector operations not priced are {listed}, the layers have {unpriced}")
    for key in ("macs", "bytes"):
        share = coverage[key]
        whole = not coverage["not_costed"] and share != 1
        if whole or not (share is None or (type(share) in (int, float) and 0 <= share <= 1)):
            raise Refuted(f"the share of {key} is {share!r} with {len(coverage['not_costed'])} operators not costed")
    if coverage["macs"] not in (None, 1):
        raise Refuted(f"the share of macs is {coverage['macs']!r}: every nest is costed, others' MACs are unknown")
    return f"{sum(entry['count'] for entry in coverage['not_costed'])} operators not costed"


def unproved_cuts(estimate: Estimate) -> bool:
    """Whether another grouping might cost less than this one's bound."""
    return estimate.fusion is not None and estimate.fusion.get("status") != "PROVED" and estimate.fusion.get("bound") is not None


def _check_fusion(estimate: Estimate, fusion: dict[str, Any]) -> str:
    """What is said of the grouping agrees with the groups; its proof is under the content hash."""
    if set(fusion) != {"asked", "status", "bound", "unfused", "searched"} or not isinstance(fusion["asked"], str):
        raise Refuted(f"fusion has the keys asked, status, bound, unfused and searched; got {fusion}")
    if fusion["status"] not in ("PROVED", "GAP_OPEN", "INTERRUPTED") or estimate.objective == "edp":
        raise Refuted(f"fusion has the status {fusion['status']!r}, the objective {estimate.objective}")
    if fusion["asked"] != "auto":
        if not estimate.groups or fusion["bound"] is not None or fusion["unfused"] is not None:
            raise Refuted("a pattern makes groups, and nothing is said of other groupings")
        return f"{len(estimate.groups)} groups as asked"
    for key in ("bound", "unfused"):
        if type(fusion[key]) not in (int, float):
            raise Refuted(f"fusion.{key} is {fusion[key]!r}")
    if estimate.value > fusion["unfused"] * (1 + 1e-9) or fusion["bound"] > estimate.value * (1 + 1e-9):
        raise Refuted(f"{estimate.value} fused, {fusion['unfused']} without, at least {fusion['bound']}: they don't rise")
    if fusion["status"] == "PROVED" and not math.isclose(fusion["bound"], estimate.value, rel_tol=1e-9):
        raise Refuted(f"the grouping is PROVED with the bound {fusion['bound']} below {estimate.value}")
    return f"{len(estimate.groups)} groups; that no grouping is better is covered by the content hash, not derived again"


def _check_absent(estimate: Estimate) -> str:
    """Figures of which nothing in a result can tell how they came about are left open."""
    filled = [key for key in ("accuracy",) if getattr(estimate, key) is not None]
    if estimate.fusion is None:
        filled += [f"{x.name}: group" for x in estimate.layers if x.group is not None or x.tiles is not None]
        if estimate.groups:
            filled.append("groups")
    if filled:
        raise Refuted(f"{', '.join(filled[:5])}: nothing in the result says where that comes from")
    return "left open"


def _check_power(estimate: Estimate, machine: Accelerator) -> str:
    """Watts are the joules of an inference times inferences a second."""
    fps, right = estimate.fps, None
    if fps is not None:
        if not 0 < fps < math.inf or machine.unit != "pJ":
            raise Refuted(f"fps is {fps!r} on a machine in {machine.unit}")
        right = estimate.energy_pj / 1e12 * fps / estimate.batch
    refute_differences(differing({"power_w": estimate.power_w}, {"power_w": right}))
    return "not asked for" if right is None else f"{right:.4g} W at {fps:g} inferences a second"


def _check_front(estimate: Estimate) -> str:
    """Points go from the fastest to the one of least energy, none below its bound or the floor, nor dearer at the end than
    what was found for energy alone."""
    fronts = [row for row in estimate.layers if row.front is not None]
    if estimate.front is None:
        if fronts:
            raise Refuted(f"{fronts[0].name} has a front, and the network has none")
        return "not asked for"
    for one in (estimate, *fronts):
        _check_points(one, estimate.objective, "" if one is estimate else f"{one.name}: ")
    return f"{len(estimate.front)} points; covered by the content hash, not derived again"


def _check_points(one: Estimate | LayerEstimate, objective: str, where: str) -> None:
    points = [tuple(point[key] for key in ("latency_cycles", "energy_pj", "bound_pj")) for point in one.front or []]
    if not points:
        raise Refuted(f"{where}the front has no points")
    for (c, e, _), (d, f, _) in zip(points, points[1:], strict=False):
        if not (c < d and e > f):
            raise Refuted(f"{where}{e} at {c} cycles is followed by {f} at {d} cycles: one of them is no point of a front")
    for cycles, energy, bound in points:
        if not one.floor_pj * (1 - 1e-9) <= energy or bound > energy:
            raise Refuted(f"{where}{energy} at {cycles} cycles, with the bound {bound} and the floor {one.floor_pj}")
    least = points[-1][1]
    if objective == "energy" and one.status == "PROVED" and least < one.energy_pj * (1 - 1e-9):
        raise Refuted(f"{where}the front goes down to {least}, less than the proved optimum {one.energy_pj}")


def _check_zeros(estimate: Estimate) -> str:
    """Shares of zeros stand where they were asked for; the hash covers what they are."""
    samples = estimate.provenance.get("samples")
    counted = type(samples) is int and samples > 0
    if estimate.sparsity not in (None, "given", "stated", "measured") or counted != (estimate.sparsity == "measured"):
        raise Refuted(f"sparsity is {estimate.sparsity!r} over {samples} samples")
    for layer in estimate.layers:
        for tensor, share in (layer.zeros or {}).items():
            if estimate.sparsity is None or tensor not in TENSORS or not 0 <= share <= 1:
                raise Refuted(f"{layer.name}: zeros of {tensor} are {share}, with sparsity {estimate.sparsity!r}")
    source = estimate.sparsity
    return "none" if source is None else f"{source}; covered by the content hash, not derived again"


def _check_bound(estimate: Estimate) -> str:
    proved = sum(x.status == "PROVED" for x in estimate.layers)
    return (
        f"{proved} of {len(estimate.layers)} layers say PROVED; that is covered by the content hash, "
        "and derived again only with the certificate of the search"
    )
