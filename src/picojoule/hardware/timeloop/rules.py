"""Timeloop's factors as ours: a spatial one says what may lie on an axis, a temporal one how large a tile is.

Timeloop's loops at a memory stand between its tile and that of the memory inside it, for all tensors at once. So the
tile of a memory covers, of each dimension, the product of the factors at it and at everything inside it. Where these
are known, that is a rule for its tiles. ``D=0`` is all of a dimension, which leaves 1 for all other factors of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from picojoule.hardware.timeloop.design import DIMS, Array, Component, Constraint, Design, Factor
from picojoule.hardware.timeloop.fields import LeftOut
from picojoule.workload.nest import DIMS as OUR_DIMS

Rules = dict[str, list[int | str]]
"""Dimension → rules, as ``tiles`` of a level has them for each of its tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imposed:
    """What constraints impose.

    Attributes:
        axes: array → axis → the dimensions that may lie on it.
        tiles: memory → rules for its tiles.
    """

    axes: Mapping[str, Mapping[str, tuple[str, ...]]]
    tiles: Mapping[str, Rules]


def impose(design: Design, holders: Mapping[str, Sequence[str]], left_out: LeftOut) -> Imposed:
    """What the design's constraints come to.

    Args:
        design: with constraints whose targets are there.
        holders: memory → the tensors that it may hold.
        left_out: takes what our rules can't say.

    Raises:
        HardwareError: constraints contradict each other.
    """
    spatial, temporal = _by_target(design, "spatial"), _by_target(design, "temporal")
    blocks = design.hierarchy[:-1]
    factors = {
        dim: [
            _factor(dim, (spatial if isinstance(block, Array) else temporal).get(_target(block), []))
            for block in blocks
        ]
        for dim in OUR_DIMS
    }
    axes = {
        block.name: _axes(block, spatial.get(block.target, []), _taken(factors, i), design, left_out)
        for i, block in enumerate(blocks)
        if isinstance(block, Array)
    }
    targets = {block.target for block in blocks if isinstance(block, Array)}
    for target, constraints in spatial.items():
        if target not in targets:
            for one in constraints:
                left_out.note(one.field, f"{target}, spatial", "there is no array")
    tiles: dict[str, Rules] = {name: {} for name in holders}
    for dim in OUR_DIMS:
        spreads = [isinstance(b, Array) and any(dim in dims for dims in axes[b.name].values()) for b in blocks]
        _Along(dim, blocks, factors[dim], spreads, holders, left_out).write(tiles)
    for constraints in temporal.values():
        for one in constraints:
            if one.permutation:
                left_out.note(one.field, f"{one.target}, temporal permutation", "the order of loops can't be imposed")
            if one.factors and not holders[one.target]:
                why = "it keeps no tensor: loops here can't be told from those at the memory outside"
                left_out.note(one.field, f"{one.target}, temporal factors", why)
            if one.split is not None:
                left_out.note(one.field, f"{one.target}, split", "it says nothing of loops in time")
    return Imposed(axes=axes, tiles=tiles)


def _by_target(design: Design, kind: str) -> dict[str, list[Constraint]]:
    found: dict[str, list[Constraint]] = {}
    for one in design.constraints:
        if one.kind == kind:
            found.setdefault(one.target, []).append(one)
    return found


def _taken(factors: Mapping[str, Sequence[tuple[Factor, Constraint] | None]], array: int) -> set[str]:
    """The dimensions of which another block than ``array`` takes all."""
    return {
        dim
        for dim, given in factors.items()
        for i, one in enumerate(given)
        if one is not None and one[0].number == 0 and i != array
    }


def _target(block: Component | Array) -> str:
    return block.target if isinstance(block, Array) else block.name


def _factor(dim: str, constraints: Sequence[Constraint]) -> tuple[Factor, Constraint] | None:
    given = [(f, one) for one in constraints for letter, f in one.factors.items() if DIMS[letter] == dim]
    for factor, one in given[1:]:
        if (factor.number, factor.exact) != (given[0][0].number, given[0][0].exact):
            raise one.field.refused(f"{factor.written} contradicts {given[0][0].written} at {given[0][1].field.place}")
    return given[0] if given else None


