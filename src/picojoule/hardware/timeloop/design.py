"""A design of Timeloop as both of its versions say it: components and arrays, outermost first, and constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from picojoule.hardware.timeloop.fields import Field

TENSORS = {"Weights": "weights", "Inputs": "inputs", "Outputs": "outputs"}
DIMS = {"N": "N", "G": "G", "M": "K", "K": "K", "C": "C", "P": "P", "Q": "Q", "R": "R", "S": "S"}
"""Their loop letters and ours: their M is our K."""

SYNONYMS = {
    "word_bits": ("word-bits", "word_bits", "datawidth"),
    "block_words": ("block-size", "block_size"),
    "cluster": ("cluster-size", "cluster_size"),
    "depth": ("memory_depth", "depth"),
    "width": ("memory_width", "width"),
    "read": ("read_bandwidth",),
    "write": ("write_bandwidth",),
    "buffering": ("multiple-buffering", "multiple_buffering"),
    "node": ("technology",),
    "mesh_x": ("meshX",),
    "mesh_y": ("meshY",),
}
"""What we take from attributes, and what they call it."""

REFUSED = ("instances", "entries", "sizeKB")
"""Attributes that say how large a machine is in ways that are not read here: leaving them out would change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A memory, or the multipliers.

    Attributes:
        name: without the range of its instances.
        kind: its class, and subclass if it has one.
        own: its attributes.
        inherited: those of the containers around it, the innermost first.
        variables: the names that its expressions may use besides.
        field: where it stands.
        used: its own attributes that something was taken from.
    """

    name: str
    kind: tuple[str, ...]
    own: Mapping[str, Field]
    inherited: tuple[Mapping[str, Field], ...]
    variables: Mapping[str, Field]
    field: Field
    used: set[str] = field(default_factory=set)

    def take(self, what: str) -> Field | None:
        """The attribute that says ``what`` (a key of ``SYNONYMS``): its own, else that of the container next to it."""
        for attributes in (self.own, *self.inherited):
            given = [name for name in SYNONYMS[what] if name in attributes]
            if given:
                if attributes is self.own:
                    self.used.update(n for n in given if self._same(attributes[n], attributes[given[0]]))
                return attributes[given[0]]
        return None

    def whole(self, what: str) -> int | None:
        """That attribute as a whole number."""
        one = self.take(what)
        return None if one is None else one.whole(self.lookup)

    def lookup(self, name: str) -> Field | None:
        """What a name in an expression stands for: an attribute, else a variable."""
        tables = (self.own, *self.inherited, self.variables)
        return next((table[name] for table in tables if name in table), None)

    def _same(self, one: Field, other: Field) -> bool:
        return one.value == other.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A point where the design branches.

    Attributes:
        name: what one position is called.
        sizes: positions along ``x`` and ``y``, where there is more than one.
        target: what a spatial constraint calls it: in v0.3 the component outside it, in v0.4 the container.
    """

    name: str
    sizes: Mapping[str, int]
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """``C=4`` is (4, exact), ``C<=4`` is (4, not exact); 0 stands for all of the dimension."""

    number: int
    exact: bool
    written: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What one target must do. ``kind`` is dataspace, temporal or spatial.

    Attributes:
        keep, bypass: tensors, by our names.
        factors: by their letter.
        permutation: their letters, innermost first; empty if none is given.
        split: how many letters of the permutation lie along x.
    """

    target: str
    kind: str
    field: Field
    keep: tuple[str, ...] = ()
    bypass: tuple[str, ...] = ()
    factors: Mapping[str, Factor] = field(default_factory=dict)
    permutation: str = ""
    split: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """All of it.

    Attributes:
        hierarchy: outermost first; the last component is the multipliers.
        constraints: of the architecture.
        containers: names that a spatial constraint may have for its target besides those of components.
        field: where the architecture stands.
    """

    hierarchy: tuple[Component | Array, ...]
    constraints: tuple[Constraint, ...]
    containers: frozenset[str] = frozenset()
    field: Field
