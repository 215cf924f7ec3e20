"""What units that skip zeros do between two waits, as a mapping has it, and how long all of it takes; ``counting.md`` has the
law."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping as Table
from dataclasses import dataclass

import numpy as np

from picojoule.cost.imbalance import Block, Nonzero, Units, least_paced, paced
from picojoule.hardware.accelerator import Accelerator, FanOut
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import DIMS, RELEVANT, Bits, Nest

_BOTH = RELEVANT["weights"] & RELEVANT["inputs"]
_WEIGHTS = RELEVANT["weights"] - RELEVANT["inputs"]
_INPUTS = RELEVANT["inputs"] - RELEVANT["weights"]
_AXES = {"rows": ("P", "R"), "columns": ("Q", "S")}


def unit_fanouts(accelerator: Accelerator) -> tuple[FanOut, ...]:
    """The fan-outs whose positions skip on their own, outermost first; those inside them are the lanes of a unit."""
    names = [fanout.name for fanout in accelerator.fanouts]
    if not names or not accelerator.skipping:
        return ()
    last = accelerator.units if accelerator.units is not None else names[-1]
    return accelerator.fanouts[: names.index(last) + 1]


def unit_memories(accelerator: Accelerator) -> frozenset[str]:
    """Names of the memories that every unit has of its own, latches aside."""
    units = {fanout.name for fanout in unit_fanouts(accelerator)}
    levels = accelerator.levels
    return frozenset(x.name for x in levels if not x.latch and units <= accelerator.fanouts_outside(x.name))


def skipping_cycles(accelerator: Accelerator, nest: Nest, mapping: Mapping, steps: int) -> float:
    """Cycles of the slowest unit in every block of a mapping, added up.

    Args:
        accelerator: as ``zeros.priced`` made it for the layer; it skips.
        nest, mapping: the layer, and how it is run.
        steps: of the array position that is never clipped.
    """
    names = {fanout.name for fanout in unit_fanouts(accelerator)}
    apart, within = dict.fromkeys(DIMS, 1), dict.fromkeys(DIMS, 1)
    for node, trips in mapping.trips(nest.dims):
        if isinstance(node, Spread):
            (apart if node.fanout in names else within)[node.dim] *= trips
    cuts = _cuts(mapping, nest, unit_memories(accelerator))
    block, inside = _block(cuts, nest, _own(nest, apart, within), within["K"], dict(accelerator.run_ahead))
    left = _not_on_padding(nest, cuts, inside) if "inputs" in accelerator.skipping else 1.0
    return accelerator.pace * steps * left * paced(_nonzero(accelerator), _units(nest, apart, within), block)


def most_rounds(accelerator: Accelerator, bits: Bits, lanes: int) -> float:
    """Steps for which an input can stay at most where weights and sums have to lie in the unit meanwhile."""
    answer = math.inf
    inside = unit_memories(accelerator)
    lane_names = {fanout.name for fanout in accelerator.fanouts} - {fanout.name for fanout in unit_fanouts(accelerator)}
    for level in accelerator.levels:
        if level.name not in inside or level.usable_bits is None:
            continue
        shared = 1 if lane_names & accelerator.fanouts_outside(level.name) else lanes
        for tensor in ("weights", "outputs"):
            if tensor in level.keeps:
                answer = min(answer, level.usable_bits // level.tile_bits(tensor, bits) // shared)
    return max(1.0, answer)


def least_skipping_cycles(
    accelerator: Accelerator, nest: Nest, bits: Bits, apart: Table[str, int], within: Table[str, int]
) -> float:
    """What no mapping gets below that spreads a layer over so many units, and positions within a unit."""
    own, lanes = _own(nest, apart, within), within["K"]
    ahead = dict(accelerator.run_ahead)
    weights = lanes * math.prod(own[d] for d in RELEVANT["weights"])
    inputs = math.prod(own[d] for d in RELEVANT["inputs"])
    share = _least_share(
        _nonzero(accelerator),
        _units(nest, apart, within),
        int(min(own["K"], most_rounds(accelerator, bits, lanes))),
        max(lanes, min(weights, ahead.get("weights", weights))),
        min(inputs, ahead.get("inputs", inputs)),
    )
    steps = float(math.prod(own[d] for d in "NGKC"))
    for axis, (outer, inner) in _AXES.items():
        if "inputs" in accelerator.skipping:
            spread = apart[outer] * within[outer], apart[inner] * within[inner]
            steps *= _least_inside(nest.window(axis), *spread)
        else:
            steps *= own[outer] * own[inner]
    return accelerator.pace * steps * share


@functools.lru_cache(maxsize=65536)
def _least_share(nonzero: Nonzero, units: Units, rounds: int, weights: int, inputs: int) -> float:
    return least_paced(nonzero, units, rounds=rounds, weights=weights, inputs=inputs)


def _own(nest: Nest, apart: Table[str, int], within: Table[str, int]) -> dict[str, int]:
    """Indices of every dimension that a position has at least."""
    return {d: -(-n // (apart[d] * within[d])) for d, n in nest.dims.items()}


def _nonzero(accelerator: Accelerator) -> Nonzero:
    density = {"weights": 1.0, "inputs": 1.0, **dict(accelerator.density)}
    return Nonzero(weights=density["weights"], inputs=density["inputs"], looks="inputs" in accelerator.skipping)


def _units(nest: Nest, apart: Table[str, int], within: Table[str, int]) -> Units:
    """Those that have as much to do as the first; of what doesn't divide, the last has less."""
    own = _own(nest, apart, within)
    full = {d: max(1, min(apart[d], n // (own[d] * within[d]))) for d, n in nest.dims.items()}
    both, weights, inputs = (math.prod(full[d] for d in dims) for dims in (_BOTH, _WEIGHTS, _INPUTS))
    return Units(both=both, weights=weights, inputs=inputs, lanes=within["K"])


# From a mapping to a block --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cut:
    """A node that cuts a dimension into ``trips`` chunks of ``tile``; ``extent`` is the range that reaches it, ``held`` whether
    weights and sums of all its chunks lie in the unit at once."""

    dim: str
    tile: int
    trips: int
    extent: int
    in_time: bool
    held: bool


def _cuts(mapping: Mapping, nest: Nest, memories: frozenset[str]) -> list[_Cut]:
    extent, cuts = dict(nest.dims), []
    last = max((i for i, node in enumerate(mapping.nodes) if _holds(node, memories)), default=-1)
    for i, node in enumerate(mapping.nodes):
        if isinstance(node, Keep):
            continue
        trips = -(-extent[node.dim] // node.tile)
        cuts.append(_Cut(node.dim, node.tile, trips, extent[node.dim], isinstance(node, Loop), i > last))
        extent[node.dim] = node.tile
    return cuts


def _holds(node: Node, memories: frozenset[str]) -> bool:
    return isinstance(node, Keep) and node.level in memories and node.tensor != "inputs"


class _Reached:
    """What the innermost loops of a unit reach: grows loop by loop, from the innermost outwards."""

    def __init__(self, nest: Nest, own: Table[str, int], lanes: int) -> None:
        self._nest, self._own, self._lanes = nest, own, lanes
        self._offsets = {d: np.zeros(1, dtype=np.int64) for d in DIMS}
        self.rounds = 1

    def grown(self, cut: _Cut, trips: int, resting: bool) -> _Reached:
        """With so many trips of a loop; ``resting`` if no input has been changed further inside."""
        more = _Reached(self._nest, self._own, self._lanes)
        offsets = np.add.outer(np.arange(trips) * cut.tile, self._offsets[cut.dim]).reshape(-1)
        more._offsets = {**self._offsets, cut.dim: offsets[offsets < cut.extent]}
        more.rounds = more._extent("K") if resting else self.rounds
        return more

    def _extent(self, dim: str) -> int:
        return min(len(self._offsets[dim]), self._own[dim])

    @property
    def weights(self) -> int:
        """Different ones, those of all lanes."""
        return self._lanes * math.prod(self._extent(d) for d in RELEVANT["weights"])

    @property
    def inputs(self) -> int:
        """Different ones, padding among them."""
        count = math.prod(self._extent(d) for d in "NGC")
        for axis, (outer, inner) in _AXES.items():
            _, _, stride, dilation, _, _ = self._nest.window(axis)
            reached = np.add.outer(self._offsets[outer] * stride, self._offsets[inner] * dilation)
            count *= min(len(np.unique(reached)), self._own[outer] * self._own[inner])
        return count

    @property
    def block(self) -> Block:
        visits = math.prod(self._extent(d) for d in DIMS) / self.rounds
        columns = self.weights / (self.rounds * self._lanes)
        return Block(rounds=self.rounds, columns=columns, inputs=self.inputs, visits=visits)


def _block(
    cuts: list[_Cut], nest: Nest, own: Table[str, int], lanes: int, ahead: Table[str, int]
) -> tuple[Block, list[int]]:
    """What lies between two waits, and the trips of every cut in it: all of the inner loops, some of one, 1 of the outer."""
    reached, resting = _Reached(nest, own, lanes), True
    inside = [1] * len(cuts)

    def fits(one: _Reached) -> bool:
        return one.weights <= ahead.get("weights", math.inf) and one.inputs <= ahead.get("inputs", math.inf)

    for i in reversed(range(len(cuts))):
        cut = cuts[i]
        if not cut.in_time or cut.trips == 1:
            continue
        resting = resting and cut.held and cut.dim not in RELEVANT["inputs"]
        least, most = 1, cut.trips  # of the trips that fit; a single one does in any case
        while least < most:
            middle = -(-(least + most) // 2)
            if fits(reached.grown(cut, middle, resting)):
                least = middle
            else:
                most = middle - 1
        reached, inside[i] = reached.grown(cut, least, resting), least
        if least < cut.trips:
            break
    return reached.block, inside


# Padding --------------------------------------------------------------------------------------------------------------


def _not_on_padding(nest: Nest, cuts: list[_Cut], inside: list[int]) -> float:
    """Share of the steps in which the position that has least padding in a block does not stand on it."""
    if not any(nest.pad):
        return 1.0
    share = 1.0
    for axis, dims in _AXES.items():
        table = _inside(nest.window(axis))
        (outer, outer_steps), (inner, inner_steps) = (
            _indices([(cut, n) for cut, n in zip(cuts, inside, strict=True) if cut.dim == dim], getattr(nest, dim))
            for dim in dims
        )
        # Index −1, of chunks that are clipped away, stands for a row and a column of zeros.
        taps = np.vstack([table.T, np.zeros(len(table))])[inner].sum(axis=2)  # [visit, position, output]
        counts = np.concatenate([taps, np.zeros((*taps.shape[:2], 1))], axis=2)[:, :, outer].sum(axis=4)
        share *= counts.max(axis=(1, 3)).sum() / (outer_steps * inner_steps)
    return float(share)


def _indices(cuts: list[tuple[_Cut, int]], size: int) -> tuple[np.ndarray, int]:
    """``[visit of a block, array position, step of it] → index``, and how many of them position 0 has in all."""
    starts, lengths = np.zeros((1, 1, 1), dtype=np.int64), np.full((1, 1, 1), size, dtype=np.int64)
    for cut, inside in cuts:
        pieces = [(2, cut.tile, inside)] if inside > 1 or not cut.in_time else []
        pieces = [(1, cut.tile, cut.trips)] if not cut.in_time else [(0, cut.tile * inside, -(-cut.trips // inside)), *pieces]
        for axis, tile, trips in pieces:
            first = np.expand_dims(np.arange(trips) * tile, tuple(i for i in range(4) if i != axis + 1))
            starts = np.expand_dims(starts, axis + 1) + first
            lengths = np.clip(np.expand_dims(lengths, axis + 1) - first, 0, tile)
            shape = [n for i, n in enumerate(starts.shape) if i not in (axis, axis + 1)]
            shape.insert(axis, starts.shape[axis] * starts.shape[axis + 1])
            starts, lengths = starts.reshape(shape), np.broadcast_to(lengths, starts.shape).reshape(shape)
    return np.where(lengths > 0, starts, -1), int((lengths[:, 0] > 0).sum())


@functools.lru_cache(maxsize=256)
def _inside(window: tuple[int, int, int, int, int, int]) -> np.ndarray:
    """``[output, tap]``: 1 where the input lies inside the map."""
    outputs, taps, stride, dilation, pad, size = window
    at = np.add.outer(np.arange(outputs) * stride, np.arange(taps) * dilation) - pad
    return ((at >= 0) & (at < size)).astype(np.float64)


@functools.lru_cache(maxsize=65536)
def _least_inside(window: tuple[int, int, int, int, int, int], outputs_over: int, taps_over: int) -> float:
    """Steps that some position has inside the map along an axis, however the outputs and the taps are dealt out.

    Some position has an equal part of all. And of the positions that have a given tap one has as many outputs as their
    number makes it have, at worst those that the tap takes furthest out; likewise with outputs and taps exchanged.
    """
    table = _inside(window)
    answer = float(table.sum()) / (outputs_over * taps_over)
    for side, over, others in ((table, outputs_over, taps_over), (table.T, taps_over, outputs_over)):
        some = -(-len(side) // over)
        if others == 1:
            answer = max(answer, float(np.sort(side.sum(axis=1))[:some].sum()))
        answer = max(answer, float(np.sort(side, axis=0)[:some].sum(axis=0).max()))
    return answer
