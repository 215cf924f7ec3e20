"""The checks of one layer: its mapping, its counts, its three figures, and what is read off them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.result import STATUSES, Access, LayerEstimate
from picojoule.verification.handover import Stays
from picojoule.verification.least import least, touched
from picojoule.verification.outcome import Check, attempt, differing, figure, refute_differences, same
from picojoule.verification.plan import Plan, Refuted, legal_plan
from picojoule.verification.recount import Tallies, Tally, busy_cycles, latency_cycles, recount
from picojoule.verification.settling import settle, whole_sizes, with_stays
from picojoule.verification.zeros import Effect, check_effect, densities_of, minding
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest
from picojoule.workload.network import WEIGHTLESS

_OWN = ("name", "kind", "op", "params", "same_as", "shared", "reads", "memory_bytes", "zeros")
"""In what rows of equal layers may differ."""

Row = tuple[int, int, int, float, float, float, float | None]
"""Reads, writes, updates, bits, metadata among them, energy, and energy if zeros were like other numbers."""

Rows = dict[tuple[str, str], Row]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the result as a whole says that its layers depend on."""

    machine: Accelerator
    objective: str
    counting: str
    stays: Stays = field(default_factory=dict)
    effects: dict[str, Effect] = field(default_factory=dict)
    """What zeros do in every layer that was re-counted, by name."""

    def met(self, layer: LayerEstimate, nest: Nest | None, bits: Bits) -> Accelerator:
        """The machine as this layer meets it, before zeros spare anything."""
        figures = layer.moved or {}
        sizes = {
            "weights": figures.get("weights", 0) * bits.weights,
            "inputs": figures.get("read", 0) * bits.inputs,
            "outputs": figures.get("written", 0) * bits.outputs,
        }
        machine = with_stays(self.machine, self.stays.get(layer.name, {}))
        if nest is not None and self.machine.levels[0].spill:
            sizes = whole_sizes(nest, bits)
        return settle(machine, nest, bits, sizes)

    def minding(self, layer: LayerEstimate, nest: Nest | None, bits: Bits) -> Accelerator:
        """The machine with what zeros spare in this layer; Timeloop's counting minds none."""
        met = self.met(layer, nest, bits)
        return met if self.counting != "exact" else minding(met, nest, bits, densities_of(layer.zeros))

    def remember(self, layer: LayerEstimate, nest: Nest | None, bits: Bits, tallies: Tallies, others: float) -> None:
        """Keeps what zeros do in a layer; ``others`` is energy that is the same whatever they are."""
        if not self.machine.minds_zeros:
            return
        met = self.met(layer, nest, bits)

        def energy(machine: Accelerator) -> float:
            parts = [tally.energy(machine.level(name), tensor, bits) for (name, tensor), tally in tallies.items()]
            parts += [others, 0.0 if nest is None else nest.macs * machine.mac_energy(bits)]
            return layer.runs * math.fsum(parts)

        def at(density: float) -> float:
            return energy(minding(met, nest, bits, dict.fromkeys(TENSORS, density)))

        self.effects[layer.name] = Effect(energy(met), at)


def layer_checks(
    layer: LayerEstimate, asked: Asked, in_a_group: Callable[[LayerEstimate, Asked], Iterator[Check]] | None = None
) -> Iterator[Check]:
    """Every check of a row that was solved itself.

    Args:
        layer, asked: the row, and what it depends on.
        in_a_group: what is checked in place of mapping and counts, of a row that belongs to a group.
    """

    def made(name: str, test: Callable[[], str]) -> Check:
        return attempt(name, layer.name, test)

    yield made("widths and runs", partial(check_bits, layer))
    if in_a_group is not None:
        yield from in_a_group(layer, asked)
    elif layer.dims is None:
        yield made("layers without nest", partial(_check_plain, layer, asked))
    else:
        yield from _nest_checks(layer, asked, made)
    if asked.machine.minds_zeros or layer.zeros_effect is not None:
        yield made("effect of zeros", partial(_check_effect, layer, asked))
    yield made("sums", partial(_check_sum, layer))
    yield made("floor ≤ bound ≤ value", partial(_check_order, layer, asked))
    yield made("status and gap", partial(_check_status, layer))
    yield made("bound by", partial(_check_bound_by, layer))


