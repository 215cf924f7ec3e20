"""Notes at the nodes of ONNX files: all energy stands somewhere, and the model answers byte for byte as before."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

import picojoule
from picojoule import Exact
from picojoule.errors import UsageError

SEARCH = Exact(time_limit_s=None, factors="exact")
RANDOM = np.random.default_rng(0)


def weights(*shape, name):
    return numpy_helper.from_array(RANDOM.standard_normal(shape, dtype=np.float32), name)


def saved(path, nodes, initializers, inputs, outputs, **more):
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13), *more.pop("opsets", ())], ir_version=7, **more
    )
    onnx.save_model(model, str(path))
    return path


def floats(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def residual(path):
    """Two convolutions, a shortcut, a pool and a matrix; one node has no name."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r1"], ["a"], "add"),
        helper.make_node("MaxPool", ["a"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w3"], ["y"], "fc", transB=1),
    ]
    tensors = [
        weights(8, 3, 3, 3, name="w1"),
        weights(8, name="b1"),
        weights(8, 8, 3, 3, name="w2"),
        weights(10, 128, name="w3"),
    ]
    return saved(path, nodes, tensors, [floats("x", 1, 3, 8, 8)], [floats("y", 1, 10)])


def lstm(path):
    """One node that becomes several layers."""
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], "lstm", hidden_size=8)]
    tensors = [weights(1, 32, 6, name="w"), weights(1, 32, 8, name="r")]
    return saved(path, nodes, tensors, [floats("x", 5, 1, 6)], [floats("y", 5, 1, 1, 8)])


def exported(path):
    """As PyTorch writes it: layers bear the names of modules, and nodes have notes already."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
    ).eval()
    torch.onnx.export(net, (torch.randn(1, 3, 8, 8),), str(path), dynamo=True, external_data=False, verbose=False)
    return path


def quantized(path):
    residual(path.with_suffix(".f.onnx"))
    quant_pre_process(str(path.with_suffix(".f.onnx")), str(path.with_suffix(".p.onnx")))
    quantize_dynamic(str(path.with_suffix(".p.onnx")), str(path))
    return path


def function(path):
    """A convolution and a matrix inside a local function."""
    body = [
        helper.make_node("Conv", ["a", "w"], ["inner"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["inner", "w"], ["out"], "conv2", pads=[1, 1, 1, 1]),
    ]
    block = helper.make_function("own", "Block", ["a", "w"], ["out"], body, [helper.make_opsetid("", 13)])
    nodes = [helper.make_node("Block", ["x", "w"], ["y"], "block", domain="own")]
    opsets = [helper.make_opsetid("own", 1)]
    return saved(
        path, nodes, [weights(3, 3, 3, 3, name="w")], [floats("x", 1, 3, 8, 8)], [floats("y", 1, 3, 8, 8)],
        functions=[block], opsets=opsets,
    )  # fmt: skip


def noted(path):
    model = onnx.load_model(str(path))
    prefix = "picojoule."
    nodes = {
        node.output[0]: {e.key.removeprefix(prefix): e.value for e in node.metadata_props if e.key.startswith(prefix)}
        for node in model.graph.node
    }
    about = {e.key.removeprefix(prefix): e.value for e in model.metadata_props if e.key.startswith(prefix)}
    return {name: notes for name, notes in nodes.items() if notes}, about


def answers(path, seed=1):
    """What onnxruntime makes of random inputs, as bytes."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(seed)
    feed = {
        i.name: random.standard_normal([d if isinstance(d, int) else 1 for d in i.shape], dtype=np.float32)
        for i in session.get_inputs()
    }
    return [output.tobytes() for output in session.run(None, feed)]


def without_notes(path):
    model = onnx.load_model(str(path))
    for message in (model, *model.graph.node):
        kept = [(e.key, e.value) for e in message.metadata_props if not e.key.startswith("picojoule.")]
        del message.metadata_props[:]
        for key, value in kept:
            message.metadata_props.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [residual, lstm, exported, quantized, function])
def test_notes_hold_all_energy_and_the_model_answers_as_before(make, tmp_path):
    path = make(tmp_path / "net.onnx")
    estimate = picojoule.estimate(path, hardware="eyeriss-v1", search=SEARCH)
    output = picojoule.export(estimate, to="onnx", model=path, output=tmp_path / "noted.onnx")
    nodes, about = noted(output)
    assert answers(output) == answers(path)
    onnx.checker.check_model(str(output))
    assert without_notes(output) == without_notes(path)
    assert float(about["energy_pj"]) == estimate.energy_pj
    placed = {name for notes in nodes.values() for name in notes["layer"].split(", ")}
    energies = estimate.by_layer()
    assert math.fsum(float(notes["energy_pj"]) for notes in nodes.values()) == pytest.approx(
        sum(energies[n] for n in placed)
    )
    if make is function:
        assert about["not_in_the_main_graph"]
        assert placed < set(energies)
    else:
        assert placed == set(energies)


