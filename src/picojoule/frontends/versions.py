"""Which versions of a layer's result are kept: as it was computed, or with functions of single elements applied.

What rides along on a write-back is free, as long as nothing else reads the elements as they were before. Layers without
a nest may apply a function while they read, too. Where a nest reads one version, and another is read as well, the layer
writes both, each to a place of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        before: the versions of the same elements that a function was applied to.
        needed: versions that a nest reads, an operator that is not costed reads, or the network hands back.
        asked: those that a layer without nest reads.
    """

    graph: Graph
    makers: dict[str, Node] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    within: dict[str, str] = field(default_factory=dict)
    before: dict[str, tuple[str, ...]] = field(default_factory=dict)
    needed: dict[str, None] = field(default_factory=dict)
    asked: dict[str, None] = field(default_factory=dict)
    _of: dict[str, str] = field(default_factory=dict)
    _known: dict[object, str] = field(default_factory=dict)

    def of(self, tensor: str) -> str:
        """The version that ``tensor`` holds."""
        return self._of.get(tensor, tensor)

    def applied(self, node: Node, operands: Iterable[str], base: str) -> str:
        """Takes note that ``node`` applies a function to ``operands``, versions of the elements that were ``base``."""
        settings = tuple(sorted((name, repr(value)) for name, value in node.attributes.items()))
        key = (node.op, tuple(self.of(name) for name in node.inputs), settings)
        version = self._known.setdefault(key, node.outputs[0])
        self.makers.setdefault(version, node)
        self.first[version] = self.of(base)
        self.before[version] = tuple(self.of(name) for name in operands)
        self._of.update(dict.fromkeys(node.outputs, version))
        return version

    def same(self, node: Node, source: str) -> None:
        """The outputs of ``node`` are the elements of ``source``."""
        self._of.update(dict.fromkeys(filter(None, node.outputs), self.of(source)))

    def parts(self, node: Node, source: str) -> None:
        """The outputs of ``node`` are parts of ``source``, to each of which functions may be applied by itself."""
        self.makers.update(dict.fromkeys(filter(None, node.outputs), node))
        self.within.update(dict.fromkeys(filter(None, node.outputs), self.of(source)))

    def reads(self, tensors: Iterable[str], *, applying: bool = False) -> None:
        """Takes note that ``tensors`` are read: by layers that can apply functions while they read, or as they are."""
        (self.asked if applying else self.needed).update(dict.fromkeys(self.of(name) for name in tensors))

    def fetched(self, tensor: str, kept: Mapping[str, list[str]]) -> str:
        """What lies in memory where a layer that can apply functions reads ``tensor``."""
        version = self.of(tensor)
        first = self.first.get(version, version)
        there = kept.get(self._result(first), ())
        while version not in there and version in self.before:
            tensor = version = self.before[version][0]
        return tensor

    def kept(self) -> dict[str, list[str]]:
        """For each result, the versions that its writer writes: first the one that stands for the result itself.

        That is the plain one wherever it is kept. Of those of unknown size only the first is named.
        """
        needed, asked = (self._with_wholes(read) for read in (self.needed, self.asked))
        read: dict[str, list[str]] = {}
        for version in (*needed, *(version for version in asked if version not in needed)):
            read.setdefault(self.first.get(version, version), []).append(version)
        for version in self.within.values():  # whatever is done to its parts, it was cut from this version
            read.setdefault(self.first.get(version, version), [version])
        found: dict[str, list[str]] = {}
        for first, versions in read.items():
            kept = [version for version in versions if version in needed]
            makeable = len(versions) == 1 or all(self._can_make(version, kept) for version in versions)
            if first in kept or not makeable or self._whole_is_read(first):
                kept = [first, *(version for version in kept if version != first)]
            main, *others = kept or versions
            result = self._result(first)
            found.setdefault(result, [result])
            if first == result:
                found[result][0] = main
            found[result] += [version for version in others if version in self.graph.shapes]
        return found

    def _with_wholes(self, read: Iterable[str]) -> dict[str, None]:
        """The versions in ``read``, and those of which they are parts, as they are."""
        found = dict.fromkeys(read)
        for part in reversed(self.within):
            if part in found:
                found[self.within[part]] = None
        return found

    def _can_make(self, version: str, kept: list[str]) -> bool:
        """Whether ``version`` is one of ``kept``, or functions of these make it."""
        ahead = [version]
        while ahead:
            version = ahead.pop()
            if version not in kept:
                if version not in self.before:
                    return False
                ahead += self.before[version]
        return True

    def _whole_is_read(self, first: str) -> bool:
        while first in self.within:
            whole = self.within[first]
            if whole in self.needed or whole in self.asked:
                return True
            first = self.first.get(whole, whole)
        return False

    def _result(self, first: str) -> str:
        """What a layer writes of which ``first`` is a part, maybe the whole."""
        while first in self.within:
            whole = self.within[first]
            first = self.first.get(whole, whole)
        return first
