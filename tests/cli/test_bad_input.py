"""Input files that are wrong: one clear error that says where and what to do, exit code 3, and nothing is written."""

from __future__ import annotations

import json
import random

import pytest
from onnx import TensorProto, helper

from picojoule.hardware import catalogue_text

HARDWARE = ("--hardware", "eyeriss-normalized")
MACHINE = catalogue_text("eyeriss-normalized")


def conv_model(dims=(1, 3, 8, 8), weights=(4, 3, 3, 3)):
    """A model of one convolution, as bytes."""
    data = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=weights, raw_data=bytes(4 * 4 * 3 * 3 * 3))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [data],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def relu_model():
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", info[:1], info[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


MODELS = {
    "empty.onnx": (b"", "empty"),
    "random.onnx": (random.Random(1).randbytes(4000), "ONNX"),
    "truncated.onnx": (conv_model()[:-60], "truncated.onnx"),
    "nothing-to-cost.onnx": (relu_model(), "nothing to cost"),
    "unknown-shape.onnx": (conv_model(("n", "c", "h", "w")), "--shape"),
    "huge-claim.onnx": (conv_model(weights=(2**40, 3, 3, 3)), "claims 29686813949952"),
    "list.yaml": (b"- 1\n- 2\n", "list"),
    "not.yaml": (b"layers: [{name: x", "not.yaml:1"),
    "tag.yaml": (b"layers: !!python/object/apply:os.system ['touch pwned']\n", "tag"),
    "negative.yaml": (b"layers: [{name: x, K: -4, C: 3}]\n", "-4"),
    "zero.yaml": (b"layers: [{name: x, K: 0, C: 3}]\n", "K"),
    "float.yaml": (b"layers: [{name: x, K: 1.5, C: 3}]\n", "1.5"),
    "misspelt.yaml": (b"layers: [{name: x, K: 4, PP: 8}]\n", "'P'"),
    "empty.json": (b"", "empty"),
    "no-layers.json": (b"{}", "layers"),
}

MACHINES = {
    "list.yaml": ("- 1\n- 2\n", "list"),
    "tag.yaml": ("name: !!python/object/apply:os.system ['touch pwned']\n", "tag"),
    "empty.yaml": ("", "empty"),
    "misspelt.yaml": (MACHINE.replace("capacity: 108 KiB", "capcity: 108 KiB"), "'capacity'"),
    "no-energy.yaml": (MACHINE.replace("    energy: 6\n", ""), "energy"),
    "no-capacity.yaml": (MACHINE.replace("capacity: 108 KiB", "capacity: 0 KiB"), "capacity"),
    "stranded.yaml": (MACHINE.replace("keeps: [weights, inputs, outputs]", "keeps: [inputs, outputs]"), "stranded"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_model(run, folder, name):
    contents, word = MODELS[name]
    (folder / name).write_bytes(contents)
    ran = run("estimate", name, *HARDWARE)
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert word in ran.stderr
    assert ran.stderr.startswith(f"error: {name}:")
    assert sorted(file.name for file in folder.iterdir()) == sorted({"tiny.yaml", name})


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("verb", ["estimate", "check", "show"])
def test_a_wrong_machine(run, folder, name, verb):
    text, word = MACHINES[name]
    assert text != MACHINE
    (folder / name).write_text(text)
    path = f"./{name}"
    ran = run("estimate", "tiny.yaml", "--hardware", path) if verb == "estimate" else run("hardware", verb, path)
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert word in ran.stderr
    assert name in ran.stderr
    assert sorted(file.name for file in folder.iterdir()) == sorted({"tiny.yaml", name})


def test_the_wrong_line_of_a_machine_is_named(run, folder):
    (folder / "bad.yaml").write_text(MACHINES["misspelt.yaml"][0])
    line = 1 + MACHINE[: MACHINE.index("capacity: 108")].count("\n")
    assert f"bad.yaml:{line}" in run("hardware", "check", "bad.yaml").stderr


def test_strict_refuses_what_is_not_costed(run):
    ran = run("estimate", "yolov3", *HARDWARE, "--strict", "--format", "json")
    assert ran.exit_code == 3
    assert json.loads(ran.stdout)["error"]["code"] == "not_costed"
    assert "YoloDetection" in ran.stderr


@pytest.mark.parametrize("contents", [b"", b"[]", b"{}", b"{", b"\xff\xfe", b'{"schema": "picojoule/estimate/9"}'])
def test_a_wrong_result_file(run, folder, contents):
    (folder / "result.json").write_bytes(contents)
    ran = run("verify", "result.json")
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert "result.json" in ran.stderr


def test_a_wrong_mapping_file(run, folder):
    (folder / "mapping.json").write_text("[1]")
    ran = run("estimate", "tiny.yaml", *HARDWARE, "--mapping", "mapping.json")
    assert ran.exit_code == 3
    assert "mapping.json" in ran.stderr


def test_the_models_above_are_wrong_in_one_place_only(run, folder):
    """The same convolution, left whole, is costed."""
    (folder / "right.onnx").write_bytes(conv_model())
    assert run("estimate", "right.onnx", *HARDWARE).exit_code == 0
