"""What a bundle that isn't what it says is refused for, and where that is."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import onnx_exits

from picojoule.errors import BundleError, UsageError
from picojoule.runtime import Session, export_bundle, read_bundle
from picojoule.runtime.bundle import check_name
from picojoule.runtime.bundle_tensors import outside_tensor
from picojoule.runtime.manifest import content_hash


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    source = onnx_exits.saved(folder / "net.onnx", onnx_exits.exits())
    export_bundle(source, folder / "net.bundle", preprocess="unit", labels=["a", "b", "c", "d"], confidence=0.9)
    return folder / "net.bundle"


@pytest.fixture
def bundle(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "b")
    return tmp_path / "b"


def change(bundle: Path, edit, *, sealed: bool = True) -> None:
    """Edits the manifest; ``sealed``: by somebody who knows how to make the hash."""
    path = bundle / "manifest.json"
    document = json.loads(path.read_text())
    edit(document)
    if sealed:
        document["content_hash"] = content_hash(document)
    path.write_text(json.dumps(document))


def refused(bundle: Path) -> str:
    with pytest.raises(BundleError) as error:
        Session(bundle)
    assert error.value.where.startswith(str(bundle))
    assert error.value.exit_code == 3
    return f"{error.value.where.removeprefix(str(bundle))}: {error.value.message}"


def test_a_whole_bundle_is_read(bundle):
    read = read_bundle(bundle)
    assert [stage.file for stage in read.manifest.stages] == ["stage0.onnx", "stage1.onnx", "stage2.onnx"]
    assert read.manifest.labels == ("a", "b", "c", "d")
    assert [one.threshold for one in read.manifest.exits] == [0.9, 0.9, None]


def test_what_is_no_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        read_bundle(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="this is a file"):
        read_bundle(tmp_path / "file")


def test_one_flipped_bit_of_a_file(bundle):
    path = bundle / "stage1.onnx"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert refused(bundle).startswith("/stage1.onnx: the file was changed: its SHA-256 is ")


def test_a_file_that_is_cut_off(bundle):
    path = bundle / "stage2.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(bundle).startswith("/stage2.onnx: the file is cut off: ")


def test_a_file_that_is_missing(bundle):
    (bundle / "stage0.onnx").unlink()
    assert refused(bundle) == "/stage0.onnx: the file is missing"


def test_no_manifest(bundle):
    (bundle / "manifest.json").unlink()
    assert refused(bundle) == ": this folder is no bundle: it has no manifest.json"


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_manifest_that_is_cut_off(bundle, share):
    path = bundle / "manifest.json"
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    assert "the manifest is cut off" in refused(bundle)


@pytest.mark.parametrize(
    ("text", "word"),
    [("[]", "a table is expected"), ('{"a": NaN}', "finite"), ('{"a": 1, "a": 2}', "twice"), ("[" * 100_000, "deeply"), ("{]", "not JSON"), ("\udcff", "UTF-8")],
)
def test_a_manifest_that_is_none(bundle, text, word):
    (bundle / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert word in refused(bundle)


def test_a_manifest_that_was_changed(bundle):
    change(bundle, lambda d: d["labels"].reverse(), sealed=False)
    assert refused(bundle).startswith("/manifest.json: content_hash: it was changed after it was written")


def test_a_schema_of_another_version(bundle):
    change(bundle, lambda d: d.update(schema="picojoule/bundle/3"))
    assert refused(bundle) == (
        "/manifest.json: schema: its schema is 'picojoule/bundle/3'; this version reads 'picojoule/bundle/1' and 'picojoule/bundle/2'"
    )


@pytest.mark.parametrize("name", ["../evil.onnx", "/etc/passwd", "..", "a/../../b", "C:\\evil", "\\\\host\\x", "..\\evil", "", "a\0b"])
def test_a_name_that_leads_out(bundle, name):
    def edit(document):
        document["files"][name] = document["files"].pop("stage0.onnx")
        document["stages"][0]["file"] = name

    change(bundle, edit)
    assert refused(bundle) == f"/manifest.json: files: the file name {name!r} leads out of the bundle"


@pytest.mark.parametrize("name", ["sub/file.onnx", "sub\\file.onnx", "stage:0", "manifest.json"])
def test_a_name_that_is_not_plain(name):
    with pytest.raises(BundleError, match="is not plain"):
        check_name(name, where="here")


@pytest.mark.skipif(os.name != "posix", reason="makes links and pipes")
def test_links_and_pipes_are_not_followed(bundle, tmp_path):
    path = bundle / "stage0.onnx"
    path.rename(tmp_path / "elsewhere.onnx")
    path.symlink_to(tmp_path / "elsewhere.onnx")
    assert refused(bundle) == "/stage0.onnx: this is a link; a bundle holds its files itself"
    path.unlink()
    os.mkfifo(path)
    assert refused(bundle) == "/stage0.onnx: this is no plain file"
    manifest = bundle / "manifest.json"
    manifest.rename(tmp_path / "m.json")
    manifest.symlink_to(tmp_path / "m.json")
    assert refused(bundle) == "/manifest.json: this is a link; a bundle holds its files itself"


def replace_stage(bundle: Path, number: int, made: onnx.ModelProto | bytes) -> None:
    """Puts another model in the place of a stage, with its right hash and size."""
    import hashlib

    raw = made if isinstance(made, bytes) else made.SerializeToString()
    (bundle / f"stage{number}.onnx").write_bytes(raw)
    change(
        bundle,
        lambda d: d["files"].update({f"stage{number}.onnx": {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}}),
    )


def test_a_tensor_that_lies_in_another_file(bundle, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(4 * 16))
    tensor = onnx.TensorProto(name="w", dims=(4, 4), data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret.bin")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    made = onnx_exits.model([node], [onnx_exits.info("y", "n", 4)], [tensor], onnx_exits.info("x", "n", 4))
    assert outside_tensor(made.SerializeToString(), where="") == "w"
    replace_stage(bundle, 0, made)
    assert refused(bundle).startswith("/stage0.onnx: its tensor 'w' lies in another file")


def test_tensors_inside_of_nodes_and_graphs_are_looked_at():
    hidden = onnx.TensorProto(name="hidden", dims=(1,), data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["z"], value=hidden)], "inner", [], [onnx_exits.info("z", 1)]
    )
    node = onnx.helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    made = onnx_exits.model([node], [onnx_exits.info("y", 1)], [], onnx_exits.info("c", kind=onnx.TensorProto.BOOL))
    assert outside_tensor(made.SerializeToString(), where="") == "hidden"
    assert outside_tensor(onnx_exits.exits().SerializeToString(), where="") is None


@pytest.mark.parametrize("raw", [b"no ONNX at all", b"\xff" * 50, b"\x3a\xff\xff\x7f"])
def test_bytes_that_are_no_model(bundle, raw):
    replace_stage(bundle, 1, raw)
    assert refused(bundle).startswith("/stage1.onnx: not an ONNX file")


def test_a_stage_that_is_another_model(bundle):
    replace_stage(bundle, 1, onnx.load(bundle / "stage2.onnx"))
    assert refused(bundle) == (
        "/stage1.onnx: the manifest tells of the inputs ['map0'], the file has ['map1']"
    )


def test_a_stage_of_another_shape_and_type(bundle):
    def edit(document):
        document["stages"][0]["outputs"][1]["shape"] = [3, 6, 7]

    change(bundle, edit)
    assert refused(bundle) == (
        "/stage0.onnx: 'map0' is float32 of ['batch', 3, 6, 6] in the file, and float32 of ['batch', 3, 6, 7] in the manifest"
    )


def stage(number: int, **more):
    return lambda document: document["stages"][number].update(more)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (stage(1, inputs=["map7"]), "stages[1] (exit1).inputs: it reads 'map7', which no earlier stage makes; there are 'image', 'exit0', 'map0'"),
        (stage(0, file="none.onnx"), "stages[0] (exit0).file: its file 'none.onnx' is not among files"),
        (stage(2, exit=None), "stages[2].exit: the last stage needs an exit"),
        (stage(1, inputs=[]), "stages[1] (exit1).inputs: a stage reads something"),
        (stage(1, exit={"outputs": ["exit0"], "scores": "logits", "temperature": 1, "threshold": None}), "stages[1] (exit1).exit.outputs: its exit answers 'exit0', which it doesn't make"),
        (stage(1, energy_pj=-1), "stages[1].energy_pj: an energy is a number from 0, got -1"),
        (stage(1, exit={"outputs": ["exit1"], "scores": "logits", "temperature": 0, "threshold": None}), "stages[1].exit.temperature: a temperature is above 0, got 0"),
        (stage(1, exit={"outputs": ["exit1"], "scores": "logits", "temperature": 1, "threshold": 2}), "stages[1].exit.threshold: a threshold lies in 0 … 1, got 2"),
        (stage(1, exit={"outputs": ["exit1"], "scores": "stars", "temperature": 1, "threshold": None}), "stages[1].exit.scores: 'stars' is not known; allowed are logits, probabilities"),
        (lambda d: d["stages"].pop(0), "stages[0] (exit1).inputs: it reads 'map0', which no earlier stage makes; there are 'image'"),
        (lambda d: d["stages"].clear(), "stages: there is no stage"),
        (lambda d: d["files"].update(more=d["files"]["stage0.onnx"]), "files: no stage runs the file 'more'"),
        (lambda d: d.update(labels=["a"]), "labels: there are 1 labels; the network has 4 classes"),
        (lambda d: d.update(batch=0), "batch: a batch has at least 1 sample, got 0"),
        (lambda d: d.update(batch=True), "batch: a whole number is expected, got true"),
        (lambda d: d.pop("stages"), "the key 'stages' is missing"),
        (lambda d: d["stages"][1]["outputs"][1].update(dtype="float"), "stages[1].outputs[1].map1.dtype: 'float' is not known"),
        (lambda d: d["stages"][1]["outputs"][1].update(read_by=[]), "stages[1].outputs[1].read_by: it says that [] read 'map1'; by their inputs [2] do"),
        (lambda d: d["stages"][1].update(name=3), "stages[1].name: a text is expected, got 3"),
        (lambda d: d["stages"][0]["outputs"][0].update(name="image"), "stages[0] (exit0).outputs: 'image' is made twice: by the input and by stage 0"),
        (lambda d: d["preprocessing"].update(mean=[1, 2]), "preprocessing.mean: RGB has 3 channels, got 2 numbers"),
        (lambda d: d["preprocessing"].update(std=[1, 2, 0]), "preprocessing.std: standard deviations are above 0, got [1, 2, 0]"),
        (lambda d: d["preprocessing"].update(resize=[6, 5]), "preprocessing: it makes images of 6 × 5; the input 'image' takes 6 × 6"),
        (lambda d: d["preprocessing"].update(layout="NHWC"), "preprocessing: images in RGB and NHWC are rows × columns × 3; the input 'image' takes [3, 6, 6]"),
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself(bundle, edit, message):
    change(bundle, edit)
    assert refused(bundle).removeprefix("/manifest.json: ").startswith(message)


def test_what_runs_is_what_was_verified(bundle):
    """A file that is exchanged between reading and running changes nothing."""
    read = read_bundle(bundle)
    x = onnx_exits.images(3)
    before = Session(read).run(x).outputs[0]
    (bundle / "stage0.onnx").write_bytes(b"something else")
    assert np.array_equal(Session(read).run(x).outputs[0], before)


def test_keys_of_later_versions_are_let_through(bundle):
    change(bundle, lambda d: d.update(later={"x": 1}))
    assert len(Session(bundle).run(onnx_exits.images(2))) == 2
