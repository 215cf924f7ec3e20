"""The cache of searches: what it serves is what a fresh search finds, and anything doubtful is searched for again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import picojoule
from picojoule.cost.floor import floor
from picojoule.hardware import Accelerator, Axis, FanOut, Level, MacEnergy
from picojoule.hardware.accelerator import uniform_energies
from picojoule.mapping.mapping import Keep, Loop, Mapping
from picojoule.search import cache, many, recall
from picojoule.search.costed import Found, evaluate, plain_mapping
from picojoule.search.layer import search_layer
from picojoule.search.many import Key
from picojoule.search.policy import Exact
from picojoule.search.recall import search_through_cache
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest
from picojoule.workload.zeros import DENSE

BITS = Bits(weights=8, inputs=8, outputs=8, psums=16)
NEST = Nest(K=4, C=2, P=4, Q=2, R=3, pad=(1, 0, 1, 0))
OTHER = Nest(K=6, C=4)


def costing(energy: float) -> Any:
    """The energy table of a level where every access costs the same."""
    return uniform_energies(read=energy, write=energy, update=energy)


MACHINE = Accelerator(
    name="toy",
    hierarchy=(
        Level(name="DRAM", keeps=TENSORS, word_bits=8, energy_per_word=costing(200)),
        Level(
            name="GLB",
            keeps=("inputs", "outputs"),
            may_keep=("weights",),
            word_bits=8,
            capacity_bits=128,
            read_bits_per_cycle=16,
            energy_per_word=costing(6),
        ),
        FanOut(name="PE", axes=(Axis(name="x", size=4, dims=("K", "C")),)),
        Level(name="spad", keeps=TENSORS, word_bits=8, capacity_bits=64, energy_per_word=costing(1)),
    ),
    unit="pJ",
    bits=BITS,
    mac=MacEnergy(bits=8, multiply=1),
)
EXACT = Exact(time_limit_s=None)
Search = Callable[..., tuple[Found, bool]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache; it doesn't exist yet."""
    place = tmp_path / "cache"
    monkeypatch.setenv("PICOJOULE_CACHE_DIR", str(place))
    return place


@pytest.fixture
def search(folder: Path) -> Search:
    """Searches for one layer through the cache; says whether the answer came from there."""

    def run(
        nest: Nest = NEST,
        bits: Bits = BITS,
        machine: Accelerator = MACHINE,
        objective: str = "energy",
        policy: Exact = EXACT,
    ) -> tuple[Found, bool]:
        found, from_cache = search_through_cache({(nest, bits, DENSE): "layer"}, machine, objective, policy)
        return found[nest, bits, DENSE], from_cache == 1

    return run


def with_level(name: str, **changes: Any) -> Accelerator:
    """The toy machine with one level changed."""
    return replace(MACHINE, hierarchy=tuple(replace(x, **changes) if x.name == name else x for x in MACHINE.hierarchy))


