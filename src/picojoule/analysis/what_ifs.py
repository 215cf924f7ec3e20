"""What-ifs: what a result would be if one thing of the machine, the widths or the batch were different.

Every layer is solved again, from the mapping that it has; none of the figures is extrapolated. What is shared between the
searches, and what need not be searched: ``docs/explanation/what-ifs.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from picojoule.cost.energy import compute_cycles, port_loads
from picojoule.cost.floor import floor, least_cycles
from picojoule.cost.zeros import priced
from picojoule.errors import HardwareError, MappingError, UsageError
from picojoule.estimation.handover import Met, machines_met
from picojoule.estimation.layer_costs import LayerCosts, given_mapping, moved, repeated, searched
from picojoule.estimation.totals import assemble
from picojoule.hardware.accelerator import Accelerator
from picojoule.hardware.changes import Change, Unchanged, changes
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Loop, Mapping
from picojoule.result import Estimate, LayerEstimate
from picojoule.search.costed import SPACES, Found, evaluate, objective_value
from picojoule.search.many import Key
from picojoule.search.policy import Exact, Progress
from picojoule.workload.data_flow import DataFlow, Given
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.network import WEIGHTLESS, Layer, Network
from picojoule.workload.zeros import Zeros

if TYPE_CHECKING:
    from picojoule.search.variations import Variation

EFFORTS = ("off", "quick", "full")
_FEW, _PART = 200, 8
"""Of a search that visits more assignments than the first, a quick what-if makes one part in so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What one change comes to. Figures are of the whole result, or of the one layer that was asked for; of a batch twice as
    large they are per as many inferences as before.

    Attributes:
        kind: ``buffer``, ``bandwidth``, ``array``, ``dram``, ``bits`` or ``batch``.
        what, step, before, after: what changes, by how much, from what to what.
        price: what became of the prices of a larger memory.
        value, bound: of the objective; no mapping is below the bound.
        energy_pj, latency_cycles: of the same mappings.
        pays: share of the objective that is saved; negative where it costs more.
        pays_at_most: what is saved at the bound; equal where all is proved.
        energy_saved, latency_saved: shares.
        status: as of a result.
        layers_better: that have less of the objective than before.
        most_in, most_share: the layer that saves most, and its share of what all save; None where none does.
    """

    kind: str
    what: str
    step: str
    before: str
    after: str
    price: str
    value: float
    bound: float
    energy_pj: float
    latency_cycles: float
    pays: float
    pays_at_most: float
    energy_saved: float
    latency_saved: float
    status: str
    layers_better: int
    most_in: str | None
    most_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A change as every layer meets it."""

    change: Change
    layers: tuple[Layer, ...]
    widths: tuple[Bits, ...]
    met: tuple[Met, ...]
    times: int = 1

    def key(self, i: int, zeros: Zeros) -> Key:
        nest = self.layers[i].nest
        assert nest is not None
        return (nest, self.widths[i], zeros)


