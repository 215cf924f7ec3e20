"""Certificates made from the search's own functions, part by part, and how to change them behind their back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from picojoule.certificate import Certificate, Choice, Cover, Part, nest_data, sealed, spread_text
from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.result import Estimate, LayerEstimate, content_hash
from picojoule.search.assignment import spatial_assignments
from picojoule.search.costed import TIE, evaluate, objective_value
from picojoule.search.layer import _level_choices, _Search
from picojoule.search.policy import Exact
from picojoule.search.problem import Problem
from picojoule.verification.layers import bits_of, nest_of
from picojoule.verification.space import Paths
from picojoule.workload.nest import DIMS, Bits, Nest


def problem_of(
    nest: Nest, machine: Accelerator, bits: Bits, paths: Paths, *, exact: bool, groups: bool = False
) -> tuple[Problem, np.ndarray, list[tuple[tuple[int, ...], ...]]]:
    """The search's problem of a choice of levels, its assignments by axis, and by fan-out."""
    by_axis = spatial_assignments(nest, machine, frozenset() if groups else frozenset("G"), not exact)
    factors = np.ones((len(by_axis), len(machine.fanouts), len(DIMS)), dtype=np.int64)
    axis = 0
    for f, fanout in enumerate(machine.fanouts):
        factors[:, f] = by_axis[:, axis : axis + len(fanout.axes)].prod(axis=1)
        axis += len(fanout.axes)
    problem = Problem(nest, machine, bits, paths, Level.energy_per_bit, factors, imperfect=not exact)
    return problem, by_axis, [tuple(tuple(row) for row in way) for way in factors.tolist()]


def certificate_of(estimate: Estimate, machine: Accelerator, *, exact: bool = True) -> Certificate:
    """What the search knows of every part: its simple bound where that reaches the value, else its least."""
    rows = [row for row in estimate.layers if row.dims is not None and row.same_as is None]
    return sealed(
        model=estimate.model,
        hardware=machine.name,
        objective=estimate.objective,
        factors="exact" if exact else "any",
        layers=[_cover(row, machine, estimate.objective, exact) for row in rows],
    )


def _cover(row: LayerEstimate, machine: Accelerator, objective: str, exact: bool) -> Cover:
    nest, bits = nest_of(row), bits_of(row.bits)
    search = _Search(nest, machine, bits, objective, Exact(), None)
    fanouts = [fanout.name for fanout in machine.fanouts]
    choices = []
    for paths in _level_choices(machine):
        problem, by_axis, ways = problem_of(nest, machine, bits, paths, exact=exact, groups=objective != "energy")
        energies = problem.bounds() + search.compute
        parts: list[Part] = []
        for a, way in enumerate(ways):
            steps = float(
                math.prod(-(-n // s) for n, s in zip(nest.dims.values(), by_axis[a].prod(axis=0), strict=True))
            )
            simple = objective_value(objective, float(energies[a]), max(steps, search.floor.cycles))
            bound = simple if simple >= row.value * (1 - TIE) else _solved(search, problem, a, by_axis[a], steps)
            parts.append((spread_text(fanouts, way), min(bound, 1e300)))
        levels = {tensor: tuple(level.name for level in path) for tensor, path in paths.items()}
        choices.append(Choice(levels=levels, parts=tuple(parts)))
    return Cover(
        name=row.name,
        nest=nest_data(nest),
        bits=row.bits,
        value=row.value,
        bound=row.bound,
        floor=row.floor,
        choices=tuple(choices),
    )


def _solved(search: _Search, problem: Problem, a: int, way: np.ndarray, steps: float) -> float:
    energy, mapping = search._solve(problem, a, way, math.inf)
    cycles = max(steps, search.floor.cycles)
    if search.objective != "energy" and mapping is not None:
        costed = evaluate(search.nest, search.accelerator, search.bits, mapping)
        if costed.cycles > cycles * (1 + TIE):
            cycles = max(cycles, search._port_bound(problem, way, costed))
    return objective_value(search.objective, energy + search.compute, cycles)


def in_any_factors(estimate: Estimate, certificate: Certificate) -> tuple[Estimate, Certificate]:
    """A result whose space has any factors: its values stay, its bounds become those of the certificate."""
    covers, bounds = [], {}
    for cover in certificate.layers:
        lowest = min(bound for choice in cover.choices for _, bound in choice.parts)
        bounds[cover.name] = min(cover.value, max(cover.floor, lowest))
        covers.append(replace(cover, bound=bounds[cover.name]))
    rows = []
    for row in estimate.layers:
        bound = bounds.get(row.same_as or row.name, row.bound)
        status = "GAP_OPEN" if bound < row.value else row.status
        gap = (row.value - bound) / row.value
        # How fast the optimum of exact factors can be says nothing of the wider space.
        rows.append(replace(row, bound=bound, bound_pj=bound, gap=gap, status=status, latency_bound_cycles=None))
    bound = math.fsum(row.bound for row in rows)
    result = replace(
        estimate,
        layers=tuple(rows),
        bound=bound,
        bound_pj=bound,
        gap=(estimate.value - bound) / estimate.value,
        status="GAP_OPEN" if any(row.status == "GAP_OPEN" for row in rows) else "PROVED",
        space=estimate.space.replace("exact factors", "any factors"),
    )
    digest = content_hash(result.to_data())
    return replace(result, provenance={**result.provenance, "content_hash": digest}), resealed(
        certificate, layers=covers
    )


def resealed(certificate: Certificate, **changes: object) -> Certificate:
    """A changed certificate with a hash that fits what it holds now."""
    changed = replace(certificate, **changes)  # type: ignore[arg-type]
    return sealed(
        model=changed.model,
        hardware=changed.hardware,
        objective=changed.objective,
        factors=changed.factors,
        layers=changed.layers,
    )


def with_parts(certificate: Certificate, layer: int, change: Callable[[list[Part]], object]) -> Certificate:
    """The certificate with the parts of one layer's first choice changed in place, and the hash made anew."""
    cover = certificate.layers[layer]
    parts = list(cover.choices[0].parts)
    change(parts)
    choices = (replace(cover.choices[0], parts=tuple(parts)), *cover.choices[1:])
    layers = list(certificate.layers)
    layers[layer] = replace(cover, choices=choices)
    return resealed(certificate, layers=layers)
