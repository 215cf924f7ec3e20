"""Which versions of a layer's result are kept: as it was computed, or with functions of single elements applied.

What rides along on a write-back is free, as long as nothing else reads the elements as they were before. Otherwise the
layer writes both versions, each to a place of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from picojoule.frontends.graph import Graph, Node


@dataclass(slots=True)
class Versions:
    """The versions of every result that a walk over the graph has come by, and which of them are read.

    A version is called by the tensor that is first to hold it. Another shape or order of its elements is the same
    version; the same function of the same version, too.

    Attributes:
        makers: the operator that made each version.
        first: the version before any function was applied, for those to which one was.
        within: for a part of a tensor, the version of the whole.
        read: versions that a layer reads, an operator that is not costed reads, or the network hands back.
    """

    graph: Graph
    makers: dict[str, Node] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    within: dict[str, str] = field(default_factory=dict)
    read: dict[str, None] = field(default_factory=dict)
    _of: dict[str, str] = field(default_factory=dict)
    _known: dict[object, str] = field(default_factory=dict)

    def of(self, tensor: str) -> str:
        """The version that ``tensor`` holds."""
        return self._of.get(tensor, tensor)

    def applied(self, node: Node, base: str) -> str:
        """Takes note that ``node`` applies a function to the elements whose first version is ``base``."""
        settings = tuple(sorted((name, repr(value)) for name, value in node.attributes.items()))
        key = (node.op, tuple(self.of(name) for name in node.inputs), settings)
        version = self._known.setdefault(key, node.outputs[0])
        self.makers.setdefault(version, node)
        self.first[version] = self.of(base)
        self._of.update(dict.fromkeys(node.outputs, version))
        return version

    def same(self, node: Node, source: str) -> None:
        """The outputs of ``node`` are the elements of ``source``."""
        self._of.update(dict.fromkeys(filter(None, node.outputs), self.of(source)))

    def parts(self, node: Node, source: str) -> None:
        """The outputs of ``node`` are parts of ``source``, to each of which functions may be applied by itself."""
        self.makers.update(dict.fromkeys(filter(None, node.outputs), node))
        self.within.update(dict.fromkeys(filter(None, node.outputs), self.of(source)))

    def reads(self, tensors: Iterable[str]) -> None:
        """Takes note that the versions in ``tensors`` are kept for a reader."""
        self.read.update(dict.fromkeys(self.of(name) for name in tensors))

    def kept(self) -> dict[str, list[str]]:
        """For each result, the versions that its writer writes: first the one that stands for the result itself.

        That is the plain one wherever it is kept. Of those of unknown size only the first is named.
        """
        by_first: dict[str, list[str]] = {}
        for version in (*self.read, *self._kept_in_parts()):
            versions = by_first.setdefault(self.first.get(version, version), [])
            if version not in versions:
                versions.append(version)
        for version in self.within.values():  # whatever is done to its parts, it was cut from this version
            by_first.setdefault(self.first.get(version, version), [version])
        found: dict[str, list[str]] = {}
        for first, versions in by_first.items():
            plain = first in versions or self._whole_is_read(first)
            main, *others = [first, *(v for v in versions if v != first)] if plain else versions
            others = [version for version in others if version in self.graph.shapes]
            result = self._result(first)
            found.setdefault(result, [result])
            if first == result:
                found[result][0] = main
            found[result] += others
        return found

    def _kept_in_parts(self) -> dict[str, None]:
        """The versions of which some part is read as it is."""
        kept: dict[str, None] = {}
        for part in reversed(self.within):
            if part in self.read or part in kept:
                kept[self.within[part]] = None
        return kept

    def _whole_is_read(self, first: str) -> bool:
        while first in self.within:
            whole = self.within[first]
            if whole in self.read:
                return True
            first = self.first.get(whole, whole)
        return False

    def _result(self, first: str) -> str:
        """What a layer writes of which ``first`` is a part, maybe the whole."""
        while first in self.within:
            whole = self.within[first]
            first = self.first.get(whole, whole)
        return first
