"""Load imbalance with the real zeros of SqueezeNet: units that skip, step by step, against the model.

The network is pruned by magnitude, its zeros stand together by filter and channel, and activations by region; the model
knows only their shares. Ratios are of modelled to simulated cycles, over six layers (16 × 16 channels of each, where it
has as many, and two rows from the middle of the map):

    units                            least   most   geom. mean
    over output channels             0.92    1.02   0.99
    over input channels              0.84    1.02   0.93
    over columns                     0.94    1.08   1.01
    over all three                   0.86    1.02   0.94
    weights stay for the columns     0.75    0.97   0.89
    an input meets two weights       0.76    1.00   0.87

Where few weights decide over many outputs (the last two), it matters most that zeros stand together.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from support.skipping_machine import BITS, mapping_of, units_that_skip
from support.skipping_simulator import simulate
from support.squeezenet import photo, trained
from torch import nn

from picojoule.cost.energy import compute_cycles
from picojoule.cost.traffic import count_traffic
from picojoule.workload.nest import Nest

LAYERS = ("fire2.squeeze", "fire3.e1", "fire4.squeeze", "fire5.e3", "fire7.squeeze", "fire9.e3")
MAPPINGS = {
    "over output channels": "k4 | P1 Q1 C1 R1 S1 K2 /1",
    "over input channels": "c4 | P1 Q1 C1 R1 S1 K2 /1",
    "over columns": "q2 | P1 Q1 C1 R1 S1 K2 /1",
    "over all": "k8 c8 q4 | P1 Q1 C1 R1 S1 K2 /1",
    "weights stay for the columns": "k4 c8 | C1 R1 S1 P1 Q1 K2 /1",
    "an input meets two weights": "k4 K2 c4 | C1 R1 S1 P1 Q1 /1",
}
AHEAD = {"inputs": 16, "weights": 192}


@pytest.fixture(scope="module")
def tensors(shared: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weights and inputs of each layer, where they are zero and where not."""
    module, seen = trained(shared), {}

    def hook(name: str):
        def look(layer: nn.Conv2d, given: tuple[torch.Tensor], _: torch.Tensor) -> None:
            pad = layer.padding[0]
            inputs = np.pad(given[0][0].numpy() != 0, ((0, 0), (pad, pad), (pad, pad)))
            taps = layer.kernel_size[0]
            middle = inputs.shape[1] // 2
            seen[name] = (
                layer.weight.detach().numpy()[:16, :16] != 0,
                inputs[:16, middle : middle + taps + 1, middle : middle + taps + 7],
            )

        return look

    handles = [module.get_submodule(name).register_forward_hook(hook(name)) for name in LAYERS]
    with torch.no_grad():
        module(torch.from_numpy(photo(shared)))
    for handle in handles:
        handle.remove()
    return seen


def ratio(weights: np.ndarray, inputs: np.ndarray, line: str) -> float:
    """Modelled cycles over simulated ones."""
    channels_out, channels_in, taps, _ = weights.shape
    nest = Nest(
        K=channels_out, C=channels_in, P=inputs.shape[1] - taps + 1, Q=inputs.shape[2] - taps + 1, R=taps, S=taps
    )
    mapping = mapping_of(line)
    done = simulate(nest, mapping, weights[None], inputs[None, None], units=("PE",), memories=("spad",), ahead=AHEAD)
    machine = units_that_skip(nest, float(weights.mean()), float(inputs.mean()), AHEAD)
    return compute_cycles(nest, machine, mapping, count_traffic(nest, machine, mapping, BITS)) / done.cycles


@pytest.mark.parametrize("name", MAPPINGS)
def test_the_model_is_close_to_real_zeros(tensors, name):
    ratios = {layer: ratio(*tensors[layer], MAPPINGS[name]) for layer in LAYERS}
    assert all(0.7 <= r <= 1.2 for r in ratios.values()), ratios
    assert 0.85 <= math.exp(sum(map(math.log, ratios.values())) / len(ratios)) <= 1.05, ratios