def _axes(
    array: Array, constraints: Sequence[Constraint], taken: set[str], design: Design, left_out: LeftOut
) -> dict[str, tuple[str, ...]]:
    """The dimensions that each axis allows: neither those whose factor is 1 nor those ``taken`` elsewhere.

    Groups may lie wherever channels may: where Timeloop maps them, it calls them channels.
    """
    barred = set(taken)
    sides = {axis: set(OUR_DIMS) for axis in array.sizes}
    for one in constraints:
        barred |= {DIMS[letter] for letter, factor in one.factors.items() if factor.number == 1}
        for factor in one.factors.values():
            if factor.number > 1:
                left_out.note(one.field, f"{one.target}, {factor.written}", "an axis can't be told how much to take")
        if one.split is None:
            if one.permutation:
                why = "it says in which order positions are taken, which costs nothing"
                left_out.note(one.field, f"{one.target}, spatial permutation", why)
            continue
        ours = [DIMS[letter] for letter in one.permutation]
        if 0 < one.split < 7 and len(ours) < 7:
            left_out.note(one.field, f"{one.target}, spatial split", "its permutation leaves dimensions out")
            continue
        along_x = set(OUR_DIMS) if one.split >= 7 else set(ours[: one.split])
        for axis, side in (("x", along_x), ("y", set(OUR_DIMS) - along_x)):
            if axis in sides:
                sides[axis] &= side
    allowed = {}
    for axis, side in sides.items():
        dims = side - barred
        dims = dims | {"G"} if dims & {"K", "C"} else dims - {"G"} if constraints else dims
        if not dims:
            where = constraints[0].field if constraints else design.field
            raise where.refused(f"no dimension may lie along {axis} of {array.name}", "Which one may? Relax a factor.")
        allowed[axis] = tuple(dim for dim in OUR_DIMS if dim in dims)
    return allowed


class _Along:
    """The factors of one dimension at every block, outermost first, and the rules that they come to."""

    def __init__(
        self,
        dim: str,
        blocks: Sequence[Component | Array],
        factors: Sequence[tuple[Factor, Constraint] | None],
        spreads: Sequence[bool],
        holders: Mapping[str, Sequence[str]],
        left_out: LeftOut,
    ) -> None:
        self._dim, self._blocks, self._factors, self._spreads = dim, blocks, factors, spreads
        self._holders, self._left_out = holders, left_out

    def write(self, tiles: dict[str, Rules]) -> None:
        """Adds the rules to those of the memories; what no rule says is listed."""
        whole = [i for i, given in enumerate(self._factors) if given and given[0].number == 0]
        rules = self._around(whole[0]) if whole else self._from_inside()
        for i, rule in [] if whole else self._from_outside():
            rules.setdefault(i, []).append(rule)
        for i, listed in rules.items():
            if self._may_have_rules(i):
                tiles[self._blocks[i].name][self._dim] = listed

    def _may_have_rules(self, i: int) -> bool:
        block = self._blocks[i]
        return i > 0 and isinstance(block, Component) and bool(self._holders[block.name])

    def _around(self, whole: int) -> dict[int, list[int | str]]:
        """One block takes all: tiles inside it cover 1 index, those outside it all."""
        taker = self._factors[whole]
        assert taker is not None
        for i, given in enumerate(self._factors):
            if given and i != whole and given[0].number != 1 and given[0].exact:
                message = f"{given[0].written} contradicts {taker[0].written} at {taker[1].field.place}"
                raise given[1].field.refused(message, "What takes all of a dimension leaves 1 elsewhere.")
        rules: dict[int, list[int | str]] = {}
        for i, block in enumerate(self._blocks):
            if isinstance(block, Component) and (i >= whole or self._factors[i]):
                rules[i] = ["all"] if i <= whole else [1, "all"] if isinstance(self._blocks[whole], Array) else [1]
        if not any(self._may_have_rules(i) for i in rules if i >= whole):
            self._unsaid(taker, "no memory inside holds a tile that it could be a rule for")
        return rules

    def _from_inside(self) -> dict[int, list[int | str]]:
        """The tile is known where every factor at the memory and inside it is."""
        rules: dict[int, list[int | str]] = {}
        outside = {i for i, _ in self._from_outside()}
        known: int | None = 1
        for i in range(len(self._blocks) - 1, -1, -1):
            given = self._factors[i]
            if isinstance(self._blocks[i], Array):
                known = None if self._spreads[i] else known
                continue
            if given is None:
                known = None
                continue
            factor = given[0]
            if known is not None:
                known *= factor.number
                rules[i] = [known if factor.exact else f"<= {known}"]
                known = known if factor.exact else None
            said = self._outer_is_one(i) and any(j > i for j in outside) if i == 0 or i not in rules else True
            if not said and (i == 0 or self._may_have_rules(i)):
                self._unsaid(given, "factors further in are free, and a rule for a tile is a number")
        return rules

    def _from_outside(self) -> list[tuple[int, str]]:
        """The tile is all that arrays leave where every factor outside the memory is 1."""
        inner = range(1, len(self._blocks))
        return [(i, "all") for i in inner if self._may_have_rules(i) and self._outer_is_one(i - 1)]

    def _outer_is_one(self, i: int) -> bool:
        """Whether no loop of this dimension runs at block ``i`` or outside it."""
        temporal = [self._factors[j] for j in range(i + 1) if isinstance(self._blocks[j], Component)]
        return all(given is not None and given[0].exact and given[0].number == 1 for given in temporal)

    def _unsaid(self, given: tuple[Factor, Constraint], why: str) -> None:
        self._left_out.note(given[1].field, f"{given[1].target}, {given[1].kind} {given[0].written}", why)