def same_row_check(layer: LayerEstimate, original: LayerEstimate | None) -> Check:
    """A row of the same nest, widths and (if given) mapping as an earlier one names it and stands exactly as it does.

    Args:
        original: the first row like this one; None if this is the first.
    """

    def test() -> str:
        if layer.same_as != (original.name if original else None):
            raise Refuted(
                f"same_as is {layer.same_as!r}, the first equal layer is {original.name if original else None!r}"
            )
        if original is None:
            return "the first of its kind"
        own = {key: getattr(layer, key) for key in _OWN}
        if replace(original, **own) != layer:
            fields = [
                f
                for f in LayerEstimate.__dataclass_fields__
                if f not in own and getattr(layer, f) != getattr(original, f)
            ]
            raise Refuted(f"differs from {original.name!r} in {', '.join(fields)}")
        check_size(layer, nest_of(layer))
        return f"equals {original.name!r}"

    return attempt("equal layers", layer.name, test)


def _check_effect(layer: LayerEstimate, asked: Asked) -> str:
    known = asked.effects.get(layer.name)
    if known is None and asked.machine.minds_zeros and asked.counting == "exact":
        raise Refuted("nothing was re-counted to derive it from")
    return check_effect(layer.zeros_effect, [] if known is None else [known])


def identity(layer: LayerEstimate, asked: Asked) -> str | None:
    """What makes rows equal: nest, widths, runs, zeros if the machine minds them, what stays on the chip, and, if it was
    given, the mapping; None for a row without nest."""
    minds_zeros, stays = asked.machine.minds_zeros, asked.stays.get(layer.name, {})
    if layer.dims is None or layer.group is not None:
        return None
    given = layer.mapping if layer.status == "GIVEN" else None
    return repr(
        (
            sorted(layer.dims.items()),
            layer.stride,
            layer.dilation,
            layer.pad,
            sorted(layer.bits.items()),
            given,
            layer.runs,
            densities_of(layer.zeros) if minds_zeros else None,
            sorted(stays.items()),
        )
    )


def nest_of(layer: LayerEstimate) -> Nest:
    """The loop nest of a row; raises ``Refuted`` if there can be none of these sizes."""
    if (
        layer.dims is None
        or set(layer.dims) != set(DIMS)
        or layer.stride is None
        or layer.dilation is None
        or layer.pad is None
    ):
        raise Refuted(f"a nest has the dimensions {', '.join(DIMS)}, a stride, a dilation and a pad")
    try:
        return Nest(**layer.dims, stride=layer.stride, dilation=layer.dilation, pad=layer.pad)
    except ValueError as error:
        raise Refuted(str(error)) from None


def bits_of(bits: dict[str, int]) -> Bits:
    """Widths from plain data; raises ``Refuted`` if there are none such."""
    try:
        return Bits(**bits)
    except (TypeError, ValueError) as error:
        raise Refuted(f"{bits} are no widths: {error}") from None


def check_bits(layer: LayerEstimate) -> str:
    bits_of(layer.bits)
    if layer.runs < 1:
        raise Refuted(f"runs is {layer.runs}; a layer runs at least once")
    return "from 1 to 64 bits each"


def _nest_checks(
    layer: LayerEstimate, asked: Asked, made: Callable[[str, Callable[[], str]], Check]
) -> Iterator[Check]:
    try:
        check_bits(layer)
        nest, bits = nest_of(layer), bits_of(layer.bits)
        machine = asked.minding(layer, nest, bits)
        plan = legal_plan(layer.mapping or [], nest, machine, bits)
    except Refuted as refutation:
        yield Check(name="mapping is legal", where=layer.name, ok=False, message=str(refutation))
        return
    yield Check(name="mapping is legal", where=layer.name, ok=True, message=f"{len(layer.mapping or [])} nodes")
    yield made("MACs and parameters", partial(check_size, layer, nest))
    if asked.counting == "exact":
        yield made("access counts and energy", partial(_check_counts, layer, nest, plan, bits, machine, asked))
    else:
        name = f"energy of the counts ({asked.counting} counting: counts not re-derived)"
        yield made(name, partial(_check_prices, layer, nest, plan, bits, machine))
    yield made("latency", partial(_check_latency, layer, nest, plan, bits, machine, asked.objective))
    yield made("reuse", partial(check_reuse, layer, machine))
    yield made("floor", partial(_check_floor, layer, nest, bits, asked))


