"""What the scripts of results/ write beside themselves (tests/support/committed_results.py)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.committed_results import MARKS, claim, halves, write_table


def test_a_table_goes_between_the_marks_and_nothing_else_moves(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{MARKS[0]}\n| old |\n{MARKS[1]}\nafter\n")
    for table in ("| a |\n|---|", "| b |"):
        write_table(readme, table)
        assert readme.read_text() == f"before\n{MARKS[0]}\n{table}\n{MARKS[1]}\nafter\n"


@pytest.mark.parametrize("text", ["no marks", MARKS[0], f"{MARKS[1]} {MARKS[0]}", f"{MARKS[0]}{MARKS[0]}{MARKS[1]}"])
def test_a_readme_without_a_place_for_the_table_is_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="README"):
        write_table(readme, "| a |")
    assert readme.read_text() == text


def test_verdicts_are_words():
    row = claim("a.lost", 0.7, "points", "<= 0.5", False, artefact="results/a/a.json", command="python a.py")
    assert (row["id"], row["value"], row["verdict"]) == ("a.lost", 0.7, "does not hold")
    assert claim("a", 1, "x", ">= 1", True, artefact="", command="")["verdict"] == "holds"
    assert claim("a", 0, "x", "none", None, artefact="", command="")["verdict"] == "measured"


@pytest.mark.parametrize(("unit", "tolerance"), [("points", 0.05), ("%", 0.05), ("x less", 1e-3), ("of the images", 1e-3)])
def test_figures_say_how_far_they_may_be_off(unit, tolerance):
    row = claim("a", 1, unit, ">= 1", True, artefact="", command="")
    assert (row["tolerance"], row["kind"]) == (tolerance, "sampled")
    assert claim("a", 1, unit, ">= 1", True, artefact="", command="", kind="timing")["kind"] == "timing"


def test_floats_become_halves_and_counters_go():
    found = halves({"w": torch.ones(2), "kept": torch.tensor([True]), "bn.num_batches_tracked": torch.tensor(3)})
    assert set(found) == {"w", "kept"}
    assert (found["w"].dtype, found["kept"].dtype) == (np.float16, np.bool_)
