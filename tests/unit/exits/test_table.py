"""Tables of networks, and energies of exits on a machine."""

from __future__ import annotations

import json

import pytest

from picojoule.errors import InputError, UsageError
from picojoule.estimation import estimate
from picojoule.exits import depth_macs, energies_of_exits, estimate_exits, read_candidates, read_points
from picojoule.search import Exact
from picojoule.workload.builtin.merkel import merkel

FAST = {"search": Exact(time_limit_s=None, factors="exact"), "cache": False}


def write(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_energies_given(tmp_path):
    path = write(tmp_path, "name, accuracy, energy\nsmall, 0.5, 3\n, 0.75, 12.5\n")
    assert [(c.name, c.energy, c.accuracy) for c in read_candidates(path)] == [("small", 3, 0.5), ("row 2", 12.5, 0.75)]


def test_energies_counted_as_macs(tmp_path):
    for column, sizes, macs in (
        ("depth", (1, 6), [depth_macs(1), depth_macs(6)]),
        ("width", (8, 64), [depth_macs(6, 8), depth_macs(6)]),
        ("model", ("resnet20", "merkel:L2"), [None, depth_macs(2)]),
    ):
        path = write(tmp_path, json.dumps([{column: size, "accuracy": 0.5} for size in sizes]), "table.json")
        found = read_candidates(path)
        assert all(m is None or c.energy == m for c, m in zip(found, macs, strict=True))
        assert found[1].name == {"depth": "L6", "width": "w64", "model": "merkel:L2"}[column]


def test_energies_estimated_on_a_machine(tmp_path):
    path = write(tmp_path, "depth,accuracy\n1,0.4\n2,0.6\n")
    found = read_candidates(path, hardware="eyeriss-normalized", options=FAST)
    expected = estimate(merkel(2), hardware="eyeriss-normalized", **FAST).energy_pj_per_inference
    assert found[1].energy == expected > found[0].energy > 0


def test_exits_on_a_machine_share_their_convolutions(tmp_path):
    result = estimate_exits("eyeriss-normalized", depth=2, **FAST)
    free, charged = (energies_of_exits(result, heads_passed=heads) for heads in (False, True))
    alone = [estimate(merkel(d), hardware="eyeriss-normalized", **FAST).energy_pj_per_inference for d in (1, 2)]
    assert free == pytest.approx(alone)
    assert charged == pytest.approx([alone[0], alone[0] + alone[1]])
    assert charged[-1] == pytest.approx(result.energy_pj_per_inference)


def test_points_for_a_trend(tmp_path):
    path = write(tmp_path, "name,accuracy,params,year\nA,0.57,61,2012\nB,0.72,138,2014\n")
    assert read_points(path, "params") == (["A", "B"], [0.57, 0.72], [61.0, 138.0])
    with pytest.raises(InputError, match="no column 'parms'") as caught:
        read_points(path, "parms")
    assert "Did you mean 'params'" in caught.value.hint


@pytest.mark.parametrize(
    ("row", "says", "where"),
    [
        ("57,61", "an accuracy lies in 0 … 1, got 57.0", "accuracy"),
        ("nan,61", "an accuracy lies in 0 … 1, got nan", "accuracy"),
        ("0.6,inf", "a size is a finite number, got inf", "params"),
    ],
)
def test_points_that_are_none_are_refused_with_the_place(tmp_path, row, says, where):
    path = write(tmp_path, f"accuracy,params\n0.5,1\n{row}\n")
    with pytest.raises(InputError, match=says) as caught:
        read_points(path, "params")
    assert caught.value.where == f"{path}, line 3, {where}"
    assert ("Divide percentages by 100" in caught.value.hint) == row.startswith("57")


@pytest.mark.parametrize(
    ("text", "says", "where"),
    [
        ("accuracy,energy\n0.5,x\n", "energy is a number, got 'x'", "line 2"),
        ("accuracy,energy\n0.5,\n", "there is no energy", "line 2"),
        ("accuracy,energy\n0.5,1\n1.5,2\n", r"an accuracy lies in 0 … 1, got 1\.5", "line 3, accuracy"),
        ("accuracy,energy\nnan,1\n", "an accuracy lies in", "line 2, accuracy"),
        ("accuracy,energy\n0.5,-1\n", "an energy is a number from 0", "line 2, energy"),
        ("accuracy,depth\n0.5,12\n", "depth is a whole number, 1 … 11", "line 2"),
        ("accuracy,width\n0.5,2.5\n", "width is a whole number, 1 … 64", "line 2"),
        ("accuracy\n0.5\n", "the table has none of them", ""),
        ("accuracy,depth,width\n0.5,1,1\n", "depth and width", ""),
        ("acuracy,depth\n0.5,1\n", "unknown column 'acuracy'", ""),
        ("accuracy,depth\n0.5,1,3\n", "the head has 2 columns", "line 2"),
        ("accuracy,depth,depth\n0.5,1,2\n", "there are 2 columns 'depth'", "line 1"),
        ("accuracy,model\n0.5,merkel:L1\n0.6,alexnett\n", "'alexnett'", "line 3, model"),
        ("accuracy,depth\n", "it has no rows", ""),
        ("", "it has no rows", ""),
        ("[1, 2]", "a JSON table is a list of objects", ""),
        ("[{", "not readable as JSON", ""),
        ('[{"accuracy": true, "depth": 1}]', "accuracy is a number, got True", "row 1"),
        ('[{"accuracy": 0.5, "energy": 1' + 400 * "0" + "}]", "energy is too large a number", "row 1"),
        ('[{"accuracy": 0.5, "model": ""}]', "there is no model", "row 1"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_the_place(tmp_path, text, says, where):
    with pytest.raises((InputError, UsageError), match=says) as caught:
        read_candidates(write(tmp_path, text))
    assert "table.csv" in caught.value.where and where in caught.value.where


def test_a_table_that_isn_t_there(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        read_candidates(tmp_path / "none.csv")


def test_no_table_of_bytes(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_candidates(path)


def test_a_machine_for_energies_that_are_given_is_refused(tmp_path):
    with pytest.raises(UsageError, match="the table gives energies"):
        read_candidates(write(tmp_path, "accuracy,energy\n0.5,1\n"), hardware="eyeriss-normalized")
