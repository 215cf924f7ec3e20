"""What a machine is: storage levels and fan-outs from the outermost memory down to the MACs.

All energies are in the unit of the machine's table (``pJ``, or ``mac16`` for normalised machines).
A machine comes from YAML (``hardware.describe``); these types know nothing of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from picojoule.hardware.mac import MacEnergy
from picojoule.workload.nest import TENSORS, Bits

DIRECTIONS = ("read", "write", "update")
AS_ANOTHER = {"return": "read", "finish": "update"}
"""Accesses of outputs that are priced as another one, but that zeros may spare otherwise: a running sum is read to go back
inwards; an update leaves a finished output."""

FORMATS = ("rlc", "csc", "bitmap")
"""How zeros are left out: run lengths, compressed sparse columns, a bit for every element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRule:
    """How many indices of ``dim`` the tiles of ``tensor`` at a level cover; what that means: ``counting.md``.

    Attributes:
        least, most: the number of indices; None sets no limit.
        all: whatever the spreads outside the level leave.
    """

    tensor: str
    dim: str
    least: int | None = None
    most: int | None = None
    all: bool = False

    @property
    def value(self) -> int | str:
        """What stands in a description: ``all``, ``4``, ``">= 4"`` or ``"<= 4"``."""
        if self.all:
            return "all"
        if self.least is not None:
            return self.least if self.least == self.most else f">= {self.least}"
        return f"<= {self.most}"

    def __str__(self) -> str:
        value = self.value
        return f"{self.dim} {value}" if isinstance(value, str) else f"{self.dim} = {value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What a level moves one way for some of its tensors, and how fast.

    Attributes:
        direction: ``read``, or ``write`` for writes and updates.
        tensors: that share it.
        bits_per_cycle: of one instance of the level.
        own: whether it was declared for these tensors alone.
        link: whether it is the wires before the level, which only what fills it, or leaves it outwards, crosses.
    """

    direction: str
    tensors: tuple[str, ...]
    bits_per_cycle: float
    own: bool = False
    link: bool = False

    def passes(self, direction: str, tensor: str) -> bool:
        """Whether accesses in this direction (of ``DIRECTIONS`` or ``AS_ANOTHER``) of this tensor go through it."""
        if self.link:
            return tensor in self.tensors and direction == self.direction
        outward = AS_ANOTHER.get(direction, direction) == "read"
        return tensor in self.tensors and outward == (self.direction == "read")

    @property
    def label(self) -> str:
        """``reads`` or ``writes``; of a port that only some tensors of its level use, with their names; of a link
        ``arrivals`` or ``departures``."""
        if self.link:
            return "arrivals" if self.direction == "write" else "departures"
        return f"{self.direction}s" + (f" of {' and '.join(self.tensors)}" if self.own else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How a level stores a tensor without its zeros; what that comes to: ``counting.md``.

    Attributes:
        format: one of ``FORMATS``.
        index_bits: beside every element stored: how many zeros went before it (``rlc``, ``csc``).
        word_bits: entries are packed into words of so many bits, and none lies in two; None packs without gaps.
        address_bits, column: every ``column`` elements there is an address of so many bits (``csc``).
        raw: where storing the zeros takes less, they are stored.
        margin: tiles get so many times the room that they take on average; None gives them the room of a tile
            without zeros.
    """

    format: str
    index_bits: int = 0
    word_bits: int | None = None
    address_bits: int = 0
    column: int = 1
    raw: bool = False
    margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroRule:
    """What zeros spare at a level in accesses of one tensor.

    Attributes:
        tensor: whose accesses these are.
        gating: operands whose zeros spare the energy of an access, but not its time.
        skipping: operands whose zeros spare both.
        compression: how the tensor is stored without its zeros; None stores them.
    """

    tensor: str
    gating: tuple[str, ...] = ()
    skipping: tuple[str, ...] = ()
    compression: Compression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What is left of the accesses of one direction and tensor, on average over the elements.

    Attributes:
        moved: bits that move, per bit of elements whose zeros are stored and moved.
        timed: the same for the port, whose time a gated access takes all the same.
        metadata: of ``moved``, what says where elements belong.
    """

    moved: float = 1.0
    timed: float = 1.0
    metadata: float = 0.0


WHOLE = Share()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The wires between the memory outside an array and each of its positions.

    Attributes:
        name: as it appears in results.
        energy_per_bit: of a bit that gets to one position, or leaves it.
        bits_per_cycle: of one position, each way; None is unlimited.
    """

    name: str
    energy_per_bit: float
    bits_per_cycle: float | None = None

    def ports(self, held: tuple[str, ...]) -> tuple[Port, ...]:
        """Both ways of the link to a level that holds these tensors, if it has a bandwidth."""
        if self.bits_per_cycle is None:
            return ()
        ways = (("write", held), ("read", tuple(t for t in held if t == "outputs")))
        return tuple(
            Port(direction=way, tensors=tensors, bits_per_cycle=self.bits_per_cycle, link=True)
            for way, tensors in ways
            if tensors
        )

    def crossings(self, tensor: str) -> tuple[str, ...]:
        """Accesses of the memory behind it that come over the link: what it is filled with, and partial sums that leave."""
        return ("write", "read") if tensor == "outputs" else ("write",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One kind of memory; it exists once per instance of every fan-out outside it.

    Attributes:
        name: as it appears in results.
        keeps: the tensors that always live here.
        may_keep: the tensors that may live here or pass it by, as the mapping chooses.
        capacity_bits: of one instance, shared by all its tensors; None is unlimited.
        word_bits: width of the word that the energies are for.
        energy_per_word: ``(direction, tensor) → energy`` of one word, as sorted pairs.
        read_bits_per_cycle, write_bits_per_cycle: bandwidth of one instance, shared by the tensors without a port of
            their own; None is unlimited.
        own_ports: ports of single tensors, which don't use the shared ones.
        block_words: words moved by one physical access (matters where partial blocks are charged whole).
        buffering: 2 where half of the capacity is being filled while the other half is used.
        tiles: what the mapping must make of the tiles here.
        latch: holds exactly one element of each of its tensors, whatever their widths, at no cost (``operand_latch``).
        kind: of memory, for tables that price by kind (``energy_rules.KINDS``); None where nobody said.
        free: some of its accesses cost nothing, and that is meant.
        extrapolate: tables may price it outside the range of their rules.
        zeros: what zeros spare here, by tensor.
        spill: tensors that have their home further in, and live here as well in layers whose tensors don't fit there.
        link: over which it is filled, from the memory outside its array (that of the fan-out before it).
        shares: what they do spare in the layer at hand, by direction and tensor: sorted pairs, and none where the layer
            isn't known. ``room_bits``, likewise by tensor: room of an element of a compressed tile.
    """

    name: str
    keeps: tuple[str, ...]
    may_keep: tuple[str, ...] = ()
    capacity_bits: int | None = None
    word_bits: int
    energy_per_word: tuple[tuple[tuple[str, str], float], ...]
    read_bits_per_cycle: float | None = None
    write_bits_per_cycle: float | None = None
    own_ports: tuple[Port, ...] = ()
    block_words: int = 1
    buffering: int = 1
    tiles: tuple[TileRule, ...] = ()
    latch: bool = False
    kind: str | None = None
    free: bool = False
    extrapolate: bool = False
    zeros: tuple[ZeroRule, ...] = ()
    spill: tuple[str, ...] = ()
    link: Link | None = None
    shares: tuple[tuple[tuple[str, str], Share], ...] = ()
    room_bits: tuple[tuple[str, int], ...] = ()

    def energy_per_bit(self, direction: str, tensor: str) -> float:
        """Energy of moving one bit of ``tensor`` in ``direction`` (of ``DIRECTIONS``, or of outputs one of
        ``AS_ANOTHER``), that of its link included; zeros that are not moved are left out on average."""
        priced_as = AS_ANOTHER.get(direction, direction)
        for key, value in self.energy_per_word:
            if key == (priced_as, tensor):
                crossing = self.link_energy_per_bit(direction, tensor)
                return value / self.word_bits * self.share(direction, tensor).moved + crossing
        raise KeyError(f"{self.name} has no energy for {direction} of {tensor}")

    def link_energy_per_bit(self, direction: str, tensor: str) -> float:
        """What of it is spent on the link."""
        if self.link is None or direction not in self.link.crossings(tensor):
            return 0.0
        return self.link.energy_per_bit * self.share(direction, tensor).moved

    @property
    def holds(self) -> tuple[str, ...]:
        """Every tensor that may ever be here."""
        return self.keeps + self.may_keep + self.spill

    def share(self, direction: str, tensor: str) -> Share:
        """What zeros leave of the accesses of one direction."""
        for key, share in self.shares:
            if key == (direction, tensor):
                return share
        return WHOLE

    def tile_bits(self, tensor: str, bits: Bits) -> int:
        """Room that an element of ``tensor`` takes in a tile."""
        return next((room for held, room in self.room_bits if held == tensor), bits.stored(tensor))

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every way in or out that has a limit."""
        held = tuple(t for t in TENSORS if t in self.keeps + self.may_keep)
        shared = []
        for direction, rate in (("read", self.read_bits_per_cycle), ("write", self.write_bits_per_cycle)):
            alone = [port.tensors[0] for port in self.own_ports if port.direction == direction]
            tensors = tuple(t for t in held if t not in alone)
            if rate is not None and tensors:
                shared.append(Port(direction=direction, tensors=tensors, bits_per_cycle=rate))
        return (*shared, *self.own_ports, *(() if self.link is None else self.link.ports(held)))

    @property
    def usable_bits(self) -> int | None:
        """Capacity left for one generation of tiles; None where it is unlimited, and for a latch, which counts
        elements."""
        return None if self.capacity_bits is None else self.capacity_bits // self.buffering


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One side of an array.

    Attributes:
        name: ``x``, ``y``, …
        size: positions along it.
        dims: the dimensions that may be unrolled along it.
    """

    name: str
    size: int
    dims: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Another array in place of that of a fan-out, for layers of one kind.

    Attributes:
        axes: the sides of the array.
        outputs_stay_at: the level where its results stay for the layers that read them, if they fit; None takes them home
            as those of other layers.
    """

    axes: tuple[Axis, ...]
    outputs_stay_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """A point where the machine branches: everything inside exists once per position of the array.

    Attributes:
        name: what one instance is called ("PE").
        axes: the sides of the array.
        multicast: one read of the parent serves every instance that wants the element.
        reduction: partial sums of the instances are added up before they reach the parent.
        depthwise: the engine that depthwise layers run on in place of this array; None where they run on it.
        link: the wires to each instance; None where they are not modelled.
    """

    name: str
    axes: tuple[Axis, ...]
    multicast: bool = True
    reduction: bool = True
    depthwise: Engine | None = None
    link: Link | None = None

    @property
    def size(self) -> int:
        """Instances per parent."""
        return math.prod(axis.size for axis in self.axes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A whole machine, outermost first.

    Attributes:
        name: what the machine is called.
        hierarchy: levels and fan-outs in order; the MACs come after the last entry.
        unit: of every energy in the table: ``pJ`` or ``mac16``.
        bits: widths that apply where neither user nor model says otherwise.
        mac: energy of a MAC; each of the innermost instances executes one per cycle.
        vector_energy: of one element-wise operation; None where the machine prices none.
        clock_hz: None where no clock is known (then there are cycles but no seconds).
        node_nm: technology node; None where it is not known.
        area_mm2: of the silicon; None where it is not known.
        table_name: of the energy table.
        table_source: where the energies come from.
        description: one sentence.
        macs_per_dsp: MACs that a DSP of programmable logic does in a cycle of the machine; None for what isn't made of them.
        voltage_v: supply voltage; None where it is not known.
        extrapolate: as for a level; for all of them and the MAC.
        estimated: no energies of this machine were published; they come from rules made for others.
        gating, skipping: operands whose zeros spare a MAC: its energy, or energy and time.
        units: the fan-out whose positions skip on their own; None is the innermost.
        run_ahead: elements of each operand, as pairs, that a unit works through before it waits for the others; those
            left out, as many as a layer has.
        executed: share of the MACs of the layer at hand that cost energy; 1 where the layer isn't known.
        timed: cycles that a MAC unit is busy with one, on average over all MACs of the layer at hand, if all units have the
            same to do; 1 where it isn't known. ``pace``: of these, with one that no zero spares.
        density: share of nonzeros of the operands that skip, as pairs.
        parameters: what the description's parameters were set to, by name.
        resolved: the description this machine was read from, as plain data, for result files.
    """

    name: str
    hierarchy: tuple[Level | FanOut, ...]
    unit: str
    bits: Bits
    mac: MacEnergy
    vector_energy: float | None = None
    clock_hz: float | None = None
    node_nm: float | None = None
    area_mm2: float | None = None
    macs_per_dsp: int | None = None
    voltage_v: float | None = None
    extrapolate: bool = False
    estimated: bool = False
    gating: tuple[str, ...] = ()
    skipping: tuple[str, ...] = ()
    units: str | None = None
    run_ahead: tuple[tuple[str, int], ...] = ()
    executed: float = 1.0
    timed: float = 1.0
    pace: float = 1.0
    density: tuple[tuple[str, float], ...] = ()
    table_name: str = ""
    table_source: str = ""
    description: str = ""
    parameters: tuple[tuple[str, int | float | str], ...] = ()
    resolved: str = ""

    @property
    def levels(self) -> tuple[Level, ...]:
        """The memories, outermost first."""
        return tuple(x for x in self.hierarchy if isinstance(x, Level))

    @property
    def fanouts(self) -> tuple[FanOut, ...]:
        """The branchings, outermost first."""
        return tuple(x for x in self.hierarchy if isinstance(x, FanOut))

    @property
    def minds_zeros(self) -> bool:
        """Whether anything here costs less, or more, because elements are zero."""
        return bool(self.gating or self.skipping or any(level.zeros for level in self.levels))

    def mac_energy(self, bits: Bits) -> float:
        """Energy of one MAC at these widths; those that zeros spare are left out on average."""
        return self.mac.at(bits) * self.executed

    @property
    def pes(self) -> int:
        """MAC units in the machine."""
        return math.prod(f.size for f in self.fanouts)

    def level(self, name: str) -> Level:
        """The level of that name; KeyError if there is none."""
        for level in self.levels:
            if level.name == name:
                return level
        raise KeyError(name)

    def fanout(self, name: str) -> FanOut:
        """The fan-out of that name; KeyError if there is none."""
        for fanout in self.fanouts:
            if fanout.name == name:
                return fanout
        raise KeyError(name)

    def fanouts_outside(self, level: str | None) -> frozenset[str]:
        """Names of the fan-outs that multiply ``level``; None stands for the MACs, which all multiply."""
        outside = []
        for entry in self.hierarchy:
            if isinstance(entry, FanOut):
                outside.append(entry.name)
            elif entry.name == level:
                return frozenset(outside)
        if level is None:
            return frozenset(outside)
        raise KeyError(level)

    def home(self, tensor: str) -> Level:
        """The outermost level that keeps ``tensor``."""
        return next(level for level in self.levels if tensor in level.keeps)

    def path(self, tensor: str) -> tuple[Level, ...]:
        """The levels that always keep ``tensor``, outermost first."""
        return tuple(level for level in self.levels if tensor in level.keeps)


def operand_latch(name: str, keeps: tuple[str, ...]) -> Level:
    """A latch: one element of each tensor in ``keeps``, read and written for nothing."""
    free = tuple(sorted(((d, t), 0.0) for d in DIRECTIONS for t in keeps))
    return Level(name=name, keeps=keeps, word_bits=1, energy_per_word=free, latch=True)


def uniform_energies(**by_direction: float) -> tuple[tuple[tuple[str, str], float], ...]:
    """The energy table of a level that prices all tensors alike: ``uniform_energies(read=6, write=6, update=6)``."""
    return tuple(sorted(((d, t), float(by_direction[d])) for d in DIRECTIONS for t in TENSORS))
