"""Mappings of the Eyeriss chip from the parameters of JSSC 2017, Table III."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import Nest

ROWS, COLUMNS = 12, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the chip is set to for one layer.

    Attributes:
        m, n, e: output channels, images and output rows whose partial sums lie in the buffer.
        p, q: output and input channels that a PE works on in one pass.
        r, t: sets of PEs side by side for other input and for other output channels.
    """

    m: int
    n: int
    e: int
    p: int
    q: int
    r: int
    t: int


def mapping_of(nest: Nest, chip: Configuration) -> Mapping:
    """The mapping on ``eyeriss-v1``.

    A pass brings n images of q·r input channels past p·t filters; passes over input channels add up the partial sums of m
    output channels and e output rows in the buffer, and each strip of inputs there serves m / (p·t) passes.
    """
    keep = {t: Keep("DRAM", t) for t in ("weights", "inputs", "outputs")}
    nodes: list[Node] = [
        *keep.values(),
        Loop("G", 1),
        Loop("K", chip.m),
        Loop("P", chip.e),
        Loop("N", chip.n),
        Keep("GLB", "outputs"),
        Loop("C", chip.q * chip.r),
        Keep("GLB", "inputs"),
        Loop("K", chip.p * chip.t),
        Keep("weights_buffer", "weights"),
        *_array(nest, chip),
        Keep("weights_spad", "weights"),
        Loop("N", 1),
        Loop("Q", 1),
        Keep("ifmap_spad", "inputs"),
        Keep("psum_spad", "outputs"),
        Loop("C", 1),
        Loop("S", 1),
        Loop("K", 1),
    ]
    return Mapping(tuple(nodes))


def _array(nest: Nest, chip: Configuration) -> list[Node]:
    """Sets of R rows and e columns; one that is wider than the array folds into segments above each other."""
    nodes: list[Node] = [Spread("R", 1, "PE", "y"), Spread("C", chip.q, "PE", "y")]
    width = min(chip.e, COLUMNS)
    beside = COLUMNS // width
    if nest.R * chip.r * chip.t <= ROWS:
        nodes.append(Spread("K", chip.p, "PE", "y"))
    else:
        assert chip.t <= beside
        nodes.append(Spread("K", chip.p, "PE", "x"))
    if chip.e > COLUMNS:
        nodes.append(Spread("P", COLUMNS, "PE", "y"))
    nodes.append(Spread("P", 1, "PE", "x"))
    return nodes
