"""The checks of a certificate: it is this result's, its parts cover the map space, and their bounds hold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from picojoule import certificate as certificates
from picojoule.certificate import Certificate, Choice, Cover, spread_factors, spread_text
from picojoule.hardware.accelerator import Accelerator
from picojoule.result import Estimate, LayerEstimate
from picojoule.verification.handover import Stays, what_stays
from picojoule.verification.layers import Asked, bits_of, nest_of
from picojoule.verification.least import least
from picojoule.verification.outcome import RELATIVE, Check, attempt, differing, figure, refute_differences, same
from picojoule.verification.parts import Parts
from picojoule.verification.plan import Refuted, check_sizes
from picojoule.verification.space import Paths, Way, level_choices, ways
from picojoule.verification.ties import Claim, check_fastest
from picojoule.workload.nest import TENSORS

COVER = "certificate: parts cover the map space"
BOUNDS = "certificate: bounds of the parts"
FASTEST = "certificate: nothing as cheap is faster"
EXACT_SPACE = "exact factors"
"""How a result's ``space`` begins whose factors divide."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How many of the parts that no simple bound settles are solved again (None: all), and which: by this seed."""

    size: int | None
    seed: int


@dataclass(slots=True)
class _Open:
    """A part whose bound doesn't follow from the simple one."""

    name: str
    way: Way
    bound: float
    parts: Parts


@dataclass(slots=True)
class _Settled:
    """How the bounds of one layer stand."""

    total: int = 0
    simple: int = 0
    open: list[_Open] = field(default_factory=list)
    chosen: list[_Open] = field(default_factory=list)


def certificate_checks(
    estimate: Estimate, machine: Accelerator, document: dict[str, Any], certificate: Certificate, sample: Sample
) -> Iterator[Check]:
    """Every check of a certificate.

    Args:
        estimate: the result.
        machine: the one that the result carries.
        document, certificate: the certificate as plain data, whatever keys it has, and as read from it.
        sample: how much of it to derive again.
    """
    yield attempt("certificate: content hash", "", partial(_check_hash, estimate, document, certificate))
    whole = attempt("certificate: belongs to the result", "", partial(_check_belongs, estimate, certificate))
    yield whole
    if not whole.ok:
        return
    rows = {row.name: row for row in estimate.layers if row.has_search}
    settled: dict[str, _Settled] = {}
    stays = what_stays(estimate, machine)
    for cover in certificate.layers:
        row = rows.get(cover.name)
        if row is None:
            continue
        stands = attempt("certificate: layer and its figures", row.name, partial(_check_layer, row, cover, certificate.objective))
        yield stands
        if stands.ok:
            settled[row.name] = _Settled()
            test = partial(_check_cover, row, machine, stays, certificate, cover, settled[row.name])
            yield attempt(COVER, row.name, test)
            if certificate.objective == "energy" and row.status == "PROVED" and row.latency_bound_cycles is not None:
                yield attempt(FASTEST, row.name, partial(_check_fastest, row, machine, stays, certificate, cover, sample))
    _draw(list(settled.values()), sample)
    for name, layer in settled.items():
        yield attempt(BOUNDS, name, partial(_check_bounds, layer, sample))
    yield Check(name=_summary(list(settled.values()), sample), where="", ok=True, message=machine.name)


def _summary(layers: Sequence[_Settled], sample: Sample) -> str:
    """What was derived and what wasn't, short enough for a table."""
    total, simple = sum(x.total for x in layers), sum(x.simple for x in layers)
    chosen = sum(len(x.chosen) for x in layers)
    return f"bound: {total:,} parts, {simple:,} by a simple bound, {_solved(chosen, total - simple, sample)}"


def _solved(chosen: int, others: int, sample: Sample) -> str:
    if chosen == others:
        return f"the other {others:,} solved again"
    return f"{chosen:,} of the other {others:,} solved again (sample, seed {sample.seed})"


