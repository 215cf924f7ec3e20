"""Searching through the cache: what an earlier run found is checked and taken from there, the rest is searched.

An entry gives the mapping and how far its proof got. All that follows from the mapping is worked out anew, so that an
answer from the cache has every figure of a fresh one, and an entry that disagrees with itself is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from picojoule.cost.floor import floor
from picojoule.cost.zeros import priced
from picojoule.errors import HardwareError, PicojouleError
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Mapping as Nesting
from picojoule.search.cache import algorithm, cache_folder, key_of, read_entry, trim, write_entry
from picojoule.search.costed import TIE, Costed, Found, evaluate, objective_value
from picojoule.search.derived import Derived
from picojoule.search.family import Mapped, family_answers
from picojoule.search.many import Key, plain, search_layers
from picojoule.search.policy import Exact, Progress
from picojoule.version import __version__
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.zeros import DENSE


def search_through_cache(
    wanted: Mapping[Key, str],
    machine: Accelerator,
    objective: str,
    policy: Exact,
    jobs: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[dict[Key, Found], int]:
    """As ``search_layers``, but each layer is searched only if no earlier run has done so.

    Args:
        wanted: every different layer → its name.
        machine, objective, policy, jobs, progress: as for ``search_layers``; progress counts the layers searched now.

    Returns:
        The best mapping of every layer, and how many of them came from the cache.
    """
    folder = cache_folder()
    if folder is None or algorithm() is None:
        return search_layers(wanted, machine, objective, policy, jobs, progress), 0
    known: dict[Key, Found] = {}
    keys: dict[Key, str] = {}
    try:
        for layer in wanted:
            nest, bits, zeros = layer
            minding = priced(machine, nest, bits, zeros)
            keys[layer] = key_of(nest, bits, minding, objective, policy)
            found = recalled(read_entry(folder, keys[layer]), nest, bits, minding, objective, policy)
            if found is not None:
                known[layer] = found
        if len(known) < len(wanted):
            trim(folder)
    except KeyboardInterrupt:
        rest = {layer: plain(layer, machine, objective) for layer in wanted if layer not in known}
        return {layer: (known | rest)[layer] for layer in wanted}, len(known)

    def keep(layer: Key, found: Found, seconds: float) -> None:
        if _ran_its_course(found, policy, seconds) and _holds(found, objective, policy):
            write_entry(folder, keys[layer], _asked(layer, machine, objective, policy), _answer(found, layer[0]))

    rest_wanted = {layer: name for layer, name in wanted.items() if layer not in known}
    fresh = search_layers(rest_wanted, machine, objective, policy, jobs, progress, keep)
    return {layer: (known | fresh)[layer] for layer in wanted}, len(known)


def family_through_cache(
    layer: Key,
    machines: Sequence[Accelerator],
    objective: str,
    policy: Exact,
    searched: Callable[[Accelerator], Found],
    shelf: Derived,
) -> Iterator[tuple[int, Found | HardwareError]]:
    """As ``family_answers``, but what the shelf holds comes first, and what is found is put there.

    Args:
        layer: that is looked for.
        machines, objective, policy, searched: as for ``family_answers``.
        shelf: answers of earlier families; the caller flushes it.
    """
    nest, bits, _ = layer
    keys = [key_of(nest, bits, machine, objective, policy) for machine in machines]
    kept, known, mapped = shelf.read(keys), dict[int, Found](), dict[Nesting, Mapped]()

    def costed(machine: Accelerator, mapping: Nesting) -> Costed:
        # Of what a mapping costs, most is the same on all of the family.
        if mapping not in mapped:
            mapped[mapping] = Mapped(nest, machine, bits, mapping)
        return mapped[mapping].on(machine, bits)

    for n, (key, machine) in enumerate(zip(keys, machines, strict=True)):
        found = recalled(kept.get(key), nest, bits, machine, objective, policy, partial(costed, machine))
        if found is not None:
            known[n] = found
    for n, answer in family_answers(nest, bits, machines, objective, policy, searched, known, mapped):
        if n not in known and isinstance(answer, Found) and _holds(answer, objective, policy):
            shelf.keep(keys[n], _answer(answer, nest))
        yield n, answer


def recalled(
    kept: dict[str, Any] | None,
    nest: Nest,
    bits: Bits,
    machine: Accelerator,
    objective: str,
    policy: Exact,
    costed: Callable[[Nesting], Costed] | None = None,
) -> Found | None:
    """The answer that an entry holds; None if there is none, or if anything about it is wrong.

    Args:
        kept: an entry's ``found``.
        nest, bits, machine, objective, policy: what is asked.
        costed: what a mapping costs there; worked out afresh if left out.
    """
    if kept is None:
        return None
    try:
        mapping = Nesting.from_data(kept["mapping"])
        check_legal(nest, machine, mapping, bits)
        best = costed(mapping) if costed else evaluate(nest, machine, bits, mapping)
        found = Found(
            best=best,
            value=objective_value(objective, best.energy, best.cycles),
            bound=kept["bound"],
            bound_energy=kept["bound_energy"],
            status=kept["status"],
            visited=kept["visited"],
            pruned=kept["pruned"],
            floor=floor(nest, machine, bits),
            fastest=kept["fastest"],
        )
        # The same sum of the same numbers: not even the last digit may differ.
        sound = kept["value"] == found.value and _holds(found, objective, policy)
    except (PicojouleError, KeyError, IndexError, TypeError, ValueError):
        return None
    return found if sound else None


def _holds(found: Found, objective: str, policy: Exact) -> bool:
    """Whether an answer is as good as was asked for, and its figures go together."""
    least = min(objective_value(objective, found.floor.energy, found.floor.cycles), found.value)
    if found.status == "PROVED":
        good = found.bound == found.value
    else:
        close = least <= found.bound <= found.value and found.value - found.bound <= (policy.gap + TIE) * found.value
        good = found.status == "GAP_OPEN" and policy.gap > 0 and close
    if objective == "energy":
        good &= found.bound_energy == found.bound
    else:
        good &= 0 <= found.bound_energy <= found.best.energy
    good &= min(found.floor.cycles, found.best.cycles) <= found.fastest <= found.best.cycles
    return good and all(type(count) is int and count >= 0 for count in (found.visited, found.pruned))


def _ran_its_course(found: Found, policy: Exact, seconds: float) -> bool:
    """Whether no limit can have cut the search short, so that any other run finds the same."""
    in_time = policy.time_limit_s is None or seconds < policy.time_limit_s
    return in_time and (policy.node_limit is None or found.visited < policy.node_limit)


def _asked(layer: Key, machine: Accelerator, objective: str, policy: Exact) -> dict[str, Any]:
    """What was asked, for people: the key already holds all of it."""
    nest, bits, zeros = layer
    return {
        "machine": machine.name,
        "unit": machine.unit,
        "nest": asdict(nest),
        "bits": asdict(bits),
        **({} if zeros == DENSE else {"zeros": asdict(zeros)}),
        "objective": objective,
        "gap": policy.gap,
        "factors": policy.factors,
        "version": __version__,
        "algorithm": algorithm(),
    }


def _answer(found: Found, nest: Nest) -> dict[str, Any]:
    return {
        "mapping": found.best.mapping.to_data(nest.dims),
        "status": found.status,
        "value": found.value,
        "bound": found.bound,
        "bound_energy": found.bound_energy,
        "fastest": found.fastest,
        "visited": found.visited,
        "pruned": found.pruned,
    }
