"""``picojoule exits``: what it prints, in every form, and what it refuses."""

from __future__ import annotations

import json

import pytest

TABLE = "depth,accuracy\n1,0.38\n2,0.64\n3,0.70\n4,0.73\n5,0.75\n6,0.74\n"


@pytest.fixture
def table(folder):
    (folder / "t.csv").write_text(TABLE)
    return "t.csv"


def test_the_choice_is_marked_and_explained(run, table):
    ran = run("exits", "choose", table, "--alpha", "0.3", "--fit", "exponential")
    assert ran.exit_code == 0
    assert ran.stdout.startswith("take L2 · cost 0.2587")
    assert "A* 0.6460 by the equation" in ran.stdout and "nearest: L2 (0.6400)" in ran.stdout
    assert "not monotone: L6 takes more energy than L5" in " ".join(ran.stdout.split())


def test_gamma_and_the_ratio_stand_for_alpha(run, table):
    ran = run("exits", "choose", table, "--gamma", "2", "--energy-ratio", "0.5", "--format", "json")
    data = json.loads(ran.stdout)
    assert data["alpha"] == pytest.approx(2 / 3) and data["unit"] == "MACs"
    best = min(data["candidates"], key=lambda row: row["cost"])
    assert data["best"] == best["name"] == min(data["candidates"], key=lambda row: row["expected_energy"])["name"]


@pytest.mark.parametrize(("alpha", "printed_is", "nearest"), [("0", "+inf", "L5"), ("1", "-inf", "L1")])
def test_an_infinite_optimum_is_clipped(run, table, alpha, printed_is, nearest):
    ran = run("exits", "choose", table, "--alpha", alpha, "--fit", "exponential", "--format", "json")
    optimum = json.loads(ran.stdout)["optimum"]
    assert (optimum["printed"], optimum["printed_is"], optimum["nearest"]) == (None, printed_is, nearest)
    assert (
        run("exits", "choose", table, "--alpha", alpha, "--fit", "exponential").stdout.count("∞ by the equation") == 1
    )


def test_csv(run, table):
    rows = run("exits", "choose", table, "--alpha", "0.5", "--format", "csv").stdout.splitlines()
    assert rows[0] == "name,energy,relative_energy,accuracy,cost,expected_energy,best" and len(rows) == 7
    assert [row.rpartition(",")[2] for row in rows[1:]].count("1") == 1


def test_energies_of_a_machine(run, folder):
    (folder / "m.csv").write_text("depth,accuracy\n1,0.4\n2,0.6\n")
    ran = run("exits", "choose", "m.csv", "--alpha", "0.5", "--hardware", "eyeriss-normalized", "--format", "json")
    data = json.loads(ran.stdout)
    assert data["unit"] == "mac16" and data["candidates"][1]["energy"] > 2_131_200


def test_a_law_of_size(run, folder):
    (folder / "s.csv").write_text("name,accuracy,params\nA,0.57,61\nB,0.70,100\nC,0.79,300\n")
    data = json.loads(run("exits", "fit", "s.csv", "--size", "params", "--format", "json").stdout)
    assert data["law"] == "exponential" and data["monotone"] and 0 < data["r_squared"] <= 1
    assert [p["fitted"] for p in data["points"]] == pytest.approx(
        [data["a"] * 2.718281828459045 ** (data["b"] * p["accuracy"]) for p in data["points"]]
    )
    assert "params = a·e^(b·A)" in run("exits", "fit", "s.csv", "--size", "params").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--alpha", "1.2"), 2, "α lies in 0 … 1, got 1.2"),
        (("--alpha", "nan"), 2, "α lies in 0 … 1"),
        (("--gamma", "0.5", "--energy-ratio", "1"), 2, "γ is at least 1"),
        (("--gamma", "1e308", "--energy-ratio", "1e308"), 2, "γ·E_X/E_Dmax is too large a number"),
        (("--gamma", "2"), 2, "either α is needed, or γ and E_X/E_Dmax"),
        ((), 2, "either α is needed"),
        (("--alpha", "0.5", "--fit", "cubic"), 2, "no law is called 'cubic'"),
        (("--alpha", "0.5", "--hardware", "nowhere"), 2, "nowhere"),
    ],
)
def test_arguments_out_of_range(run, table, arguments, code, says):
    ran = run("exits", "choose", table, *arguments)
    assert ran.exit_code == code and says in ran.stderr and ran.stdout == ""


def test_a_wrong_table_is_an_input_error(run, folder):
    (folder / "bad.csv").write_text("accuracy,energy\n57,1\n")
    ran = run("exits", "choose", "bad.csv", "--alpha", "0.5", "--format", "json")
    error = json.loads(ran.stdout)["error"]
    assert (
        ran.exit_code == 3 and error["where"] == "bad.csv, line 2, accuracy" and "Divide percentages" in error["hint"]
    )
