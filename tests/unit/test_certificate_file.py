"""The file of a certificate: written and read back the same, refused with place and reason where it is wrong."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.verified_results import put

from picojoule.certificate import (
    Certificate,
    Choice,
    Cover,
    certificate_from_data,
    content_hash,
    nest_data,
    read_document,
    sealed,
    spread_factors,
    spread_text,
    write_certificate,
)
from picojoule.errors import CertificateError, SystemFailure
from picojoule.workload.nest import Nest


def certificate() -> Certificate:
    levels = {"weights": ("DRAM", "spad"), "inputs": ("DRAM",), "outputs": ("DRAM",)}
    cover = Cover(
        name="conv",
        nest=nest_data(Nest(K=4, P=2, pad=(1, 0, 0, 0))),
        bits={"weights": 8, "inputs": 8, "outputs": 8, "psums": 24},
        value=12.5,
        bound=10.25,
        floor=3.0,
        choices=(Choice(levels=levels, parts=(("", 12.0), ("PE K4; lane P2", 10.25))),),
    )
    return sealed(model="tiny", hardware="machine", objective="energy", factors="any", layers=[cover])


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_certificate(certificate(), tmp_path / name)
    document = read_document(tmp_path / name)
    assert certificate_from_data(document) == certificate()
    assert content_hash(document) == document["content_hash"] == certificate().content_hash
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_equal_certificates_are_equal_files(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_certificate(certificate(), tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_the_document_is_the_documented_one():
    document = certificate().to_data()
    assert list(document) == ["schema", "model", "hardware", "objective", "factors", "content_hash", "layers"]
    assert document["schema"] == "picojoule/certificate/1"
    assert list(document["layers"][0]) == ["name", "nest", "bits", "value", "bound", "floor", "choices"]
    assert document["layers"][0]["choices"][0]["parts"] == [["", 12.0], ["PE K4; lane P2", 10.25]]
    assert certificate().reference() == {"content_hash": certificate().content_hash, "parts": 2}


def test_every_change_shows_in_the_hash():
    original = certificate().to_data()
    for path, value in (("model", "x"), ("layers[0].bound", 10.5), ("layers[0].choices[0].parts[1][1]", 10.3)):
        changed = json.loads(json.dumps(original))
        put(changed, path, value)
        assert content_hash(changed) != original["content_hash"]


@given(st.lists(st.lists(st.integers(1, 300), min_size=8, max_size=8), min_size=2, max_size=2))
def test_a_spatial_assignment_is_named_and_read_back(factors):
    text = spread_text(["PE", "a-b.c"], factors)
    assert spread_factors(text, ["PE", "a-b.c"]) == tuple(map(tuple, factors))


@pytest.mark.parametrize(
    "text", ["PE", "PE K1", "PE K04", "PE K4 ", " PE K4", "PE C2 K2", "lane K2; PE K2", "PE K2; PE C2", "X K2", "PE Z2"]
)
def test_only_one_spelling_names_an_assignment(text):
    assert spread_factors(text, ["PE", "lane"]) is None


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"", "the file is empty"),
        (b"{", "cut off"),
        (b"nothing", "not JSON"),
        (b"[]", "it has no key 'schema'"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"schema": "picojoule/estimate/1"}', "its schema is"),
        (b'{"schema": "a", "schema": "b"}', "'schema' stands twice"),
        (b'{"schema": NaN}', "not a finite number"),
        (b'{"schema": 1e999}', "not a finite number"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_certificate_is_refused(tmp_path, contents, words):
    (tmp_path / "a.json").write_bytes(contents)
    with pytest.raises(CertificateError, match=words) as caught:
        read_document(tmp_path / "a.json")
    assert caught.value.where.startswith(str(tmp_path / "a.json"))
    assert caught.value.exit_code == 3


PACKED = gzip.compress(b"{}", mtime=0)


@pytest.mark.parametrize("contents", [b"{}", PACKED[:-4], PACKED[:10] + b"\xff" * 20, PACKED[:-8] + b"\0" * 8])
def test_a_packed_file_that_is_damaged_is_refused(tmp_path, contents):
    (tmp_path / "a.gz").write_bytes(contents)
    with pytest.raises(CertificateError, match="gzip"):
        read_document(tmp_path / "a.gz")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(CertificateError, match="no such file") as caught:
        read_document(tmp_path / "nothing.json")
    assert "--certificate" in caught.value.hint
    with pytest.raises(CertificateError, match="folder"):
        read_document(tmp_path)
    with pytest.raises(SystemFailure):
        write_certificate(certificate(), tmp_path / "missing" / "a.json")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema", "picojoule/certificate/2", "this version reads"),
        ("model", 1, "expected a text, got 1"),
        ("objective", "beauty", 'expected energy or latency or edp, got "beauty"'),
        ("factors", "some", "expected any or exact"),
        ("layers", {}, "expected a list"),
        ("layers[0]", [], "expected a table"),
        ("layers[0].value", "1", "expected a number"),
        ("layers[0].value", -1, "at least 0"),
        ("layers[0].bound", True, "expected a number"),
        ("layers[0].bits.psums", 1.5, "expected a whole number"),
        ("layers[0].nest.P", "2", "expected a whole number"),
        ("layers[0].nest.pad", 2, "expected a list"),
        ("layers[0].nest.pad[0]", None, "expected a whole number"),
        ("layers[0].choices[0].levels.weights[0]", 1, "expected a text"),
        ("layers[0].choices[0].parts[0]", ["", 1, 2], "a text and a bound"),
        ("layers[0].choices[0].parts[0][1]", 10**400, "finite"),
        ("layers[0].added", 1, 'unknown key "added"'),
    ],
)
def test_a_wrong_value_is_named_with_its_place(path, value, words):
    document = certificate().to_data()
    document = json.loads(json.dumps(document))
    put(document, path, value)
    with pytest.raises(CertificateError) as caught:
        certificate_from_data(document, where="a.json")
    assert words in caught.value.message
    assert caught.value.where.startswith("a.json")


@pytest.mark.parametrize(
    "path", ["model", "layers[0].name", "layers[0].nest.K", "layers[0].bits.psums", "layers[0].choices[0].parts"]
)
def test_a_missing_key_is_named(path):
    document: dict[str, Any] = json.loads(json.dumps(certificate().to_data()))
    outer, _, key = path.rpartition(".")
    table = document
    for step in filter(None, outer.replace("]", "").replace("[", ".").split(".")):
        table = table[int(step) if isinstance(table, list) else step]
    del table[key]
    with pytest.raises(CertificateError, match=f"the key '{key}' is missing"):
        certificate_from_data(document)
