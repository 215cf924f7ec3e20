"""AlexNet's convolutions as the Eyeriss chip ran them: JSSC 2017, Table III, at batch 4, with the zeros that it met."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from support.row_stationary import Configuration, mapping_of

from picojoule import load_model
from picojoule.cost.energy import access_energy, moved_bits
from picojoule.cost.traffic import Count
from picojoule.cost.zeros import priced
from picojoule.hardware import load_hardware, load_table, reprice
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.indices import cut_dimensions, distinct
from picojoule.mapping.legality import check_legal, tile_bits
from picojoule.mapping.mapping import Loop, Mapping, Spread
from picojoule.search.costed import Costed, evaluate
from picojoule.workload.nest import Nest
from picojoule.workload.zeros import Zeros

BATCH = 4
CONFIGURATIONS = {
    "conv1": Configuration(m=96, n=1, e=7, p=16, q=1, r=1, t=2),
    "conv2": Configuration(m=64, n=1, e=27, p=16, q=2, r=1, t=1),
    "conv3": Configuration(m=64, n=4, e=13, p=16, q=4, r=1, t=4),
    "conv4": Configuration(m=64, n=4, e=13, p=16, q=3, r=2, t=2),
    "conv5": Configuration(m=64, n=4, e=13, p=16, q=3, r=2, t=2),
}
"""Table III, by memory, and corroborated by the sizes of the buffer and the PEs in use."""
POWER: dict[str, Any] = YAML(typ="safe").load(
    (Path(__file__).parents[1] / "references" / "eyeriss_v1_power.yaml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One layer on the chip under one mapping.

    Attributes:
        machine: with what zeros spare in this layer.
        costed: the mapping with its counts.
    """

    name: str
    nest: Nest
    machine: Accelerator
    costed: Costed

    @property
    def active_pes(self) -> int:
        """PEs that have something to do in a full pass."""
        positions = 1
        for axis in cut_dimensions(self.nest, self.costed.mapping).values():
            here = axis.first(lambda cut: isinstance(cut.node, Loop))
            positions *= distinct(axis.key(lambda cut: isinstance(cut.node, Spread))[here])
        return positions

    @property
    def ideal_ms(self) -> float:
        """MACs over the PEs in use and the clock: what the paper calls ideal."""
        return self.nest.macs / (self.active_pes * self.machine.clock_hz) * 1e3

    @property
    def latency_ms(self) -> float:
        return self.costed.cycles / self.machine.clock_hz * 1e3

    def room_kb(self, tensor: str) -> float:
        """What a tile takes in the buffer, in KiB."""
        return tile_bits(self.nest, self.machine, self.costed.mapping)["GLB", tensor] / 8 / 1024

    @property
    def glb_mb(self) -> float:
        """What passes between buffer and array, in 10⁶ bytes: not the inputs that come from DRAM."""
        fills = next(c for c in self._counts("GLB") if c.tensor == "inputs").writes * self.machine.bits.inputs
        return (sum(moved_bits(self.machine.level("GLB"), c, self.machine.bits)[0] for c in self._counts("GLB")) - fills) / 8e6

    @property
    def dram_mb(self) -> float:
        """What crosses the link, compressed, in 10⁶ bytes."""
        dram = self.machine.level("DRAM")
        return sum(moved_bits(dram, c, self.machine.bits)[0] for c in self._counts("DRAM")) / 8e6

    @property
    def accesses_mj(self) -> float:
        """Accesses on the chip and arithmetic."""
        bits = self.machine.bits
        accesses = (c for c in self.costed.traffic.counts if c.level != "DRAM")
        energies = [access_energy(self.machine.level(c.level), c, bits) for c in accesses]
        return (sum(energies) + self.nest.macs * self.machine.mac_energy(bits)) * 1e-9

    def power_mw(self, ms: float) -> float:
        """What the chip draws if the layer takes so long: accesses and arithmetic, the clock, and control."""
        return (self.accesses_mj / ms + POWER["clock_w"]) / (1 - POWER["control_share"]) * 1e3

    def _counts(self, level: str) -> list[Count]:
        return [c for c in self.costed.traffic.counts if c.level == level]


def zeros_of(name: str) -> Zeros:
    """Shares of zeros in a layer; the chip's are of padded inputs, ours of what is fetched."""
    i, (nest, _) = list(CONFIGURATIONS).index(name), layer(name)
    padded = (nest.input_rows + nest.pad[0] + nest.pad[2]) * (nest.input_columns + nest.pad[1] + nest.pad[3])
    nonzero = (1 - POWER["ifmap_zeros_pct"][i] / 100) * padded / (nest.input_rows * nest.input_columns)
    return Zeros(inputs=1 - nonzero, outputs=POWER["ofmap_zeros_pct"][i] / 100)


@cache
def layer(name: str) -> tuple[Nest, Mapping]:
    """A layer at the chip's batch, with the mapping of Table III."""
    nest = next(x.nest for x in load_model("alexnet").with_batch(BATCH).layers if x.name == name)
    return nest, mapping_of(nest, CONFIGURATIONS[name])


@cache
def run(name: str, *, table: str | None = None, configuration: Configuration | None = None) -> Run:
    """A layer as the chip ran it; perhaps with another energy table, or set up otherwise."""
    chip = load_hardware("eyeriss-v1")
    nest, mapping = layer(name)
    if configuration is not None:
        mapping = mapping_of(nest, configuration)
    check_legal(nest, chip, mapping, where=name)
    machine = chip if table is None else reprice(chip, load_table(table))
    machine = priced(machine, nest, machine.bits, zeros_of(name))
    return Run(name=name, nest=nest, machine=machine, costed=evaluate(nest, machine, machine.bits, mapping))
