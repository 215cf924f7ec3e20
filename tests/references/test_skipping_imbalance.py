"""Load imbalance with the real zeros of SqueezeNet: units that skip, step by step, against the model.

The network is pruned by magnitude, its zeros stand together by filter and channel, and activations by region; the model
knows only their shares. Ratios are of modelled to simulated cycles, over six layers:

    units                    least   most   geom. mean
    over output channels     0.93    1.04   0.99
    over input channels      0.85    1.01   0.95
    over columns             0.89    1.07   0.99
    over all three           0.84    1.02   0.93
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.skipping_simulator import simulate
from support.squeezenet import photo, trained
from torch import nn

from picojoule.cost.imbalance import pace
from picojoule.hardware import load_hardware
from picojoule.workload.nest import Nest

LAYERS = ("fire2.squeeze", "fire3.e1", "fire4.squeeze", "fire5.e3", "fire7.squeeze", "fire9.e3")
UNITS = {
    "over output channels": (4, 1, 1),
    "over input channels": (1, 4, 1),
    "over columns": (1, 1, 4),
    "over all": (2, 2, 2),
}


@pytest.fixture(scope="module")
def tensors(shared: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weights and padded inputs of each layer, where they are zero and where not; columns to a multiple of 4."""
    module, seen = trained(shared), {}

    def hook(name: str):
        def look(layer: nn.Conv2d, given: tuple[torch.Tensor], _: torch.Tensor) -> None:
            pad = layer.padding[0]
            inputs = np.pad(given[0][0].numpy() != 0, ((0, 0), (pad, pad), (pad, pad)))
            taps = layer.kernel_size[0]
            outputs = (inputs.shape[2] - taps + 1) // 4 * 4
            rows = min(inputs.shape[1], taps + 5)  # six rows of outputs will do
            middle = (inputs.shape[1] - rows) // 2
            seen[name] = (
                layer.weight.detach().numpy() != 0,
                inputs[:, middle : middle + rows, : outputs + taps - 1],
            )

        return look

    handles = [module.get_submodule(name).register_forward_hook(hook(name)) for name in LAYERS]
    with torch.no_grad():
        module(torch.from_numpy(photo(shared)))
    for handle in handles:
        handle.remove()
    return seen


def ratio(weights: np.ndarray, inputs: np.ndarray, units: tuple[int, int, int]) -> float:
    """Modelled cycles over simulated ones."""
    channels_out, channels_in, taps, _ = weights.shape
    block = (min(16, channels_out // units[0]), min(4, channels_in // units[1]))
    done = simulate(weights, inputs, units=units, block=block, lanes=2)
    density = {"weights": float(weights.mean()), "inputs": float(inputs.mean())}
    machine = replace(
        load_hardware("eyeriss-normalized"),
        skipping=("weights", "inputs"),
        density=tuple(density.items()),
        timed=math.prod(density.values()),
        run_ahead=(("inputs", block[1] * taps**2), ("weights", math.prod(block) * taps**2)),
    )
    nest = Nest(
        K=channels_out, C=channels_in, P=inputs.shape[1] - taps + 1, Q=inputs.shape[2] - taps + 1, R=taps, S=taps
    )
    spread = dict(zip("KCQ", units, strict=True))
    return pace(machine, nest, spread, 2) / (done.cycles * 2 / done.dense)


@pytest.mark.parametrize("units", UNITS)
def test_the_model_is_close_to_real_zeros(tensors, units):
    ratios = {name: ratio(*tensors[name], UNITS[units]) for name in LAYERS}
    assert all(0.8 <= r <= 1.1 for r in ratios.values()), ratios
    assert 0.9 <= math.exp(sum(map(math.log, ratios.values())) / len(ratios)) <= 1.02, ratios