def only_entry(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def rewrite(path: Path, change: Callable[[dict[str, Any]], None], *, mended: bool) -> None:
    """Changes an entry; ``mended``: with its checksum made anew, as a forger would."""
    entry = json.loads(path.read_text(encoding="utf-8"))
    change(entry)
    if mended:
        entry["checksum"] = cache._hash({part: entry[part] for part in ("key", "asked", "found")})
    path.write_text(json.dumps(entry), encoding="utf-8")


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
@pytest.mark.parametrize("gap", [0, 0.3])
@pytest.mark.parametrize("nest", [NEST, OTHER], ids=["conv", "fc"])
def test_a_hit_is_what_a_fresh_search_finds_field_by_field(search, objective, gap, nest):
    policy = Exact(gap=gap, time_limit_s=None)
    fresh = search_layer(nest, MACHINE, BITS, objective, policy)
    first, from_cache = search(nest=nest, objective=objective, policy=policy)
    assert not from_cache
    second, from_cache = search(nest=nest, objective=objective, policy=policy)
    assert from_cache
    for field in fields(Found):
        kept, right = getattr(second, field.name), getattr(fresh, field.name)
        assert (kept, type(kept)) == (right, type(right)), field.name
    assert first == fresh


def test_several_layers_come_back_in_the_order_asked_for(folder):
    wanted: dict[Key, str] = {(OTHER, BITS, DENSE): "fc"}
    search_through_cache(wanted, MACHINE, "energy", EXACT)
    wanted = {(NEST, BITS, DENSE): "conv", (OTHER, BITS, DENSE): "fc", (Nest(K=5), BITS, DENSE): "small"}
    found, from_cache = search_through_cache(wanted, MACHINE, "energy", EXACT)
    assert (list(found), from_cache) == (list(wanted), 1)
    # What was found before gives the next search a beginning: that changes how far it looks, not what it finds.
    counts = {"visited": 0, "pruned": 0}
    anew = many.search_layers(wanted, MACHINE, "energy", EXACT)
    assert {k: replace(f, **counts) for k, f in found.items()} == {k: replace(f, **counts) for k, f in anew.items()}
    assert search_through_cache(wanted, MACHINE, "energy", EXACT) == (found, 3)


def test_what_processes_side_by_side_find_is_kept(folder):
    wanted: dict[Key, str] = {(NEST, BITS, DENSE): "conv", (OTHER, BITS, DENSE): "fc"}
    found, _ = search_through_cache(wanted, MACHINE, "energy", EXACT, jobs=2)
    assert search_through_cache(wanted, MACHINE, "energy", EXACT) == (found, 2)


def test_a_hit_needs_no_search(search, monkeypatch):
    search()
    monkeypatch.setattr(many, "search_layer", None)
    assert search()[1]
    with pytest.raises(TypeError):
        search(nest=OTHER)


@pytest.mark.parametrize(
    "changed",
    [
        {"nest": OTHER},
        {"nest": replace(NEST, stride=(2, 1))},
        {"nest": replace(NEST, dilation=(1, 2))},
        {"nest": replace(NEST, pad=(1, 1, 0, 0))},
        {"bits": replace(BITS, psums=15)},
        {"objective": "latency"},
        {"policy": Exact(gap=0.01, time_limit_s=None)},
        {"machine": with_level("DRAM", energy_per_word=costing(200.0000001))},
        {"machine": with_level("spad", capacity_bits=63)},
        {"machine": with_level("GLB", may_keep=())},
        {"machine": with_level("GLB", read_bits_per_cycle=8)},
        {"machine": with_level("PE", multicast=False)},
        {"machine": with_level("PE", axes=(Axis(name="x", size=4, dims=("C", "K")),))},
        {"machine": replace(MACHINE, mac=MacEnergy(bits=8, multiply=1, add=1e-9))},
    ],
)
def test_whatever_may_change_the_answer_is_asked_anew(search, changed):
    search()
    assert not search(**changed)[1]
    assert search(**changed)[1]
    assert search()[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"machine": replace(MACHINE, name="toy 2", description="d", table_name="t", table_source="s", resolved="{}")},
        {"policy": Exact(time_limit_s=1e6)},
        {"policy": Exact(time_limit_s=None, node_limit=10**9)},
        {"nest": replace(NEST)},
    ],
)
def test_words_and_limits_do_not_change_the_answer(search, changed):
    search()
    assert search(**changed)[1]


def test_the_fields_that_are_left_out_of_the_key_exist():
    assert set(cache._WORDS) <= {field.name for field in fields(Accelerator)}
    assert set(cache._LIMITS) <= {field.name for field in fields(Exact)}


def test_another_version_searches_anew(search, monkeypatch):
    search()
    monkeypatch.setattr(cache, "__version__", "99")
    assert not search()[1]


