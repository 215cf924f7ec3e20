"""What energy and latency trade for each other over a whole network: one mapping of the front of every layer, summed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from picojoule.cost.zeros import priced
from picojoule.estimation.layer_costs import LayerCosts
from picojoule.hardware.accelerator import Accelerator
from picojoule.search.front import Corner, Front, lowest, search_front
from picojoule.search.many import Key
from picojoule.search.policy import Exact, Progress
from picojoule.search.refusals import named
from picojoule.workload.network import Network

MOST = 2000
"""Points of a front that are kept on the way; what lies between is left out, and the bound lowered to match."""


def search_fronts(
    wanted: Mapping[Key, str], machine: Accelerator, policy: Exact, progress: Callable[[Progress], None] | None
) -> dict[Key, Front]:
    """The front of every different layer."""
    fronts = {}
    for index, (key, name) in enumerate(wanted.items()):
        if progress is not None:
            progress(Progress(layer=f"{name} (front)", index=index, layers=len(wanted)))
        nest, bits, zeros = key
        with named(name):
            fronts[key] = search_front(nest, priced(machine, nest, bits, zeros), bits, policy)
    return fronts


def network_front(
    network: Network, fronts: list[Front | None], costs: list[LayerCosts]
) -> list[dict[str, float]]:
    """The front of a network that runs layer after layer, from the fastest to the one of least energy.

    Each entry has ``latency_cycles``, ``energy_pj`` and ``bound_pj``: no choice of mappings that is as fast needs less.
    Layers without nest take no time; layers whose mapping was given have only that.
    """
    points: list[Corner] = [(0.0, 0.0)]
    corners: list[Corner] = [(0.0, 0.0)]
    for layer, front, cost in zip(network.layers, fronts, costs, strict=True):
        energy = sum(access.energy_pj for access in cost.by)
        own = below = [(cost.cycles or 0.0, energy)]
        if front is not None:
            runs = layer.repeats
            own = [(point.cycles * runs, point.energy * runs) for point in front.points]
            below = [(cycles * runs, energy * runs) for cycles, energy in front.corners]
        points = _thinned(lowest(_sums(points, own)))
        corners = _lowered(lowest(_sums(corners, below)))
    return [{"latency_cycles": c, "energy_pj": e, "bound_pj": min(_least(corners, c), e)} for c, e in points]


def layer_front(front: Front, runs: int) -> list[dict[str, float]]:
    """The front of one layer, with entries like those of the network's; figures are for its runs together."""
    corners = [(cycles * runs, energy * runs) for cycles, energy in front.corners]
    points = [(point.cycles * runs, point.energy * runs) for point in front.points]
    return [{"latency_cycles": c, "energy_pj": e, "bound_pj": min(_least(corners, c), e)} for c, e in points]


def _sums(one: list[Corner], other: list[Corner]) -> list[Corner]:
    return [(a + c, b + d) for a, b in one for c, d in other]


def _thinned(front: list[Corner]) -> list[Corner]:
    if len(front) <= MOST:
        return front
    return [front[round(i * (len(front) - 1) / (MOST - 1))] for i in range(MOST)]


def _lowered(front: list[Corner]) -> list[Corner]:
    """At most ``MOST`` corners of which one is below each of these."""
    if len(front) <= MOST:
        return front
    size = -(-len(front) // MOST)
    runs = [front[i : i + size] for i in range(0, len(front), size)]
    return [(run[0][0], run[-1][1]) for run in runs]


def _least(corners: list[Corner], cycles: float) -> float:
    """Least energy of what may be as fast."""
    return min((energy for at, energy in corners if at <= cycles * (1 + 1e-12)), default=corners[0][1])
