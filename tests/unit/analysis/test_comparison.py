"""Results side by side: ratios, what can't be compared, and rankings of machines under several tables."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from support import sample_estimates

from picojoule import compare
from picojoule.errors import ResultFileError, UsageError
from picojoule.reporting import comparison_data, comparison_markdown, comparison_text
from picojoule.result import content_hash
from picojoule.result_file import write_result


def result(machine="a", table="t1", energy_pj=100.0, *, unit="pJ", clock_hz=None, **changes):
    """The sample on a machine of that name under a table of that name, with an energy of one's own."""
    base = sample_estimates.estimate(unit=unit, clock_hz=clock_hz)
    return replace(
        base,
        hardware={**base.hardware, "name": machine},
        table={**base.table, "name": table},
        energy_pj=energy_pj,
        **changes,
    )


def test_ratios_are_to_the_first():
    base, other = result(latency_cycles=10.0), result("b", energy_pj=250.0, latency_cycles=5.0)
    one, two = compare([base, other]).results
    assert (one.energy_ratio, one.latency_ratio, one.edp_ratio) == (1.0, 1.0, 1.0)
    assert (two.energy_ratio, two.latency_ratio, two.edp_ratio) == (2.5, 0.5, 1.25)
    assert (two.edp, two.latency_s) == (1250.0, None)
    assert two.by_level == other.by_level()


