"""The example designs of Timeloop, imported, against our catalogue, which was typed from them by hand.

What the model uses of a machine is laid out field by field (``facts``). Every field that differs must be covered by a
predicate with a reason, and every predicate must cover a field that differs. The energies of version 0.4 are those of
another table; there the design is held against what Timeloop itself printed of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from references.test_optimum_against_timeloop import nest_of, of_design
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, SequenceNode

from picojoule.errors import HardwareError, MappingError
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Accelerator, FanOut
from picojoule.hardware.describe import accelerator_from_text
from picojoule.hardware.timeloop import Imported, import_timeloop
from picojoule.mapping.legality import check_legal
from picojoule.mapping.timeloop import parse_timeloop_mapping
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.nest import Bits, Nest

FILES = {
    "eyeriss_like v0.3": (
        "eyeriss_like_v0.3/arch/eyeriss_like.yaml",
        "eyeriss_like_v0.3/constraints/eyeriss_like_arch_constraints.yaml",
        "eyeriss_like_v0.3/ert/ERT.yaml",
    ),
    "simba_like v0.3": (
        "simba_like_v0.3/arch/simba_like.yaml",
        "simba_like_v0.3/constraints/simba_like_arch_constraints.yaml",
        "simba_like_v0.3/ert/ERT.yaml",
    ),
    "eyeriss_like v0.4": ("eyeriss_like_v0.4/arch.yaml", "eyeriss_like_v0.4/timeloop-mapper.ERT.yaml"),
    "simba_like v0.4": ("simba_like_v0.4/arch.yaml", "simba_like_v0.4/timeloop-mapper.ERT.yaml"),
}
CATALOGUE = {"eyeriss_like": "eyeriss-like-45nm", "simba_like": "simba-like-45nm"}

Covers = Callable[[str], bool]


def matches(pattern: str) -> Covers:
    return lambda field: re.fullmatch(pattern, field) is not None


ROW_STATIONARY = "the catalogue's machine doesn't impose the row-stationary constraints"
DIFFERENCES: dict[str, dict[str, Covers]] = {
    "eyeriss_like v0.3": {
        ROW_STATIONARY: matches(r"PE [xy] dims|\w+_spad tiles"),
    },
    "simba_like v0.3": {
        "fan-outs are named after what stands there": matches(r"array [12] name"),
        "the catalogue has what Timeloop printed for a register": matches(r"PEWeightRegs energy \w+ weights"),
    },
    "eyeriss_like v0.4": {
        ROW_STATIONARY: matches(r"PE [xy] dims|\w+_spad tiles"),
        "words of 8 bits, but for psum_spad": matches(
            r"bits (weights|inputs|outputs)|(DRAM|shared_glb|ifmap_spad|weights_spad) (word|block|read|write)"
        ),
        "another table: 65 nm, and 8 × 8 bit multipliers": matches(r"node_nm|mac at .*|(?!DRAM)\w+ energy \w+ \w+"),
    },
    "simba_like v0.4": {
        "fan-outs are named by the design": matches(r"array [12] name"),
        "another table": matches(r"mac at .*|(?!DRAM)\w+ energy \w+ \w+"),
    },
}
"""Design → reason → predicate on the fields that differ from the catalogue."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "references" / "timeloop" / "files"


@pytest.fixture(scope="module")
def imported(folder: Path) -> dict[str, Imported]:
    return {design: import_timeloop([folder / file for file in files]) for design, files in FILES.items()}


