"""Results of one network side by side, and whether a ranking of machines survives another energy table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picojoule.analysis.compared_layers import ComparedLayer, compared_layers, layer_differences
from picojoule.analysis.identity import machine_labels, table_labels
from picojoule.analysis.regressions import Regression, parse_tolerance, regressions
from picojoule.analysis.subjects import read_subject
from picojoule.errors import UsageError
from picojoule.result import Estimate

_TIE = 1e-9
"""Energies whose ratio is nearer to 1 than this are the same: sums in another order differ by as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One result, and how it stands to the first of the comparison.

    A ratio is None where the two can't be compared: energies in different units; times where one machine has a clock
    and the other has none.

    Attributes:
        name: of the file, else of network, machine and table.
        hardware, table, unit: names of the machine and its energy table, and the unit of the energies. Of two machines
            or tables of one name the second is ``name (2)``.
        energy_pj: in ``unit``, for the batch; ``by_level`` is its sum over layers and tensors at each place.
        latency_cycles, latency_s: None where not modelled.
        edp: energy × seconds, or × cycles where there are no seconds.
        energy_ratio, latency_ratio, edp_ratio: of this result to the first.
        estimated: nobody published energies of this machine.
    """

    name: str
    hardware: str
    table: str
    unit: str
    energy_pj: float
    by_level: dict[str, float]
    latency_cycles: float | None
    latency_s: float | None
    edp: float | None
    energy_ratio: float | None
    latency_ratio: float | None
    edp_ratio: float | None
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The machines by energy under one table, the best first.

    Attributes:
        ranks: of ``machines``, from 1 on; machines of the same energy have the same rank (1, 1, 3).
    """

    table: str
    unit: str
    machines: tuple[str, ...]
    energies_pj: tuple[float, ...]
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Results of one network side by side.

    Attributes:
        model, batch: that all results are of.
        results: in the order given; ratios are to the first.
        rankings: of the machines that have a result under every table; empty where there are no two of them or no two
            tables.
        survives: whether no two machines change places from one table to another; None where there are no rankings.
        flips: ``(better, worse, table, other table)``: what is better under the one is worse under the other.
        differences: what else differs between the results and may explain their figures; versions of a network differ in layers.
        altered: names of the files that are not what was written: their content hash is another.
        layers: of all results, side by side.
        regressions: what became of each figure that was limited.
    """

    model: str
    batch: int
    results: tuple[Compared, ...]
    rankings: tuple[Ranking, ...]
    survives: bool | None
    flips: tuple[tuple[str, str, str, str], ...]
    differences: tuple[str, ...]
    altered: tuple[str, ...] = ()
    layers: tuple[ComparedLayer, ...] = ()
    regressions: tuple[Regression, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a figure grew by more than it may."""
        return any(one.failed for one in self.regressions)


def compare(results: Sequence[Estimate | str | Path], *, fail_on: str | Sequence[str] = ()) -> Comparison:
    """Results of one network side by side, and whether a ranking of machines survives a change of energy table.

    Args:
        results: two or more, as objects or files: of different machines, tables, widths or objectives, or of versions of
            the network (of one name, with some layers in common). Given those of two machines under each of two tables,
            the machines are ranked under either.
        fail_on: how much a figure may grow from the first result to any other: ``"energy:+2%"``; also latency, edp, dram,
            weights, activations. ``failed`` says whether one grew by more, or can't be compared.

    Raises:
        UsageError: fewer than two, of different networks or batches, or a limit that can't be read.
        ResultFileError, SystemFailure: a file that can't be read.

    Example:
        >>> import picojoule
        >>> under = [
        ...     picojoule.estimate("merkel:L1", hardware="eyeriss-like-45nm", table=table)
        ...     for table in ("accelergy-45nm", "horowitz-45nm")
        ... ]
        >>> [round(result.energy_ratio, 1) for result in picojoule.compare(under).results]
        [1.0, 2.4]
    """
    tolerances = [parse_tolerance(one) for one in ([fail_on] if isinstance(fail_on, str) else fail_on)]
    if isinstance(results, Estimate | str | Path) or len(results) < 2:
        got = 1 if isinstance(results, Estimate | str | Path) else len(results)
        raise UsageError(f"a comparison takes at least two results, got {got}", hint="Name another result.")
    estimates, altered = _read(results)
    names = [
        f"{e.model} on {e.hardware['name']} ({e.table['name']})" if isinstance(given, Estimate) else str(given)
        for given, e in zip(results, estimates, strict=True)
    ]
    first = estimates[0]
    for name, estimate in zip(names[1:], estimates[1:], strict=True):
        _check_same_network(first, estimate, names[0], name)
    machines, tables = machine_labels(estimates), table_labels(estimates)
    layers = compared_layers(estimates)
    changed = layer_differences(layers)
    # Of versions of a network no machine is better for having run the smaller one.
    rankings = () if changed else _rankings(estimates, machines, tables)
    flips = tuple(_flips(rankings))
    return Comparison(
        model=first.model,
        batch=first.batch,
        results=tuple(
            _compared(name, machine, table, estimate, first)
            for name, machine, table, estimate in zip(names, machines, tables, estimates, strict=True)
        ),
        rankings=rankings,
        survives=not flips if rankings else None,
        flips=flips,
        differences=(*_namesakes(estimates, machines, tables), *_differences(estimates), *changed),
        altered=altered,
        layers=layers,
        regressions=regressions(estimates, tolerances),
    )