def test_what_a_node_says(tmp_path):
    path = residual(tmp_path / "net.onnx")
    estimate = picojoule.estimate(path, hardware="eyeriss-v1", search=SEARCH)
    nodes, about = noted(picojoule.export(estimate, to="onnx", model=path, output=tmp_path / "noted.onnx"))
    conv, row = nodes["c1"], estimate.layers[0]
    assert (conv["layer"], conv["status"], conv["macs"]) == ("conv1", "PROVED", str(row.macs))
    assert float(conv["latency_cycles"]) == row.latency_cycles
    assert [float(conv[key]) for key in ("floor_pj", "bound_pj", "energy_pj")] == [
        row.floor_pj,
        row.bound_pj,
        row.energy_pj,
    ]
    assert conv["energy"].endswith("% of the network")
    assert conv["goes_to"].startswith("DRAM ")
    assert conv["bound_by"] == row.bound_by
    assert about["hardware"] == "eyeriss-v1"
    assert "unit" not in conv


def test_one_node_of_several_layers_has_their_sum(tmp_path):
    path = lstm(tmp_path / "net.onnx")
    estimate = picojoule.estimate(path, hardware="eyeriss-normalized", search=SEARCH)
    nodes, _ = noted(picojoule.export(estimate, to="onnx", model=path, output=tmp_path / "noted.onnx"))
    (notes,) = nodes.values()
    assert len(notes["layer"].split(", ")) == len(estimate.layers) > 1
    assert float(notes["energy_pj"]) == pytest.approx(estimate.energy_pj)
    assert notes["unit"] == "mac16"


def test_notes_are_replaced_and_those_of_others_kept(tmp_path):
    path = residual(tmp_path / "net.onnx")
    model = onnx.load_model(str(path))
    model.graph.node[0].metadata_props.add(key="theirs", value="1")
    onnx.save_model(model, str(path))
    first = picojoule.estimate(path, hardware="eyeriss-v1", search=SEARCH)
    once = picojoule.export(first, to="onnx", model=path, output=tmp_path / "once.onnx")
    twice = picojoule.export(first, to="onnx", model=once, output=tmp_path / "twice.onnx")
    assert once.read_bytes() == twice.read_bytes()
    assert ("theirs", "1") in {(e.key, e.value) for e in onnx.load_model(str(twice)).graph.node[0].metadata_props}


def test_open_sizes_are_given_as_for_the_estimate(tmp_path):
    path = residual(tmp_path / "net.onnx")
    model = onnx.load_model(str(path))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save_model(model, str(path))
    shape = {"x": (1, 3, 8, 8)}
    estimate = picojoule.estimate(path, hardware="eyeriss-v1", shape=shape, search=SEARCH)
    output = picojoule.export(estimate, to="onnx", model=path, shape=shape, output=tmp_path / "noted.onnx")
    assert answers(output) == answers(path)


def test_a_result_of_another_model_is_refused(tmp_path):
    estimate = picojoule.estimate(residual(tmp_path / "net.onnx"), hardware="eyeriss-v1", search=SEARCH)
    other = lstm(tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="the result is not of this model: the result alone has the layer conv1"):
        picojoule.export(estimate, to="onnx", model=other, output=tmp_path / "noted.onnx")
    with pytest.raises(UsageError, match="which ONNX file is the result of"):
        picojoule.export(estimate, to="onnx", output=tmp_path / "noted.onnx")
    with pytest.raises(UsageError, match="replace the model itself"):
        picojoule.export(estimate, to="onnx", model=tmp_path / "net.onnx", output=tmp_path / "net.onnx", force=True)


def test_weights_in_other_files_are_not_left_behind(tmp_path):
    path = residual(tmp_path / "net.onnx")
    onnx.save_model(
        onnx.load_model(str(path)), str(path), save_as_external_data=True, location="net.bin", size_threshold=0
    )
    estimate = picojoule.estimate(path, hardware="eyeriss-v1", search=SEARCH)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UsageError, match=r"weights in files beside it \(net.bin\)"):
        picojoule.export(estimate, to="onnx", model=path, output=tmp_path / "elsewhere" / "noted.onnx")
    assert answers(picojoule.export(estimate, to="onnx", model=path, output=tmp_path / "noted.onnx")) == answers(path)