class _Result:
    """A result as a network again, with what its layers met."""

    def __init__(self, estimate: Estimate, machine: Accelerator) -> None:
        self.estimate, self.machine = estimate, machine
        rows = estimate.layers
        self.network = Network(name=estimate.model, layers=tuple(map(_layer, rows)), flow=_flow(estimate))
        self.widths = tuple(Bits(**row.bits) for row in rows)
        minding = machine.minds_zeros and estimate.counting == "exact"
        self.zeros = tuple(Zeros.of(row.zeros if minding else None) for row in rows)
        self.met = tuple(machines_met(self.network, self.widths, machine))
        self.factors = next((name for name, space in SPACES.items() if space == estimate.space), "any")
        self.mappings = [None if row.mapping is None else Mapping.from_data(row.mapping) for row in rows]
        numbers: dict[str, int] = {}
        self.numbers = [numbers.setdefault(str(mapping), len(numbers)) for mapping in self.mappings]
        """Equal mappings have equal numbers."""

    def cases(self) -> list[_Case | Unchanged]:
        found: list[_Case | Unchanged] = []
        for change in changes(self.machine):
            found.append(change if isinstance(change, Unchanged) else self._case(change))
        for tensor in ("weights", "inputs", "outputs"):
            found.append(self._narrower(tensor))
        double = self.network.with_batch(2)
        batch = self.estimate.batch
        change = Change(
            kind="batch", what="batch", step="×2", before=str(batch), after=str(2 * batch), machine=self.machine
        )
        found.append(self._case(change, double, times=2))
        return found

    def _case(
        self, change: Change, network: Network | None = None, widths: tuple[Bits, ...] | None = None, times: int = 1
    ) -> _Case | Unchanged:
        network, widths = network or self.network, widths or self.widths
        try:
            met = tuple(machines_met(network, widths, change.machine))
            for layer, bits in zip(network.layers, widths, strict=True):
                if layer.nest is not None:
                    change.machine.mac.at(bits)
        except HardwareError as error:
            return Unchanged(kind=change.kind, what=f"{change.what} {change.step}", why=error.message)
        return _Case(change=change, layers=network.layers, widths=widths, met=met, times=times)

    def _narrower(self, tensor: str) -> _Case | Unchanged:
        widths = []
        for layer, bits in zip(self.network.layers, self.widths, strict=True):
            # In a product of two activations both operands are inputs.
            names = [tensor] if layer.kind != WEIGHTLESS else {"inputs": ["inputs", "weights"], "outputs": ["outputs"]}.get(tensor, [])
            less = {name: getattr(bits, name) - 1 for name in names if getattr(bits, name) > 1}
            widths.append(replace(bits, **less))
        before = sorted({getattr(bits, tensor) for bits in self.widths})
        if tuple(widths) == self.widths:
            return Unchanged(kind="bits", what=tensor, why="they have one bit already")
        shown = [" … ".join(f"{b} bit" for b in dict.fromkeys((w[0], w[-1]))) for w in (before, [b - 1 for b in before])]
        change = Change(
            kind="bits", what=tensor, step="−1 bit", before=shown[0], after=shown[1], machine=self.machine
        )
        return self._case(change, widths=tuple(widths))


def _layer(row: LayerEstimate) -> Layer:
    window = {name: tuple(getattr(row, name)) for name in ("stride", "dilation", "pad") if getattr(row, name)}
    nest = None if row.dims is None else Nest(**row.dims, **window)
    moved_ = row.moved or {}
    return Layer(
        name=row.name, kind=row.kind, op=row.op, nest=nest, repeats=row.runs, shared=row.shared,
        biases=row.params if nest is None else max(0, row.params - nest.elements("weights")),
        read_elements=moved_.get("read", 0), written_elements=moved_.get("written", 0),
        vector_ops=moved_.get("vector_ops", 0), read_weights=moved_.get("weights", 0),
    )  # fmt: skip


def _flow(estimate: Estimate) -> DataFlow | None:
    stated = estimate.data_flow
    if stated is None:
        return None
    if stated["chain"]:
        return DataFlow(chain=True)
    reads = tuple(tuple(row.reads or ()) for row in estimate.layers)
    given = tuple(Given(**tensor) for tensor in stated["given"])
    return DataFlow(reads=reads, given=given, outputs=tuple(stated["outputs"]))


