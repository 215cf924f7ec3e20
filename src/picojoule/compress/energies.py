"""What the layers of a network cost on a machine when their weights have more zeros or fewer bits.

The mappings are those that were found for the network as it came. A fixed mapping under other zeros or bits is recosted in
no time, and costs at least what a new search would find: what meets a budget here meets it after the search, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from picojoule.estimation.layer_costs import given_mapping, mappings_of, moved, repeated
from picojoule.hardware import Accelerator
from picojoule.result import Estimate
from picojoule.workload.nest import Bits
from picojoule.workload.network import Layer, Network
from picojoule.workload.widths import layer_bits, parse_bits
from picojoule.workload.zeros import Zeros


class LayerEnergies:
    """Energies of layers on a machine under fixed mappings, in the machine's unit (pJ).

    Args:
        network: with the batch of the estimate.
        machine: that of the estimate.
        estimate: of the network on it; it holds the mappings, and the bits that were asked for.
        zeros: shares of zeros by layer and tensor, of activations above all.
    """

    def __init__(
        self, network: Network, machine: Accelerator, estimate: Estimate, zeros: Mapping[str, Mapping[str, float]]
    ) -> None:
        self._layers = {layer.name: layer for layer in network.layers}
        self._machine = machine
        asked = parse_bits(estimate.bits or None)
        self.bits = {layer.name: layer_bits(layer, asked, machine.bits) for layer in network.layers}
        self.zeros = {name: Zeros.of(zeros.get(name)) for name in self._layers}
        self._mappings = mappings_of(estimate)

    def layer(self, name: str, *, weights: float | None = None, bits: Bits | None = None) -> float:
        """Energy of a layer whose weights have that share of zeros, with those bits; else as they are."""
        layer = self._layers[name]
        width = bits or self.bits[name]
        zeros = self.zeros[name] if weights is None else replace(self.zeros[name], weights=weights)
        if not self._machine.minds_zeros:
            zeros = Zeros()
        if layer.nest is None:
            once = moved(layer, self._machine, width, zeros)
        else:
            key = (layer.nest, width, zeros)
            once = given_mapping(key, self._mappings[name], self._machine, "energy", "exact", name)
        return repeated(once, layer, self._machine, width, zeros, "energy", "exact").energy

    def total(self, weights: Mapping[str, float] | None = None, bits: Mapping[str, Bits] | None = None) -> float:
        """Energy of the network with these shares of zero weights and these bits by layer; the others as they are."""
        weights, bits = weights or {}, bits or {}
        return math.fsum(self.layer(name, weights=weights.get(name), bits=bits.get(name)) for name in self._layers)

    def nest_macs(self, name: str) -> int:
        """MACs of a layer, zeros among them."""
        layer: Layer = self._layers[name]
        return 0 if layer.nest is None else layer.nest.macs * layer.repeats
