"""What MODEL may be: a file, a name, or a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.onnx_models import OnnxBuilder

from picojoule.errors import LayerTableError, ModelError, UnknownNameError, UsageError
from picojoule.frontends import load_model, parse_shape
from picojoule.workload import builtin_network


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save_onnx(path: Path) -> Path:
    net = OnnxBuilder(1, 3, 8, 8)
    net.conv("c", 4, 3)
    return net.save(path)


TABLE = "name: tiny\nlayers: [{name: c, K: 4, C: 3, P: 6, Q: 6, R: 3, S: 3}]\n"
MACS = 4 * 27 * 36


def test_a_built_in_name(here):
    assert load_model("merkel:L3") == builtin_network("merkel:L3")


def test_a_network_is_handed_back():
    network = builtin_network("merkel:L3")
    assert load_model(network) is network


@pytest.mark.parametrize("kind", [str, Path])
def test_an_onnx_file(here, kind):
    assert load_model(kind(save_onnx(here / "net.onnx"))).macs == MACS


@pytest.mark.parametrize("name", ["net.ONNX", "net.model", "net"])
def test_an_onnx_file_is_known_by_its_contents_too(here, name):
    save_onnx(here / name)
    assert load_model(name).macs == MACS


@pytest.mark.parametrize("name", ["t.yaml", "t.yml", "t.YAML"])
def test_a_layer_table(here, name):
    (here / name).write_text(TABLE)
    assert load_model(name).macs == MACS


def test_a_layer_table_in_json(here):
    (here / "t.json").write_text('{"layers": [{"name": "c", "K": 4, "C": 3, "P": 6, "Q": 6, "R": 3, "S": 3}]}')
    assert load_model("t.json").macs == MACS


def test_a_wrong_layer_table(here):
    (here / "t.yaml").write_text("- 1\n")
    with pytest.raises(LayerTableError):
        load_model("t.yaml")


def test_a_file_goes_before_a_built_in_name(here):
    save_onnx(here / "resnet18")
    assert load_model("resnet18").macs == MACS


def test_a_folder_does_not_hide_a_built_in_name(here):
    (here / "resnet18").mkdir()
    assert load_model("resnet18").macs == 1814073344


@pytest.mark.parametrize(("name", "guess"), [("resnet19", "resnet18"), ("merkle:L3", "merkel:L3"), ("RESNET18", "")])
def test_an_unknown_name_gets_the_nearest(here, name, guess):
    with pytest.raises(UnknownNameError, match=f"'{name}'") as caught:
        load_model(name)
    assert caught.value.exit_code == 2
    assert f"Did you mean '{guess}'?" in caught.value.hint or not guess
    assert "resnet18" in caught.value.hint


def test_a_missing_file_gets_the_nearest_beside_it(here):
    save_onnx(here / "mobilenet.onnx")
    with pytest.raises(UnknownNameError, match="there is no file 'mobilnet.onnx'") as caught:
        load_model("mobilnet.onnx")
    assert "Did you mean 'mobilenet.onnx'?" in caught.value.hint


@pytest.mark.parametrize("name", ["nowhere/net.onnx", "nowhere/net", "t.yaml", "net.pt"])
def test_a_missing_file_is_a_usage_error(here, name):
    with pytest.raises(UnknownNameError, match="there is no file") as caught:
        load_model(name)
    assert "Give the path" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["", "\0", "a" * 5000, "a" * 5000 + ".onnx", "résnet", ".", "/", "a:b:c", "merkel:", ":L3"]
)
def test_odd_names_are_usage_errors(here, name):
    with pytest.raises(UsageError):
        load_model(name)


def test_a_folder_is_no_model(here):
    (here / "net.onnx").mkdir()
    with pytest.raises(UsageError, match="this is a folder"):
        load_model("net.onnx")


def test_a_file_of_another_kind(here):
    (here / "notes.md").write_text("hello")
    with pytest.raises(ModelError, match=r"neither an ONNX model, a .pt2 program nor a layer table") as caught:
        load_model("notes.md")
    assert "by its ending '.md'" in caught.value.message
    assert ".onnx, .pt2, .yaml, .yml, .json, .csv, .txt" in caught.value.hint


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".safetensors"])
def test_files_of_weights_are_no_networks(here, suffix):
    (here / f"net{suffix}").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match=f"{suffix} files hold weights or pickled code, not a network") as caught:
        load_model(f"net{suffix}")
    assert "torch.export.save" in caught.value.hint


@pytest.mark.parametrize("name", ["no_such_package.models:resnet18", "json.no_such:build"])
def test_a_factory_in_no_module(here, name):
    with pytest.raises(UnknownNameError, match="there is no Python module"):
        load_model(name)


def test_objects_of_another_kind():
    with pytest.raises(UsageError, match="a model of type list can't be read") as caught:
        load_model([1, 2])
    assert "torch.export" in caught.value.hint


def test_an_example_input_is_for_modules(here):
    with pytest.raises(UsageError, match="an example input is for an nn.Module"):
        load_model("resnet18", 1)


@pytest.mark.parametrize("model", ["resnet18", "t.yaml", builtin_network("merkel:L1")])
def test_shapes_are_for_onnx_files(here, model):
    (here / "t.yaml").write_text(TABLE)
    with pytest.raises(UsageError, match="a shape for 'input' can't be used"):
        load_model(model, shape={"input": (1, 3, 8, 8)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input=1x3x224x224", {"input": (1, 3, 224, 224)}),
        (" input = 1 x 3 ", {"input": (1, 3)}),
        ("a:0=7", {"a:0": (7,)}),
        ("a=b=1,3", {"a=b": (1, 3)}),
        ("x=2×3", {"x": (2, 3)}),
    ],
)
def test_shapes_as_people_write_them(text, expected):
    assert parse_shape(text) == expected


@pytest.mark.parametrize(
    "text", ["", "input", "=1x3", "input=", "input=1x", "input=0x3", "input=-1x3", "input=1.5", "x=²"]
)
def test_what_is_no_shape(text):
    with pytest.raises(UsageError, match="is not a shape") as caught:
        parse_shape(text)
    assert "input=1x3x224x224" in caught.value.hint


def test_built_in_networks_do_without_onnx():
    code = (
        "import sys; from picojoule.frontends import load_model; load_model('resnet18');"
        " print('onnx' in sys.modules, 'numpy' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["False", "False"]
