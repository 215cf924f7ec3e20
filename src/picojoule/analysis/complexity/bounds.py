"""Layer by layer over two levels of memory: the document's figures, bounds, and the optimum of our mapper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from picojoule.analysis.complexity.dataflows import dataflows_of, is_square
from picojoule.cost.communication import communication_accesses, compulsory_accesses, least_accesses, real_macs
from picojoule.errors import HardwareError, UsageError
from picojoule.hardware import Accelerator, load_hardware
from picojoule.hardware.accelerator import Level
from picojoule.search.costed import Found
from picojoule.search.many import Key, search_layers
from picojoule.search.policy import Exact, Progress
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.network import Network
from picojoule.workload.zeros import DENSE

MACHINE = "two-level"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRow:
    """One layer; accesses are numbers that pass between DRAM and the buffer.

    Attributes:
        layer: its name; ``same_as`` is the equal layer before it, or None.
        macs: of the layer; those in the padding included.
        m: output rows where they are as many as columns, else None; the document's dataflows are for square layers.
        needed: numbers that the document's dataflows hold at a time, 2m² + 1 where n = m·s; None with ``m``.
        held: those that they hold in this layer: m² + 1 and its largest submap, which has more than m² numbers where
            fields reach beyond m·s; None with ``m``.
        lower_document: MACs ÷ ((B − 1)/2)².
        lower_triplets: MACs ÷ ((B − 1)/2): two members of a triplet determine the third.
        lower_communication: by the inequality of Loomis and Whitney.
        compulsory: every weight and input in, every output out.
        bound: the largest of these.
        optimum: of our mapper; with ``status`` ``PROVED`` no nest of the map space has less.
        optimum_bound: what no nest of the map space has less than.
        write_once, read_once: the document's dataflows in a buffer of ``held`` numbers or more, batch and groups one
            after the other; n² is what some MAC touches of an input map, not (m·s)²; None with ``m``. A smaller buffer
            has no room for them, and there they may be below ``bound``.
        upper_document: p·(q·n² + m² + q·r² + 1), what write-once outputs cost; None with ``m``.
        energy_pj: E of the optimum, E_data + E_comp.
        energy_comp_pj: E_comp, of the MACs.
    """

    layer: str
    same_as: str | None
    macs: int
    m: int | None
    needed: int | None
    held: int | None
    lower_document: float
    lower_triplets: float
    lower_communication: int
    compulsory: int
    bound: float
    optimum: int
    optimum_bound: int
    status: str
    write_once: int | None
    read_once: int | None
    upper_document: int | None
    energy_pj: float
    energy_comp_pj: float

    @property
    def energy_data_pj(self) -> float:
        """E_data: of the optimum's accesses."""
        return self.energy_pj - self.energy_comp_pj

    @property
    def ratio(self) -> float:
        """Optimum ÷ bound."""
        return self.optimum / self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBounds:
    """All layers of a network for one buffer.

    Attributes:
        model: the network.
        machine: the two-level machine with this buffer.
        numbers: that the buffer holds.
        bits: of a number.
        rows: the layers.
    """

    model: str
    machine: Accelerator
    numbers: int
    bits: int
    rows: tuple[BoundRow, ...]

    @property
    def energy_data_pj(self) -> float:
        """E_data of all layers."""
        return math.fsum(row.energy_data_pj for row in self.rows)

    @property
    def energy_comp_pj(self) -> float:
        """E_comp of all layers."""
        return math.fsum(row.energy_comp_pj for row in self.rows)

    @property
    def mean_ratio(self) -> float:
        """Geometric mean of optimum ÷ bound over the different layers."""
        ratios = [row.ratio for row in self.rows if row.same_as is None]
        return math.exp(math.fsum(map(math.log, ratios)) / len(ratios))

    @property
    def worst(self) -> BoundRow:
        """The layer whose bound is the loosest."""
        return max(self.rows, key=lambda row: row.ratio)


