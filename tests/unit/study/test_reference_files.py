"""The authors' files are read as they are, and anything else is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from picojoule.errors import InputError, UsageError
from picojoule.study.validation.reference import check_reference, measured_random, measured_sweep
from picojoule.study.validation.sweeps import SWEEPS, Convolution

D, N, R, S = SWEEPS
MACHINE = "eyeriss-like-45nm"


def write(folder: Path, name: str, *lines: str) -> Path:
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_line_is_value_total_macs_data_and_two_of_theory(tmp_path):
    others = [f"{s};30;10;20;7;8" for s in (3, 4, 5)]
    write(tmp_path, "eyeriss_energy_stride.csv", "2;30.5;10.25;20.25;7;8", "1;60;20;40;7;8", *others)
    two, one, *_ = measured_sweep(MACHINE, tmp_path, S)
    assert (two.layer.s, two.energy_pj, two.mac_pj, two.data_pj) == (2, 30.5, 10.25, 20.25)
    assert one.layer == S.layer(1)


def test_a_random_layer_is_n_d_q_r_s(tmp_path):
    write(tmp_path, "random_networks_eyeriss.csv", "102;16;18;5;4;30;10;20")
    (found,) = measured_random(MACHINE, tmp_path)
    assert found.layer == Convolution(n=102, d=16, q=18, r=5, s=4)
    assert measured_random(MACHINE, tmp_path / "elsewhere") is None
    with pytest.raises(UsageError, match=r"there is no file random_networks_simba\.csv"):
        measured_random("simba-like-45nm", tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"stride\.csv: 5 of 5 points are missing: s = 1, 2, 3, 4, 5"),
        (["1;60;20;40;7;8"], r"stride\.csv: 4 of 5 points are missing: s = 2, 3, 4, 5"),
        ([f"{s};30;10;20;7;8" for s in (1, 2, 3, 5)], r"stride\.csv: 1 of 5 points are missing: s = 4"),
    ],
)
def test_a_sweep_that_is_not_whole_is_refused(tmp_path, lines, message):
    write(tmp_path, "eyeriss_energy_stride.csv", *lines)
    with pytest.raises(InputError, match=message):
        measured_sweep(MACHINE, tmp_path, S)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1;60;20;40;7", r"stride\.csv:2: 6 numbers are expected, got '1;60;20;40;7'"),
        ("1;60;twenty;40;7;8", r"stride\.csv:2: numbers between semicolons are expected"),
        ("1;60;nan;40;7;8", r"stride\.csv:2: 6 numbers are expected"),
        ("2;60;20;40;7;8", r"stride\.csv:2: s = 2 stands there twice"),
        ("1;60;20;40;7;-1", r"stride\.csv:2: columns 5 and 6 can't be 7 and -1"),
        ("7;60;20;40;7;8", r"stride\.csv:2: s = 7 is not in the sweep"),
        ("1;61;20;40;7;8", r"stride\.csv:2: total 61 is not MACs 20 \+ data 40"),
        ("", r"stride\.csv:2: numbers between semicolons are expected, got ''"),
    ],
)
def test_a_line_that_is_none_of_theirs_is_refused(tmp_path, line, message):
    write(tmp_path, "eyeriss_energy_stride.csv", "2;30;10;20;7;8", line, "3;30;10;20;7;8")
    with pytest.raises(InputError, match=message):
        measured_sweep(MACHINE, tmp_path, S)


@pytest.mark.parametrize("line", ["102;16;0;5;4;30;10;20", "102;16.5;1;5;4;30;10;20", "4;16;1;5;4;30;10;20"])
def test_an_impossible_layer_is_refused(tmp_path, line):
    write(tmp_path, "random_networks_eyeriss.csv", line)
    with pytest.raises(InputError, match=r"eyeriss\.csv:1: n, d, q, r, s can't be"):
        measured_random(MACHINE, tmp_path)


def test_a_missing_or_binary_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"kernels\.csv: can't read the measurements: No such file"):
        measured_sweep(MACHINE, tmp_path, R)
    (tmp_path / "eyeriss_energy_kernels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="it is no text"):
        measured_sweep(MACHINE, tmp_path, R)


def test_a_folder_or_machine_that_is_not_theirs_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file eyeriss_energy_d\.csv.*\n.*timeloop-accelergy-test"):
        check_reference(MACHINE, tmp_path)
    with pytest.raises(UsageError, match=r"the authors measured no machine 'tpu'\n.*eyeriss-like-45nm and simba-like-45nm"):
        check_reference("tpu", tmp_path)