def what_ifs(
    estimate: Estimate,
    machine: Accelerator,
    wanted: Sequence[int],
    search: Exact,
    effort: str,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[tuple[WhatIf, ...], tuple[Unchanged, ...]]:
    """All what-ifs of some layers of a result, what pays most first; and what can't be asked.

    Args:
        estimate: the result.
        machine: that it carries.
        wanted: numbers of the layers.
        search: limits of every search; its ``factors`` are those of the result.
        effort: ``full``, or ``quick`` to leave long searches for changes by a factor after a part of the way: what such a
            change pays is then known from below, and from above by its bound.
        progress: called before every different layer, with the what-if that pays most so far.

    Raises:
        UsageError: the result counts as Timeloop does, or has fused layers.
    """
    if estimate.counting != "exact" or estimate.groups:
        why = "counts as Timeloop does" if estimate.counting != "exact" else "has fused layers"
        raise UsageError(f"no what-ifs of a result that {why}", where="what-ifs", hint="Run the estimate without that.")
    before = _Result(estimate, machine)
    asked = before.cases()
    cases = [one for one in asked if isinstance(one, _Case)]
    policy = replace(search, factors=before.factors)
    solved: dict[tuple[object, ...], Found] = {}
    once: dict[tuple[object, ...], LayerCosts] = {}
    base = _base(before)
    layers: list[tuple[LayerCosts, list[LayerCosts]]] = []
    for index, i in enumerate(wanted):
        if progress is not None:
            # The second round over the layers: the first says what binds them.
            at = {"layer": f"{estimate.layers[i].name} (what if)", "index": len(wanted) + index, "layers": 2 * len(wanted)}
            progress(Progress(**at, leader=_leader(before, cases, layers)))
        _solve(before, base, cases, i, policy, effort, solved)
        layers.append(
            (_costs(before, base, i, solved, once), [_costs(before, case, i, solved, once) for case in cases])
        )
    own = _assembled(before, base, wanted, [cost for cost, _ in layers])
    found = [
        _what_if(before, case, own, _assembled(before, case, wanted, [costs[n] for _, costs in layers]))
        for n, case in enumerate(cases)
    ]
    other = "latency_saved" if estimate.objective == "energy" else "energy_saved"
    found.sort(key=lambda one: (-round(one.pays, 12), -getattr(one, other)))
    return tuple(found), tuple(one for one in asked if isinstance(one, Unchanged))


def _base(before: _Result) -> _Case:
    change = Change(kind="", what="", step="", before="", after="", machine=before.machine)
    return _Case(change=change, layers=before.network.layers, widths=before.widths, met=before.met)


def _costs(
    before: _Result,
    case: _Case,
    i: int,
    solved: dict[tuple[object, ...], Found],
    known: dict[tuple[object, ...], LayerCosts],
) -> LayerCosts:
    """What a layer costs in a case, as ``estimate`` has it."""
    estimate, layer, bits, zeros = before.estimate, case.layers[i], case.widths[i], before.zeros[i]
    machine, objective, counting = case.met[i].machine, estimate.objective, estimate.counting
    if layer.nest is None:
        once = moved(layer, machine, bits, zeros)
    elif estimate.layers[i].status == "GIVEN":
        mapping = before.mappings[i]
        if case.times > 1:
            mapping = _repeated(mapping, before.network.layers[i], layer)
        once = given_mapping(case.key(i, zeros), mapping, machine, objective, counting, layer.name)
    else:
        about = _about(before, case, i)
        once = known[about] if about in known else searched(case.key(i, zeros), solved[about], machine, objective)
        known[about] = once
    return repeated(once, layer, machine, bits, zeros, objective, counting)


def _about(before: _Result, case: _Case, i: int) -> tuple[object, ...]:
    """What decides the answer: equal layers are solved once. Machines live as long as their cases, and are known by identity."""
    return (case.key(i, before.zeros[i]), id(case.met[i].machine), before.numbers[i])


def _solve(
    before: _Result,
    base: _Case,
    cases: Sequence[_Case],
    i: int,
    policy: Exact,
    effort: str,
    solved: dict[tuple[object, ...], Found],
) -> None:
    """Solves a layer in all cases in which it isn't solved yet."""
    from picojoule.search.variations import search_from, search_larger, search_variations

    row = before.estimate.layers[i]
    mapping, objective = before.mappings[i], before.estimate.objective
    if base.layers[i].nest is None or row.status == "GIVEN" or mapping is None:
        return
    if _about(before, base, i) in solved and all(_about(before, case, i) in solved for case in cases):
        return
    nest, bits, zeros = base.key(i, before.zeros[i])
    here = priced(base.met[i].machine, nest, bits, zeros)
    proved = row.status == "PROVED"
    known = _known(nest, here, bits, mapping, objective, row.bound / row.runs if row.runs else row.bound, proved)
    solved.setdefault(_about(before, base, i), known)
    varied: dict[tuple[object, ...], Variation] = {}
    loads: list[float] = []
    for case in cases:
        about = _about(before, case, i)
        if about in solved or about in varied:
            continue
        other, widths, _ = case.key(i, zeros)
        there = priced(case.met[i].machine, other, widths, zeros)
        kind, limited = case.change.kind, _limited(policy, effort, row.search)
        if kind == "bandwidth" and objective == "energy" and _levels(there) == _levels(here):
            # Neither energies nor what is legal has to do with bandwidth: the same mapping, at another pace.
            loads = loads or [through for _, _, through in port_loads(nest, here, mapping, bits)]
            solved[about] = _repaced(known, nest, there, bits, loads)
        elif kind == "batch":
            longer = _repeated(mapping, base.layers[i], case.layers[i])
            solved[about] = _searched_from(other, there, widths, longer, objective, limited)
        elif not _legal(nest, there, widths, mapping):
            solved[about] = _searched_from(other, there, widths, None, objective, limited)
        elif kind == "array":
            narrow = proved and not here.density and _levels(there) == _levels(here)
            narrow &= nest.G == 1 or objective != "energy"
            solved[about] = (
                search_larger(nest, here, there, bits, mapping, objective, limited)
                if narrow
                else search_from(nest, there, widths, mapping, objective, limited)
            )
        else:
            varied[about] = _variation(case, there, widths, policy, limited)
    answers = search_variations(nest, here, bits, mapping, list(varied.values()), objective, policy)
    solved.update(zip(varied, answers, strict=True))


def _variation(case: _Case, machine: Accelerator, widths: Bits, policy: Exact, limited: Exact) -> Variation:
    from picojoule.search.variations import Variation

    small = case.change.kind == "bits" or case.change.step.startswith("+")
    return Variation(machine=machine, bits=widths, policy=policy if small else limited, shares=small)


def _limited(policy: Exact, effort: str, visited: dict[str, int] | None) -> Exact:
    """Of a long search a quick what-if makes a part; a short one it makes to the end."""
    before = (visited or {}).get("visited", 0)
    if effort == "full" or before <= _FEW:
        return policy
    return replace(policy, node_limit=min(policy.node_limit or before, max(_FEW // _PART, before // _PART)))


def _searched_from(
    nest: Nest, machine: Accelerator, bits: Bits, mapping: Mapping | None, objective: str, policy: Exact
) -> Found:
    from picojoule.search.layer import search_layer
    from picojoule.search.variations import search_from

    if mapping is not None and _legal(nest, machine, bits, mapping):
        return search_from(nest, machine, bits, mapping, objective, policy)
    found = search_layer(nest, machine, bits, objective, policy)
    if found.status == "INTERRUPTED":
        raise KeyboardInterrupt
    return found


def _known(
    nest: Nest, machine: Accelerator, bits: Bits, mapping: Mapping, objective: str, bound: float, proved: bool
) -> Found:
    """A mapping that is known to be as good as any, or as good as was found."""
    best, least = evaluate(nest, machine, bits, mapping), floor(nest, machine, bits)
    value = objective_value(objective, best.energy, best.cycles)
    bound = value if proved else min(bound, value)
    return Found(
        best=best, value=value, bound=bound, bound_energy=bound if objective == "energy" else min(least.energy, best.energy),
        status="PROVED" if proved else "GAP_OPEN", visited=0, pruned=0, floor=least, fastest=min(least.cycles, best.cycles),
    )  # fmt: skip


def _repaced(known: Found, nest: Nest, machine: Accelerator, bits: Bits, loads: list[float]) -> Found:
    """The same mapping where ports are faster; ``loads`` are the bits through each of them."""
    best = known.best
    cycles = compute_cycles(nest, machine, best.mapping, best.traffic)
    ports = [port for level in machine.levels for port in level.ports]
    cycles = max([cycles, *(load / port.bits_per_cycle for load, port in zip(loads, ports, strict=True))])
    least = replace(known.floor, cycles=least_cycles(nest, machine, bits))
    return replace(known, best=replace(best, cycles=cycles), floor=least, fastest=min(least.cycles, cycles))


def _levels(machine: Accelerator) -> list[object]:
    return [(level.name, level.keeps, level.may_keep) for level in machine.levels]


def _legal(nest: Nest, machine: Accelerator, bits: Bits, mapping: Mapping) -> bool:
    try:
        check_legal(nest, machine, mapping, bits)
    except MappingError:
        return False
    return True


def _repeated(mapping: Mapping | None, layer: Layer, longer: Layer) -> Mapping | None:
    """The mapping once for every part of a larger batch, one part after the other."""
    if mapping is None or layer.nest is None or longer.nest is None:
        return None
    dim = next((d for d in "NG" if getattr(layer.nest, d) != getattr(longer.nest, d)), "N")
    first = next((n for n, node in enumerate(mapping.nodes) if not isinstance(node, Keep)), len(mapping.nodes))
    loop = Loop(dim, getattr(layer.nest, dim))
    return Mapping((*mapping.nodes[:first], loop, *mapping.nodes[first:]))


def _assembled(before: _Result, case: _Case, wanted: Sequence[int], costs: list[LayerCosts]) -> Estimate:
    estimate = before.estimate
    network = Network(name=estimate.model, layers=tuple(case.layers[i] for i in wanted))
    return assemble(
        network, [case.widths[i] for i in wanted], [before.zeros[i] for i in wanted], case.change.machine,
        [case.met[i] for i in wanted], costs, estimate.batch * case.times, None, estimate.objective, estimate.counting,
        before.factors,
    )  # fmt: skip


def _what_if(before: _Result, case: _Case, own: Estimate, other: Estimate) -> WhatIf:
    times = case.times**2 if own.objective == "edp" else case.times
    saved = [(a.value - b.value / times, b.name) for a, b in zip(own.layers, other.layers, strict=True)]
    total, most = sum(gain for gain, _ in saved if gain > 0), max(saved, default=(0.0, ""))
    better = [gain for (gain, _), a in zip(saved, own.layers, strict=True) if gain > 1e-9 * a.value]
    cycles = (other.latency_cycles or 0.0) / case.times
    return WhatIf(
        kind=case.change.kind, what=case.change.what, step=case.change.step, before=case.change.before,
        after=case.change.after, price=case.change.price, value=other.value / times, bound=other.bound / times,
        energy_pj=other.energy_pj / case.times, latency_cycles=cycles,
        pays=_share(own.value, other.value / times), pays_at_most=_share(own.value, other.bound / times),
        energy_saved=_share(own.energy_pj, other.energy_pj / case.times),
        latency_saved=_share(own.latency_cycles or 0.0, cycles), status=other.status, layers_better=len(better),
        most_in=most[1] if better else None, most_share=most[0] / total if better else None,
    )  # fmt: skip


def _share(before: float, after: float) -> float:
    return 1 - after / before if before else 0.0


def _leader(before: _Result, cases: Sequence[_Case], layers: Sequence[tuple[LayerCosts, list[LayerCosts]]]) -> str:
    """The what-if that pays most over the layers so far."""
    own = sum(cost.value for cost, _ in layers)
    if not own:
        return ""
    square = before.estimate.objective == "edp"
    totals = [
        sum(costs[n].value for _, costs in layers) / (case.times**2 if square else case.times)
        for n, case in enumerate(cases)
    ]
    n = min(range(len(cases)), key=totals.__getitem__)
    return f"so far {cases[n].change.what} {cases[n].change.step} pays {1 - totals[n] / own:.1%}".replace("%", " %")