def facts(machine: Accelerator) -> dict[str, Any]:
    """Every field that the model uses, by a name."""
    fields: dict[str, Any] = {"unit": machine.unit, "node_nm": machine.node_nm}
    # At several widths, so that the parts of its price count that scale otherwise.
    fields |= {
        f"mac at {width} bits": machine.mac.at(Bits(weights=width, inputs=width, outputs=width, psums=width))
        for width in (4, 8, 16)
    }
    fields["order"] = ["array" if isinstance(entry, FanOut) else entry.name for entry in machine.hierarchy]
    fields |= {f"bits {tensor}": getattr(machine.bits, tensor) for tensor in ("weights", "inputs", "outputs", "psums")}
    for i, array in enumerate(machine.fanouts):
        fields[f"array {i} name"] = array.name
        fields[f"array {i} sizes"] = {axis.name: axis.size for axis in array.axes}
        fields[f"array {i} network"] = array.multicast, array.reduction
        fields |= {f"{array.name if array.name == 'PE' else i} {axis.name} dims": set(axis.dims) for axis in array.axes}
    for level in machine.levels:
        name = level.name
        fields[f"{name} kind"] = level.kind
        fields[f"{name} holds"] = level.keeps, level.may_keep, level.latch
        fields[f"{name} capacity"] = level.capacity_bits, level.buffering
        fields[f"{name} word"], fields[f"{name} block"] = level.word_bits, level.block_words
        fields[f"{name} read"], fields[f"{name} write"] = level.read_bits_per_cycle, level.write_bits_per_cycle
        fields[f"{name} tiles"] = {(rule.tensor, str(rule)) for rule in level.tiles}
        # By the bit, as energies are charged.
        fields |= {f"{name} energy {d} {t}": level.energy_per_bit(d, t) for (d, t), _ in level.energy_per_word}
    return fields


def differing(one: Accelerator, other: Accelerator) -> set[str]:
    mine, its = facts(one), facts(other)
    return {field for field in mine.keys() | its.keys() if not _same(mine.get(field), its.get(field))}


def _same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, float) and isinstance(other, float)
    return one == pytest.approx(other, rel=1e-9) if numbers else one == other


@pytest.mark.parametrize("design", FILES)
def test_an_import_is_the_catalogues_but_for_documented_differences(imported: dict[str, Imported], design: str) -> None:
    catalogue = load_hardware(CATALOGUE[design.split()[0]])
    seen = differing(imported[design].machine, catalogue)
    for field in sorted(seen):
        reasons = [reason for reason, covers in DIFFERENCES[design].items() if covers(field)]
        assert len(reasons) == 1, f"{field} differs: {reasons or 'no reason is documented'}"
    for reason, covers in DIFFERENCES[design].items():
        assert any(covers(field) for field in seen), f"nothing differs any more because {reason}"


def test_a_difference_would_be_seen(folder: Path, tmp_path: Path) -> None:
    for old, new, field in (
        ("memory_depth: 192", "memory_depth: 191", "weights_spad capacity"),
        ("read_bandwidth: 16", "read_bandwidth: 15", "shared_glb read"),
        ("energy: 1.58552", "energy: 1.58553", "weights_spad energy read weights"),
    ):
        paths = [_edited(folder / file, tmp_path, old, new) for file in FILES["eyeriss_like v0.3"]]
        assert field in differing(import_timeloop(paths).machine, load_hardware("eyeriss-like-45nm"))


def _edited(path: Path, folder: Path, old: str, new: str) -> Path:
    copy = folder / path.name
    copy.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return copy


@pytest.mark.parametrize("design", FILES)
def test_the_written_description_is_the_machine(imported: dict[str, Imported], design: str) -> None:
    one = imported[design]
    assert accelerator_from_text(one.text, "written") == one.machine
    top = one.text.partition("\nname:")[0]
    assert all(line.startswith("#") for line in top.splitlines())
    flat = " ".join(top.replace("#", "").split())
    assert one.left_out and all(" ".join(line.split()) in flat for line in one.left_out)


def test_row_stationary_constraints_are_those_written_by_hand(imported: dict[str, Imported]) -> None:
    """But for two ways to say the same: groups, of which a convolution has one, and S at the partial sums, of which
    the other rules leave a PE one index."""
    machine = imported["eyeriss_like v0.3"].machine
    by_hand = load_hardware(Path(__file__).with_name("eyeriss_like_row_stationary.yaml"))
    mine, its = facts(machine), facts(by_hand)
    assert differing(machine, by_hand) == {"PE x dims", "PE y dims", "psum_spad tiles"}
    assert mine["PE x dims"] - its["PE x dims"] == mine["PE y dims"] - its["PE y dims"] == {"G"}
    assert its["PE x dims"] <= mine["PE x dims"] and its["PE y dims"] <= mine["PE y dims"]
    assert mine["psum_spad tiles"] ^ its["psum_spad tiles"] == {("outputs", "S all")}


