"""Timeloop's own mappings, replayed: ``references/timeloop/records.json``, 56 of eyeriss_like and 41 of simba_like.

Every count (reads, fills, updates by level and tensor, over all instances) is what Timeloop printed, in all 97 records;
none is excepted. Energies of every record, level and tensor agree within 0.1 %, but for what ``ENERGY_EXCEPTIONS`` says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.published import Figure, Table

from picojoule.cost import timeloop_counting
from picojoule.cost.timeloop_counting import count_timeloop, timeloop_energy
from picojoule.cost.traffic import Count
from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.hardware.catalogue import load_hardware
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Mapping
from picojoule.mapping.timeloop import parse_timeloop_mapping
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

TOLERANCE = 1e-3
TENSOR_NAMES = {"Weights": "weights", "Inputs": "inputs", "Outputs": "outputs"}

# Energies of a block, read and written, in pJ, with which the records' energies come out to their last printed digit.
# The records were made with a table of three decimals, the published ERT.yaml of the catalogue has five.
RECORDED_BLOCK_PJ = {
    "DRAM": (512.0, 512.0),
    "shared_glb": (74.144, 75.215),
    "ifmap_spad": (0.237, 0.237),
    "weights_spad": (1.586, 1.586),
    "psum_spad": (0.251, 0.251),
}

Predicate = Callable[[Nest, Mapping, str, str], bool]
EXCEPTIONS: dict[str, Predicate] = {}
"""Reason → predicate on (nest, mapping, level, tensor) for counts that may disagree. None is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One record, its mapping read, and our counts of it."""

    name: str
    record: dict[str, Any]
    nest: Nest
    accelerator: Accelerator
    mapping: Mapping
    counts: tuple[Count, ...]

    def energies(self, accelerator: Accelerator) -> dict[tuple[str, str], float]:
        traffic = count_timeloop(self.nest, accelerator, self.mapping)
        return timeloop_energy(self.nest, accelerator, self.mapping, traffic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One level and tensor of a record: what Timeloop printed and what we count, as (reads, fills, updates)."""

    replay: Replay
    level: str
    tensor: str
    theirs: tuple[float, float, float]
    ours: tuple[int, int, int]

    @property
    def agrees(self) -> bool:
        return all(abs(a - b) <= TOLERANCE * abs(b) for a, b in zip(self.ours, self.theirs, strict=True))

    def __str__(self) -> str:
        return f"{self.replay.name} {self.level} {self.tensor}: ours {self.ours}, Timeloop's {self.theirs}"


def simba_like() -> Accelerator:
    """Levels and fan-outs of files/simba_like_v0.3/arch/simba_like.yaml; energies are all 1, only counts matter."""
    price = uniform_energies(read=1, write=1, update=1)

    def level(name: str, keeps: tuple[str, ...], word_bits: int = 8, block: int = 1) -> Level:
        return Level(name=name, keeps=keeps, word_bits=word_bits, energy_per_word=price, block_words=block)

    def fanout(name: str, axis: str, size: int) -> FanOut:
        return FanOut(name=name, axes=(Axis(name=axis, size=size, dims=DIMS),))

    return Accelerator(
        name="simba_like",
        hierarchy=(
            level("DRAM", TENSORS, block=8),
            level("GlobalBuffer", ("inputs", "outputs"), block=32),
            fanout("PE", "x", 16),
            level("PEInputBuffer", ("inputs",), block=8),
            fanout("distributed_buffer", "y", 4),
            level("PEWeightBuffer", ("weights",), block=8),
            level("PEAccuBuffer", ("outputs",), word_bits=24),
            fanout("lane", "y", 4),
            level("PEWeightRegs", ("weights",)),
        ),
        unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=24),
        mac=MacEnergy(bits=8, multiply=0.5608),
    )


def nest_of(record: dict[str, Any]) -> Nest:
    dims = dict(record["dims"])
    outputs, inputs = dims.pop("M"), dims.pop("C")
    stride = tuple(record["stride"])
    if record["kind"] == "depthwise":
        return Nest(G=outputs * inputs, stride=stride, **dims)
    return Nest(K=outputs, C=inputs, stride=stride, **dims)


def replay(record: dict[str, Any], accelerator: Accelerator) -> Replay:
    nest = nest_of(record)
    mapping, dims = parse_timeloop_mapping(
        record["mapping"], accelerator, depthwise=record["kind"] == "depthwise", where=record["id"]
    )
    assert dims == nest.dims
    counts = count_timeloop(nest, accelerator, mapping).counts
    return Replay(
        name=record["id"], record=record, nest=nest, accelerator=accelerator, mapping=mapping, counts=counts
    )