def _check_hash(estimate: Estimate, document: dict[str, Any], certificate: Certificate) -> str:
    right = certificates.content_hash(document)
    if certificate.content_hash != right:
        raise Refuted("the certificate was changed after it was written: its content hash is another")
    named = estimate.provenance.get("certificate")
    if named is not None and named != certificate.reference():
        raise Refuted(
            f"the result was written with another certificate: {named}, this one is {certificate.reference()}"
        )
    return right if named is not None else f"{right}; the result doesn't name its certificate"


def _check_belongs(estimate: Estimate, certificate: Certificate) -> str:
    pairs = {
        "model": (certificate.model, estimate.model),
        "hardware": (certificate.hardware, estimate.hardware.get("name")),
        "objective": (certificate.objective, estimate.objective),
        "factors": (certificate.factors, "exact" if estimate.space.startswith(EXACT_SPACE) else "any"),
    }
    wrong = [f"{key} is {stated!r}, the result's is {own!r}" for key, (stated, own) in pairs.items() if stated != own]
    names = [cover.name for cover in certificate.layers]
    rows = [row.name for row in estimate.layers if row.has_search]
    wrong += [f"two rows of the result are called {name!r}" for name, times in Counter(rows).items() if times > 1]
    wrong += [f"two covers of {name!r}" for name, times in Counter(names).items() if times > 1]
    wrong += [f"a cover of {name!r}, which the result has no search for" for name in names if name not in rows]
    wrong += [f"no cover of {name!r}" for name in rows if name not in names]
    refute_differences(iter(wrong))
    return f"{len(rows)} layers, factors {certificate.factors}"


def _check_layer(row: LayerEstimate, cover: Cover, objective: str) -> str:
    """Nest, widths and figures are the row's, and the bound is what the parts make of it."""
    nest = nest_of(row)
    check_sizes(nest)
    bits_of(row.bits)
    if cover.nest != certificates.nest_data(nest):
        raise Refuted(f"the nest is {cover.nest}, the result's is {certificates.nest_data(nest)}")
    if cover.bits != row.bits:
        raise Refuted(f"the widths are {cover.bits}, the result's are {row.bits}")
    # A cover is of one run; the floor of many runs is another, which has the weights fetched once.
    growth = row.runs**2 if objective == "edp" else row.runs
    figures = {"value": cover.value, "bound": cover.bound, "floor": cover.floor}
    if row.runs > 1:
        figures = {"value": cover.value * growth, "bound": max(cover.bound * growth, row.floor)}
    refute_differences(
        f"{key} is {figure(stated)}, the result's is {figure(getattr(row, key))}"
        for key, stated in figures.items()
        if not same(stated, getattr(row, key))
    )
    lowest = min((bound for choice in cover.choices for _, bound in choice.parts), default=None)
    if lowest is None:
        raise Refuted("there are no parts")
    right = min(cover.value, max(cover.floor, lowest))
    refute_differences(differing({"bound": cover.bound}, {"bound": right}))
    return f"bound {cover.bound:,.0f} of {sum(len(choice.parts) for choice in cover.choices):,} parts"


def _check_cover(
    row: LayerEstimate,
    machine: Accelerator,
    stays: Stays,
    certificate: Certificate,
    cover: Cover,
    settled: _Settled,
) -> str:
    """Every part of the space stands there once and no other; tells by the way which bounds are simple."""
    nest, bits = nest_of(row), bits_of(row.bits)
    machine = Asked(machine, certificate.objective, "exact", stays).minding(row, nest, bits)
    objective, exact = certificate.objective, certificate.factors == "exact"
    # For energy it makes no difference whether groups are spread.
    assignments = ways(nest, machine, spread_groups=objective != "energy", exact=exact)
    fanouts = [fanout.name for fanout in machine.fanouts]
    right = {spread_text(fanouts, way) for way in assignments}
    bottom = least(nest, machine, bits)
    own = {_levels(paths): paths for paths in level_choices(machine)}
    wrong: list[str] = []
    met: Counter[str] = Counter()
    for choice in cover.choices:
        name = _stated_levels(choice)
        met[name] += 1
        stated = Counter(text for text, _ in choice.parts)
        wrong += _named("missing", name, [text for text in right if text not in stated])
        wrong += _named("in it twice", name, [text for text, times in stated.items() if times > 1])
        wrong += _named("none of the space", name, [text for text in stated if text not in right])
        if name in own:
            parts = Parts(nest, machine, bits, own[name], objective, exact=exact, bottom=bottom)
            _settle(parts, [part for part in choice.parts if part[0] in right], fanouts, settled)
    wrong += [f"levels {name} stand there twice" for name, times in met.items() if times > 1]
    wrong += [f"levels {name} are none of the machine's choices" for name in met if name not in own]
    wrong += [f"levels {name} are missing" for name in own if name not in met]
    refute_differences(iter(wrong))
    return f"{len(own)} choices of levels × {len(right):,} spatial assignments"


