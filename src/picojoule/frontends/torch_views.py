"""Which tensors of a traced program share their elements, and what becomes of them when one is written in place.

Views of one tensor share its storage. A call that writes to a view (``o[:, :8] = y``) changes the tensor behind it and
every other view of it. The common graph knows no writing in place: there each writing makes a new version of the
storage, and whoever reads a view afterwards reads that of the newest version.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from picojoule.frontends.graph import Place, Shape
from picojoule.frontends.torch_calls import Call, Program, Ref

_SAME = "alias detach lift_fresh contiguous to type_as resolve_conj resolve_neg requires_grad pin_memory real".split()
_RESHAPED = "flatten ravel reshape reshape_as unflatten view view_as _unsafe_view _reshape_alias atleast_1d".split()
_TURNED = "permute transpose swapaxes swapdims movedim moveaxis t mT mH adjoint numpy_T".split()
_PARTED = "split split_with_sizes chunk unbind tensor_split unsafe_chunk unsafe_split hsplit vsplit dsplit".split()
_OTHERS = (
    "select slice narrow diagonal unfold expand expand_as broadcast_to squeeze unsqueeze atleast_2d atleast_3d"
    " as_strided view_as_real view_as_complex"
).split()

VIEWS = frozenset((*_SAME, *_RESHAPED, *_TURNED, *_PARTED, *_OTHERS))
"""Operators whose results are, or may be, views of their first argument."""

_KNOWN = frozenset(("aten", "prims", "quantized_decomposed", "higher_order", "functorch"))
"""Families of operators that are PyTorch's own."""


def kind_of(call: Call) -> str:
    """The operator without namespace, overload and the underscore of those that write in place."""
    return call.target.partition(".")[2].split(".")[0].removesuffix("_")


def part_in(call: Call) -> Program | None:
    """The part of the program that a higher-order operator calls."""
    return next((value for value in call.arguments.values() if isinstance(value, Program)), None)


def handed_in(call: Call, inside: Program) -> dict[str, str]:
    """The tensors that ``call`` hands to a part of the program, by the names that they have there."""
    given = [value for _, value in sorted(call.numbered()) if not isinstance(value, Program)]
    given = given[max(0, len(given) - len(inside.inputs)) :]
    return {name: value.name for name, value in zip(inside.inputs, given, strict=False) if isinstance(value, Ref)}


def written_by(call: Call) -> dict[str, str]:
    """The tensors that ``call`` writes in place, and its result that each is handed back as, "" where it isn't.

    Where no schema tells, as in a file, the names of PyTorch's operators do; of another one that hands back nothing,
    whatever it is given may be changed.
    """
    family, _, rest = call.target.partition(".")
    name, out = rest.split(".")[0], call.arguments.get("out")
    in_place = name.endswith("_") and not name.startswith("__")
    if kind_of(call) in VIEWS and not isinstance(out, Ref):
        return {}
    if call.changes:
        written = list(_refs(call, call.changes))
    elif isinstance(out, Ref):
        written = [out]
    elif in_place:
        written = list(_refs(call))[:1]
    else:
        written = [] if family in _KNOWN or call.outputs else list(_refs(call))
    results = call.outputs if family in _KNOWN or in_place else ()
    return dict(zip_longest((ref.name for ref in written), results[: len(written)], fillvalue=""))


def written_inputs(program: Program) -> frozenset[str]:
    """What is given to ``program`` from outside, parameters and buffers among it, and changed by it."""
    return _written(program)[1]


def _written(program: Program) -> tuple[dict[str, str], frozenset[str]]:
    """The storage behind every view, and those storages of other tensors than its own that the program changes."""
    behind: dict[str, str] = {}
    changed: set[str] = set()
    for call in program.calls:
        inside = part_in(call)
        if inside is not None:
            given = {name: behind.get(outer, outer) for name, outer in handed_in(call, inside).items()}
            within, written = _written(inside)
            changed.update(given[name] for name in written if name in given)
            for made, result in zip(inside.outputs, call.outputs, strict=False):
                source = within.get(made, made)
                if source in given:
                    behind[result] = given[source]
            continue
        targets = written_by(call)
        for target, made in targets.items():
            changed.add(behind.get(target, target))
            if made:
                behind[made] = behind.get(target, target)
        source = next((ref.name for ref in _refs(call)), "") if kind_of(call) in VIEWS and not targets else ""
        if source:
            behind.update(dict.fromkeys(call.outputs, behind.get(source, source)))
    return behind, frozenset(changed)


def _refs(call: Call, names: Iterable[str] | None = None) -> Iterator[Ref]:
    """The tensors among the arguments, or among those of them that are called by ``names``."""
    for value in call.arguments.values() if names is None else map(call.arguments.get, names):
        yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, Ref))