def comparisons(replays: Iterable[Replay]) -> list[Comparison]:
    """Every level and tensor that Timeloop printed or that we count."""
    result = []
    for one in replays:
        ours = {(c.level, c.tensor): (c.reads, c.writes, c.updates) for c in one.counts}
        theirs = {
            (level, TENSOR_NAMES[tensor]): tuple(
                entry[key] * entry["instances"] for key in ("sreads_per_inst", "sfills_per_inst", "supdates_per_inst")
            )
            for level, tensors in one.record["levels"].items()
            for tensor, entry in tensors.items()
            if tensor in TENSOR_NAMES
        }
        assert ours.keys() == theirs.keys()
        result += [
            Comparison(replay=one, level=key[0], tensor=key[1], theirs=theirs[key], ours=ours[key]) for key in theirs
        ]
    return result


def complaints(found: Iterable[Comparison], exceptions: dict[str, Predicate]) -> list[str]:
    """What is wrong: a count that disagrees unexplained, an exception that covers an agreeing count or nothing."""
    found = list(found)
    wrong, used = [], set()
    for one in found:
        about = (one.replay.nest, one.replay.mapping, one.level, one.tensor)
        reasons = [reason for reason, covers in exceptions.items() if covers(*about)]
        used.update(reasons)
        if not one.agrees and not reasons:
            wrong.append(f"unexplained: {one}")
        wrong += [f"{reason!r} covers an agreeing record: {one}" for reason in reasons if one.agrees]
    return wrong + [f"{reason!r} covers nothing" for reason in exceptions if reason not in used]


def table(shared: Path) -> Table:
    """Records whose counts are all equal, and the energy at every level over all of them."""
    records = json.loads((shared / "references" / "timeloop" / "records.json").read_text(encoding="utf-8"))["records"]
    machines = {"eyeriss_like": load_hardware("eyeriss-like-45nm"), "simba_like": load_hardware("simba-like-45nm")}
    rows, energies = [], []
    for design, machine in machines.items():
        replays = [replay(record, machine) for record in records if record["design"] == design]
        wrong = {one.replay.name for one in comparisons(replays) if not one.agrees}
        what = f"{design}: records with every count equal"
        rows.append(Figure(what=what, published=len(replays), ours=len(replays) - len(wrong), within=0.05))
        met = sum(abs(total_energy(one) / one.record["energy_pj"] - 1) <= TOLERANCE for one in replays)
        off = {}
        if design == "simba_like":
            off = {"missed": 14 / 41 - 1, "reason": "Timeloop charges all 256 registers of PEWeightRegs, in use or not"}
        rows.append(
            Figure(what=f"{design}: records with their energy to 0.1 %", published=len(replays), ours=met, within=0, **off)
        )
        if design == "simba_like":
            met = sum(abs(energy_of_all_registers(one) / one.record["energy_pj"] - 1) <= TOLERANCE for one in replays)
            what = f"{design}: the same, were all registers charged"
            rows.append(Figure(what=what, published=len(replays), ours=met, within=0))
        ours = [one.energies(machine) for one in replays]
        for level in machine.levels:
            printed = [
                entry["energy_pJ"]
                for one in replays
                for tensor, entry in one.record["levels"][level.name].items()
                if tensor in TENSOR_NAMES
            ]
            spent = math.fsum(energy[level.name, tensor] for energy in ours for tensor in level.keeps)
            missed, reason = None, ""
            if level.name == "PEWeightRegs":
                missed, reason = -0.824, "Timeloop charges all 256 registers, in use or not"
            if level.name == "ifmap_spad":
                missed, reason = -0.0029, "priced at 0.237 pJ there; the published table says 0.23632"
            energies.append(
                Figure(
                    what=f"{design}: energy at {level.name}", published=math.fsum(printed) / 1e6, ours=spent / 1e6,
                    unit="µJ", within=1e-3, missed=missed, reason=reason,
                )
            )  # fmt: skip
    return Table(
        title="Timeloop: replay of 97 mappings",
        source="`references/timeloop/records.json`, counts and energies that Timeloop printed.",
        how="the same mappings by `counting=\"timeloop\"` under the machines of the catalogue: reads, "
        "fills and updates of every level and tensor equal to 0.1 %; energies summed over all records.",
        figures=(*rows, *energies),
    )