def check_size(layer: LayerEstimate, nest: Nest) -> str:
    macs = nest.macs * layer.runs
    if layer.macs != macs:
        raise Refuted(f"macs is {layer.macs:,}, the nest has {macs:,} in {layer.runs} runs")
    weights = 0 if layer.kind == WEIGHTLESS else touched(nest, "weights")
    if layer.shared and layer.params >= weights:
        raise Refuted(f"shared is set, but params is {layer.params:,}, and the nest has {weights:,} weights")
    if not layer.shared and layer.params < weights:
        # More there may be: biases, and parameters out of which an operand was worked out beforehand.
        raise Refuted(f"params is {layer.params:,}, the nest alone has {weights:,} weights")
    if layer.moved is not None:
        raise Refuted("a nest has no key moved")
    return f"{macs:,} MACs"


def _check_counts(
    layer: LayerEstimate, nest: Nest, plan: Plan, bits: Bits, machine: Accelerator, asked: Asked
) -> str:
    tallies = recount(plan, nest, machine)
    asked.remember(layer, nest, bits, tallies, 0.0)
    met = asked.met(layer, nest, bits)
    right = rows_of(tallies, bits, machine, met)
    raw = nest.macs * met.mac_energy(bits) if machine.minds_zeros else None
    right["mac", "none"] = mac_row(nest, bits, machine, raw)
    compare_rows(layer.by, right, layer.runs)
    return f"{len(right)} rows re-counted"


def rows_of(tallies: Tallies, bits: Bits, machine: Accelerator, declared: Accelerator) -> Rows:
    rows: Rows = {}
    for (name, tensor), tally in tallies.items():
        level, plain = machine.level(name), replace(declared.level(name), link=None)
        raw = tally.energy(plain, tensor, bits) if machine.minds_zeros else None
        counts, alone = (tally.reads, tally.writes, tally.updates), replace(level, link=None)
        rows[name, tensor] = (*counts, *tally.moving(level, tensor, bits), tally.energy(alone, tensor, bits), raw)
        if level.link is not None:
            rows[level.link.name, tensor] = _crossing(level, tensor, tally, bits, machine.minds_zeros)
    return rows


def _crossing(level: Level, tensor: str, tally: Tally, bits: Bits, minds_zeros: bool) -> Row:
    """What fills a memory comes over its link, and partial sums that leave it, but not those that go back inwards."""
    assert level.link is not None
    moved = {"write": tally.bits(tensor, bits)["write"]}
    leaving = 0
    if tensor == "outputs":
        leaving = tally.reads - tally.returned
        moved["read"] = leaving * bits.psums
    total: float = sum(moved.values())
    metadata, raw = 0.0, total * level.link.energy_per_bit if minds_zeros else None
    if level.shares:
        total = math.fsum(n * level.share(d, tensor).moved for d, n in moved.items())
        metadata = math.fsum(n * level.share(d, tensor).metadata for d, n in moved.items())
    return leaving, tally.writes, 0, total, metadata, total * level.link.energy_per_bit, raw


