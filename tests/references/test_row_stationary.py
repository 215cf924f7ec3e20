"""Timeloop's row-stationary constraints as rules for tiles: ``eyeriss_like_row_stationary.yaml``.

Timeloop searched eyeriss_like under these constraints (and under heuristics of its own, which are no limits of the
hardware). Every convolution's mapping that it found obeys our rules; the proved optimum under the rules costs no more
than that mapping and no less than the optimum of the same machine without rules, all by our counting:

    46 mappings, by our counting          least     median    geom. mean
    mapping : optimum under the rules    1.0008    1.1502    1.1740
    optimum under the rules : without    1.0000    1.0178    1.0227
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from references.test_optimum_against_timeloop import Duel, complaints, duels, no_less, of_design

from picojoule.errors import MappingError
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Accelerator, FanOut, Level
from picojoule.mapping.legality import check_legal
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact

NAMED = ("alexnet_ex/conv1", "alexnet_ex/conv2", "vgg16/conv1_2", "vgg16/conv4_2", "vgg16/conv5_x")
"""Layers whose optimum without rules is looked for, too."""


@pytest.fixture(scope="module")
def machine() -> Accelerator:
    return load_hardware(Path(__file__).with_name("eyeriss_like_row_stationary.yaml"))


@pytest.fixture(scope="module")
def records(shared: Path) -> list[dict[str, Any]]:
    every = json.loads((shared / "references" / "timeloop" / "records.json").read_text(encoding="utf-8"))["records"]
    return [record for record in of_design(every, "eyeriss_like") if record["kind"] == "conv"]


@pytest.fixture(scope="module")
def fought(records: list[dict[str, Any]], machine: Accelerator) -> list[Duel]:
    fought, refused = duels(records, machine)
    assert (len(fought), refused) == (46, [])
    return fought


def test_the_machine_is_the_catalogue_s_but_for_the_constraints(machine: Accelerator) -> None:
    free = load_hardware("eyeriss-like-45nm")
    assert (machine.bits, machine.mac, machine.unit) == (free.bits, free.mac, free.unit)
    for mine, its in zip(machine.hierarchy, free.hierarchy, strict=True):
        if isinstance(mine, Level):
            assert replace(mine, tiles=()) == its
        else:
            assert isinstance(its, FanOut)
            assert [(a.name, a.size) for a in mine.axes] == [(a.name, a.size) for a in its.axes]
            assert (mine.multicast, mine.reduction) == (its.multicast, its.reduction)
    assert [len(level.tiles) for level in machine.levels] == [0, 0, 6, 6, 6]


def test_every_mapping_obeys_and_none_beats_the_optimum(fought: list[Duel], machine: Accelerator) -> None:
    assert complaints(fought, machine) == []
    assert no_less([duel.ratio for duel in fought], 1.0008, 1.1502, 1.1740)


def test_rules_cost_energy(fought: list[Duel], machine: Accelerator) -> None:
    free = load_hardware("eyeriss-like-45nm")
    named = [duel for duel in fought if duel.record.removeprefix("eyeriss_like/") in NAMED]
    assert len(named) == len(NAMED)
    for duel in named:
        optimum = search_layer(duel.nest, free, free.bits, "energy", Exact(time_limit_s=None, factors="exact"))
        assert optimum.status == "PROVED"
        assert 1.01 * optimum.value < duel.optimum.value < 1.05 * optimum.value
        with pytest.raises(MappingError, match="wants|may not be unrolled"):
            check_legal(duel.nest, machine, optimum.best.mapping)