def test_another_algorithm_searches_anew(search, folder, monkeypatch):
    search()
    (before,) = cache.entries(folder)
    assert before.usable
    monkeypatch.setattr(cache, "algorithm", lambda: "another")
    monkeypatch.setattr(recall, "algorithm", lambda: "another")
    assert not before.usable
    assert not search()[1]
    assert sorted(entry.usable for entry in cache.entries(folder)) == [False, True]


def test_the_sources_of_the_search_are_under_the_hash(tmp_path):
    for room in ("search", "mapping", "cost", "workload", "hardware", "cli"):
        (tmp_path / room / "deep").mkdir(parents=True)
        (tmp_path / room / "deep" / "a.py").write_text("x = 1\n")
    before = cache.sources_hash(tmp_path)
    assert before is not None
    (tmp_path / "cli" / "deep" / "a.py").write_text("x = 2\n")
    assert cache.sources_hash(tmp_path) == before
    for room in ("search", "mapping", "cost", "workload", "hardware"):
        source = tmp_path / room / "deep" / "a.py"
        source.write_text("x = 2\n")
        assert cache.sources_hash(tmp_path) != before, room
        source.write_text("x = 1\n")
    (tmp_path / "search" / "deep" / "a.py").rename(tmp_path / "search" / "deep" / "b.py")
    assert cache.sources_hash(tmp_path) != before
    assert cache.sources_hash(tmp_path / "nothing") is None


def test_without_sources_nothing_is_kept(search, folder, monkeypatch):
    monkeypatch.setattr(cache, "algorithm", lambda: None)
    monkeypatch.setattr(recall, "algorithm", lambda: None)
    for _ in range(2):
        assert not search()[1]
    assert not folder.exists()
    assert "sources" in cache.trouble(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "{}", '"text"', "[" * 100_000, '{"key": 1, "asked": 2, "found": 3, "checksum": 4}', "\x00"],
)
def test_a_damaged_entry_is_not_served_but_replaced(search, folder, text):
    fresh, _ = search()
    path = only_entry(folder)
    right = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    assert [entry.asked for entry in cache.entries(folder)] == [None]
    assert search() == (fresh, False)
    assert path.read_text(encoding="utf-8") == right
    assert search() == (fresh, True)


def test_bytes_that_are_no_text_are_not_served(search, folder):
    search()
    only_entry(folder).write_bytes(b"\xff\xfe\x00")
    assert not search()[1]
    assert search()[1]


def test_no_leaf_can_be_changed_unnoticed(search, folder):
    search()
    path = only_entry(folder)
    right = path.read_text(encoding="utf-8")
    changed = 0
    for place in ("asked", "found"):
        for name in json.loads(right)[place]:

            def change(entry: dict[str, Any], place: str = place, name: str = name) -> None:
                old = entry[place][name]
                entry[place][name] = old + 1 if isinstance(old, int | float) else [old]

            rewrite(path, change, mended=False)
            assert cache.read_entry(folder, path.stem) is None, name
            changed += 1
    assert changed > 10
    path.write_text(right, encoding="utf-8")
    assert cache.read_entry(folder, path.stem) is not None