def test_files_and_objects_compare_alike(tmp_path):
    write_result(result(), tmp_path / "a.json")
    write_result(result("b"), tmp_path / "b.json")
    files = compare([tmp_path / "a.json", str(tmp_path / "b.json")])
    objects = compare([result(), result("b")])
    assert [r.name for r in files.results] == [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert [r.name for r in objects.results] == ["toynet on a (t1)", "toynet on b (t1)"]
    for mine, theirs in zip(files.results, objects.results, strict=True):
        assert replace(mine, name="") == replace(theirs, name="")


def test_energies_in_different_units_have_no_ratio():
    _, other = compare([result(), result(unit="mac16")]).results
    assert (other.energy_ratio, other.edp_ratio, other.latency_ratio) == (None, None, 1.0)


def test_cycles_and_seconds_have_no_ratio():
    _, other = compare([result(), result(clock_hz=2e8)]).results
    assert (other.energy_ratio, other.latency_ratio, other.edp_ratio) == (1.0, None, None)


def test_times_of_machines_with_clocks_are_seconds():
    _, other = compare([result(clock_hz=1e8), result(clock_hz=2e8)]).results
    assert other.latency_ratio == 0.5


# Rankings


def ranked(*figures):
    """A comparison of machines a, b, … under tables t1, t2, …: a row of energies for each table."""
    return compare(
        [
            result(machine, f"t{i}", energy_pj)
            for i, row in enumerate(figures, 1)
            for machine, energy_pj in zip("abc", row, strict=False)
        ]
    )


def test_a_ranking_that_survives():
    comparison = ranked((1.0, 2.0, 3.0), (10.0, 11.0, 90.0))
    assert comparison.survives is True
    assert comparison.flips == ()
    assert [(r.table, r.machines) for r in comparison.rankings] == [("t1", ("a", "b", "c")), ("t2", ("a", "b", "c"))]
    assert comparison.rankings[1].energies_pj == (10.0, 11.0, 90.0)


def test_a_ranking_that_does_not():
    comparison = ranked((1.0, 2.0, 3.0), (10.0, 9.0, 90.0))
    assert comparison.survives is False
    assert comparison.flips == (("a", "b", "t1", "t2"),)


def test_every_pair_of_tables_is_looked_at():
    assert ranked((1.0, 2.0), (1.0, 1.0), (2.0, 1.0)).flips == (("a", "b", "t1", "t3"),)


def test_a_tie_is_no_change_of_places():
    assert ranked((1.0, 2.0), (5.0, 5.0)).survives is True
    assert ranked((5.0, 5.0), (2.0, 1.0)).survives is True


def test_machines_of_the_same_energy_have_the_same_rank_whatever_their_order():
    comparison = ranked((7.0, 7.0 * (1 + 1e-15), 3.0), (2.0, 1.0, 0.5))
    assert [(r.machines, r.ranks) for r in comparison.rankings] == [
        (("c", "a", "b"), (1, 2, 2)),
        (("c", "b", "a"), (1, 2, 3)),
    ]
    assert comparison.survives is True
    text = comparison_text(comparison, width=140, color=False)
    assert "t1: c < a = b" in text
    assert "t2: c < b < a" in text
    assert "no two machines change places under 2 tables, some tie" in text
    assert "- t1: c < a = b" in comparison_markdown(comparison)
    assert [r["ranks"] for r in comparison_data(comparison)["rankings"]] == [(1, 2, 2), (1, 2, 3)]


# What results are of: by content


def priced(name, table, *, capacity="96 KiB", read=6.0, source="paper", kind="sram", energy_pj=100.0):
    """A machine of one buffer, priced by a table of that name."""
    one = result(name, table, energy_pj)
    level = {"level": "GLB", "kind": kind, "capacity": capacity, "word_bits": 16, "energy": {"read": read, "write": 7}}
    mac = {"bits": 16, "multiply": 1.0, "add": 0}
    hardware = {**one.hardware, "node_nm": 45, "mac": mac, "hierarchy": [level]}
    return replace(one, hardware=hardware, table={**one.table, "source": source})


def test_two_machines_of_one_name_are_told_apart():
    comparison = compare([priced("t1", "x"), priced("t1", "x", capacity="192 KiB", read=8.0), priced("t1", "x")])
    assert [r.hardware for r in comparison.results] == ["t1", "t1 (2)", "t1"]
    assert comparison.differences == ("machine: 2 are called t1 and are not the same: t1 / t1 (2)",)


def test_a_machine_at_other_prices_is_the_same_machine():
    comparison = compare([priced("t1", "x"), priced("t1", "y", read=1.0)])
    assert [r.hardware for r in comparison.results] == ["t1", "t1"]
    assert comparison.differences == ()


@pytest.mark.parametrize(
    "other",
    [
        {"source": "our own"},
        {"read": 6.5},
        {"name": "t2", "read": 6.5},
    ],
    ids=["another source", "another price of the machine", "another price of such a memory in another machine"],
)
def test_two_tables_of_one_name_are_told_apart(other):
    comparison = compare([priced("t1", "x"), priced(**{"name": "t1", "table": "x", **other})])
    assert [r.table for r in comparison.results] == ["x", "x (2)"]
    assert comparison.differences == ("table: 2 are called x and are not the same: x / x (2)",)


def test_one_table_prices_different_machines():
    """Other sizes, kinds and what a machine prices itself are no other table."""
    own = replace(priced("t4", "x", read=5.0), table={**priced("t4", "x").table, "source": "paper; from the description: GLB"})
    results = [priced("t1", "x"), priced("t2", "x", capacity="1 MiB", read=9.0), priced("t3", "x", kind="regfile", read=1.0), own]
    assert {r.table for r in compare(results).results} == {"x"}


def test_namesakes_are_ranked_apart():
    figures = {("t1", "96 KiB", "x"): 1.0, ("t1", "1 MiB", "x"): 2.0, ("t1", "96 KiB", "y"): 2.0, ("t1", "1 MiB", "y"): 1.0}
    results = [
        priced(name, table, capacity=capacity, read=len(capacity), energy_pj=energy)
        for (name, capacity, table), energy in figures.items()
    ]
    assert compare(results).flips == (("t1", "t1 (2)", "x", "y"),)


def test_files_that_were_changed_are_told(tmp_path):
    bare = result()
    sealed = {**bare.provenance, "content_hash": content_hash(json.loads(bare.to_json()))}
    whole = replace(bare, provenance=sealed)
    write_result(whole, tmp_path / "a.json")
    write_result(replace(whole, energy_pj=whole.energy_pj / 2), tmp_path / "b.json")
    comparison = compare([tmp_path / "a.json", tmp_path / "b.json", whole])
    assert comparison.altered == (str(tmp_path / "b.json"),)
    assert "was changed after it was written" in comparison_text(comparison, width=200, color=False)
    assert "was changed after it was written" in comparison_markdown(comparison)


def test_tables_of_different_units_rank_too():
    results = [result("a", "t1"), result("b", "t1", 120.0)]
    results += [result("a", "t2", 9.0, unit="mac16"), result("b", "t2", 8.0, unit="mac16")]
    assert compare(results).survives is False


def test_machines_that_lack_a_table_are_left_out():
    results = [result(m, t, e) for m, t, e in (("a", "t1", 1.0), ("b", "t1", 2.0), ("c", "t1", 0.5))]
    results += [result("b", "t2", 2.0), result("a", "t2", 1.0)]
    assert [ranking.machines for ranking in compare(results).rankings] == [("a", "b"), ("a", "b")]


@pytest.mark.parametrize(
    "results",
    [
        [("a", "t1"), ("b", "t1")],
        [("a", "t1"), ("a", "t2")],
        [("a", "t1"), ("b", "t2")],
        [("a", "t1"), ("b", "t1"), ("a", "t2"), ("b", "t2"), ("b", "t2")],
    ],
    ids=["one table", "one machine", "nothing in common", "a machine twice under a table"],
)
def test_where_there_is_nothing_to_rank(results):
    comparison = compare([result(*one) for one in results])
    assert (comparison.rankings, comparison.survives, comparison.flips) == ((), None, ())


# What differs, and what is refused


def test_what_else_differs_is_told():
    assert compare([result(), result("b")]).differences == ()
    other = result("b", objective="edp", status="PER_LAYER")
    assert compare([result(), other]).differences == ("objective: energy / edp", "status: PROVED / PER_LAYER")


def with_layer(**changes):
    return replace(sample_estimates.with_layer(result(), "conv1", **changes))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (result(model="othernet"), "the network othernet cannot be compared with toynet of toynet on a (t1)"),
        (result(batch=4), "a batch of 4 cannot be compared with 1 of toynet on a (t1)"),
        (
            result(layers=tuple(replace(x, name=f"other.{x.name}") for x in result().layers)),
            "a network without a layer in common: other.conv1 cannot be compared with conv1 of",
        ),
    ],
)
def test_other_networks_are_refused(other, message):
    with pytest.raises(UsageError) as caught:
        compare([result(), other])
    assert caught.value.message.startswith(message)
    assert caught.value.hint == "Compare results of one network and one batch."


