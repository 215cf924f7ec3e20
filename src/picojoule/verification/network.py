"""The checks of a result as a whole: its machine, its totals, what it says was left out, and that nobody changed it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator
from picojoule.hardware.describe import accelerator_from_data, accelerator_to_data
from picojoule.result import SCHEMA, STATUSES, Estimate, content_hash
from picojoule.verification.layers import bits_of, check_gap
from picojoule.verification.outcome import Check, attempt, differing, refute_differences, same
from picojoule.verification.plan import Refuted
from picojoule.workload.nest import TENSORS

OBJECTIVES = ("energy", "latency", "edp")
COUNTINGS = ("exact", "timeloop")


def rebuilt_machine(estimate: Estimate) -> Accelerator:
    """The machine that a result carries with it.

    Raises:
        Refuted: its data describes none.
    """
    try:
        return accelerator_from_data(estimate.hardware, "hardware")
    except HardwareError as error:
        raise Refuted(str(error)) from None


def whole_checks(estimate: Estimate, document: dict[str, Any], machine: Accelerator) -> Iterator[Check]:
    """Every check that concerns more than one row."""
    tests: list[tuple[str, Callable[[], str]]] = [
        ("content hash", partial(_check_hash, document)),
        ("machine and table", partial(_check_machine, estimate, machine)),
        ("what was asked", partial(_check_asked, estimate)),
        ("sums over layers", partial(_check_sums, estimate)),
        ("totals", partial(_check_totals, estimate, machine)),
        ("total of the objective", partial(_check_objective, estimate)),
        ("status of the network", partial(_check_status, estimate)),
        ("coverage", partial(_check_coverage, estimate, machine)),
        ("not modelled yet", partial(_check_absent, estimate, machine)),
        ("bound (order only: the search tree isn't in the file)", lambda: "covered by the content hash"),
    ]
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
    table = {"name": machine.table_name, "source": machine.table_source, "unit": machine.unit, "node_nm": machine.node_nm}
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

    def differences() -> Iterator[str]:
        for key, value in right.items():
            if getattr(estimate, key) != value:
                yield f"{key} is {getattr(estimate, key)!r}, the layers add up to {value!r}"

    refute_differences(differences())
    return "exact"
