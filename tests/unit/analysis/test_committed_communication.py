"""``results/communication``: bounds follow from the layers, optima from searches, claims from both."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from picojoule.analysis.complexity.bounds import optimum_of, two_level
from picojoule.cost.communication import compulsory_accesses, least_accesses
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.builtin import builtin_network
from picojoule.workload.nest import Nest

FOLDER = Path(__file__).parents[3] / "results" / "communication"
NETWORKS = ("alexnet", "vgg16", "resnet50", "mobilenet_v1")


def read(name: str) -> Any:
    if not FOLDER.parent.is_dir():
        pytest.skip("a source distribution has no results/; a checkout has")
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def convolutions(name: str) -> dict[str, Nest]:
    found: dict[Nest, str] = {}
    for layer in builtin_network(name).layers:
        if layer.nest is not None and layer.nest.P * layer.nest.Q > 1:
            found.setdefault(layer.nest, layer.name)
    return {layer: nest for nest, layer in found.items()}


def test_every_convolution_is_there_and_every_bound_is_ours() -> None:
    rows = {(row["network"], row["layer"], row["buffer_bytes"]): row for row in read("ratios.json")["rows"]}
    expected = {(n, layer): nest for n in NETWORKS for layer, nest in convolutions(n).items()}
    assert set(rows) == {(*where, 1024 * 4**i) for where in expected for i in range(1, 6)}
    for (network, layer, buffer), row in rows.items():
        nest = expected[network, layer]
        assert row["bound"] == least_accesses(nest, buffer)
        assert row["compulsory"] == compulsory_accesses(nest) <= row["bound"] <= row["exact_factors"]
        found = [row["exact_factors"]] if row["any_factors"] is None else [row["exact_factors"], row["any_factors"]]
        assert row["ratio"] == min(found) / row["bound"] >= 1


def test_some_optima_are_searched_again() -> None:
    rows = read("ratios.json")["rows"]
    for row in rows[3::40]:
        nest, machine = convolutions(row["network"])[row["layer"]], two_level(8 * row["buffer_bytes"], 8)
        found = search_layer(nest, machine, machine.bits, "energy", Exact(time_limit_s=None, factors="exact"))
        assert (optimum_of(nest, machine, found).accesses, found.status) == (row["exact_factors"], "PROVED")


def test_the_claims_follow_and_keep_their_targets() -> None:
    rows = read("ratios.json")["rows"]
    claims = {claim["id"].removeprefix("communication."): claim["value"] for claim in read("claims.json")}
    for name in (*NETWORKS, "all"):
        ratios = [row["ratio"] for row in rows if name in ("all", row["network"])]
        assert claims.pop(f"{name}.mean") == pytest.approx(math.exp(sum(map(math.log, ratios)) / len(ratios)))
        assert claims.pop(f"{name}.worst") == max(ratios) <= 2
    assert claims == {}


def test_networks_end_at_what_is_compulsory() -> None:
    for name in NETWORKS:
        kept = read(f"{name}.buffers.json")
        assert [point["buffer_bits"] // 8 for point in kept["buffers"]] == [2**i for i in range(6, 23)]
        for point in kept["buffers"]:
            assert point["compulsory"] <= point["bound"] <= point["optimum"]
        assert kept["buffers"][-1]["optimum"] == kept["compulsory"]["numbers"]