def _found(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry["found"].update(values)


def _scaled(factor: float, *names: str) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry["found"].update({name: entry["found"][name] * factor for name in names})


FIGURES = ("value", "bound", "bound_energy")
FORGERIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a lower value": _scaled(1 - 1e-9, *FIGURES),
    "a higher value": _scaled(1 + 1e-9, *FIGURES),
    "a value of its own": _scaled(1 + 1e-9, "value"),
    "a lower bound": _scaled(0.5, "bound", "bound_energy"),
    "a higher bound": _scaled(2, "bound", "bound_energy"),
    "a lower bound of energy": _scaled(0.5, "bound_energy"),
    "a bound that is no number": _found(bound="1"),
    "not a number": _found(bound=float("nan"), bound_energy=float("nan")),
    "an open gap": _found(status="GAP_OPEN"),
    "an interrupted search": _found(status="INTERRUPTED"),
    "an unheard-of status": _found(status="FINE"),
    "a negative count": _found(visited=-1),
    "a fraction of a count": _found(pruned=0.5),
    "no mapping": _found(mapping=None),
    "an empty mapping": _found(mapping=[]),
    "an unknown node": _found(mapping=[{"leap": "K"}]),
    "a mapping of another machine": _found(mapping=[{"keep": "weights", "at": "attic"}]),
    "a legal mapping that is not the one": _found(mapping=plain_mapping(NEST, MACHINE).to_data(NEST.dims)),
    "something missing": lambda entry: entry["found"].pop("visited"),
    "nothing at all": lambda entry: entry["found"].clear(),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_entry_with_a_mended_checksum_contradicts_itself(search, folder, forgery):
    fresh, _ = search()
    path = only_entry(folder)
    right = path.read_text(encoding="utf-8")
    rewrite(path, FORGERIES[forgery], mended=True)
    assert cache.read_entry(folder, path.stem) is not None
    assert search() == (fresh, False)
    assert path.read_text(encoding="utf-8") == right


def test_the_test_of_forgeries_can_fail(search, folder):
    """An unchanged entry with its checksum made anew is served."""
    search()
    rewrite(only_entry(folder), lambda entry: None, mended=True)
    assert search()[1]


def test_a_gap_wider_than_asked_for_is_not_served(search, folder):
    policy = Exact(gap=0.3, time_limit_s=None)
    search(policy=policy)
    plain = evaluate(NEST, MACHINE, BITS, plain_mapping(NEST, MACHINE))
    for share, served in ((0.69, False), (0.71, True)):
        bound = plain.energy * share
        assert bound > floor(NEST, MACHINE, BITS).energy
        forged = {"status": "GAP_OPEN", "value": plain.energy, "bound": bound, "bound_energy": bound}
        rewrite(only_entry(folder), _found(**forged, mapping=plain.mapping.to_data(NEST.dims)), mended=True)
        assert search(policy=policy)[1] == served


def test_a_bound_below_the_floor_is_not_served(search, folder):
    policy = Exact(gap=0.5, time_limit_s=None)
    found, _ = search(policy=policy)
    least = found.floor.energy
    assert least < 0.99 * found.value
    for bound, served in ((0.99 * least, False), (least, True)):
        forged = {"status": "GAP_OPEN", "bound": bound, "bound_energy": bound}
        rewrite(only_entry(folder), _found(**forged), mended=True)
        assert search(policy=policy)[1] == served


def test_a_mapping_that_does_not_fit_is_not_served_whatever_its_figures(search, folder):
    fresh, _ = search()
    keeps = [Keep(level.name, tensor) for level in MACHINE.levels for tensor in level.keeps]
    overfull = evaluate(NEST, MACHINE, BITS, Mapping((*keeps, *(Loop(d, 1) for d in DIMS if NEST.dims[d] > 1))))
    figures = dict.fromkeys(FIGURES, overfull.energy)
    rewrite(only_entry(folder), _found(**figures, mapping=overfull.mapping.to_data(NEST.dims)), mended=True)
    assert overfull.energy < fresh.value
    assert search() == (fresh, False)


def test_an_entry_of_another_question_is_not_served(search, folder):
    search()
    path = only_entry(folder)
    # The figures would be the same: only the name of the file is wrong.
    slower = with_level("GLB", read_bits_per_cycle=8)
    other = cache.key_of(NEST, BITS, slower, "energy", EXACT)
    path.rename(folder / f"{other}.json")
    assert not search(machine=slower)[1]
    assert search(machine=slower)[1]


def test_only_what_a_limit_did_not_cut_short_is_kept(search, folder):
    for policy in (Exact(node_limit=1, time_limit_s=None), Exact(time_limit_s=1e-9)):
        for objective in ("energy", "latency"):
            search(objective=objective, policy=policy)
    assert cache.entries(folder) == []


def test_an_open_gap_is_kept_only_if_it_was_asked_for():
    best = evaluate(NEST, MACHINE, BITS, plain_mapping(NEST, MACHINE))
    proved = search_layer(NEST, MACHINE, BITS, "energy", EXACT)
    bound = best.energy * 0.9
    found = replace(proved, best=best, value=best.energy, bound=bound, bound_energy=bound, status="GAP_OPEN")
    assert recall._holds(found, "energy", Exact(gap=0.11))
    assert not recall._holds(found, "energy", Exact(gap=0.09))
    assert not recall._holds(found, "energy", Exact())
    assert not recall._holds(replace(found, status="INTERRUPTED"), "energy", Exact(gap=0.11))
    closed = replace(found, bound=found.value, bound_energy=found.value)
    assert recall._holds(replace(closed, status="PROVED"), "energy", Exact())
    assert not recall._holds(replace(closed, status="INTERRUPTED"), "energy", Exact())


def test_after_ctrl_c_what_was_finished_is_kept_and_nothing_else(folder, monkeypatch):
    def interrupted(nest: Nest, *arguments: Any) -> Found:
        if nest == OTHER:
            raise KeyboardInterrupt
        return search_layer(nest, *arguments)

    wanted: dict[Key, str] = {(NEST, BITS, DENSE): "conv", (OTHER, BITS, DENSE): "fc", (Nest(K=5), BITS, DENSE): "small"}
    monkeypatch.setattr(many, "search_layer", interrupted)
    found, _ = search_through_cache(wanted, MACHINE, "energy", EXACT)
    assert [one.status for one in found.values()] == ["PROVED", "INTERRUPTED", "INTERRUPTED"]
    assert [entry.asked["nest"]["P"] for entry in cache.entries(folder)] == [NEST.P]


def test_ctrl_c_inside_a_layer_keeps_it_from_the_cache(folder):
    def stop(_progress: object) -> None:
        raise KeyboardInterrupt

    found, _ = search_through_cache({(NEST, BITS, DENSE): "conv"}, MACHINE, "latency", EXACT, progress=stop)
    assert len(found) == 1
    assert cache.entries(folder) == []


def test_ctrl_c_while_the_cache_is_read_leaves_the_rest_unsearched(search, folder, monkeypatch):
    search()
    recalled = recall.recalled

    def interrupted(kept: Any, nest: Nest, *arguments: Any) -> Found | None:
        if nest == OTHER:
            raise KeyboardInterrupt
        return recalled(kept, nest, *arguments)

    monkeypatch.setattr(recall, "recalled", interrupted)
    wanted: dict[Key, str] = {(NEST, BITS, DENSE): "conv", (OTHER, BITS, DENSE): "fc"}
    found, from_cache = search_through_cache(wanted, MACHINE, "energy", EXACT)
    assert [one.status for one in found.values()] == ["PROVED", "INTERRUPTED"]
    assert from_cache == 1


WRITER = """
import sys
from pathlib import Path
from picojoule.search.cache import write_entry
for turn in range(60):
    assert write_entry(Path(sys.argv[1]), "a" * 64, {"by": "anyone"}, {"mapping": list(range(2000))})
"""


def test_two_processes_that_write_at_once_leave_whole_entries(tmp_path):
    folder, key = tmp_path / "cache", "a" * 64
    environment = {**os.environ, "PYTHONPATH": str(Path(picojoule.__file__).parents[1])}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, folder], env=environment) for _ in range(2)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        if (folder / f"{key}.json").exists():
            assert cache.read_entry(folder, key) == {"mapping": list(range(2000))}
            seen += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen
    assert [path.name for path in folder.iterdir()] == [f"{key}.json"]