def _check_fastest(
    row: LayerEstimate, machine: Accelerator, stays: Stays, certificate: Certificate, cover: Cover, sample: Sample
) -> str:
    nest, bits = nest_of(row), bits_of(row.bits)
    machine = Asked(machine, certificate.objective, "exact", stays).minding(row, nest, bits)
    own = {_levels(paths): paths for paths in level_choices(machine)}
    claim = Claim(
        energy=cover.value, cycles=(row.latency_bound_cycles or 0.0) / row.runs, nest=nest, machine=machine, bits=bits,
        exact=certificate.factors == "exact", bottom=least(nest, machine, bits),
    )  # fmt: skip
    choices = [(choice, own[name]) for choice in cover.choices if (name := _stated_levels(choice)) in own]
    return check_fastest(claim, choices, sample.size, sample.seed)


def _levels(paths: Paths) -> str:
    return "; ".join(f"{t} {' '.join(level.name for level in paths[t])}" for t in TENSORS)


def _stated_levels(choice: Choice) -> str:
    return "; ".join(f"{t} {' '.join(choice.levels[t])}" for t in TENSORS)


def _named(what: str, levels: str, texts: Sequence[str]) -> list[str]:
    """At most one phrase, that names the first of these parts."""
    if not texts:
        return []
    first = min(texts)
    parts = "1 part is" if len(texts) == 1 else f"{len(texts):,} parts are"
    return [f"{parts} {what}, such as {first!r} with {levels}"]


def _settle(parts: Parts, stated: Sequence[tuple[str, float]], fanouts: list[str], settled: _Settled) -> None:
    found = [spread_factors(text, fanouts) for text, _ in stated]
    assignments: list[Way] = [way for way in found if way is not None]
    if not assignments:
        return
    simple = parts.simple(assignments)
    settled.total += len(assignments)
    for (text, bound), way, enough in zip(stated, assignments, simple, strict=True):
        if enough >= bound * (1 - RELATIVE):
            settled.simple += 1
        else:
            settled.open.append(_Open(text, way, bound, parts))


def _draw(layers: Sequence[_Settled], sample: Sample) -> None:
    """Chooses the parts that are solved again, from those of all layers."""
    everything = [(layer, part) for layer in layers for part in layer.open]
    if sample.size is not None and sample.size < len(everything):
        places = sorted(random.Random(sample.seed).sample(range(len(everything)), sample.size))
        everything = [everything[i] for i in places]
    for layer, part in everything:
        layer.chosen.append(part)


def _check_bounds(layer: _Settled, sample: Sample) -> str:
    def differences() -> Iterator[str]:
        for part in layer.chosen:
            derived = part.parts.least(part.way, part.bound)
            if derived < part.bound * (1 - RELATIVE):
                yield f"{part.name!r} has the bound {part.bound!r}, re-derived {derived!r}"

    refute_differences(differences())
    others = layer.total - layer.simple
    return f"{layer.total:,} parts: {layer.simple:,} by the simple bound, {_solved(len(layer.chosen), others, sample)}"
