"""YAML from strangers: what is no machine description, and what is meant to do harm."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.errors import HardwareError, SystemFailure
from picojoule.hardware import load_hardware
from picojoule.hardware.describe import accelerator_from_text
from picojoule.hardware.document import MAX_BYTES, parse


def _refused(text: str) -> HardwareError:
    with pytest.raises(HardwareError) as caught:
        accelerator_from_text(text, "m.yaml")
    assert caught.value.exit_code == 3
    return caught.value


def test_plain_data_comes_through():
    data, origin = parse(
        "a: 1\nb: [0x10, 1.5, 1e3, true, null, ~, yes, on, 010, '7', 2024-01-01]\nc:\n  d: -2\n", "m.yaml"
    )
    assert data == {
        "a": 1,
        "b": [16, 1.5, 1000.0, True, None, None, "yes", "on", 10, "7", "2024-01-01"],
        "c": {"d": -2},
    }
    assert origin.at("c", "d") == "m.yaml:4: c.d"
    assert origin.at("b", 3) == "m.yaml:2: b[3]"
    assert origin.at("c", "nowhere", 0) == "m.yaml:3: c.nowhere[0]"
    assert origin.at() == "m.yaml:1"


def test_anchors_are_shorthand():
    data, _ = parse("a: &spad {energy: 1}\nb: *spad\n", "m.yaml")
    assert data == {"a": {"energy": 1}, "b": {"energy": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n- 2\n", "got a list of 2"),
        ("just text\n", "got 'just text'"),
        ("42\n", "got 42"),
        ("null\n", "got nothing"),
    ],
)
def test_what_is_no_table(text, message):
    error = _refused(text)
    assert error.message.startswith("expected a table with the keys name, description, unit,")
    assert error.message.endswith(message)
    assert error.where == "m.yaml:1"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file(text):
    message = _refused(text).message
    assert message == "the file is empty" or message.endswith("got nothing")


@pytest.mark.parametrize(
    ("text", "tag", "where"),
    [
        (
            "name: x\na: !!python/object/apply:os.system ['touch {0}']\n",
            "!!python/object/apply:os.system",
            "m.yaml:2: a",
        ),
        ("!!python/object/new:os.system ['touch {0}']\n", "!!python/object/new:os.system", "m.yaml:1"),
        ("name: !!python/name:os.system\n", "!!python/name:os.system", "m.yaml:1: name"),
        ("name: !mine x\n", "!mine", "m.yaml:1: name"),
        ("name: !!binary aGVsbG8=\n", "!!binary", "m.yaml:1: name"),
        ("name: !!set {{a, b}}\n", "!!set", "m.yaml:1: name"),
        ("!!python/name:os.system : 1\n", "!!python/name:os.system", "m.yaml:1"),
    ],
)
def test_tags_are_refused_and_not_executed(tmp_path, text, tag, where):
    trap = tmp_path / "pwned"
    error = _refused(text.format(trap))
    assert error.message == f"the tag '{tag}' is not allowed"
    assert error.where == where
    assert error.hint == "A description is plain data: text, numbers, lists and tables."
    assert not trap.exists()


def test_duplicate_keys():
    error = _refused("name: a\nunit: pJ\nname: b\n")
    assert error.where == "m.yaml:3: name"
    assert error.message == "the key 'name' is there twice, first on line 1"


def test_a_bomb_of_aliases():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    error = _refused("\n".join(rows))
    assert error.message == "more than 20,000 fields, aliases included"


def test_an_alias_to_itself():
    assert _refused("a: &a [*a]\n").message == "nested deeper than 20 levels"


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "- " * 5000])
def test_deep_nesting(text):
    assert _refused(text).message


def test_merging_is_refused():
    error = _refused("a: &a {x: 1}\nb:\n  <<: *a\n")
    assert (error.where, error.message) == ("m.yaml:3", "merging tables with '<<' is not supported")


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("name: [1, 2\n", "m.yaml:2", "this is not valid YAML: "),
        ("name: x\n\tunit: pJ\n", "m.yaml:2", "this is not valid YAML: "),
        ("name: x: y\n", "m.yaml:1", "this is not valid YAML: mapping values are not allowed here"),
        ("name: a\n---\nname: b\n", "m.yaml:2", "a second YAML document begins here, and a file holds one"),
        ("name: *nowhere\n", "m.yaml:1", "this is not valid YAML: found undefined alias 'nowhere'"),
        ("name: \x07\n", "m.yaml", "this is not valid YAML: "),
        ("[a, b]: c\n", "m.yaml:1", "a key must be one word, not a list or table"),
        ("name: !!int abc\n", "m.yaml:1: name", "'abc' is not a value of kind int"),
        ("%YAML 1.1\n---\nname: yes\n", "m.yaml:3: name", "'yes' is not a value of kind bool"),
        ("name: " + "9" * 5000 + "\n", "m.yaml:1: name", "is not a value of kind int"),
    ],
)
def test_what_is_no_yaml(text, where, message):
    error = _refused(text)
    assert error.where == where
    assert message in error.message


@given(st.text(max_size=80))
def test_any_text_is_refused_in_our_words(text):
    _refused(text)


@given(
    st.lists(
        st.sampled_from(
            ["name", "hierarchy", ":", " ", "\n", "- ", "{", "}", "[", "]", "&a", "*a", "!!", "0", "'", "level"]
        ),
        max_size=30,
    )
)
def test_any_yaml_is_refused_in_our_words(pieces):
    _refused("".join(pieces))


# Files


def _load(path) -> HardwareError:
    with pytest.raises(HardwareError) as caught:
        load_hardware(path)
    assert caught.value.where == str(path)
    return caught.value


def test_a_missing_file(tmp_path):
    assert _load(tmp_path / "no.yaml").message == "there is no such file"


def test_a_directory(tmp_path):
    (tmp_path / "d.yaml").mkdir()
    assert _load(tmp_path / "d.yaml").message == "this is a directory, not a description"


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    assert _load(path).message == "the file is not UTF-8 text: byte 0xe9 at offset 9"


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\nuint: pJ\n")
    with pytest.raises(HardwareError, match="unknown key 'uint'"):
        load_hardware(path)


def test_a_huge_file(tmp_path):
    path = tmp_path / "h.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    error = _load(path)
    assert error.message == "the file is larger than 1,000,000 bytes"
    assert "is this the right file?" in error.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_make_it_wait(tmp_path):
    os.mkfifo(tmp_path / "p.yaml")
    assert _load(tmp_path / "p.yaml").message == "this is not a regular file"


def test_a_file_that_the_system_withholds(tmp_path, monkeypatch):
    path = tmp_path / "s.yaml"
    path.write_text("name: x\n", encoding="utf-8")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(SystemFailure) as caught:
        load_hardware(path)
    assert caught.value.exit_code == 4
    assert caught.value.message == "the file can't be read: [Errno 13] Permission denied"