@pytest.fixture(scope="module")
def records(shared: Path) -> list[dict[str, Any]]:
    return json.loads((shared / "references" / "timeloop" / "records.json").read_text(encoding="utf-8"))["records"]


@pytest.fixture(scope="module")
def eyeriss(records: list[dict[str, Any]]) -> list[Replay]:
    machine = load_hardware("eyeriss-like-45nm")
    return [replay(record, machine) for record in records if record["design"] == "eyeriss_like"]


@pytest.fixture(scope="module")
def simba(records: list[dict[str, Any]]) -> list[Replay]:
    machine = simba_like()
    return [replay(record, machine) for record in records if record["design"] == "simba_like"]


def test_the_table(shared: Path) -> None:
    assert table(shared).complaints == []


def test_eyeriss_counts(eyeriss: list[Replay]) -> None:
    assert len(eyeriss) == 56
    found = comparisons(eyeriss)
    assert len(found) == 56 * 8
    assert complaints(found, EXCEPTIONS) == []


def test_simba_counts(simba: list[Replay]) -> None:
    assert len(simba) == 41
    found = comparisons(simba)
    assert len(found) == 41 * 9
    assert complaints(found, EXCEPTIONS) == []


def test_counts_are_equal_not_only_close(eyeriss: list[Replay], simba: list[Replay]) -> None:
    """The tolerance isn't needed: Timeloop prints whole numbers per instance, and we count the same ones."""
    assert [str(c) for c in comparisons([*eyeriss, *simba]) if c.ours != c.theirs] == []


def test_eyeriss_mappings_are_legal(eyeriss: list[Replay]) -> None:
    """Timeloop checked capacities and array sizes itself; our rules let the same mappings pass."""
    for one in eyeriss:
        check_legal(one.nest, one.accelerator, one.mapping, where=one.name)


def test_eyeriss_cycles(eyeriss: list[Replay]) -> None:
    """Cycles are the steps of the loops in time, or words over bandwidth at the busiest port (7 records)."""
    bound_by_a_port = 0
    for one in eyeriss:
        machine, cycles = one.accelerator, one.record["cycles"]
        steps = count_timeloop(one.nest, machine, one.mapping).temporal_steps
        ports = [0.0]
        for level in machine.levels:
            tensors = [e for t, e in one.record["levels"][level.name].items() if t in TENSOR_NAMES]
            read = sum(e["sreads_per_inst"] for e in tensors) * level.word_bits
            written = sum(e["sfills_per_inst"] + e["supdates_per_inst"] for e in tensors) * level.word_bits
            ports.append(read / (level.read_bits_per_cycle or math.inf))
            ports.append(written / (level.write_bits_per_cycle or math.inf))
        assert max(steps, *ports) == pytest.approx(cycles, abs=1)
        bound_by_a_port += max(ports) > steps
    assert bound_by_a_port == 7


def energy_errors(replays: Iterable[Replay], machine: Accelerator) -> dict[str, float]:
    """The largest relative difference of the energy at each level, between us and the records."""
    worst: dict[str, float] = {}
    for one in replays:
        ours = one.energies(machine)
        for level, tensors in one.record["levels"].items():
            for tensor, entry in tensors.items():
                if tensor in TENSOR_NAMES:
                    error = abs(ours[level, TENSOR_NAMES[tensor]] / entry["energy_pJ"] - 1)
                    worst[level] = max(worst.get(level, 0.0), error)
    return worst


def with_recorded_table(machine: Accelerator) -> Accelerator:
    def priced(level: Level) -> Level:
        read, write = (block / level.block_words for block in RECORDED_BLOCK_PJ[level.name])
        return replace(level, energy_per_word=uniform_energies(read=read, write=write, update=write))

    return replace(machine, hierarchy=tuple(priced(x) if isinstance(x, Level) else x for x in machine.hierarchy))


def test_eyeriss_energies_to_the_last_digit_with_the_recorded_table(eyeriss: list[Replay]) -> None:
    worst = energy_errors(eyeriss, with_recorded_table(eyeriss[0].accelerator))
    assert worst.keys() == RECORDED_BLOCK_PJ.keys()
    assert max(worst.values()) < 1e-7