def test_the_oldest_go_when_there_are_too_many_or_too_much(folder):
    keys = [f"{n:064x}" for n in range(6)]
    for n, key in enumerate(keys):
        assert cache.write_entry(folder, key, {}, {})
        os.utime(folder / f"{key}.json", (1000 + n, 1000 + n))
    size = (folder / f"{keys[0]}.json").stat().st_size
    mine = folder / "mine.json"
    mine.write_text("x" * 10_000)

    def left() -> list[str]:
        return [entry.key for entry in reversed(cache.entries(folder))]

    assert cache.trim(folder) == 0
    assert left() == keys
    assert cache.trim(folder, max_entries=4) == 2
    assert left() == keys[2:]
    assert cache.trim(folder, max_bytes=3 * size) == 1
    assert left() == keys[3:]
    assert mine.exists()
    assert cache.trim(folder / "nothing") == 0


def test_the_cache_is_trimmed_when_something_new_comes(search, folder, monkeypatch):
    called = []
    monkeypatch.setattr(recall, "trim", called.append)
    search()
    search()
    assert called == [folder]


def test_what_a_killed_process_left_half_written_goes_after_a_day(folder):
    folder.mkdir()
    for name, age in (("old", 100_000), ("new", 10)):
        path = folder / f".{'a' * 60}.{name}.tmp"
        path.write_text("{")
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    cache.trim(folder)
    assert [path.name for path in folder.iterdir()] == [f".{'a' * 60}.new.tmp"]
    assert cache.clear(folder) == (0, 1)
    assert list(folder.iterdir()) == []