def compare_rows(by: tuple[Access, ...], once: Rows, runs: int) -> None:
    """Raises ``Refuted`` unless every row stands once, with the figures of ``once`` as often as the layer runs.

    A row in which nothing moves may be absent.
    """
    right = {key: tuple(None if x is None else x * runs for x in row) for key, row in once.items()}
    got = {(a.level, a.tensor): a for a in by}
    if len(got) < len(by):
        raise Refuted("two rows of one level and tensor")
    for key in got:
        if key not in right:
            raise Refuted(f"a row for {key[0]}, {key[1]}: nothing of it moves there")

    def differences() -> Iterator[str]:
        for (level, tensor), row in right.items():
            access = got.get((level, tensor))
            if access is None:
                if any(row):
                    yield f"no row for {level}, {tensor}"
                continue
            names = ("reads", "writes", "updates", "bits", "metadata_bits", "energy_pj", "raw_pj")
            stated = {n: getattr(access, n) for n in names}
            for text in differing(stated, dict(zip(names, row, strict=True))):
                yield f"{level}, {tensor}: {text}"

    refute_differences(differences())


def _check_prices(layer: LayerEstimate, nest: Nest, plan: Plan, bits: Bits, machine: Accelerator) -> str:
    """Timeloop's counts are taken as they stand; their bits and what they cost are derived from them.

    Each instance pays whole blocks of words, and an element is a word whatever its width.
    """
    right: Rows = {}
    for access in layer.by:
        place = next((place for name, place in plan.path.get(access.tensor, ()) if name == access.level), None)
        if place is None:
            continue
        moves = access.reads, access.writes, access.updates
        if any(count % layer.runs for count in moves):
            raise Refuted(f"{access.level}, {access.tensor}: {moves} are no counts of {layer.runs} equal runs")
        reads, writes, updates = (count // layer.runs for count in moves)
        level, tally = machine.level(access.level), Tally(reads, writes, updates)
        if access.tensor == "outputs" and plan.path["outputs"][0][0] == level.name:
            tally.finished = touched(nest, "outputs")
        price = dict(level.energy_per_word)
        share = math.prod(spread.count for spread in plan.spreads if spread.place < place) * level.block_words
        blocks = {d: -(-n // share) * share for d, n in (("read", reads), ("write", writes), ("update", updates))}
        energy = math.fsum(words * price[d, access.tensor] for d, words in blocks.items() if words)
        moved = sum(tally.bits(access.tensor, bits).values())
        right[access.level, access.tensor] = (reads, writes, updates, moved, 0.0, energy, None)
    right["mac", "none"] = mac_row(nest, bits, machine, None)
    compare_rows(layer.by, right, layer.runs)
    return "energies re-derived from the counts; the counts themselves are covered by the content hash"


def mac_row(nest: Nest, bits: Bits, machine: Accelerator, raw: float | None) -> Row:
    return nest.macs, 0, 0, 0, 0.0, nest.macs * machine.mac_energy(bits), raw


def _check_latency(
    layer: LayerEstimate, nest: Nest, plan: Plan, bits: Bits, machine: Accelerator, objective: str
) -> str:
    once = latency_cycles(plan, nest, machine, bits)
    cycles = once * layer.runs
    utilization = nest.macs * machine.timed / (once * machine.pes)
    computing = busy_cycles(plan, nest, machine) * layer.runs
    right = {"latency_cycles": cycles, "utilization": utilization, "compute_cycles": computing}
    refute_differences(differing({key: getattr(layer, key) for key in right}, dict(right)))
    _check_fastest(layer, cycles, least(nest, machine, bits).cycles * layer.runs, objective)
    return f"{cycles:,.0f} cycles"


def _check_fastest(layer: LayerEstimate, cycles: float, floor: float, objective: str) -> None:
    """That no mapping of the optimum is faster follows from a certificate alone; here, that no more is said than can be."""
    stated = layer.latency_bound_cycles
    if stated is None:
        return
    if layer.search is None:
        raise Refuted("latency_bound_cycles is given for a mapping that wasn't searched")
    if stated > cycles and not same(stated, cycles):
        raise Refuted(f"latency_bound_cycles is {stated!r}, above the {cycles!r} cycles of the mapping")
    if objective == "latency":
        if stated > layer.bound and not same(stated, layer.bound):
            raise Refuted(f"latency_bound_cycles is {stated!r}, above the bound {layer.bound!r}")
    elif (objective == "edp" or layer.status != "PROVED") and stated > floor and not same(stated, floor):
        raise Refuted(f"latency_bound_cycles is {stated!r}, but no optimum is proved, and the floor is {floor!r}")


def check_reuse(layer: LayerEstimate, machine: Accelerator) -> str:
    """MACs per element that moves at the home of a tensor."""
    right: dict[str, float | None] = {}
    for access in layer.by:
        moved = access.reads + access.writes + access.updates
        if access.tensor in TENSORS and access.level == machine.home(access.tensor).name and moved:
            right[access.tensor] = layer.macs / moved
    if set(layer.reuse or {}) != set(right):
        raise Refuted(f"reuse is given for {sorted(layer.reuse or {})}, the homes of {sorted(right)} are in use")
    refute_differences(differing(dict(layer.reuse or {}), right))
    return "MACs per element at the homes"


def _check_floor(layer: LayerEstimate, nest: Nest, bits: Bits, asked: Asked) -> str:
    # No way to make several runs does less than a batch of them, for which the weights are fetched once.
    bottom = least(replace(nest, N=nest.N * layer.runs), asked.minding(layer, nest, bits), bits)
    # Timeloop charges less at some places, so that only the arithmetic is a floor under its counting.
    energy, compulsory = bottom.energy, bottom.compulsory
    if asked.counting != "exact":
        energy = compulsory = layer.macs * asked.machine.mac.at(bits)
    floors = {"energy": energy, "latency": bottom.cycles, "edp": energy * bottom.cycles}
    # The sums are made in another order there: a floor that equals the value must not lie above it by rounding.
    right = {
        "floor_pj": min(energy, layer.energy_pj),
        "compulsory_pj": min(compulsory, layer.energy_pj),
        "floor": min(floors[asked.objective], layer.value),
    }
    for name, floor, value in (("floor_pj", energy, layer.energy_pj), ("floor", floors[asked.objective], layer.value)):
        if floor > value and not same(floor, value):
            raise Refuted(f"{name} re-derived is {floor!r}, above the value {value!r}")
    refute_differences(differing({name: getattr(layer, name) for name in right}, right))
    return f"compute, compulsory traffic and communication, {energy:,.0f}"


def check_no_nest(layer: LayerEstimate) -> None:
    """Raises ``Refuted`` if a layer without nest has what only nests have."""
    figures, keys = {"read", "written", "vector_ops"}, set(layer.moved or ())
    if layer.moved is None or keys not in (figures, figures | {"weights"}) or min(layer.moved.values()) < 0:
        raise Refuted(f"moved has the keys read, written and vector_ops, perhaps weights; got {layer.moved}")
    present = [
        k
        for k in ("stride", "dilation", "pad", "mapping", "utilization", "reuse", "compute_cycles", "tiles")
        if getattr(layer, k) is not None
    ]
    if present or layer.macs or layer.params < 0 or layer.latency_cycles is not None or layer.search is not None:
        raise Refuted(f"a layer without nest has no {', '.join([*present, 'MACs', 'latency', 'search'])}")


def _check_plain(layer: LayerEstimate, asked: Asked) -> str:
    """Pool, add, concat: inputs read at their home, results written to theirs, each element once in every run."""
    check_no_nest(layer)
    assert layer.moved is not None
    if layer.shared and (layer.params or not layer.moved.get("weights")):
        raise Refuted(f"shared is set, but the layer has {layer.params:,} parameters and no weights of another")
    if not layer.energy_pj == layer.floor_pj == layer.bound_pj == layer.compulsory_pj:
        raise Refuted(
            "nothing can be chosen in a layer without nest: value, bound, floor and compulsory energy are one"
        )
    bits = bits_of(layer.bits)
    machine = asked.minding(layer, None, bits)
    written = layer.moved["written"]
    tallies: Tallies = {
        (machine.home("inputs").name, "inputs"): Tally(reads=layer.moved["read"]),
        (machine.home("outputs").name, "outputs"): Tally(updates=written, finished=written),
    }
    gathered = layer.moved.get("weights", 0)
    if gathered:
        tallies[machine.home("weights").name, "weights"] = Tally(reads=gathered)
    right, arithmetic = rows_of(tallies, bits, machine, asked.met(layer, None, bits)), 0.0
    operations = layer.moved["vector_ops"]
    if machine.vector_energy is not None and operations:
        arithmetic = operations * machine.vector_energy
        right["vector", "none"] = (operations, 0, 0, 0, 0.0, arithmetic, arithmetic if machine.minds_zeros else None)
    asked.remember(layer, None, bits, tallies, arithmetic)
    compare_rows(layer.by, right, layer.runs)
    return f"{layer.moved['read']:,} elements in, {layer.moved['written']:,} out"


def _check_sum(layer: LayerEstimate) -> str:
    total = math.fsum(access.energy_pj for access in layer.by)
    if total != layer.energy_pj:
        raise Refuted(f"energy_pj is {layer.energy_pj!r}, its rows add up to {total!r}")
    if min((n for a in layer.by for n in (a.energy_pj, a.reads, a.writes, a.updates, a.bits)), default=0) < 0:
        raise Refuted("a count or an energy below zero")
    return "exact"


def _check_order(layer: LayerEstimate, asked: Asked) -> str:
    cycles = 0.0 if layer.dims is None else layer.latency_cycles  # what is no nest takes no time that is modelled
    values = {"energy": layer.energy_pj, "latency": cycles, "edp": None if cycles is None else layer.energy_pj * cycles}
    if not same(layer.value, values[asked.objective]):
        raise Refuted(f"value is {figure(layer.value)}, the {asked.objective} is {figure(values[asked.objective])}")
    if asked.objective == "energy" and (layer.value, layer.bound, layer.floor) != (
        layer.energy_pj,
        layer.bound_pj,
        layer.floor_pj,
    ):
        raise Refuted("value, bound and floor of the energy differ from energy_pj, bound_pj and floor_pj")
    for low, middle, high in (
        (layer.floor, layer.bound, layer.value),
        (layer.floor_pj, layer.bound_pj, layer.energy_pj),
    ):
        if not 0 <= low <= middle <= high:
            raise Refuted(f"floor {low!r}, bound {middle!r}, value {high!r} don't rise")
    return "in order"


def _check_status(layer: LayerEstimate) -> str:
    check_gap(layer.value, layer.bound, layer.gap)
    if layer.status not in STATUSES:
        raise Refuted(f"status is {layer.status!r}, which is none of {', '.join(STATUSES)}")
    if layer.status == "PROVED" and layer.bound != layer.value:
        raise Refuted(f"status PROVED with bound {layer.bound!r} below value {layer.value!r}")
    if layer.status == "GAP_OPEN" and layer.bound == layer.value:
        raise Refuted("status GAP_OPEN without a gap")
    if layer.status in ("PER_LAYER", "INFEASIBLE") or (layer.dims is None and layer.status != "PROVED"):
        raise Refuted(f"a layer of kind {layer.kind} can't have the status {layer.status}")
    if layer.dims is not None and (layer.status == "GIVEN") != (layer.search is None):
        raise Refuted(f"status {layer.status} with search {layer.search}: a given mapping isn't searched, any other is")
    if layer.status == "GIVEN" and (layer.bound, layer.bound_pj) != (layer.floor, layer.floor_pj):
        raise Refuted("nothing but the floor bounds a given mapping")
    return layer.status


def check_gap(value: float, bound: float, gap: float) -> None:
    """Raises ``Refuted`` unless gap is (value − bound) / value."""
    right = (value - bound) / value if value else 0.0
    if not same(gap, right):
        raise Refuted(f"gap is {gap!r}, re-derived {right!r}")


def _check_bound_by(layer: LayerEstimate) -> str:
    """The place with the largest share of the energy, named "level (tensor)" or "level"."""
    largest = max((access.energy_pj for access in layer.by), default=0.0)
    names = {f"{a.level} ({a.tensor})" if a.tensor != "none" else a.level for a in layer.by if a.energy_pj == largest}
    names |= {a.level for a in layer.by if a.energy_pj == largest}
    if layer.by and layer.bound_by not in names:
        raise Refuted(f"bound_by is {layer.bound_by!r}, most energy goes to {' or '.join(sorted(names))}")
    return layer.bound_by