@pytest.mark.parametrize(
    "nest",
    [
        Nest(K=24, C=16, P=8, Q=8, R=3, S=3),
        Nest(K=48, C=3, P=13, Q=13, R=5, S=5, stride=(2, 2)),
        Nest(K=128, C=96, P=7, Q=7),
    ],
    ids=["3x3", "5x5 stride 2", "1x1"],
)
def test_imported_constraints_have_the_optimum_of_those_by_hand(imported: dict[str, Imported], nest: Nest) -> None:
    by_hand = load_hardware(Path(__file__).with_name("eyeriss_like_row_stationary.yaml"))
    values = []
    for machine in (imported["eyeriss_like v0.3"].machine, by_hand):
        found = search_layer(nest, machine, machine.bits, "energy", Exact(time_limit_s=None, factors="exact"))
        assert found.status == "PROVED"
        values.append(found.value)
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@pytest.mark.parametrize(("design", "count"), [("eyeriss_like", 56), ("simba_like", 28)])
def test_mappings_that_timeloop_found_obey_the_imported_machine(
    shared: Path, imported: dict[str, Imported], design: str, count: int
) -> None:
    """Timeloop found them under these constraints. Of 41 of simba_like 13 don't fit: it holds a partial sum of 24 bits
    as one word of GlobalBuffer."""
    every = json.loads((shared / "references" / "timeloop" / "records.json").read_text(encoding="utf-8"))["records"]
    machine, obeyed, wrong = imported[f"{design} v0.3"].machine, 0, []
    for record in of_design(every, design):
        depthwise = record["kind"] == "depthwise"
        mapping, _ = parse_timeloop_mapping(record["mapping"], machine, depthwise=depthwise, where=record["id"])
        try:
            check_legal(nest_of(record), machine, mapping, where=record["id"])
        except MappingError as error:
            if "GlobalBuffer" not in str(error):
                wrong.append(str(error))
        else:
            obeyed += 1
    assert wrong == []
    assert obeyed == count


@pytest.mark.parametrize("design", ["eyeriss_like v0.4", "simba_like v0.4"])
def test_the_mapping_printed_with_version_0_4_obeys_the_imported_machine(
    folder: Path, imported: dict[str, Imported], design: str
) -> None:
    machine = imported[design].machine
    text = (folder / design.replace(" ", "_") / "timeloop-mapper.map.txt").read_text(encoding="utf-8")
    mapping, dims = parse_timeloop_mapping(text, machine)
    check_legal(Nest(**dims, stride=(2, 2)), machine, mapping)


def test_without_constraints_every_memory_may_keep_everything(folder: Path) -> None:
    architecture, _, energies = FILES["eyeriss_like v0.3"]
    machine = import_timeloop([folder / energies, folder / architecture]).machine
    assert [level.name for level in machine.levels] == [
        "DRAM", "shared_glb", "DummyBuffer", "ifmap_spad", "weights_spad", "psum_spad",
    ]  # fmt: skip
    assert all(level.may_keep == ("weights", "inputs", "outputs") for level in machine.levels[1:])
    assert [(array.name, array.size) for array in machine.fanouts] == [("DummyBuffer.position", 14), ("PE", 12)]
    assert machine.level("DummyBuffer").capacity_bits == 256


def test_what_is_no_part_of_the_machine_is_listed(folder: Path, imported: dict[str, Imported]) -> None:
    more = [
        "constraints/eyeriss_like_map_constraints.yaml",
        "arch/components/smartbuffer_RF.yaml",
        "ert/ERT_summary_verbose.yaml",
        "ert/ART_summary_verbose.yaml",
    ]
    paths = [folder / file for file in FILES["eyeriss_like v0.3"]]
    paths += [folder / "eyeriss_like_v0.3" / file for file in more]
    one = import_timeloop(paths)
    assert one.machine == imported["eyeriss_like v0.3"].machine
    added = set(one.left_out) - set(imported["eyeriss_like v0.3"].left_out)
    assert sorted(line.split(": ")[1] for line in added) == [
        "ART_summary", "ERT_summary", "compound_components", "mapspace_constraints",
    ]  # fmt: skip


def test_areas_add_up(folder: Path) -> None:
    """168 PEs of 5668.54 µm², 14 of DummyBuffer, one buffer."""
    paths = [folder / file for file in FILES["eyeriss_like v0.3"]] + [folder / "eyeriss_like_v0.3" / "ert" / "ART.yaml"]
    um2 = 168 * (1239.5 + 379.68 + 3634.68 + 414.68) + 14 * 235.68 + 1162549.0
    assert import_timeloop(paths).machine.area_mm2 == pytest.approx(um2 / 1e6, rel=1e-12)