def _read(results: Sequence[Estimate | str | Path]) -> tuple[list[Estimate], tuple[str, ...]]:
    """The results, and the files among them that somebody changed."""
    estimates, altered = [], []
    for result in results:
        estimate, changed = read_subject(result)
        estimates.append(estimate)
        if changed:
            altered.append(str(result))
    return estimates, tuple(altered)


def _check_same_network(first: Estimate, other: Estimate, first_name: str, name: str) -> None:
    def refuse(what: str, mine: object, theirs: object) -> UsageError:
        message = f"{what} {theirs} cannot be compared with {mine} of {first_name}"
        return UsageError(message, where=name, hint="Compare results of one network and one batch.")

    if other.model != first.model:
        raise refuse("the network", first.model, other.model)
    if other.batch != first.batch:
        raise refuse("a batch of", first.batch, other.batch)
    if not {layer.name for layer in first.layers} & {layer.name for layer in other.layers}:
        raise refuse("a network without a layer in common:", first.layers[0].name, other.layers[0].name)


def _compared(name: str, machine: str, table: str, estimate: Estimate, first: Estimate) -> Compared:
    same_unit = estimate.table["unit"] == first.table["unit"]
    timed = (estimate.latency_s is None) == (first.latency_s is None)
    return Compared(
        name=name,
        hardware=machine,
        table=table,
        unit=str(estimate.table["unit"]),
        energy_pj=estimate.energy_pj,
        by_level=estimate.by_level(),
        latency_cycles=estimate.latency_cycles,
        latency_s=estimate.latency_s,
        edp=_edp(estimate),
        energy_ratio=_ratio(estimate.energy_pj, first.energy_pj) if same_unit else None,
        latency_ratio=_ratio(_time(estimate), _time(first)) if timed else None,
        edp_ratio=_ratio(_edp(estimate), _edp(first)) if same_unit and timed else None,
        estimated=bool(estimate.table.get("estimated")),
    )


def _time(estimate: Estimate) -> float | None:
    return estimate.latency_cycles if estimate.latency_s is None else estimate.latency_s


def _edp(estimate: Estimate) -> float | None:
    time = _time(estimate)
    return None if time is None else estimate.energy_pj * time


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def _rankings(
    estimates: Sequence[Estimate], machines: Sequence[str], tables: Sequence[str]
) -> tuple[Ranking, ...]:
    """The machines under each table; none where one stands twice under a table: then not the table alone differs."""
    energies: dict[str, dict[str, float]] = {}
    units: dict[str, str] = {}
    for estimate, machine, table in zip(estimates, machines, tables, strict=True):
        units[table] = str(estimate.table["unit"])
        under = energies.setdefault(table, {})
        if machine in under:
            return ()
        under[machine] = estimate.energy_pj
    common = set.intersection(*(set(under) for under in energies.values()))
    if len(energies) < 2 or len(common) < 2:
        return ()
    rankings = []
    for table, under in energies.items():
        order = sorted(common, key=lambda machine: (under[machine], machine))
        figures = tuple(under[machine] for machine in order)
        ranking = Ranking(
            table=table, unit=units[table], machines=tuple(order), energies_pj=figures, ranks=_ranks(figures)
        )
        rankings.append(ranking)
    return tuple(rankings)


def _ranks(figures: Sequence[float]) -> tuple[int, ...]:
    """Of figures that rise: the same rank for all that equal the first of their rank."""
    ranks: list[int] = []
    for i, figure in enumerate(figures):
        tied = i > 0 and math.isclose(figure, figures[ranks[-1] - 1], rel_tol=_TIE)
        ranks.append(ranks[-1] if tied else i + 1)
    return tuple(ranks)


def _flips(rankings: Sequence[Ranking]) -> list[tuple[str, str, str, str]]:
    """Pairs of machines of which one is strictly better under one table, and the other under another."""
    flips = []
    for one, other in itertools.combinations(rankings, 2):
        mine = dict(zip(one.machines, one.ranks, strict=True))
        theirs = dict(zip(other.machines, other.ranks, strict=True))
        for better, worse in itertools.combinations(one.machines, 2):
            if mine[better] < mine[worse] and theirs[better] > theirs[worse]:
                flips.append((better, worse, one.table, other.table))
    return flips


def _namesakes(estimates: Sequence[Estimate], machines: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Different machines or tables of one name."""
    said = []
    for what, labels, given in (
        ("machine", machines, [e.hardware["name"] for e in estimates]),
        ("table", tables, [e.table["name"] for e in estimates]),
    ):
        for name in dict.fromkeys(given):
            alike = dict.fromkeys(label for label, one in zip(labels, given, strict=True) if one == name)
            if len(alike) > 1:
                said.append(f"{what}: {len(alike)} are called {name} and are not the same: {' / '.join(alike)}")
    return said


def _differences(estimates: Sequence[Estimate]) -> list[str]:
    asked = {
        "bits": [", ".join(f"{tensor} {width}" for tensor, width in e.bits.items()) for e in estimates],
        "objective": [e.objective for e in estimates],
        "counting": [e.counting for e in estimates],
        "map space": [e.space for e in estimates],
        "status": [e.status for e in estimates],
        "zeros": [e.sparsity or "none known" for e in estimates],
    }
    return [f"{what}: {' / '.join(dict.fromkeys(got))}" for what, got in asked.items() if len(set(got)) > 1]
