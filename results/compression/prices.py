"""Energies of arms by machine and width."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import network as subject
import torch

import picojoule
from picojoule.compress.costs import STEADY
from picojoule.compress.energies import LayerEnergies
from picojoule.frontends import load_zeros

MACHINES = ("eyeriss-methodology", "eyeriss-v2")


class Prices:
    """Energies at 16 and 8 bits on both machines; equal shapes are searched once.

    Args:
        samples: images on which zeros of activations are measured.
    """

    def __init__(self, samples: Path) -> None:
        self._samples = samples
        self._searched: dict[str, dict] = {}

    def of(self, module: torch.nn.Module, network: object, bits: dict | None = None) -> dict:
        """``energy``: with all zeros; ``without_zeros``: with none. By machine and width."""
        shapes = str({name: tuple(tensor.shape) for name, tensor in module.state_dict().items()})
        if shapes not in self._searched:
            self._searched[shapes] = {
                (name, width): picojoule.estimate(network, hardware=name, bits=width, search=STEADY)
                for name in MACHINES
                for width in (16, 8)
            }
        zeros = load_zeros(module, subject.EXAMPLE, network=network, sparsity="measured", data=self._samples).zeros
        energy, plain = {}, {}
        for (name, width), estimate in self._searched[shapes].items():
            layers = LayerEnergies(network, picojoule.load_hardware(name), estimate, zeros)
            own = {layer: replace(layers.bits[layer], weights=few) for layer, few in (bits or {}).items() if few < width}
            energy[f"{name}:{width}"] = layers.total(bits=own)
            plain[f"{name}:{width}"] = estimate.energy_pj
        return {"energy": energy, "without_zeros": plain}
