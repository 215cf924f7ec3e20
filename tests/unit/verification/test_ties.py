"""Of mappings that take least energy the fastest is found, said to be the fastest only where that is known, and checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import picojoule
from picojoule.result import Estimate
from picojoule.verification.cover import FASTEST
from picojoule.workload.nest import Nest
from picojoule.workload.network import Layer, Network

NEST = Nest(G=32, P=14, Q=14, R=3, S=3, pad=(1, 1, 1, 1))
DEPTHWISE = Network(name="depthwise", layers=(Layer(name="dw", kind="depthwise", op="Conv", nest=NEST),))
EXACT = picojoule.Exact(factors="exact", time_limit_s=None)


def solved(hardware: str, folder: Path) -> tuple[Estimate, Path]:
    file = folder / "certificate.json"
    return picojoule.estimate(DEPTHWISE, hardware=hardware, search=EXACT, certificate=file), file


@pytest.mark.parametrize("hardware", ["eyeriss-normalized", "eyeriss-like-45nm", "dpu-v2"])
def test_groups_that_cost_no_more_side_by_side_run_side_by_side(hardware: str, tmp_path: Path) -> None:
    result, file = solved(hardware, tmp_path)
    layer = result.layers[0]
    assert layer.latency_bound_cycles == layer.latency_cycles
    front = picojoule.estimate(DEPTHWISE, hardware=hardware, search=EXACT, front=True)
    cheapest = min(front.layers[0].front, key=lambda point: point["energy_pj"])
    assert layer.energy_pj == pytest.approx(cheapest["energy_pj"], rel=1e-9)
    assert layer.latency_cycles == cheapest["latency_cycles"]
    assert picojoule.verify(result, certificate=file).ok


def test_a_mapping_that_is_not_the_fastest_of_its_energy_is_not_taken_for_it(tmp_path: Path) -> None:
    result, file = solved("eyeriss-normalized", tmp_path)
    layer = result.layers[0]
    slow = replace(layer, latency_cycles=2 * layer.latency_cycles, latency_bound_cycles=2 * layer.latency_cycles)
    checks = picojoule.verify(replace(result, layers=(slow,)), certificate=file).checks
    (fastest,) = [check for check in checks if check.name == FASTEST]
    assert not fastest.ok
    assert "may take" in fastest.message


def test_more_than_the_floor_needs_a_proof() -> None:
    result = picojoule.estimate(DEPTHWISE, hardware="eyeriss-normalized", search=picojoule.Exact(node_limit=1), cache=False)
    (layer,) = result.layers
    assert layer.status == "GAP_OPEN"
    assert layer.latency_bound_cycles < layer.latency_cycles
    claimed = replace(layer, latency_bound_cycles=layer.latency_cycles)
    failed = [check for check in picojoule.verify(replace(result, layers=(claimed,))).checks if not check.ok]
    assert any("no optimum is proved" in check.message for check in failed)
