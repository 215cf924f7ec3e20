"""One network on several machines: layers are searched together where the machines differ in sizes, prices and rates alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from picojoule.cost.zeros import priced
from picojoule.errors import HardwareError, PicojouleError
from picojoule.estimation import _check_widths, _layer_costs
from picojoule.estimation.handover import Met, machines_met
from picojoule.estimation.totals import assemble
from picojoule.hardware import Accelerator
from picojoule.result import Estimate
from picojoule.search.costed import Found
from picojoule.search.family import family_of, search_family
from picojoule.search.many import Key, search_layers
from picojoule.search.policy import Exact
from picojoule.search.recall import search_through_cache
from picojoule.workload.network import Network
from picojoule.workload.widths import BitsRequest, layer_bits, parse_bits
from picojoule.workload.zeros import Zeros


def estimates(
    network: Network,
    machines: Sequence[Accelerator],
    *,
    bits: BitsRequest = None,
    batch: int = 1,
    objective: str = "energy",
    zeros: Mapping[str, Any] | None = None,
    search: Exact | None = None,
    cache: bool = True,
) -> list[Estimate | PicojouleError]:
    """What ``estimate`` finds on every machine, without the provenance of a run.

    Values and bounds are those of estimates made one by one. Of mappings that cost the same any may be shown, so that of an
    estimate for energy the latency may differ from theirs.

    Args:
        network: at batch 1.
        machines: any; those that differ in capacities, prices and rates alone share their work.
        bits, batch, objective, search, cache: as for ``estimate``.
        zeros: shares of zeros by layer, as ``load_zeros`` gives them.

    Returns:
        In the order of ``machines`` the estimate, or why there is none.

    Raises:
        KeyboardInterrupt: a search was interrupted.
    """
    policy, asked = search or Exact(), parse_bits(bits)
    network = network.with_batch(batch)
    answers: list[Estimate | PicojouleError | None] = [None] * len(machines)
    widths, minded, met = [], [], []
    for i, machine in enumerate(machines):
        own = [layer_bits(layer, asked, machine.bits) for layer in network.layers]
        known = {} if zeros is None or not machine.minds_zeros else zeros
        widths.append(own)
        minded.append([Zeros.of(known.get(layer.name)) for layer in network.layers])
        try:
            _check_widths(network, own, machine)
            met.append(machines_met(network, own, machine))
        except PicojouleError as error:
            answers[i] = error
            met.append([])
    left = [i for i in range(len(machines)) if answers[i] is None]
    found, refused = _solved(network, widths, minded, met, left, objective, policy, cache)
    for i in left:
        answers[i] = refused.get(i) or _assembled(
            network, widths[i], minded[i], machines[i], met[i], found, batch, asked, objective, policy
        )
    return [answer for answer in answers if answer is not None]


def _solved(
    network: Network,
    widths: Sequence[Sequence[Any]],
    minded: Sequence[Sequence[Zeros]],
    met: Sequence[Sequence[Met]],
    left: Sequence[int],
    objective: str,
    policy: Exact,
    cache: bool,
) -> tuple[dict[tuple[Accelerator, Key], Found], dict[int, PicojouleError]]:
    """Every different layer on every machine that it meets, and the machines on which some layer has no mapping."""
    wanted: dict[tuple[Key, Accelerator], dict[Accelerator, Accelerator]] = {}
    users: dict[tuple[Accelerator, Key], set[int]] = {}
    names: dict[Key, str] = {}
    bare: dict[Accelerator, Accelerator] = {}
    for i in left:
        for layer, bits, zeros, one in zip(network.layers, widths[i], minded[i], met[i], strict=True):
            if layer.nest is None:
                continue
            key: Key = (layer.nest, bits, zeros)
            names.setdefault(key, layer.name)
            if (one.machine, key) not in users:
                here = priced(one.machine, *key)
                if here not in bare:
                    bare[here] = family_of(here)
                wanted.setdefault((key, bare[here]), {})[one.machine] = here
            users.setdefault((one.machine, key), set()).add(i)
    found: dict[tuple[Accelerator, Key], Found] = {}
    refused: dict[int, PicojouleError] = {}
    for (key, _), family in wanted.items():
        declared = {here: machine for machine, here in family.items()}

        def alone(here: Accelerator, key: Key = key, declared: dict[Accelerator, Accelerator] = declared) -> Found:
            one = {key: names[key]}
            if cache:
                return search_through_cache(one, declared[here], objective, policy)[0][key]
            return search_layers(one, declared[here], objective, policy)[key]

        for machine, answer in _on_all(key, family, objective, policy, alone).items():
            if isinstance(answer, PicojouleError):
                for i in users[machine, key]:
                    refused.setdefault(i, answer)
            else:
                found[machine, key] = answer
    return found, refused


def _on_all(
    key: Key,
    family: Mapping[Accelerator, Accelerator],
    objective: str,
    policy: Exact,
    alone: Callable[[Accelerator], Found],
) -> dict[Accelerator, Found | PicojouleError]:
    """A layer on the machines of a family; where one of them refuses it, on each by itself."""
    nest, bits, _ = key
    try:
        together = search_family(nest, bits, list(family.values()), objective, policy, alone)
        return dict(zip(family, together, strict=True))
    except HardwareError as error:
        if len(family) == 1:
            return dict.fromkeys(family, error)
    halves = list(family.items())
    middle = len(halves) // 2
    return _on_all(key, dict(halves[:middle]), objective, policy, alone) | _on_all(
        key, dict(halves[middle:]), objective, policy, alone
    )


def _assembled(
    network: Network,
    widths: Any,
    minded: list[Zeros],
    machine: Accelerator,
    met: list[Met],
    found: Mapping[tuple[Accelerator, Key], Found],
    batch: int,
    asked: Any,
    objective: str,
    policy: Exact,
) -> Estimate:
    costs = _layer_costs(network, widths, minded, met, objective, found, {}, "exact")
    result = assemble(
        network, widths, minded, machine, met, costs, batch, asked, objective, "exact", policy.factors
    )  # fmt: skip
    visited = sum(row.search["visited"] for row in result.layers if row.search and row.same_as is None)
    return replace(result, provenance={"search": {"visited": visited}})