def test_versions_of_a_network_compare_and_say_how_they_differ():
    comparison = compare([result(), with_layer(stride=(2, 2))])
    assert comparison.differences == ("shape of conv1",)
    assert [layer.name for layer in comparison.layers if layer.reshaped] == ["conv1"]
    shorter = compare([result(), result(layers=result().layers[1:])])
    assert shorter.differences == ("layers: conv1 not in all of them",)
    assert shorter.layers[0].energies_pj == (result().layers[0].energy_pj, None)
    text = comparison_text(shorter, width=140, color=False)
    assert re.search(r"conv1 +84\.0 +– +gone\n", text)
    assert re.search(r"conv1 +– +84\.0 +new\n", comparison_text(compare([result(layers=result().layers[1:]), result()]), width=140, color=False))


def test_versions_of_a_network_rank_no_machines():
    results = [result(m, t, e) for m, t, e in (("a", "t1", 1.0), ("b", "t1", 2.0), ("a", "t2", 2.0), ("b", "t2", 1.0))]
    assert compare(results).survives is False
    results[1] = replace(results[1], layers=results[1].layers[1:])
    assert compare(results).survives is None


def test_a_new_layer_stands_where_it_runs():
    extra = replace(result().layers[0], name="stem")
    both = result().layers
    comparison = compare([result(), result(layers=(both[0], extra, *both[1:]))])
    assert [layer.name for layer in comparison.layers][:3] == ["conv1", "stem", "layer1.0.conv1"]


# What may not grow


def grown(energy=1.0, latency=1.0, **changes):
    base = result()
    return replace(base, energy_pj=base.energy_pj * energy, latency_cycles=base.latency_cycles * latency, **changes)


@pytest.mark.parametrize(
    ("fail_on", "other", "failed"),
    [
        ("energy:+2%", grown(1.021), True),
        ("energy:+2%", grown(1.02), False),
        ("energy:2%", grown(1.019), False),
        ("energy:0%", grown(1.0), False),
        ("energy:0%", grown(1.0001), True),
        ("energy:-5%", grown(0.96), True),
        ("energy:-5%", grown(0.95), False),
        ("latency:+5%", grown(latency=1.06), True),
        ("edp:+5%", grown(1.03, 1.03), True),
        ("dram:+1%", grown(dram_bytes=2.6e7), True),
        ("weights:+1%", grown(weight_bytes=2.4e7), True),
        ("activations:+1%", grown(peak_activation_bytes=1.7e6), True),
        ("activations:+1%", grown(peak_activation_bytes=None), True),
    ],
)
def test_a_figure_that_grows_beyond_its_limit_fails(fail_on, other, failed):
    assert compare([grown(), other], fail_on=fail_on).failed is failed
    assert compare([grown(), other, other], fail_on=["energy:+900%", fail_on]).failed is failed


def test_what_cannot_be_compared_fails_and_is_said():
    comparison = compare([result(), result(unit="mac16")], fail_on="energy:+2%")
    assert [(one.change, one.failed) for one in comparison.regressions] == [(None, True)]
    assert "✗ energy of B can't be compared with that of A" in comparison_text(comparison, width=140, color=False)
    assert compare([result(), result(clock_hz=1e8)], fail_on="latency:+900%").failed


def test_limits_are_said_with_their_change():
    text = comparison_text(compare([grown(), grown(1.0325)], fail_on=["energy:+2%", "latency:0%"]), width=140, color=False)
    assert "✗ energy of B is +3.25 % against A: the limit is +2 %" in text
    assert "✓ latency of B is +0 % against A, within 0 %" in text


@pytest.mark.parametrize(
    ("fail_on", "message"),
    [
        ("enrgy:+2%", "unknown figure 'enrgy' in 'enrgy:+2%'"),
        ("energy:+2", "'energy:+2' is no limit on growth"),
        ("energy", "'energy' is no limit on growth"),
        ("2%", "'2%' is no limit on growth"),
    ],
)
def test_limits_that_cannot_be_read(fail_on, message):
    with pytest.raises(UsageError) as caught:
        compare([result(), result()], fail_on=fail_on)
    assert caught.value.message == message


@pytest.mark.parametrize("results", [[], [result()], result(), "a.json"])
def test_one_result_is_no_comparison(results):
    with pytest.raises(UsageError, match="at least two results, got [01]"):
        compare(results)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ResultFileError, match="there is no such file"):
        compare([result(), tmp_path / "none.json"])