def test_an_entry_is_written_under_a_name_that_is_known_as_left_over(folder, monkeypatch):
    names = []
    monkeypatch.setattr(os, "replace", lambda temporary, _target: names.append(Path(temporary).name))
    cache.write_entry(folder, "a" * 64, {}, {})
    assert len(names) == 1 and cache._LEFT_OVER.fullmatch(names[0])


def test_clearing_removes_entries_and_nothing_else(search, folder):
    search()
    search(nest=OTHER)
    only = sorted(folder.iterdir())[0]
    only.write_text("damaged")
    (folder / "notes.txt").write_text("mine")
    (folder / "deadbeef.json").write_text("mine")
    (folder / f"{'a' * 64}.json").mkdir()
    removed, size_bytes = cache.clear(folder)
    assert removed == 2 and size_bytes > 500
    assert sorted(path.name for path in folder.iterdir()) == [f"{'a' * 64}.json", "deadbeef.json", "notes.txt"]
    assert cache.clear(folder) == (0, 0)


def test_a_folder_that_cannot_be_is_not_used(tmp_path, monkeypatch, search):
    blocked = tmp_path / "file"
    blocked.write_text("mine")
    for place in (blocked, blocked / "below"):
        monkeypatch.setenv("PICOJOULE_CACHE_DIR", str(place))
        for _ in range(2):
            found, from_cache = search()
            assert (found.status, from_cache) == ("PROVED", False)
        assert cache.entries(place) == []
        assert cache.trouble(place) == f"{blocked} is not a folder"
    assert blocked.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_folder_that_is_not_ours_is_not_used(search, folder):
    folder.mkdir(mode=0o500)
    for _ in range(2):
        assert not search()[1]
    assert "not ours" in cache.trouble(folder)


def test_a_full_disk_is_no_failure(search, folder, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert search()[0].status == "PROVED"
    assert list(folder.iterdir()) == []


def test_where_the_folder_is(monkeypatch, tmp_path):
    monkeypatch.setenv("PICOJOULE_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache.cache_folder() == tmp_path / "own"
    assert cache.trouble(tmp_path / "own") == ""
    monkeypatch.delenv("PICOJOULE_CACHE_DIR")
    assert cache.cache_folder() == tmp_path / "xdg" / "picojoule"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.cache_folder() == tmp_path / "home" / ".cache" / "picojoule"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() == tmp_path / "home" / ".cache" / "picojoule"


def test_without_a_home_nothing_is_kept(monkeypatch, search):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PICOJOULE_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache.cache_folder() is None
    for _ in range(2):
        assert not search()[1]
