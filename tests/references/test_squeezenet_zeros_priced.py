"""What the real zeros of SqueezeNet save: Deep Compression's weights (66.6 % zeros), activations measured on one photo.

Least energy, exact factors, energies relative to the same machine on dense data; ``weights`` and ``activations`` are
the zeros of one kind alone.

                           weights  activations   both     what saves
    eyeriss-v1              1.000      0.727     0.727     of inputs: DRAM 0.45 → 0.30, MACs, two spads
    eyeriss-methodology     0.738      0.687     0.519     of both: MACs, all spads; DRAM by activations
    eyeriss-v2              0.745      0.758     0.597     of both; and 6 % of the cycles

v1 saves nothing from zeros in weights. DRAM gains little from them anywhere: SqueezeNet's traffic is activations.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.squeezenet import photo, trained

import picojoule
from picojoule.frontends import load_model, load_zeros
from picojoule.workload import Network, Zeros

KINDS = {
    "dense": (),
    "weights": ("weights",),
    "activations": ("inputs", "outputs"),
    "both": ("weights", "inputs", "outputs"),
}
MACHINES = ("eyeriss-v1", "eyeriss-methodology", "eyeriss-v2")
MEASURED = {
    "eyeriss-v1": {"weights": 1.0, "activations": 0.727, "both": 0.727},
    "eyeriss-methodology": {"weights": 0.738, "activations": 0.687, "both": 0.519},
    "eyeriss-v2": {"weights": 0.745, "activations": 0.758, "both": 0.597},
}
"""Energy over that on dense data."""

POLICY = picojoule.Exact(time_limit_s=None, factors="exact")


@pytest.fixture(scope="module")
def network(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The network with the zeros of its weights, and of its activations on the photo."""
    module, example = trained(shared), torch.zeros(1, 3, 227, 227)
    data = tmp_path_factory.mktemp("data") / "photo.npz"
    np.savez(data, x=photo(shared))
    plain = load_model(module, example)
    found = load_zeros(module, example, network=plain, sparsity="measured", data=data)
    assert found.samples == 1
    layers = (replace(layer, zeros=Zeros.of(found.zeros.get(layer.name))) for layer in plain.layers)
    return replace(plain, layers=tuple(layers))


@pytest.fixture(scope="module")
def results(network: Network) -> dict[tuple[str, str], picojoule.Estimate]:
    return {
        (machine, kind): picojoule.estimate(_only(network, tensors), hardware=machine, sparsity="given", search=POLICY)
        for machine in MACHINES
        for kind, tensors in KINDS.items()
    }


def _only(network: Network, tensors: tuple[str, ...]) -> Network:
    """Zeros of these tensors alone."""
    layers = (
        replace(layer, zeros=Zeros(**{tensor: getattr(layer.zeros, tensor) for tensor in tensors}))
        for layer in network.layers
    )
    return replace(network, layers=tuple(layers))


def relative(results: dict[tuple[str, str], picojoule.Estimate], machine: str, kind: str) -> float:
    return results[machine, kind].energy_pj / results[machine, "dense"].energy_pj


@pytest.mark.parametrize("machine", MACHINES)
def test_what_the_zeros_save(results, machine):
    for kind, share in MEASURED[machine].items():
        assert relative(results, machine, kind) == pytest.approx(share, abs=0.005), kind


def test_v1_saves_nothing_from_zeros_in_weights(results):
    """It looks at inputs alone, and moves weights as they are."""
    dense, weights = (results["eyeriss-v1", kind] for kind in ("dense", "weights"))
    assert (weights.energy_pj, weights.latency_cycles) == (dense.energy_pj, dense.latency_cycles)
    both, activations = (results["eyeriss-v1", kind] for kind in ("both", "activations"))
    assert both.energy_pj == activations.energy_pj


def test_v2_alone_saves_time(results):
    """At the mappings of least energy, in which its PEs mostly wait for sums; gating takes the same mappings as long."""
    for machine in MACHINES:
        dense, both = results[machine, "dense"], results[machine, "both"]
        if machine == "eyeriss-v2":
            assert both.latency_cycles < 0.95 * dense.latency_cycles
        else:
            assert both.latency_cycles >= dense.latency_cycles


def test_dense_data_cost_nothing_where_they_are_kept_as_they_are(results):
    """Inputs alone are compressed in v2's PEs whatever is in them; padding that it doesn't compute outweighs that."""
    effect = results["eyeriss-v2", "dense"].zeros_effect
    assert effect["dense_pj"] / effect["raw_pj"] == pytest.approx(0.992, abs=0.003)
    for machine in MACHINES:
        assert results[machine, "dense"].zeros_effect["break_even_density"] == 1.0


def test_everything_is_proved_and_verifies(results):
    assert all(result.gap == 0 and result.status == "PROVED" for result in results.values())
    for machine in MACHINES:
        assert picojoule.verify(results[machine, "both"]).ok
