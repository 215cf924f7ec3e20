"""What a mapping is: one nest of loops with the storage of every tensor placed in it.

A mapping is a list of nodes, outermost first, of three kinds:

* ``Loop(dim, tile)``: the range of ``dim`` that reaches this node is cut into chunks of ``tile``
  indices (the last may be shorter), which are visited one after the other;
* ``Spread(dim, tile, fanout, axis)``: the same, but chunk i goes to position i along an array axis;
* ``Keep(level, tensor)``: below this node ``level`` holds the part of ``tensor`` that is touched there.

``docs/explanation/counting.md`` says what such a nest does when it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.errors import MappingError, nearest
from picojoule.workload.nest import DIMS, TENSORS


@dataclass(frozen=True, slots=True)
class Loop:
    """Visit chunks of ``tile`` indices of ``dim`` one after the other."""

    dim: str
    tile: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Hand chunk i of ``tile`` indices of ``dim`` to position i along ``axis`` of ``fanout``."""

    dim: str
    tile: int
    fanout: str
    axis: str


@dataclass(frozen=True, slots=True)
class Keep:
    """From here inwards, ``level`` holds the tile of ``tensor``."""

    level: str
    tensor: str


Node = Loop | Spread | Keep


@dataclass(frozen=True, slots=True)
class Mapping:
    """Nodes, outermost first."""

    nodes: tuple[Node, ...]

    def trips(self, sizes: dict[str, int]) -> Iterator[tuple[Node, int]]:
        """Every node with its trip count in full (unclipped) chunks; a ``Keep`` counts 1.

        Args:
            sizes: of every dimension, by loop letter.
        """
        extent = dict(sizes)
        for node in self.nodes:
            if isinstance(node, Keep):
                yield node, 1
            else:
                yield node, -(-extent[node.dim] // node.tile)
                extent[node.dim] = node.tile

    def to_data(self, sizes: dict[str, int]) -> list[dict[str, object]]:
        """The mapping as plain data, trip counts included, as it stands in result files."""
        data: list[dict[str, object]] = []
        for node, count in self.trips(sizes):
            match node:
                case Keep(level, tensor):
                    data.append({"keep": tensor, "at": level})
                case Loop(dim, tile):
                    data.append({"for": dim, "tile": tile, "count": count})
                case Spread(dim, tile, fanout, axis):
                    data.append({"spread": dim, "tile": tile, "count": count, "fanout": fanout, "axis": axis})
        return data

    @classmethod
    def from_data(cls, data: object, *, sizes: dict[str, int] | None = None, where: str = "mapping") -> Mapping:
        """The inverse of ``to_data``.

        Args:
            data: a list of nodes.
            sizes: of every dimension, by loop letter: a ``count`` that is given must then be the one that follows.
            where: it comes from, for messages.

        Raises:
            MappingError: not a list of nodes, an unknown key, dimension or tensor, a tile below 1, or a count that
                contradicts the tiles.
        """
        if not isinstance(data, list):
            raise MappingError(f"a mapping is a list of nodes, got {type(data).__name__}", where=where)
        mapping = cls(tuple(_node(entry, f"{where}[{i}]") for i, entry in enumerate(data)))
        if sizes is not None:
            mapping._check_counts(data, sizes, where)
        return mapping

    def _check_counts(self, data: list[dict[str, object]], sizes: dict[str, int], where: str) -> None:
        for i, (entry, (node, count)) in enumerate(zip(data, self.trips(sizes), strict=True)):
            stated = entry.get("count", count)
            if isinstance(node, Keep) or (type(stated) is int and stated == count):
                continue
            raise MappingError(
                f"count is {stated!r}, but with {node.dim} = {sizes[node.dim]} and these tiles it is {count}",
                where=f"{where}[{i}]",
                hint="Correct a tile, or leave the count out: it follows from the tiles.",
            )


def _node(entry: object, where: str) -> Node:
    if not isinstance(entry, dict):
        raise MappingError(f"a node is a table, got {entry!r}", where=where)
    shapes = {
        "keep": {"keep", "at"},
        "for": {"for", "tile", "count"},
        "spread": {"spread", "tile", "count", "fanout", "axis"},
    }
    kind = next((k for k in shapes if k in entry), None)
    if kind is None:
        raise MappingError(f"a node has one of the keys keep, for, spread; got {sorted(entry)}", where=where)
    for key in entry:
        if key not in shapes[kind]:
            raise MappingError(f"unknown key {key!r}", where=where, hint=nearest(str(key), shapes[kind]))
    for key in shapes[kind] - {"count"}:
        if key not in entry:
            raise MappingError(f"the key {key!r} is missing", where=where)
    if kind == "keep":
        if entry["keep"] not in TENSORS:
            raise MappingError(
                f"unknown tensor {entry['keep']!r}", where=where, hint=nearest(str(entry["keep"]), TENSORS)
            )
        return Keep(str(entry["at"]), str(entry["keep"]))
    dim, tile = entry[kind], entry["tile"]
    if dim not in DIMS:
        raise MappingError(f"unknown dimension {dim!r}", where=where, hint=nearest(str(dim), DIMS))
    if not isinstance(tile, int) or isinstance(tile, bool) or tile < 1:
        raise MappingError(f"tile must be a whole number of at least 1, got {tile!r}", where=where)
    if kind == "for":
        return Loop(dim, tile)
    return Spread(dim, tile, str(entry["fanout"]), str(entry["axis"]))