def test_eyeriss_energies_with_the_catalogue_machine(eyeriss: list[Replay]) -> None:
    """Documented deviation: ifmap_spad, 0.29 %. ERT.yaml says 0.23632 pJ, the records were priced at 0.237 pJ."""
    worst = energy_errors(eyeriss, eyeriss[0].accelerator)
    deviation = worst.pop("ifmap_spad")
    assert max(worst.values()) <= TOLERANCE
    assert deviation == pytest.approx(0.237 / 0.23632 - 1, rel=0.01)


# Energies, record by record ----------------------------------------------------------------------------------------------

REGISTERS = 256
"""PEWeightRegs of simba_like. Timeloop charges an access for all of them, as a cluster; the catalogue a 256th for each in use."""

EnergyPredicate = Callable[[Replay, str], bool]


def registers_in_use(one: Replay) -> int:
    """Instances of PEWeightRegs that the mapping uses, by the record."""
    return int(one.record["levels"]["PEWeightRegs"]["Weights"]["instances"])


ENERGY_EXCEPTIONS: dict[str, EnergyPredicate] = {
    "Timeloop charges all 256 registers, and not all are in use": lambda one, level: level == "PEWeightRegs"
    and registers_in_use(one) < REGISTERS,
    "ifmap_spad was priced at 0.237 pJ, the published table says 0.23632": lambda one, level: level == "ifmap_spad",
}
"""Reason → predicate on (record, level) for energies that may differ by more than 0.1 %."""


def energy_complaints(replays: Iterable[Replay], exceptions: dict[str, EnergyPredicate]) -> list[str]:
    """As ``complaints``, of the energy at every level and tensor of every record."""
    wrong, used = [], set()
    for one in replays:
        ours = one.energies(one.accelerator)
        for level, tensors in one.record["levels"].items():
            for tensor in (t for t in tensors if t in TENSOR_NAMES):
                theirs, mine = tensors[tensor]["energy_pJ"], ours[level, TENSOR_NAMES[tensor]]
                agrees = abs(mine - theirs) <= TOLERANCE * theirs
                reasons = [reason for reason, covers in exceptions.items() if covers(one, level)]
                used.update(reasons)
                if agrees == bool(reasons):
                    wrong.append(f"{one.name} {level} {tensor}: ours {mine}, Timeloop's {theirs}, excepted by {reasons}")
    return wrong + [f"{reason!r} covers nothing" for reason in exceptions if reason not in used]


def total_energy(one: Replay) -> float:
    return math.fsum(one.energies(one.accelerator).values()) + one.nest.macs * one.accelerator.mac.at(one.accelerator.bits)


def energy_of_all_registers(one: Replay) -> float:
    """The total, if every access of PEWeightRegs were charged for all registers."""
    spent = one.energies(one.accelerator)["PEWeightRegs", "weights"]
    return total_energy(one) + spent * (REGISTERS / registers_in_use(one) - 1)


@pytest.fixture(scope="module")
def priced_simba(records: list[dict[str, Any]]) -> list[Replay]:
    machine = load_hardware("simba-like-45nm")
    return [replay(record, machine) for record in records if record["design"] == "simba_like"]


def test_energies_of_every_record_level_and_tensor(eyeriss: list[Replay], priced_simba: list[Replay]) -> None:
    assert energy_complaints([*eyeriss, *priced_simba], ENERGY_EXCEPTIONS) == []
    without = energy_complaints([*eyeriss, *priced_simba], {})
    assert len(without) == sum(registers_in_use(one) < REGISTERS for one in priced_simba) + len(eyeriss)


def test_registers_out_of_use_are_all_that_differs_in_simba_like(priced_simba: list[Replay]) -> None:
    """Charged for all 256 registers, as Timeloop does, every record is met."""
    for one in priced_simba:
        assert energy_of_all_registers(one) == pytest.approx(one.record["energy_pj"], rel=1e-6), one.name


def test_eyeriss_mac_energy(eyeriss: list[Replay]) -> None:
    for one in eyeriss:
        machine = one.accelerator
        assert one.nest.macs * machine.mac.at(machine.bits) == pytest.approx(
            one.record["levels"]["mac"]["energy_total_pJ"], rel=TOLERANCE
        )


def test_eyeriss_total_energy(eyeriss: list[Replay]) -> None:
    for one in eyeriss:
        machine = one.accelerator
        total = sum(one.energies(machine).values()) + one.nest.macs * machine.mac.at(machine.bits)
        assert total == pytest.approx(one.record["energy_pj"], rel=TOLERANCE)