@pytest.mark.parametrize("design", ["eyeriss_like", "simba_like"])
def test_the_catalogue_has_the_published_areas(folder: Path, design: str) -> None:
    paths = [folder / file for file in FILES[f"{design} v0.3"]] + [folder / f"{design}_v0.3" / "ert" / "ART.yaml"]
    assert load_hardware(CATALOGUE[design]).area_mm2 == pytest.approx(import_timeloop(paths).machine.area_mm2, rel=1e-9)


@pytest.mark.parametrize("design", ["eyeriss_like v0.4", "simba_like v0.4"])
def test_version_0_4_is_what_timeloop_printed(folder: Path, imported: dict[str, Imported], design: str) -> None:
    machine = imported[design].machine
    stats = (folder / design.replace(" ", "_") / "timeloop-mapper.stats.txt").read_text(encoding="utf-8")
    for level in machine.levels:
        specs = stats[stats.index(f"=== {level.name} ===") :].partition("MAPPING")[0]

        def printed(label: str, specs: str = specs) -> float | None:
            match = re.search(rf"{re.escape(label)}\s*: ([\d.]+|-)", specs)
            assert match, label
            return None if match[1] == "-" else float(match[1])

        words = None if level.capacity_bits is None else level.capacity_bits / level.word_bits
        assert words == printed("Size") or level is machine.levels[0]
        assert (level.word_bits, level.block_words) == (printed("Word bits"), printed("Block size"))
        instances = 1
        for name in machine.fanouts_outside(level.name):
            instances *= machine.fanout(name).size
        assert instances == printed("Instances")
        for ours, label in ((level.read_bits_per_cycle, "Read"), (level.write_bits_per_cycle, "Write")):
            assert (None if ours is None else ours / level.word_bits) == printed(f"{label} bandwidth")
        access_pj = max(
            level.energy_per_bit(d, t) * level.word_bits * level.block_words for (d, t), _ in level.energy_per_word
        )
        access_pj /= printed("Cluster size") or 1  # a word of a cluster has its share of the printed energy
        assert access_pj == pytest.approx(printed("Vector access energy"), abs=0.0051)
    compute = re.search(r"Compute energy\s*: ([\d.]+)", stats)
    assert compute and machine.mac.at(machine.bits) == pytest.approx(float(compute[1]), abs=0.0051)


def _keys(node: Any) -> Iterator[tuple[int, int]]:
    """From where to where in the text each key of a YAML document stands."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key.start_mark.index, key.end_mark.index
            yield from _keys(value)
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _keys(item)


def _short_table(path: Path, folder: Path) -> Path:
    """The energy table with the dearest entry of each action only: quick to read again and again."""
    table = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    for component in table["ERT"]["tables"]:
        dearest = {one["name"]: one for one in sorted(component["actions"], key=lambda one: one["energy"])}
        component["actions"] = [{**one, "arguments": None} for one in dearest.values()]
    short = folder / path.name
    short.write_text(json.dumps(table), encoding="utf-8")
    return short


@pytest.mark.parametrize("design", FILES)
def test_no_key_is_dropped_silently(folder: Path, tmp_path: Path, design: str) -> None:
    """Each key of the architecture and the constraints in turn is misspelt: that is refused, or the key is listed."""
    paths = {Path(file).name: folder / file for file in FILES[design]}
    table = next(name for name in paths if name.endswith("ERT.yaml"))
    paths[table] = _short_table(paths[table], tmp_path)
    silent, refused, listed = [], 0, 0
    for name, path in paths.items():
        text = path.read_text(encoding="utf-8")
        for start, end in _keys(YAML(typ="safe", pure=True).compose(text)) if name != table else ():
            misspelt = tmp_path / f"misspelt-{name}"
            misspelt.write_text(f"{text[:start]}xyzzy{text[end:]}", encoding="utf-8")
            try:
                one = import_timeloop([misspelt if other == name else place for other, place in paths.items()])
            except HardwareError as error:
                assert re.search(r"\.yaml(:\d+|$)", error.where.partition(": ")[0]), error
                refused += 1
            else:
                if any("xyzzy" in line for line in one.left_out):
                    listed += 1
                else:
                    silent.append(f"{name}: {text[start:end]}")
    assert silent == []
    assert refused > 20 and listed > 10
