"""Numbers as people read them."""

from __future__ import annotations

import pytest

from picojoule.reporting import figures
from picojoule.reporting.shares import bar, short_names


@pytest.mark.parametrize(
    ("values", "unit", "texts"),
    [
        ([91.2e6, 84.04e6, 1.5e6], "pJ", ("µJ", "91.2", "84.0", "1.5")),
        ([1.378e9, 2e6], "pJ", ("mJ", "1.38", "<0.01")),
        ([2e6, 1e6, 0], "pJ", ("µJ", "2.00", "1.00", "0")),
        ([999.96, 1.0], "pJ", ("pJ", "1\u2009000.0", "1.0")),
        ([12.3e6, 4e5], "mac16", ("M mac16", "12.3", "0.4")),
        ([12.0, 400.0], "mac16", ("mac16", "12.0", "400.0")),
        ([1.5e13, None], "pJ", ("J", "15.0", "–")),
        ([0.0], "pJ", ("pJ", "0")),
        ([0.01, 0.002], "pJ", ("pJ", "0.0100", "0.0020")),
    ],
)
def test_a_column_has_one_unit_and_one_number_of_decimals(values, unit, texts):
    scale = figures.energy_scale(values, unit)
    assert (scale.unit, *(scale.text(value) for value in values)) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (32.0, "32"),
        (999, "999"),
        (1000, "1.00 k"),
        (116e6, "116 M"),
        (1.815e9, "1.81 G"),
        (0.5, "0.500"),
    ],
)
def test_counts(value, text):
    assert figures.counted(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.0, "0 %"),
        (1e-9, "<0.1 %"),
        (0.9812, "98.1 %"),
        (0.99999, ">99.9 %"),
        (0.9994, "99.9 %"),
        (0.0006, "0.1 %"),
    ],
)
def test_what_is_not_all_never_reads_as_all(fraction, text):
    assert figures.percent(fraction) == text


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0061, "0.7 %"), (0.006, "0.6 %"), (0.0001, "0.1 %"), (0.98, "98.0 %")]
)
def test_a_limit_is_rounded_up(fraction, text):
    assert figures.at_most(fraction) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(0, 5, "0"), (0, 0, "0"), (0.001, 5, "<1%"), (2, 5, "40%"), (5, 5, "100%")]
)
def test_shares(part, whole, text):
    assert figures.share(part, whole) == text


@pytest.mark.parametrize(
    ("bits", "text"), [(884736, "108 KiB"), (192, "24 B"), (7, "7 bit"), (2**33, "1 GiB"), (3 * 2**22, "1.5 MiB")]
)
def test_memory_sizes(bits, text):
    assert figures.size(bits) == text


def test_a_long_name_keeps_both_ends():
    short = figures.shortened("features.denseblock4.denselayer16.conv1", 20)
    assert len(short) == 20
    assert short.startswith("features") and short.endswith("conv1") and "…" in short
    assert figures.shortened("conv1", 5) == "conv1"


def test_nothing_from_a_file_steers_the_terminal():
    assert (
        figures.printable("a\x1b[2Jb\r\n\u202e") == "a\N{REPLACEMENT CHARACTER}[2Jb" + "\N{REPLACEMENT CHARACTER}" * 3
    )


@pytest.mark.parametrize(
    ("levels", "short"),
    [
        (
            ["DRAM", "shared_glb", "ifmap_spad", "weights_spad", "psum_spad", "mac"],
            ["DRAM", "glb", "ifmap", "weights", "psum", "mac"],
        ),
        (["DRAM", "GlobalBuffer", "mac"], ["DRAM", "GlobalB", "mac"]),
        (["L1_buffer", "L2_buffer"], ["L1", "L2"]),
        (["buffer_one_very_long", "buffer_one_very_wrong", "mac"], ["long", "wrong", "mac"]),
        (["x_mac", "mac"], ["x", "mac"]),
        (["memory_aaaaaaaa1", "memory_aaaaaaaa2"], ["aaaaaaa", "memory_"]),
    ],
)
def test_short_names_of_levels(levels, short):
    assert list(short_names(levels).values()) == short


def test_short_names_are_distinct_and_short_whatever_the_names():
    levels = [f"level_number_{i}_of_a_long_row" for i in range(30)]
    names = list(short_names(levels).values())
    assert len(set(names)) == 30
    assert all(0 < len(name) <= 7 for name in names)


def test_a_bar_is_as_long_as_its_share_and_divided_by_place():
    parts, colour = {"DRAM": 3.0, "mac": 1.0}, {"DRAM": "red", "mac": "blue"}
    whole = bar(parts, 4.0, 8, colour, ["DRAM", "mac"])
    assert whole.plain == "████████"
    assert [(span.start, span.end, span.style) for span in whole.spans] == [(0, 6, "red"), (6, 8, "blue")]
    assert bar(parts, 16.0, 8, colour, ["DRAM", "mac"]).plain == "██"
    assert bar(parts, 64.0, 8, colour, ["DRAM", "mac"]).plain == "▌"
    assert bar({}, 0.0, 8, colour, []).plain == ""


def test_thin_spaces_stay_and_what_steers_a_terminal_goes():
    assert figures.printable(f"{figures.grouped(65536)} cells\x1b[2J") == "65\u2009536 cells\N{REPLACEMENT CHARACTER}[2J"
