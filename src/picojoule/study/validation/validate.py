"""The whole experiment: every sweep on a machine, its laws, and the authors' measurements beside them."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from picojoule.errors import UsageError
from picojoule.hardware import Accelerator, load_hardware
from picojoule.jobs import Journal
from picojoule.search.policy import Exact, Progress
from picojoule.study.validation.envelope import RandomLayers, WINDOW, compare_random, draw
from picojoule.study.validation.fits import Fit, check_statistics, fit
from picojoule.study.validation.points import Point, Where, search_points
from picojoule.study.validation.reference import (
    Measured,
    check_macs,
    check_reference,
    measured_machine,
    measured_random,
    measured_sweep,
)
from picojoule.study.validation.sweeps import SWEEPS, Sweep
from picojoule.study.validation.words import in_words

FEWEST_RANDOM = 4 * WINDOW
"""Layers of which an envelope can be fitted at all: four points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Energy along one sweep.

    Attributes:
        values: of the parameter, ascending.
        energy, data: of every layer in all, and without the MACs.
        fit: of data.
        data_share: data ÷ energy, least and largest.
    """

    values: tuple[int, ...]
    energy: tuple[float, ...]
    data: tuple[float, ...]
    fit: Fit
    data_share: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Our optimum against the authors' measurement at every point that they have, on the machine as Timeloop sees it.

    Attributes:
        points: how many.
        won: points at which our energy is at most theirs.
        ratios: theirs ÷ ours: least, median and largest.
        lost: ``(parameter, value, ratio)`` of the others.
        mac_deviation: largest relative difference of the MACs' energy.
        recounted_won, recounted_ratios: the same of a mapping in Timeloop's own form and by its own counting
            (``recount``), or None where nobody asked.
    """

    points: int
    won: int
    ratios: tuple[float, float, float]
    lost: tuple[tuple[str, int, float], ...]
    mac_deviation: float
    recounted_won: int | None
    recounted_ratios: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What ``validate_complexity`` returns. Energies are in the unit of the machine's table.

    Attributes:
        machine: that the layers were searched on.
        search: the policy.
        ours: one curve for each of ``SWEEPS``.
        theirs: the authors' curves, or None without a reference.
        duel: both point by point, or None.
        random: layers in which all parameters differ, or None.
        unproved: points of the sweeps whose search a limit stopped.
    """

    machine: Accelerator
    search: Exact
    ours: tuple[Curve, ...]
    theirs: tuple[Curve, ...] | None
    duel: Duel | None
    random: RandomLayers | None
    unproved: int


def validate_complexity(
    hardware: str | Path | Accelerator,
    *,
    reference: str | Path | None = None,
    random: int | None = 0,
    seed: int = 0,
    recount: bool = False,
    search: Exact | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    journal: Journal | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Validation:
    """How the energy of a convolution grows with its depth, size, receptive fields and stride on a machine.

    Sweeps d from 8 to 512, n from 56 to 448, r from 3 to 11 and s from 1 to 5 around the first layer of AlexNet,
    searches the mapping of least energy at each of the 124 points, and fits the energy of the data on (1, x, x²).

    Args:
        hardware: a machine of the catalogue, a YAML file, or an ``Accelerator``.
        reference: the folder of the authors' measurements, for machines that they measured.
        random: how many of the authors' layers with all parameters drawn to search as well; None for all.
        seed: which of them.
        recount: also put our optimum at every point of the reference into Timeloop's own form, and count it as
            Timeloop does: some seconds a point.
        search: of every layer; by default exact factors and no limits.
        jobs: processes.
        cluster: address of a Dask scheduler, whose workers search in place of processes here.
        journal: keeps every point as it is done; an interrupted run with the same journal goes on from there.
        progress: called as points are done.

    Raises:
        MissingExtraError: statsmodels is not installed, or joblib for several processes.
        UsageError: the authors have no measurements of this machine, or none of random layers; an argument out of
            range.
        InputError: a file of the reference is not theirs.
    """
    check_statistics()
    policy = search or Exact(time_limit_s=None, factors="exact")
    machine = hardware if isinstance(hardware, Accelerator) else load_hardware(hardware)
    folder = None if reference is None else Path(reference)
    _check_random(random, folder)
    _check_recount(recount, folder, policy)
    measured: list[list[Measured]] = []
    every: list[Measured] = []
    if folder is not None:
        theirs = measured_machine(machine)
        check_reference(theirs, folder)
        measured = [measured_sweep(theirs, folder, sweep) for sweep in SWEEPS]
        every = _every_random(random, theirs, folder)
        check_macs([*itertools.chain(*measured), *every], in_words(machine), folder)
    drawn = draw(every, random, seed)
    layers = [sweep.layer(value) for sweep in SWEEPS for value in sweep.values]
    wanted = [(layer, machine) for layer in layers]
    counted = in_words(machine)
    if folder is not None:
        wanted += [(one.layer, counted) for one in (*itertools.chain(*measured), *drawn)]
    again = {(one.layer, counted.bits) for one in itertools.chain(*measured)} if recount else ()
    points = search_points(wanted, policy, recount=again, jobs=jobs, cluster=cluster, journal=journal, progress=progress)
    return Validation(
        machine=machine,
        search=policy,
        ours=tuple(_curve(sweep, [points[sweep.layer(value), machine.bits] for value in sweep.values]) for sweep in SWEEPS),
        theirs=tuple(map(_measured_curve, SWEEPS, measured)) if measured else None,
        duel=_duel(measured, points, counted) if measured else None,
        random=compare_random(drawn, every, [points[one.layer, counted.bits] for one in drawn], seed) if drawn else None,
        unproved=sum(1 for layer in set(layers) if points[layer, machine.bits].status != "PROVED"),
    )


def _check_random(count: int | None, folder: Path | None) -> None:
    if count == 0:
        return
    if folder is None:
        raise UsageError("random layers are the authors'", where="random", hint="Name their folder with --reference.")
    if count is not None and count < FEWEST_RANDOM:
        raise UsageError(f"an envelope needs {FEWEST_RANDOM} layers at least, got {count}", where="random")


def _check_recount(asked: bool, folder: Path | None, policy: Exact) -> None:
    if asked and folder is None:
        raise UsageError("only points of a reference are recounted", where="recount", hint="Name its folder with --reference.")
    if asked and policy.factors != "exact":
        raise UsageError("Timeloop's counting knows exact factors only", where="recount", hint="Use exact factors.")


def _every_random(count: int | None, machine: str, folder: Path) -> list[Measured]:
    if count == 0:
        return []
    every = measured_random(machine, folder)
    if every is None:
        raise UsageError(f"the authors drew no random layers for {machine}", where="random", hint="Leave it out.")
    if len(every) < FEWEST_RANDOM:
        raise UsageError(f"an envelope needs {FEWEST_RANDOM} layers at least, the file has {len(every)}", where="random")
    if count is not None and count > len(every):
        raise UsageError(f"the file has {len(every)} random layers, not {count}", where="random", hint="all takes them all.")
    return every


def _curve(sweep: Sweep, points: list[Point]) -> Curve:
    return _fitted(sweep, sweep.values, [point.energy for point in points], [point.data for point in points])


def _measured_curve(sweep: Sweep, measured: list[Measured]) -> Curve:
    ordered = sorted(measured, key=lambda one: getattr(one.layer, sweep.parameter))
    values = tuple(getattr(one.layer, sweep.parameter) for one in ordered)
    return _fitted(sweep, values, [one.energy_pj for one in ordered], [one.data_pj for one in ordered])


def _fitted(sweep: Sweep, values: tuple[int, ...], energy: list[float], data: list[float]) -> Curve:
    shares = [part / whole for part, whole in zip(data, energy, strict=True)]
    return Curve(
        values=values,
        energy=tuple(energy),
        data=tuple(data),
        fit=fit([sweep.x(value) for value in values], data, sweep.power),
        data_share=(min(shares), max(shares)),
    )


def _duel(measured: list[list[Measured]], points: Mapping[Where, Point], counted: Accelerator) -> Duel:
    rows = [
        (sweep.parameter, getattr(one.layer, sweep.parameter), one, points[one.layer, counted.bits])
        for sweep, found in zip(SWEEPS, measured, strict=True)
        for one in found
    ]
    ratios = [one.energy_pj / point.energy for _, _, one, point in rows]
    recounted = [one.energy_pj / point.recounted for _, _, one, point in rows if point.recounted is not None]
    return Duel(
        points=len(rows),
        won=sum(1 for ratio in ratios if ratio >= 1),
        ratios=_spread(ratios),
        lost=tuple((name, value, ratio) for (name, value, _, _), ratio in zip(rows, ratios, strict=True) if ratio < 1),
        mac_deviation=max(abs(one.mac_pj / point.macs - 1) for _, _, one, point in rows),
        recounted_won=sum(1 for ratio in recounted if ratio >= 1) if recounted else None,
        recounted_ratios=_spread(recounted) if recounted else None,
    )


def _spread(ratios: list[float]) -> tuple[float, float, float]:
    return min(ratios), statistics.median(ratios), max(ratios)