@dataclass(slots=True)
class Storages:
    """The newest version of every storage, and which of them each view of it was last read from.

    Attributes:
        base: the tensor behind a view.
        places: where in it the elements of a view lie, as far as that is known.
        newest: the tensor of the graph that holds a storage or a view as it is now.
    """

    base: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)
    _version: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def behind(self, tensor: str) -> str:
        """The tensor whose storage ``tensor`` lies in; itself where it is no view."""
        return self.base.get(tensor, tensor)

    def now(self, tensor: str) -> str:
        """The tensor of the graph that stands for ``tensor`` in what is written next."""
        return self.newest.get(tensor, tensor)

    def is_stale(self, tensor: str) -> bool:
        """Whether the storage of a view was written to since it was last read."""
        return self._seen.get(tensor, 0) < self._version.get(self.behind(tensor), 0)

    def version(self, tensor: str) -> int:
        """How often the storage of ``tensor`` was written to."""
        return self._version.get(self.behind(tensor), 0)

    def renew(self, tensor: str, now: str) -> None:
        """``tensor`` is what ``now`` holds, read from the newest version of its storage."""
        self.newest[tensor] = now
        self._seen[tensor] = self.version(tensor)

    def write(self, target: str, made: str, result: str, whole: str) -> None:
        """``made`` was written into the view ``target``, whose storage ``whole`` now stands for."""
        base = self.behind(target)
        self._version[base] = self._version.get(base, 0) + 1
        self.renew(base, whole)
        self.renew(target, made)
        if result != base:
            self.base[result] = base
            if target in self.places:
                self.places[result] = self.places[target]
            self.renew(result, made)

    def place(self, tensor: str, shapes: Mapping[str, Shape]) -> Place | None:
        """Where ``tensor`` lies in its storage; None if that isn't known."""
        if tensor not in self.base and tensor in shapes:
            return Place(tensor, 0, shapes[tensor], _row_major(shapes[tensor]))
        return self.places.get(tensor)

    def covers(self, tensor: str, shapes: Mapping[str, Shape]) -> bool:
        """Whether ``tensor`` holds every element of its storage."""
        base = self.behind(tensor)
        if tensor == base:
            return True
        place = self.place(tensor, shapes)
        if place is None or base not in shapes or 0 in place.strides and max(place.sizes, default=1) > 1:
            return False
        return math.prod(place.sizes) == math.prod(shapes[base])

    def view(self, call: Call, source: str, results: list[str], shapes: Mapping[str, Shape]) -> None:
        """The ``results`` of ``call`` are views of ``source``."""
        start, made = self.place(source, shapes), [shapes.get(name) for name in results]
        places = _parts(call, start, made) if start is not None and None not in made else [None] * len(results)
        for name, place in zip(results, places, strict=True):
            if name == source:
                continue
            self.base[name] = self.behind(source)
            self._seen[name] = self.version(source)
            if place is not None:
                self.places[name] = place


def _row_major(sizes: Shape) -> Shape:
    return tuple(math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))


def _parts(call: Call, start: Place, made: list[Any]) -> list[Place | None]:
    kind = kind_of(call)
    if kind in ("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_chunk", "unsafe_split", "unbind"):
        axis, offset, found = _axis(call.arguments.get("dim", 0), len(start.sizes)), start.offset, []
        for sizes in made:
            step = 1 if kind == "unbind" else sizes[axis]
            strides = (*start.strides[:axis], *start.strides[axis + 1 :]) if kind == "unbind" else start.strides
            found.append(Place(start.base, offset, sizes, strides))
            offset += step * start.strides[axis]
        return found
    return [_part(kind, call.arguments, start, made[0])] if len(made) == 1 else [None] * len(made)


def _axis(given: object, rank: int) -> int:
    return given % rank if isinstance(given, int) and rank else 0


def _part(kind: str, given: Mapping[str, Any], start: Place, made: Shape) -> Place | None:
    base, offset, sizes, strides = start
    rank = len(sizes)
    axis = _axis(given.get("dim", 0), rank)
    if kind in _SAME:
        return start
    if kind in _RESHAPED or kind in ("squeeze", "unsqueeze"):
        if strides == _row_major(sizes):
            return Place(base, offset, made, _row_major(made))
        long = [(size, stride) for size, stride in zip(sizes, strides, strict=True) if size > 1]
        if [size for size, _ in long] != [size for size in made if size > 1]:
            return None
        left = iter(long)
        return Place(base, offset, made, tuple(next(left)[1] if size > 1 else 1 for size in made))
    if kind in ("select", "slice", "narrow"):
        first = given.get("index" if kind == "select" else "start") or 0
        step = given.get("step", 1)
        if not isinstance(first, int) or not isinstance(step, int) or not rank:
            return None
        first = min(max(0, first + sizes[axis] if first < 0 else first), sizes[axis])
        offset += first * strides[axis]
        rest = (strides[axis] * step,) if kind != "select" else ()
        return Place(base, offset, made, (*strides[:axis], *rest, *strides[axis + 1 :]))
    if kind in ("expand", "expand_as", "broadcast_to"):
        ahead = len(made) - rank
        kept = (0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True))
        return Place(base, offset, made, (*[0] * ahead, *kept))
    order = turned(kind, given, rank)
    if order is not None:
        return Place(base, offset, tuple(sizes[i] for i in order), tuple(strides[i] for i in order))
    return None


def turned(kind: str, given: Mapping[str, Any], rank: int) -> list[int] | None:
    """The order of the axes that permute, transpose, movedim and their like make; None for other operators."""
    if kind not in _TURNED:
        return None
    order = list(range(rank))
    if kind == "permute":
        order = [axis % rank for axis in given["dims"]]
    elif kind in ("transpose", "swapaxes", "swapdims"):
        one, other = (axis % rank for axis in list(given.values())[1:3])
        order[one], order[other] = other, one
    elif kind in ("movedim", "moveaxis"):
        source, target = ([a % rank for a in (v if isinstance(v, list) else [v])] for v in list(given.values())[1:3])
        order = [axis for axis in order if axis not in source]
        for place, axis in sorted(zip(target, source, strict=True)):
            order.insert(place, axis)
    elif kind in ("t", "mT", "adjoint", "mH") and rank > 1:
        order[-2:] = order[:-3:-1]
    else:
        order.reverse()
    return order
