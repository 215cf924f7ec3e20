"""What zeros spare on a machine in one layer: shares of accesses, of MACs and of cycles; ``counting.md`` has the law.

``priced`` puts them into the machine. All that counts and prices afterwards does so by the same linear terms as before, so
a search is exact and its bounds are bounds whatever the zeros.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

from picojoule.cost.floor import operand_reads
from picojoule.cost.suited import suited
from picojoule.hardware.accelerator import Accelerator, Compression, Level, Share, ZeroRule
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.zeros import Zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bits that an element takes on average, and how many of them say where elements belong."""

    total: float
    metadata: float


def stored_size(compression: Compression, width: int, density: float) -> Size:
    """What an element of ``width`` bits comes to if each is nonzero with probability ``density``, apart from the others.

    Example:
        >>> stored_size(Compression(format="bitmap"), 8, 0.25)
        Size(total=3.0, metadata=1.0)
    """
    if compression.format == "bitmap":
        size = Size(total=density * width + 1, metadata=1.0)
    else:
        entries = _entries(compression.index_bits, density)
        bits = width + compression.index_bits
        if compression.word_bits is not None:
            bits = _in_words(bits, compression.word_bits)
        pointers = compression.address_bits / compression.column
        size = Size(total=entries * bits + pointers, metadata=entries * (bits - width) + pointers)
    if compression.raw and size.total >= width:
        return Size(total=float(width), metadata=0.0)
    return size


def _in_words(bits: int, word_bits: int) -> float:
    """What an entry takes where words hold as many of them as fit; one that fits into none takes several."""
    return word_bits / (word_bits // bits) if bits <= word_bits else float(word_bits * -(-bits // word_bits))


def _entries(index_bits: int, density: float) -> float:
    """Entries per element: one for every nonzero, and one for the zero after as many zeros as an index can say."""
    longest = 2**index_bits
    if density == 0:
        return 1 / longest
    # An entry covers min(zeros in a row, 2^b − 1) zeros and the element after them: Σ (1 − d)^j over j < 2^b on average.
    return density / -math.expm1(longest * math.log1p(-density)) if density < 1 else 1.0


@functools.lru_cache(maxsize=1024)
def priced(machine: Accelerator, nest: Nest | None, bits: Bits, zeros: Zeros) -> Accelerator:
    """The machine as one layer meets it (``suited``), with what zeros spare there.

    Args:
        machine: what it declares about zeros.
        nest: the layer; None for one that only moves data, of which no MACs are spared.
        bits: widths of the elements.
        zeros: shares of zeros in the layer's tensors.
    """
    machine = suited(machine, nest, bits)
    if not machine.minds_zeros:
        return machine
    apart = _Nonzero(nest, zeros)
    hierarchy = tuple(
        _priced_level(entry, machine, bits, zeros, apart) if isinstance(entry, Level) and entry.zeros else entry
        for entry in machine.hierarchy
    )
    return replace(
        machine,
        hierarchy=hierarchy,
        executed=apart.macs({*machine.gating, *machine.skipping}),
        timed=machine.timed * apart.macs(set(machine.skipping)),
        density=tuple((tensor, 1 - getattr(zeros, tensor)) for tensor in machine.skipping),
    )


class _Nonzero:
    """Shares of MACs, and of operands, that are left where zeros spare them."""

    def __init__(self, nest: Nest | None, zeros: Zeros) -> None:
        # A MAC on padding multiplies with a zero; that zero is never read.
        self._inside = 1.0 if nest is None else operand_reads(nest, "inputs") / nest.macs
        self._zeros = zeros

    def macs(self, minding: set[str]) -> float:
        """MACs of which no operand in ``minding`` is zero."""
        share = math.prod(1 - getattr(self._zeros, tensor) for tensor in sorted(minding))
        return share * self._inside if "inputs" in minding else share

    def accesses(self, tensor: str, minding: set[str]) -> float:
        """Accesses of ``tensor`` for MACs of which no operand in ``minding`` is zero."""
        if tensor == "inputs":
            return math.prod(1 - getattr(self._zeros, other) for other in sorted(minding))
        return self.macs(minding)


def _priced_level(level: Level, machine: Accelerator, bits: Bits, zeros: Zeros, apart: _Nonzero) -> Level:
    shares: dict[tuple[str, str], Share] = {}
    rooms: dict[str, int] = {}
    for rule in level.zeros:
        if rule.compression is not None:
            shares |= _compressed(rule, bits, zeros)
            if machine.home(rule.tensor).name != level.name:
                rooms[rule.tensor] = _room(rule.compression, bits.of(rule.tensor), 1 - getattr(zeros, rule.tensor))
        if rule.gating or rule.skipping:
            moved = apart.accesses(rule.tensor, {*rule.gating, *rule.skipping})
            timed = apart.accesses(rule.tensor, set(rule.skipping))
            for direction in ("update", "return") if rule.tensor == "outputs" else ("read",):
                whole = shares.get((direction, rule.tensor), Share())
                shares[direction, rule.tensor] = Share(
                    moved=whole.moved * moved, timed=whole.timed * timed, metadata=whole.metadata * moved
                )
    return replace(level, shares=tuple(sorted(shares.items())), room_bits=tuple(sorted(rooms.items())))


def _compressed(rule: ZeroRule, bits: Bits, zeros: Zeros) -> dict[tuple[str, str], Share]:
    assert rule.compression is not None
    width = bits.of(rule.tensor)
    size = stored_size(rule.compression, width, 1 - getattr(zeros, rule.tensor))
    share = Share(moved=size.total / width, timed=size.total / width, metadata=size.metadata / width)
    # Partial sums are never compressed: outputs are where they are finished.
    directions = ("finish",) if rule.tensor == "outputs" else ("read", "write")
    return {(direction, rule.tensor): share for direction in directions}


def _room(compression: Compression, width: int, density: float) -> int:
    """Whole bits for every element of a tile: the average with its margin, or what a tile without zeros takes."""
    if compression.margin is None:
        return math.ceil(stored_size(compression, width, 1.0).total)
    return math.ceil(stored_size(compression, width, density).total * compression.margin)
