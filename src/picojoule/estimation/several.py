"""One network on several machines: layers are searched together where the machines differ in sizes, prices and rates alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from picojoule.cost.zeros import priced
from picojoule.errors import HardwareError, PicojouleError
from picojoule.estimation import _check_widths, _layer_costs
from picojoule.estimation.handover import Met, machines_met
from picojoule.estimation.totals import assemble
from picojoule.hardware import Accelerator
from picojoule.result import Estimate
from picojoule.search.cache import algorithm, cache_folder
from picojoule.search.costed import Found
from picojoule.search.derived import Derived
from picojoule.search.family import family_answers, family_of
from picojoule.search.many import Key, search_layers
from picojoule.search.policy import Exact
from picojoule.search.recall import family_through_cache, search_through_cache
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
) -> Iterator[tuple[int, Estimate | PicojouleError]]:
    """What ``estimate`` finds on every machine, without the provenance of a run, each as soon as its layers are solved.

    Values and bounds are those of estimates made one by one. Of mappings that cost the same any may be shown, so that of an
    estimate for energy the latency may differ from theirs.

    Args:
        network: at batch 1.
        machines: any; those that differ in capacities, prices and rates alone share their work.
        bits, batch, objective, search, cache: as for ``estimate``.
        zeros: shares of zeros by layer, as ``load_zeros`` gives them.

    Yields:
        Number of the machine, and its estimate or why there is none.

    Raises:
        KeyboardInterrupt: a search was interrupted.
    """
    policy = search or Exact()
    try:
        asked = parse_bits(bits)
    except PicojouleError as error:
        yield from ((i, error) for i in range(len(machines)))
        return
    network = network.with_batch(batch)
    met: dict[int, list[Met]] = {}
    widths, minded = [], []
    for i, machine in enumerate(machines):
        own = [layer_bits(layer, asked, machine.bits) for layer in network.layers]
        known = {} if zeros is None or not machine.minds_zeros else zeros
        widths.append(own)
        minded.append([Zeros.of(known.get(layer.name)) for layer in network.layers])
        try:
            _check_widths(network, own, machine)
            met[i] = list(machines_met(network, own, machine))
        except PicojouleError as error:
            yield i, error
    solving = _Solving(network, widths, minded, met, objective, policy, cache)
    for i, refusal in solving.as_found():
        yield i, refusal or _assembled(
            network, widths[i], minded[i], machines[i], met[i], solving.found, batch, asked, objective, policy
        )


class _Solving:
    """Every different layer on every machine that it meets, family by family, side by side.

    Args:
        network: whose layers these are.
        widths, minded: of every layer on every machine.
        met: machine → as each layer meets it; of the machines that are wanted.
        objective, policy, cache: as for ``estimate``.
    """

    def __init__(
        self,
        network: Network,
        widths: Sequence[Sequence[Any]],
        minded: Sequence[Sequence[Zeros]],
        met: Mapping[int, Sequence[Met]],
        objective: str,
        policy: Exact,
        cache: bool,
    ) -> None:
        self.objective, self.policy = objective, policy
        folder = cache_folder() if cache and algorithm() is not None else None
        self.shelf = None if folder is None else Derived(folder)
        self.found: dict[tuple[Accelerator, Key], Found] = {}
        self.users: dict[tuple[Accelerator, Key], list[int]] = {}
        self.missing: dict[int, int] = dict.fromkeys(met, 0)
        self.names: dict[Key, str] = {}
        self.families: dict[tuple[Key, Accelerator], dict[Accelerator, Accelerator]] = {}
        bare: dict[Accelerator, Accelerator] = {}
        for i, machines in met.items():
            for layer, bits, zeros, one in zip(network.layers, widths[i], minded[i], machines, strict=True):
                if layer.nest is None:
                    continue
                key: Key = (layer.nest, bits, zeros)
                self.names.setdefault(key, layer.name)
                users = self.users.setdefault((one.machine, key), [])
                if not users:
                    here = priced(one.machine, *key)
                    if here not in bare:
                        bare[here] = family_of(here)
                    self.families.setdefault((key, bare[here]), {})[one.machine] = here
                if i not in users:
                    users.append(i)
                    self.missing[i] += 1

    def as_found(self) -> Iterator[tuple[int, HardwareError | None]]:
        """Machines of which all layers are solved, or why one can't be, as they come."""
        yield from ((i, None) for i, missing in self.missing.items() if not missing)
        refused: set[int] = set()
        # One machine of every family in turn: so all layers of a machine are there long before those of the last one.
        running = [(key, list(family), self._answers(key, family)) for (key, _), family in self.families.items()]
        try:
            while running:
                going_on = []
                for key, family, answers in running:
                    n, found = next(answers, (None, None))
                    if n is None or found is None:
                        continue
                    going_on.append((key, family, answers))
                    users = self.users[family[n], key]
                    if isinstance(found, HardwareError):
                        yield from ((i, found) for i in users if i not in refused)
                        refused.update(users)
                        continue
                    self.found[family[n], key] = found
                    yield from ((i, None) for i in self._through(users))
                running = going_on
        finally:
            if self.shelf is not None:
                self.shelf.flush()

    def _through(self, users: Sequence[int]) -> Iterator[int]:
        """Of machines of which one more layer is solved, those of which it was the last."""
        for i in users:
            self.missing[i] -= 1
            if not self.missing[i]:
                if self.shelf is not None:
                    self.shelf.flush()
                yield i

    def _answers(self, key: Key, family: Mapping[Accelerator, Accelerator]) -> Iterator[tuple[int, Found | HardwareError]]:
        declared = {here: machine for machine, here in family.items()}

        def alone(here: Accelerator) -> Found:
            one = {key: self.names[key]}
            if self.shelf is not None:
                return search_through_cache(one, declared[here], self.objective, self.policy)[0][key]
            return search_layers(one, declared[here], self.objective, self.policy)[key]

        machines = list(family.values())
        if self.shelf is None:
            nest, bits, _ = key
            return family_answers(nest, bits, machines, self.objective, self.policy, alone)
        return family_through_cache(key, machines, self.objective, self.policy, alone, self.shelf)


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
    costs = _layer_costs(network, widths, minded, met, objective, found, {}, "exact", {})
    result = assemble(
        network, widths, minded, machine, met, costs, batch, asked, objective, "exact", policy.factors
    )  # fmt: skip
    visited = sum(row.search["visited"] for row in result.layers if row.search and row.same_as is None)
    return replace(result, provenance={"search": {"visited": visited}})