def complexity_bounds(
    network: Network,
    *,
    buffer_bits: int,
    bits: int = 8,
    search: Exact | None = None,
    jobs: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> LayerBounds:
    """Bounds and optima of every layer with a nest, batch and groups included.

    Args:
        network: the network.
        buffer_bits: size of the buffer.
        bits: of every number; partial sums are as wide as the rest.
        search: when the search of a layer stops.
        jobs: processes that search side by side.
        progress: called as the search goes on.

    Raises:
        HardwareError: the buffer holds fewer than the three numbers that a MAC needs.
        UsageError: no layer with a nest.
    """
    machine = two_level(buffer_bits, bits)
    wanted: dict[Key, str] = {}
    for nest, name in bounded_layers(network).items():
        wanted[nest, machine.bits, DENSE] = name
    found = search_layers(wanted, machine, "energy", search or Exact(), jobs, progress)
    return layer_bounds(network, machine, {key[0]: optimum_of(key[0], machine, best) for key, best in found.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """What the search of a layer on two levels came to.

    Attributes:
        accesses: of the best mapping.
        bound: no nest of the map space has fewer accesses.
        status: ``PROVED``, ``GAP_OPEN`` or ``INTERRUPTED``.
        energy: MACs included, in the unit of the table.
    """

    accesses: int
    bound: int
    status: str
    energy: float


def optimum_of(nest: Nest, machine: Accelerator, found: Found) -> Optimum:
    """Accesses are whole; what a float says beyond six places is rounding."""
    per_access = machine.bits.inputs * machine.levels[0].energy_per_bit("read", "inputs")
    arithmetic = nest.macs * machine.mac.at(machine.bits)
    return Optimum(
        accesses=round((found.best.energy - arithmetic) / per_access),
        bound=math.ceil(round((found.bound - arithmetic) / per_access, 6)),
        status=found.status,
        energy=found.best.energy,
    )


def different_layers(network: Network) -> dict[Nest, str]:
    """Every nest of a network with the name of the first layer that has it."""
    names: dict[Nest, str] = {}
    for layer in network.layers:
        if layer.nest is not None:
            names.setdefault(layer.nest, layer.name)
    return names


def bounded_layers(network: Network) -> dict[Nest, str]:
    """``different_layers`` where there are some.

    Raises:
        UsageError: there are none.
    """
    layers = different_layers(network)
    if not layers:
        raise UsageError(f"{network.name} has no layer with a loop nest, so nothing to bound")
    return layers


def layer_bounds(network: Network, machine: Accelerator, optima: Mapping[Nest, Optimum]) -> LayerBounds:
    """The bounds of all layers with a nest beside the optimum of each."""
    bits = machine.bits.inputs
    numbers = (machine.levels[-1].capacity_bits or 0) // bits
    mac_pj = machine.mac.at(machine.bits)
    first = different_layers(network)
    rows = []
    for layer in network.layers:
        if layer.nest is not None:
            same_as = None if first[layer.nest] == layer.name else first[layer.nest]
            rows.append(_row(layer.name, same_as, layer.nest, numbers, mac_pj, optima[layer.nest]))
    return LayerBounds(model=network.name, machine=machine, numbers=numbers, bits=bits, rows=tuple(rows))


def two_level(buffer_bits: int, bits: int) -> Accelerator:
    """The catalogue's two-level machine with another buffer, for numbers of so many bits.

    Raises:
        HardwareError: the buffer holds fewer than the three numbers that a MAC needs.
    """
    numbers = buffer_bits // bits
    if numbers < 3:
        raise HardwareError(
            f"a buffer of {buffer_bits} bits holds {numbers} numbers of {bits} bits, and a MAC needs an input, a weight and a sum",
            where="buffer",
            hint=f"At least {3 * bits} bits will do.",
        )
    machine = load_hardware(MACHINE)
    hierarchy = tuple(
        replace(level, capacity_bits=buffer_bits) if isinstance(level, Level) and level.name == "buffer" else level
        for level in machine.hierarchy
    )
    return replace(machine, hierarchy=hierarchy, bits=Bits(weights=bits, inputs=bits, outputs=bits, psums=bits))


def _row(name: str, same_as: str | None, nest: Nest, numbers: int, mac_pj: float, optimum: Optimum) -> BoundRow:
    macs, together = real_macs(nest), (numbers - 1) / 2
    flows = dataflows_of(nest) if is_square(nest) else None
    figures = {
        "lower_document": macs / together**2,
        "lower_triplets": macs / together,
        "lower_communication": communication_accesses(nest, numbers),
        "compulsory": compulsory_accesses(nest),
    }
    return BoundRow(
        layer=name,
        same_as=same_as,
        macs=nest.macs,
        m=nest.P if flows else None,
        needed=2 * nest.P**2 + 1 if flows else None,
        held=flows[0].most_held if flows else None,
        **figures,
        bound=max(*figures.values(), least_accesses(nest, numbers)),
        optimum=optimum.accesses,
        optimum_bound=optimum.bound,
        status=optimum.status,
        write_once=flows[0].total if flows else None,
        read_once=flows[1].total if flows else None,
        upper_document=flows[0].total if flows else None,
        energy_pj=optimum.energy,
        energy_comp_pj=nest.macs * mac_pj,
    )
