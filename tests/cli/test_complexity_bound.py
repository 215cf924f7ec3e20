"""``picojoule complexity bound``: one buffer, a range of them, and what it refuses."""

from __future__ import annotations

import csv
import io
import json

import pytest


PJ_PER_BIT, PJ_PER_MAC = 8, 8.63 / 16 + 0.0857 / 4  # two-level at 8 bits
POOL = "name: pooled\nlayers:\n  - {name: pool, kind: pool, op: MaxPool, read: 192, written: 48}\n"


@pytest.fixture
def bound(run):
    return lambda *more: run("complexity", "bound", "tiny.yaml", "--factors", "exact", *more)


def test_one_buffer_says_everything_of_each_layer(bound):
    table = bound("--buffer", "1kB").stdout
    assert table.startswith("tiny · 8 bit")
    assert "every layer proved optimal" in table
    data = json.loads(bound("--buffer", "1kB", "--format", "json").stdout)
    assert data["schema"] == "picojoule/complexity/1"
    assert [row["layer"] for row in data["layers"]] == ["conv1", "fc"]
    for row in data["layers"]:
        assert row["bound"] <= row["optimum_bound"] <= row["optimum"]
        assert row["ratio"] == row["optimum"] / row["bound"]


def test_the_footer_has_the_documents_bound_and_both_energies_at_any_width(bound):
    data = json.loads(bound("--buffer", "1kB", "--format", "json").stdout)
    document = sum(row["lower_document"] for row in data["layers"])
    assert document == pytest.approx((16 * 3 * 46**2 + 640) / 511.5**2)
    comp = sum(row["energy_comp_pj"] for row in data["layers"])
    assert data["energy_comp_pj"] == pytest.approx(comp)
    for row in data["layers"]:
        assert row["energy_data_pj"] + row["energy_comp_pj"] == pytest.approx(row["energy_pj"])
        assert row["energy_data_pj"] == pytest.approx(row["optimum"] * 8 * PJ_PER_BIT)
        assert row["energy_comp_pj"] == pytest.approx(row["macs"] * PJ_PER_MAC)
    said = " ".join(bound("--buffer", "1kB").stdout.split())
    assert f"its lower bound is {document:.3g} numbers in all layers" in said
    assert f"E_data {data['energy_data_pj']:,.0f} pJ".replace(",", " ") in said
    assert f"E_comp {comp:,.0f} pJ".replace(",", " ") in said
    assert "E_data" in bound("--buffer", "1kB", "--format", "md").stdout


def test_a_range_goes_down_to_compulsory_traffic(bound):
    data = json.loads(bound("--buffer", "64B..4kB", "--format", "json").stdout)
    assert data["schema"] == "picojoule/complexity-buffers/1"
    assert [point["buffer_bits"] // 8 for point in data["buffers"]] == [64, 128, 256, 512, 1024, 2048, 4096]
    assert [point["numbers"] for point in data["buffers"]] == [bounds["numbers"] for bounds in data["each"]]
    for point in data["buffers"]:
        assert point["compulsory"] <= point["bound"] <= point["optimum"]
    compulsory = 16 * 3 * 9 + 3 * 16 * 16 + 16 * 16 * 16 + 10 * 64 + 64 + 10
    assert data["compulsory"]["numbers"] == compulsory == data["buffers"][-1]["optimum"]
    reached = data["compulsory"]["reached"]
    assert data["compulsory"]["needed"] <= reached
    first = next(point for point in data["buffers"] if point["optimum"] == compulsory)
    assert first["numbers"] == reached


def test_every_format_of_a_range_has_a_row_for_each_buffer(bound):
    rows = list(csv.DictReader(io.StringIO(bound("--buffer", "64B..512B", "--format", "csv").stdout)))
    assert [int(row["numbers"]) for row in rows] == [64, 128, 256, 512]
    markdown = bound("--buffer", "64B..512B", "--format", "md").stdout
    assert markdown.count("\n| ") >= 4
    text = bound("--buffer", "64B..512B").stdout
    assert "tiny · 8 bit" in text
    assert "numbers pass whatever the buffer" in text
    small = bound("--buffer", "64B..128B").stdout
    assert "layers move more even with the largest of these buffers" in " ".join(small.split())


def test_a_run_goes_on_from_its_journal_and_draws(bound, folder):
    first = bound("--buffer", "64B..128B", "--journal", "kept.journal")
    assert first.exit_code == 0
    again = bound("--buffer", "64B..256B", "--journal", "kept.journal", "--charts", ".")
    assert "going on with 4 points of kept.journal" in again.stderr
    assert "wrote tiny.buffers.svg" in again.stderr
    drawn = (folder / "tiny.buffers.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert all(word in drawn for word in ("optimum", "bound", "compulsory", " B<"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--buffer", "4MB..64B"), "'4MB..64B' is not a range that rises"),
        (("--buffer", "64B..nothing"), "'nothing' is not a memory size"),
        (("--buffer", "1kB", "--journal", "j"), "--journal goes with a range of buffers"),
        (("--buffer", "1kB", "--charts", "."), "--charts goes with a range of buffers"),
        (("--buffer", "64B..1kB", "--charts", "none"), "there is no such folder"),
        (("--buffer", "64B..1kB", "--journal", "none/j"), "--journal none/j: there is no folder none"),
        (("--buffer", "1e30B"), "'1e30B' is not a size up to 1 TB"),
        (("--buffer", "64B..1e30B"), "'1e30B' is not a size up to 1 TB"),
        (("--buffer", "-5kB"), "'-5kB' is not a size above 0"),
        (("--buffer", "0B"), "'0B' is not a size above 0"),
        (("--buffer", "1.5B"), "'1.5B' is not a whole number of bytes"),
        (("--buffer", "64B.."), "'64B..' is not a range of sizes"),
    ],
)
def test_what_is_asked_wrongly_is_said(bound, arguments, said):
    result = bound(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_buffer_too_small_for_a_triplet_is_refused(bound):
    result = bound("--buffer", "2B..64B")
    assert result.exit_code == 3
    assert "holds 2 numbers of 8 bits" in result.stderr


@pytest.mark.parametrize("buffer", ["64B", "64B..1kB"])
def test_a_network_without_a_nest_has_nothing_to_bound_and_leaves_nothing_behind(run, folder, buffer):
    (folder / "pool.yaml").write_text(POOL, encoding="utf-8")
    more = ("--journal", "kept") if ".." in buffer else ()
    result = run("complexity", "bound", "pool.yaml", "--buffer", buffer, *more)
    assert result.exit_code == 2
    assert "has no layer with a loop nest, so nothing to bound" in result.stderr
    assert not (folder / "kept").exists()