# The same design in spec v0.4, from a later Timeloop: nothing in the counting was made to fit these two.

V04_NEST = Nest(K=32, C=3, P=112, Q=112, R=3, S=3, stride=(2, 2))


def printed_counts(stats: str) -> dict[tuple[str, str], tuple[int, int, int]]:
    """``(level, tensor)`` → (reads, fills, updates) over all instances, from ``timeloop-mapper.stats.txt``."""
    result = {}
    for part in re.split(r"^=== ", stats.split("\nNetworks\n")[0], flags=re.M)[1:]:
        level = part.split(" ", 1)[0]
        for tensor, body in re.findall(r"^    (\w+):\n((?:        .*\n)+)", part, flags=re.M):
            if tensor in TENSOR_NAMES:
                lines = {k.strip(): v.strip() for k, v in (line.split(" : ", 1) for line in body.splitlines())}
                instances = int(lines["Utilized instances (max)"])
                reads, fills, updates = (
                    int(lines[f"Scalar {what} (per-instance)"]) * instances for what in ("reads", "fills", "updates")
                )
                result[level, TENSOR_NAMES[tensor]] = reads, fills, updates
    return result


@pytest.mark.parametrize("design", ["eyeriss_like", "simba_like"])
def test_v04_mapping_and_counts(shared: Path, design: str) -> None:
    """Documented deviation: this later Timeloop doesn't fill on first touch of a partial sum. All else is equal."""
    folder = shared / "references" / "timeloop" / "files" / f"{design}_v0.4"
    machine = load_hardware("eyeriss-like-45nm") if design == "eyeriss_like" else simba_like()
    text = (folder / "timeloop-mapper.map.txt").read_text(encoding="utf-8")
    mapping, dims = parse_timeloop_mapping(text, machine, where=design)
    assert dims == V04_NEST.dims
    printed = printed_counts((folder / "timeloop-mapper.stats.txt").read_text(encoding="utf-8"))
    counts = count_timeloop(V04_NEST, machine, mapping).counts
    assert {(c.level, c.tensor) for c in counts} == printed.keys()
    for count in counts:
        reads, fills, updates = printed[count.level, count.tensor]
        assert (count.reads, count.updates) == (reads, updates)
        first_touches = count.updates - count.reads if count.tensor == "outputs" and count.level != "DRAM" else 0
        assert count.writes - first_touches == fills


# These tests can fail.


def test_one_perturbed_count_is_noticed(eyeriss: list[Replay]) -> None:
    one = eyeriss[0]
    for i, count in enumerate(one.counts):
        for field in ("reads", "writes", "updates"):
            value = getattr(count, field)
            changed = replace(count, **{field: round(value * 1.002) if value else 1})
            counts = (*one.counts[:i], changed, *one.counts[i + 1 :])
            found = complaints(comparisons([replace(one, counts=counts)]), EXCEPTIONS)
            assert len(found) == 1
            assert f"{count.level} {count.tensor}" in found[0]


def test_an_exception_must_not_cover_an_agreeing_record(eyeriss: list[Replay]) -> None:
    found = comparisons(eyeriss[:2])
    broken = [replace(found[0], ours=(1, 1, 1)), *found[1:]]
    first = found[0]

    def too_wide(nest: Nest, mapping: Mapping, level: str, tensor: str) -> bool:
        return level == first.level

    def exact(nest: Nest, mapping: Mapping, level: str, tensor: str) -> bool:
        return (mapping, level, tensor) == (first.replay.mapping, first.level, first.tensor)

    assert complaints(broken, {}) != []
    assert complaints(broken, {"exact": exact}) == []
    assert any("covers an agreeing record" in line for line in complaints(broken, {"too wide": too_wide}))
    assert any("covers nothing" in line for line in complaints(found, {"never": lambda *_: False}))


def test_the_rule_about_tiles_that_stay_is_needed(simba: list[Replay], monkeypatch: pytest.MonkeyPatch) -> None:
    """If staying in place didn't break a run, window loops outside irrelevant ones would disagree."""
    monkeypatch.setattr(timeloop_counting, "_STILL", None)
    recounted = [
        replace(one, counts=count_timeloop(one.nest, one.accelerator, one.mapping).counts) for one in simba
    ]
    wrong = [c for c in comparisons(recounted) if not c.agrees]
    assert len({c.replay.name for c in wrong}) >= 5
    assert {c.tensor for c in wrong} == {"inputs"}
