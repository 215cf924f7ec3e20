"""Our optimum brought into Timeloop's own map space, by its own counting: never above what Timeloop found.

Our optima may place every tensor's boundary by itself, and were found by our counting. Here each is given the form that Timeloop
can express (``support/timeloop_space.py``), goes downhill from there by Timeloop's counting, and ends as soon as it needs no more than the
record's mapping does by the same counting and prices; the record's mapping is nowhere on the way. Where that stays above, the optimum
of the row-stationary machine (``eyeriss_like_row_stationary.yaml``) is the start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from references.test_optimum_against_timeloop import nest_of, of_design, optimum, simba_like_in_words
from support.timeloop_space import Space, descend

from picojoule.errors import HardwareError
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import check_legal
from picojoule.mapping.timeloop import parse_timeloop_mapping

ROUNDING = 1e-9
MOST = 4_000
"""Mappings tried from one start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Energies of a record's mapping and of ours, both in Timeloop's space and by its counting; how many were tried."""

    record: str
    theirs: float
    ours: float
    tried: int


def contest(record: dict[str, Any], machine: Accelerator, starts: list[Accelerator]) -> Contest:
    nest = nest_of(record)
    space = Space(nest, machine)
    given, _ = parse_timeloop_mapping(
        record["mapping"], machine, depthwise=record["kind"] == "depthwise", where=record["id"]
    )
    theirs = space.energy(space.formed(given))
    assert theirs == pytest.approx(space.counted(given), rel=1e-12), "the record's mapping is in the space"
    # PEWeightRegs of simba_like and the rounded table of eyeriss_like apart (test_timeloop_records.py).
    assert theirs == pytest.approx(record["energy_pj"], rel=0.03)
    ours, tried = float("inf"), 0
    for start in starts:
        try:
            found = optimum(nest, start)
        except HardwareError:  # the rules leave no mapping of this layer
            continue
        energy, slots, n = descend(space, found.best.mapping, theirs * (1 + ROUNDING), MOST)
        check_legal(nest, machine, space.mapping(slots), where=record["id"])
        ours, tried = min(ours, energy), tried + n
        if ours <= theirs * (1 + ROUNDING):
            break
    return Contest(record=record["id"], theirs=theirs, ours=ours, tried=tried)


@pytest.fixture(scope="module")
def records(shared: Path) -> list[dict[str, Any]]:
    return json.loads((shared / "references" / "timeloop" / "records.json").read_text(encoding="utf-8"))["records"]


def test_eyeriss_like(records: list[dict[str, Any]]) -> None:
    machine = load_hardware("eyeriss-like-45nm")
    ruled = load_hardware(Path(__file__).with_name("eyeriss_like_row_stationary.yaml"))
    held = [contest(record, machine, [machine, ruled]) for record in of_design(records, "eyeriss_like")]
    assert len(held) == 56
    assert [one for one in held if one.ours > one.theirs * (1 + ROUNDING)] == []
    # Most need no step at all: our optimum in Timeloop's form is better at once.
    assert sum(one.tried == 1 for one in held) >= 28


def test_simba_like(records: list[dict[str, Any]]) -> None:
    machine = simba_like_in_words()
    held = [contest(record, machine, [machine]) for record in of_design(records, "simba_like")]
    assert len(held) == 41
    assert [one for one in held if one.ours > one.theirs * (1 + ROUNDING)] == []
    assert sum(one.tried == 1 for one in held) >= 30


def test_a_lost_contest_would_be_seen(records: list[dict[str, Any]]) -> None:
    """An energy that nothing reaches is not reached."""
    machine = simba_like_in_words()
    record = of_design(records, "simba_like")[0]
    nest = nest_of(record)
    energy, _, tried = descend(Space(nest, machine), optimum(nest, machine).best.mapping, 1.0, 300)
    assert tried >= 300
    assert energy > 1.0
