"""A machine whose units skip zeros, and mappings for it written in a line."""

from __future__ import annotations

from dataclasses import replace

from picojoule.cost.zeros import priced
from picojoule.hardware.accelerator import Accelerator
from picojoule.hardware.describe import accelerator_from_text
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import TENSORS, Bits, Nest
from picojoule.workload.zeros import Zeros

BITS = Bits(weights=8, inputs=8, outputs=8, psums=8)
_TEXT = """\
name: units
unit: pJ
word_bits: 8
bits: {weights: 8, inputs: 8, outputs: 8, psums: 8}
table: {name: t, source: s}
mac: {bits: 8, multiply: 1, add: 0}
zeros: {skipping: [weights, inputs], units: PE}
hierarchy:
  - {level: DRAM, keeps: [weights, inputs, outputs], energy: 100}
  - fanout: PE
    axes: {x: {size: 4096, dims: [N, G, K, C, P, Q, R, S]}}
    multicast: true
    reduction: true
  - {level: spad, keeps: [weights, outputs], energy: 1}
  - fanout: lane
    axes: {k: {size: 8, dims: [K]}}
    multicast: true
    reduction: true
"""


def units_that_skip(nest: Nest, weights: float, inputs: float, ahead: dict[str, int]) -> Accelerator:
    """The machine as a layer with these densities meets it."""
    machine = replace(accelerator_from_text(_TEXT, "units.yaml"), run_ahead=tuple(sorted(ahead.items())))
    return priced(machine, nest, BITS, Zeros(weights=1 - weights, inputs=1 - inputs))


def mapping_of(line: str) -> Mapping:
    """``K2`` is a loop over chunks of 2, ``k2`` the same spread over units, ``/1`` a spread over lanes, ``|`` where a unit's
    weights and sums are kept; outermost first."""
    nodes: list[Node] = [Keep("DRAM", tensor) for tensor in TENSORS]
    for word in line.split():
        if word == "|":
            nodes += [Keep("spad", "weights"), Keep("spad", "outputs")]
        elif word[0] == "/":
            nodes.append(Spread("K", int(word[1:]), "lane", "k"))
        elif word[0].islower():
            nodes.append(Spread(word[0].upper(), int(word[1:]), "PE", "x"))
        else:
            nodes.append(Loop(word[0], int(word[1:])))
    return Mapping(tuple(nodes))
