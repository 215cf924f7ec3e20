"""``explain``: what binds each layer of a result, and what of it is the layer's own, the machine's, or the mapping's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from picojoule.analysis.eyexam.exchange import Exchange, exchanges
from picojoule.analysis.eyexam.rooflines import EnergyRoofline, Roofline, energy_roofline, roofline
from picojoule.analysis.eyexam.stalls import Saturation, saturation
from picojoule.analysis.eyexam.steps import Step, steps
from picojoule.analysis.eyexam.subject import Subject, machine_of, subject
from picojoule.cost.energy import compute_cycles
from picojoule.cost.traffic import count_traffic
from picojoule.errors import UsageError, nearest
from picojoule.result import Estimate, LayerEstimate
from picojoule.result_file import read_result
from picojoule.search.policy import Exact, Progress
from picojoule.workload.nest import TENSORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Communication:
    """How much a layer computes for what it moves, whatever the machine: each element of each tensor once.

    Attributes:
        communication_per_compute: elements of inputs, outputs and weights per operation, two operations a MAC: higher is worse.
        compute_per_communication: operations per element, the inverse: higher is better. "CTC" is used for either.
    """

    communication_per_compute: float
    compute_per_communication: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """MACs for which an element of a tensor serves.

    Attributes:
        tensor: whose.
        most: MACs over its elements.
        at_home: MACs per access at its home, by the chosen mapping.
        home: that level.
    """

    tensor: str
    most: float
    at_home: float | None
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerExplanation:
    """What binds one layer. Rates are of one run, and the same for all.

    Attributes:
        name, macs, energy_pj, latency_cycles, same_as: as in the result.
        steps: of Eyexam; the eighth is the chosen mapping.
        front: what energy and latency trade for each other in this layer, None where the result has no front.
    """

    name: str
    macs: int
    energy_pj: float
    latency_cycles: float
    same_as: str | None
    steps: tuple[Step, ...]
    roofline: Roofline
    energy_roofline: EnergyRoofline
    communication: Communication
    saturation: Saturation
    reuse: tuple[Reuse, ...]
    front: tuple[Exchange, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What binds the layers of a result.

    Attributes:
        model, hardware, unit, objective: of the result; ``unit`` of its energies.
        layers: those with loops.
        not_examined: names of the others.
        front: what energy and latency trade for each other in the network (``estimate(front=True)``); None where the result has
            no front, or one layer was asked for.
    """

    model: str
    hardware: str
    unit: str
    objective: str
    layers: tuple[LayerExplanation, ...]
    not_examined: tuple[str, ...]
    front: tuple[Exchange, ...] | None


def explain(
    result: Estimate | str | Path,
    layer: str | None = None,
    *,
    search: Exact | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Explanation:
    """What binds each layer: Eyexam's seven steps, rooflines, communication per compute, saturation and reuse.

    Args:
        result: an ``Estimate`` or its file.
        layer: the name of one layer; None explains all.
        search: limits of each of the (at most three) searches that steps 5 to 7 need in a layer; by default 3 s. Where one stops
            early, its bound stands in, and the step is not ``exact``.
        progress: called before every layer.

    Raises:
        UsageError: no layer has that name, or the one that has it has no loops.
        ResultFileError, SystemFailure: the file can't be read, or holds no result.

    Example:
        >>> import picojoule
        >>> explanation = picojoule.explain(picojoule.estimate("merkel:L1", hardware="eyeriss-normalized"))
        >>> [step.name for step in explanation.layers[0].steps][:3]
        ['layer shape', 'dataflow', 'number of PEs']
    """
    estimate = result if isinstance(result, Estimate) else read_result(result)
    return _explained(estimate, layer, search or Exact(), progress)


def outline(estimate: Estimate) -> Explanation:
    """``explain`` without a search: where one of steps 5 to 7 needs it, its bound stands in, and the step is not ``exact``.

    Takes a second or so for ResNet-50, where ``explain`` may take minutes.

    Raises:
        ResultFileError: a layer can't have been run as the result says.
    """
    return _explained(estimate, None, None, None)


def _explained(
    estimate: Estimate, layer: str | None, policy: Exact | None, progress: Callable[[Progress], None] | None
) -> Explanation:
    names = [row.name for row in estimate.layers]
    if layer is not None and layer not in names:
        raise UsageError(f"no layer {layer!r} in {estimate.model}", where="layer", hint=nearest(layer, names))
    machine = machine_of(estimate)
    wanted = [i for i, row in enumerate(estimate.layers) if layer in (None, row.name)]
    known: dict[tuple[object, ...], LayerExplanation] = {}
    explained, others = [], []
    for index, i in enumerate(wanted):
        row = estimate.layers[i]
        if progress is not None:
            progress(Progress(layer=row.name, index=index, layers=len(wanted)))
        one = subject(estimate, i, machine)
        if one is None:
            others.append(row.name)
            continue
        key = (one.nest, one.bits, one.machine, one.mapping)
        if key not in known:
            known[key] = _layer(one, policy)
        same = known[key]
        explained.append(_as_row(same, one))
    if layer is not None and not explained:
        raise UsageError(f"{layer} has no loops to explain", where="layer", hint="It only moves data.")
    return Explanation(
        model=estimate.model,
        hardware=str(estimate.hardware["name"]),
        unit=str(estimate.table["unit"]),
        objective=estimate.objective,
        layers=tuple(explained),
        not_examined=tuple(others),
        front=None if layer is not None else exchanges(estimate.front, sum(map(_busy_cycles, estimate.layers))),
    )


def _layer(one: Subject, policy: Exact | None) -> LayerExplanation:
    nest, machine = one.nest, one.machine
    examined = steps(one, policy)
    roof = roofline(one, examined)
    computing = compute_cycles(nest, machine, one.mapping, count_traffic(nest, machine, one.mapping, one.bits))
    elements = sum(nest.elements(tensor) for tensor in TENSORS)
    return LayerExplanation(
        name=one.row.name,
        macs=one.row.macs,
        energy_pj=one.row.energy_pj,
        latency_cycles=one.cycles * one.row.runs,
        same_as=one.row.same_as,
        steps=examined,
        roofline=roof,
        energy_roofline=energy_roofline(one),
        communication=Communication(
            communication_per_compute=elements / (2 * nest.macs), compute_per_communication=2 * nest.macs / elements
        ),
        saturation=saturation(examined, roof, max(0.0, 1 - computing / one.cycles)),
        reuse=tuple(
            Reuse(
                tensor=tensor,
                most=nest.macs / nest.elements(tensor),
                at_home=(one.row.reuse or {}).get(tensor),
                home=machine.home(tensor).name,
            )
            for tensor in TENSORS
        ),
        front=exchanges(one.row.front, _busy_cycles(one.row)),
    )


def _busy_cycles(row: LayerEstimate) -> float:
    """What the layer would take at the peak of the array."""
    return (row.utilization or 0.0) * (row.latency_cycles or 0.0)


def _as_row(same: LayerExplanation, one: Subject) -> LayerExplanation:
    """What was found for an equal layer, under this one's name and with its figures."""
    row = one.row
    return replace(
        same,
        name=row.name,
        macs=row.macs,
        energy_pj=row.energy_pj,
        latency_cycles=one.cycles * row.runs,
        same_as=row.same_as,
        energy_roofline=energy_roofline(one),
        front=exchanges(row.front, _busy_cycles(row)),
    )
