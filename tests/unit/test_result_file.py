"""Result files: what goes in comes out, what is broken is refused in words, a failed write changes nothing."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import MISSING, fields
from typing import Any

import pytest
from support.sample_estimates import estimate

from picojoule.errors import ResultFileError, SystemFailure
from picojoule.result import LayerEstimate
from picojoule.result_file import estimate_from_data, parse_document, read_document, read_result, write_result


@pytest.fixture(scope="module")
def text() -> str:
    return estimate().to_json()


def _refusal(text: str | bytes, tmp_path) -> ResultFileError:
    path = tmp_path / "broken.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ResultFileError) as caught:
        read_result(path)
    assert caught.value.exit_code == 3
    assert "broken.json" in caught.value.where
    return caught.value


def test_what_is_written_is_read_back_equal(tmp_path):
    path = tmp_path / "a.json"
    write_result(estimate(), path)
    assert read_result(path) == estimate()
    assert read_result(str(path)).to_json() == path.read_text(encoding="utf-8")


def test_unknown_keys_are_kept_in_the_document_and_left_out_of_the_estimate(text, tmp_path):
    document = json.loads(text)
    document["from_the_future"] = {"x": 1}
    document["layers"][0]["also_new"] = [1]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert read_result(path) == estimate()
    assert read_document(path) == document


def test_every_key_of_the_schema_is_needed(text):
    document = json.loads(text)
    for key in document.keys() - {"fusion"}:  # results from before there was fusion are results without
        rest = {k: v for k, v in document.items() if k != key}
        with pytest.raises(ResultFileError, match=key):
            estimate_from_data(rest)
    optional = {field.name for field in fields(LayerEstimate) if field.default is not MISSING}
    assert optional == {"runs", "shared", "reads", "memory_bytes", "zeros_effect", "compute_cycles", "stays", "front", "tiles", "latency_bound_cycles"}
    for key in document["layers"][0].keys() - optional:
        layer = {k: v for k, v in document["layers"][0].items() if k != key}
        with pytest.raises(ResultFileError, match=rf"layers\[0\].{key}"):
            estimate_from_data({**document, "layers": [layer]})


@pytest.mark.parametrize("wrong", [[1, "2"], "seven", True, None, 1.5, {"a": []}])
def test_no_value_of_a_wrong_type_gets_in(text, wrong):
    """Whatever is read has the types of the schema: reading it and writing it gives the same document again."""
    document = json.loads(text)
    refused = 0
    for key in document:
        try:
            read = estimate_from_data({**document, key: wrong})
        except ResultFileError as error:
            assert key in error.where or key in error.message
            refused += 1
        else:
            assert json.loads(read.to_json())[key] == wrong
    assert refused > 15


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"batch": "1"}, "batch", 'expected a whole number, got "1"'),
        ({"batch": True}, "batch", "expected a whole number, got true"),
        ({"batch": 1.0}, "batch", "expected a whole number, got 1.0"),
        ({"value": "big"}, "value", 'expected a number, got "big"'),
        ({"value": None}, "value", "expected a number, got null"),
        ({"layers": {}}, "layers", "expected a list, got {}"),
        ({"layers": [7]}, "layers[0]", "expected a table, got 7"),
        ({"bits": {"weights": 8.5}}, "bits.weights", "expected a whole number, got 8.5"),
        ({"input_shape": [1, "x"]}, "input_shape[1]", "expected a whole number"),
        ({"model": 3}, "model", "expected a text, got 3"),
        ({"value": 10**400}, "value", "is not a finite number"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(text, change, place, words):
    with pytest.raises(ResultFileError) as caught:
        estimate_from_data({**json.loads(text), **change}, where="x.json")
    assert caught.value.where == f"x.json: {place}"
    assert words in caught.value.message


@pytest.mark.parametrize("share", [-0.5, 1.5, 1e300])
def test_a_share_of_zeros_lies_between_0_and_1(text, share):
    document = json.loads(text)
    document["layers"][0]["zeros"] = {"weights": share}
    with pytest.raises(ResultFileError, match="a share from 0 to 1") as caught:
        estimate_from_data(document, where="x.json")
    assert caught.value.where == "x.json: layers[0].zeros.weights"


def test_a_fixed_list_has_its_length(text):
    document = json.loads(text)
    layer = {**document["layers"][0], "stride": [1, 2, 3]}
    with pytest.raises(ResultFileError, match="expected a list of 2"):
        estimate_from_data({**document, "layers": [layer]})


def test_whole_numbers_may_stand_for_fractions(text):
    read = estimate_from_data({**json.loads(text), "dram_bytes": 25})
    assert read.dram_bytes == 25.0
    assert isinstance(read.dram_bytes, float)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("picojoule/estimate/2", "newer version"),
        ("picojoule/estimate/0", "older version"),
        ("someone/else", "not a picojoule result"),
        (None, "not a picojoule result"),
        (7, "not a picojoule result"),
    ],
)
def test_another_schema_is_told_apart(text, tmp_path, schema, words):
    error = _refusal(json.dumps({**json.loads(text), "schema": schema}), tmp_path)
    assert words in error.message
    assert error.hint


def test_a_file_that_is_cut_off_says_so_wherever_it_was_cut(text, tmp_path):
    for end in range(1, len(text) - 2, len(text) // 40):
        error = _refusal(text[:end], tmp_path)
        assert "cut off" in error.message or "not JSON" in error.message
    assert "cut off" in _refusal(text[: len(text) // 2].rpartition(",")[0], tmp_path).message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("[1, 2]", "holds one table"),
        ("null", "holds one table"),
        ("{'a': 1}", "not JSON"),
        ('{"a": NaN}', "NaN is not a finite number"),
        ('{"a": -Infinity}', "-Infinity is not a finite number"),
        ('{"a": 1e999}', "1e999 is not a finite number"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('{"a": ' + "9" * 5000 + "}", "5000 digits"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"PK\x03\x04 not json", "not JSON"),
        (b'{"a": "\x00"}', "not JSON"),
    ],
)
def test_what_is_no_result_is_refused_in_words(tmp_path, content, words):
    assert words in _refusal(content, tmp_path).message


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr("picojoule.result_file.MAX_BYTES", 1000)
    assert "larger than" in _refusal(estimate().to_json(), tmp_path).message


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ResultFileError, match="no such file"):
        read_result(tmp_path / "nothing.json")
    with pytest.raises(ResultFileError, match="folder"):
        read_result(tmp_path)
    with pytest.raises(ResultFileError, match="no such file"):
        read_result(tmp_path / "nothing.json" / "below")
    with pytest.raises(ResultFileError, match="not a file name"):
        read_result("a\0b")


def test_a_file_that_the_system_refuses_is_its_failure(text, tmp_path, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(SystemFailure, match="Permission denied"):
        read_result(tmp_path / "a.json")


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("precious", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemFailure, match="No space left") as caught:
        write_result(estimate(), path)
    assert caught.value.exit_code == 4
    assert "untouched" in caught.value.hint
    assert path.read_text(encoding="utf-8") == "precious"
    assert os.listdir(tmp_path) == ["a.json"]


def test_an_interrupt_in_the_middle_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("precious", encoding="utf-8")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_result(estimate(), path)
    assert path.read_text(encoding="utf-8") == "precious"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("place", ["no/such/folder/a.json", "file/a.json", "folder"])
def test_a_place_where_nothing_can_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SystemFailure) as caught:
        write_result(estimate(), tmp_path / place)
    assert caught.value.where == str(tmp_path / place)
    assert caught.value.hint
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_the_new_file_has_the_rights_of_the_old_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("", encoding="utf-8")
    path.chmod(0o640)
    write_result(estimate(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_fresh_file_has_ordinary_rights(tmp_path):
    write_result(estimate(), tmp_path / "a.json")
    (tmp_path / "b").write_text("", encoding="utf-8")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    write_result(estimate(), link)
    assert link.is_symlink()
    assert read_result(real) == estimate()


def test_a_document_is_parsed_the_same_from_text(text):
    assert parse_document(text, where="here") == json.loads(text)
