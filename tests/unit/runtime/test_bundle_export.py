"""Bundles are made of ONNX files and PyTorch networks, cut at their exits, and checked before they are there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from support import onnx_exits
from support.onnx_exits import info, weights
from torch import nn

import picojoule
from picojoule.errors import (
    BundleError,
    InputError,
    ModelError,
    OutputExistsError,
    SystemFailure,
    UnknownNameError,
    UsageError,
)
from picojoule.exits import all_exits
from picojoule.runtime import Confidence, Session, export_bundle, read_bundle
from picojoule.runtime.bundle_folder import write_folder
from picojoule.runtime.manifest import Preprocessing


def from_onnx(folder: Path, made: onnx.ModelProto, **more):
    return export_bundle(onnx_exits.saved(folder / "net.onnx", made), folder / "net.bundle", **more)


def left_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# ONNX ----------------------------------------------------------------------------------------------------------------


def test_a_file_of_one_exit_is_taken_as_it_is(tmp_path):
    bundle = from_onnx(tmp_path, onnx_exits.exits(1), labels=["a", "b", "c", "d"], seed=7)
    assert bundle.models == ((tmp_path / "net.onnx").read_bytes(),)
    manifest = bundle.manifest
    assert (manifest.name, manifest.batch, manifest.classes, manifest.seed) == ("net", None, 4, 7)
    assert manifest.inputs[0].shape == (3, 6, 6)
    assert manifest.provenance["source"] == "net.onnx"
    assert manifest.parity is not None and manifest.parity.holds and manifest.parity.inputs == 8
    assert left_in(tmp_path) == ["net.bundle", "net.onnx"]


@pytest.mark.parametrize("flatten", ["Flatten", "Shape"])
def test_stages_hold_each_node_and_weight_once(tmp_path, flatten):
    made = onnx_exits.exits(flatten=flatten)
    bundle = from_onnx(tmp_path, made)
    stages = [onnx.load_from_string(model) for model in bundle.models]
    for stage in stages:
        onnx.checker.check_model(stage, full_check=True)
    ops = [sorted(node.op_type for node in stage.graph.node if node.op_type not in ("Shape", "Concat")) for stage in stages]
    flat = "Reshape" if flatten == "Shape" else "Flatten"
    assert ops == [sorted(["Conv", "Relu", flat, "MatMul"])] * 3
    held = [{tensor.name for tensor in stage.graph.initializer} - {"rest"} for stage in stages]
    assert held == [{f"w{n}", f"head{n}"} for n in range(3)]
    # With Shape the later stages ask the image for the batch, which is compacted like the map.
    reads = [set(stage.inputs) for stage in bundle.manifest.stages]
    image = {"image"} if flatten == "Shape" else set()
    assert reads == [{"image"}, {"map0"} | image, {"map1"} | image]
    x = onnx_exits.images(9)
    answer = Session(bundle).run(x, policy=Confidence((0.8, 0.8)))
    assert 0 < (answer.exits == 2).sum() < 9
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    want = np.stack(session.run(None, {"image": x}))[answer.exits, np.arange(9)]
    np.testing.assert_allclose(answer.outputs[0], want, atol=1e-5)


def test_exits_none_keeps_the_network_whole(tmp_path):
    bundle = from_onnx(tmp_path, onnx_exits.exits(), exits="none")
    assert len(bundle.models) == 1 and bundle.manifest.exits[0].outputs == ("exit0", "exit1", "exit2")
    assert len(Session(bundle).run(onnx_exits.images(2)).outputs) == 3


def test_outputs_of_different_kinds_are_no_exits(tmp_path):
    made = onnx_exits.exits(2)
    made.graph.output.append(info("map0", "batch", 3, 6, 6))
    assert len(from_onnx(tmp_path, made).models) == 1


def test_exits_in_the_wrong_order_are_refused(tmp_path):
    """exit1 lies on the way to exit2."""
    nodes = [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["exit0"])]
    nodes += [helper.make_node("Relu", ["exit0"], ["exit1"]), helper.make_node("Relu", ["exit1"], ["exit2"])]
    outputs = [info(name, "batch", 4) for name in ("exit0", "exit2", "exit1")]
    made = onnx_exits.model(nodes, outputs, weights(w=np.ones((108, 4), np.float32)), info("image", "batch", 3, 6, 6))
    with pytest.raises(ModelError, match="net.onnx: the exit 'exit1' adds nothing to 'exit2'") as error:
        from_onnx(tmp_path, made)
    assert "from the first to the last" in error.value.hint
    assert left_in(tmp_path) == ["net.onnx"]


def test_what_passes_without_a_batch_is_named(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["exit0"]),
        helper.make_node("Transpose", ["exit0"], ["turned"], perm=[1, 0], name="turn"),
        helper.make_node("Softmax", ["turned"], ["soft"], axis=0, name="soft"),
        helper.make_node("Transpose", ["soft"], ["exit1"], perm=[1, 0]),
        helper.make_node("Transpose", ["soft"], ["back"], perm=[1, 0]),
        helper.make_node("Neg", ["back"], ["exit2"]),
    ]
    outputs = [info(name, "batch", 4) for name in ("exit0", "exit1", "exit2")]
    made = onnx_exits.model(nodes, outputs, weights(w=np.ones((108, 4), np.float32)), info("image", "batch", 3, 6, 6))
    with pytest.raises(ModelError, match="it can't be cut in stages: 'soft' passes from one to the next") as error:
        from_onnx(tmp_path, made)
    assert error.value.where == f"{tmp_path / 'net.onnx'}: Softmax 'soft'"
    assert "[4, 5] for a batch of 5, [4, 7] for a batch of 7" in error.value.message
    assert "Keep the samples along the first axis" in error.value.hint


def test_a_graph_inside_of_a_node_takes_its_tensors_along(tmp_path):
    """An If whose branches read a map of an earlier stage and a weight from outside."""
    made = onnx_exits.exits(2)

    def branch(name, op):
        nodes = [helper.make_node("Add", ["map0", "extra"], [f"{name}0"]), helper.make_node(op, [f"{name}0"], [f"{name}1"])]
        return helper.make_graph(nodes, name, [], [info(f"{name}1", "batch", 3, 6, 6)])

    made.graph.initializer.extend(weights(extra=np.float32(0.5), yes=np.array(True)))
    conv = next(node for node in made.graph.node if node.output[0] == "c1")
    conv.input[0] = "chosen"
    chosen = helper.make_node("If", ["yes"], ["chosen"], then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg"))
    nodes = list(made.graph.node)
    nodes.insert(nodes.index(conv), chosen)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    bundle = from_onnx(tmp_path, made)
    assert bundle.manifest.stages[1].inputs == ("map0",)
    assert bundle.manifest.parity.holds


def test_external_weights_are_taken_in(tmp_path):
    made = onnx_exits.exits(1)
    onnx.save(made, tmp_path / "net.onnx", save_as_external_data=True, size_threshold=0)
    bundle = export_bundle(tmp_path / "net.onnx", tmp_path / "net.bundle")
    assert len(bundle.models[0]) > (tmp_path / "net.onnx").stat().st_size
    x = onnx_exits.images(2)
    want = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]).run(None, {"image": x})
    np.testing.assert_allclose(Session(bundle).run(x).outputs[0], want[0], atol=1e-5)


def test_sizes_other_than_the_batch_must_be_known(tmp_path):
    made = onnx_exits.exits(1)
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "h"
    path = onnx_exits.saved(tmp_path / "net.onnx", made)
    with pytest.raises(ModelError, match=r"sizes of the input 'image' are open: \['\?', 3, '\?', 6\]"):
        export_bundle(path, tmp_path / "b")
    assert export_bundle(path, tmp_path / "b", shape={"image": (1, 3, 6, 6)}).manifest.inputs[0].shape == (3, 6, 6)
    with pytest.raises(UnknownNameError, match="the model has no input 'img'"):
        export_bundle(path, tmp_path / "c", shape={"img": (1, 3, 6, 6)})
    with pytest.raises(UsageError, match="has the shape"):
        export_bundle(path, tmp_path / "c", shape={"image": (1, 4, 6, 6)})


@pytest.mark.parametrize("raw", [b"", b"no model", bytes(100)])
def test_files_that_are_no_models(tmp_path, raw):
    (tmp_path / "x.onnx").write_bytes(raw)
    with pytest.raises(ModelError, match="not a readable ONNX model"):
        export_bundle(tmp_path / "x.onnx", tmp_path / "b")
    assert left_in(tmp_path) == ["x.onnx"]


def test_a_network_that_draws_random_numbers_is_refused(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("RandomNormalLike", ["flat"], ["noise"]),
        helper.make_node("Add", ["flat", "noise"], ["y"]),
    ]
    made = onnx_exits.model(nodes, [info("y", "batch", 108)], [], info("image", "batch", 3, 6, 6))
    with pytest.raises(ModelError, match="the bundle doesn't answer as the model as it was") as error:
        from_onnx(tmp_path, made)
    assert "--tolerance" in error.value.hint
    assert left_in(tmp_path) == ["net.onnx"]


# PyTorch -------------------------------------------------------------------------------------------------------------


class Tiny(nn.Module):
    """Two exits, the second behind a BatchNorm and dropout that must be those of evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.first, self.second = nn.Linear(64, 5), nn.Linear(64, 5)
        self.norm.running_mean.fill_(0.3)

    def forward(self, x):
        early = torch.relu(self.conv(x))
        late = nn.functional.dropout(torch.relu(self.norm(early)), 0.5, self.training)
        return self.first(early.flatten(1)), self.second(late.flatten(1))


def test_a_module_is_exported_as_it_runs_in_evaluation(tmp_path):
    torch.manual_seed(0)
    net = Tiny().train()
    bundle = export_bundle(net, tmp_path / "b", torch.zeros(1, 3, 6, 6))
    assert net.training and net.norm.training
    assert len(bundle.models) == 2 and bundle.manifest.batch is None
    assert bundle.manifest.parity.reference.startswith("torch ")
    x = onnx_exits.images(5)
    with torch.no_grad():
        want = net.eval()(torch.from_numpy(x))
    for (found,), right in zip(Session(bundle).every_exit(x), want, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-5)


def test_nothing_of_the_disk_is_told(tmp_path):
    bundle = export_bundle(Tiny(), tmp_path / "b", torch.zeros(1, 3, 6, 6))
    for raw in (*bundle.models, (tmp_path / "b" / "manifest.json").read_bytes()):
        assert b".py" not in raw and os.fsencode(str(Path.home())) + b"/" not in raw


def test_merkel_s_network_leaves_where_its_logits_say(tmp_path):
    torch.manual_seed(0)
    net = all_exits(3, width=4).eval()
    bundle = export_bundle(net, tmp_path / "b", torch.zeros(1, 3, 32, 32))
    assert [stage.inputs for stage in bundle.manifest.stages] == [("x",), ("x",), ("relu",)]
    x = np.random.default_rng(0).standard_normal((20, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        logits = torch.stack(net(torch.from_numpy(x)))
    sure = logits.softmax(2).amax(2).numpy()
    limits = np.quantile(sure[0], 0.6), np.quantile(sure[1], 0.5)
    want = (sure >= np.array([*limits, 0])[:, None]).argmax(0)
    assert set(want.tolist()) == {0, 1, 2}
    answer = Session(bundle).run(x, policy=Confidence(limits))
    assert answer.exits.tolist() == want.tolist()
    np.testing.assert_allclose(answer.outputs[0], logits.numpy()[want, np.arange(20)], atol=1e-4)


def test_a_batch_that_the_code_fixes_is_kept_and_told(tmp_path):
    class Fixed(nn.Module):
        def forward(self, x):
            return x.view(2, 108) * 2

    bundle = export_bundle(Fixed(), tmp_path / "b", torch.zeros(2, 3, 6, 6))
    assert bundle.manifest.batch == 2
    assert "specialized it to be a constant (2)" in bundle.manifest.provenance["batch_is_fixed_because"]
    x = onnx_exits.images(5)
    np.testing.assert_allclose(Session(bundle).run(x).outputs[0], x.reshape(5, 108) * 2)


def test_an_output_without_a_batch_is_refused(tmp_path):
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(0)

    with pytest.raises(ModelError, match=r"the first axis of the output 'output' is not the batch: \[3, 6, 6\] for a batch of 8"):
        export_bundle(Mean(), tmp_path / "b", torch.zeros(2, 3, 6, 6))


def test_several_inputs_by_name(tmp_path):
    class Two(nn.Module):
        def forward(self, left, right, scale=2.0):
            return (left.sum((1, 2, 3))[:, None] * scale + right).flatten(1)

    bundle = export_bundle(Two(), tmp_path / "b", {"left": torch.zeros(1, 3, 6, 6), "right": torch.zeros(1, 5)})
    assert [tensor.name for tensor in bundle.manifest.inputs] == ["left", "right"]
    left, right = onnx_exits.images(3), np.ones((3, 5), np.float32)
    found = Session(bundle).run({"left": left, "right": right}).outputs[0]
    np.testing.assert_allclose(found, left.sum((1, 2, 3))[:, None] * 2 + right, atol=1e-4)
    with pytest.raises(UsageError, match="the network has 2 inputs: left, right"):
        Session(bundle).run(left)


def test_a_module_that_answers_otherwise_in_pytorch_is_refused(tmp_path):
    class Moody(nn.Module):
        """Whoever runs it eagerly gets something else than whoever traces it."""

        def forward(self, x):
            return x.flatten(1) * (1 if torch.compiler.is_exporting() else 1.001)

    with pytest.raises(ModelError, match=r"the bundle doesn't answer as torch 2.*: exit 0 differs by 0\.00"):
        export_bundle(Moody(), tmp_path / "b", torch.zeros(1, 3, 6, 6))
    assert left_in(tmp_path) == []


class Failing(nn.Module):
    def forward(self, x):
        raise RuntimeError("no such luck")


class Wordy(nn.Module):
    def forward(self, x):
        return x.flatten(1), "words"


@pytest.mark.parametrize(
    ("net", "example", "message"),
    [
        (Failing(), torch.zeros(1, 3), "it fails on its example: no such luck"),
        (Wordy(), torch.zeros(1, 3), "it gives str; a network in a bundle gives tensors"),
        (Tiny(), None, "needs an example input"),
        (nn.Linear(3, 3, device="meta"), torch.zeros(1, 3), "lies on the meta device and has no weights"),
    ],
)
def test_modules_that_cannot_be_exported(tmp_path, net, example, message):
    with pytest.raises(ModelError, match=message):
        export_bundle(net, tmp_path / "b", example)
    assert left_in(tmp_path) == []


def test_a_pt2_file_is_loaded_only_with_trust(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 4)).eval()
    batch = {0: torch.export.Dim("n")}
    program = torch.export.export(net, (torch.zeros(2, 3, 6, 6),), dynamic_shapes=(batch,))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(UsageError, match="may run code that is in them") as error:
        export_bundle(tmp_path / "net.pt2", tmp_path / "b")
    assert "--trust" in error.value.hint
    bundle = export_bundle(tmp_path / "net.pt2", tmp_path / "b", trust=True)
    x = onnx_exits.images(3)
    with torch.no_grad():
        np.testing.assert_allclose(Session(bundle).run(x).outputs[0], net(torch.from_numpy(x)), atol=1e-5)
    (tmp_path / "bad.pt2").write_bytes(b"PK")
    with pytest.raises(ModelError, match="PyTorch can't load it"):
        export_bundle(tmp_path / "bad.pt2", tmp_path / "c", trust=True)


# What is given to a bundle -------------------------------------------------------------------------------------------


def test_presets_of_preprocessing(tmp_path):
    path = onnx_exits.saved(tmp_path / "net.onnx", onnx_exits.exits(1))
    found = {name: export_bundle(path, tmp_path / name, preprocess=name).manifest.preprocessing for name in ("pixels", "unit", "imagenet")}
    assert (found["pixels"].scale, found["unit"].scale, found["unit"].resize) == (1.0, 1 / 255, (6, 6))
    assert (found["imagenet"].resize, found["imagenet"].crop, found["imagenet"].mean) == (7, (6, 6), (0.485, 0.456, 0.406))
    (tmp_path / "p.json").write_text(json.dumps({"resize": [6, 6], "mean": 0.5}))
    assert export_bundle(path, tmp_path / "f", preprocess=tmp_path / "p.json").manifest.preprocessing.mean == (0.5,) * 3
    with pytest.raises(UnknownNameError, match="there is no preprocessing 'imgnet'"):
        export_bundle(path, tmp_path / "g", preprocess="imgnet")
    with pytest.raises(BundleError, match="it makes images of 5 × 5; the input 'image' takes 6 × 6"):
        export_bundle(path, tmp_path / "g", preprocess=Preprocessing(resize=(5, 5)))
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        export_bundle(path, tmp_path / "g", preprocess=tmp_path / "p.json")


def test_labels_of_files(tmp_path):
    path = onnx_exits.saved(tmp_path / "net.onnx", onnx_exits.exits(1))
    (tmp_path / "l.txt").write_text("cat\ndog\nä ö\nfrog\n", encoding="utf-8")
    (tmp_path / "l.json").write_text('["cat", "dog", "ä ö", "frog"]', encoding="utf-8")
    for number, name in enumerate(("l.txt", "l.json")):
        made = export_bundle(path, tmp_path / str(number), labels=tmp_path / name)
        assert made.manifest.labels == ("cat", "dog", "ä ö", "frog")
    (tmp_path / "l.txt").write_text("cat\n")
    with pytest.raises(BundleError, match="labels: there are 1 labels; the network has 4 classes"):
        export_bundle(path, tmp_path / "x", labels=tmp_path / "l.txt")
    with pytest.raises(UsageError, match="there is no file"):
        export_bundle(path, tmp_path / "x", labels=tmp_path / "none")


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"exits": "all"}, UnknownNameError, "'all' is no exits"),
        ({"thresholds": (0.5,)}, UsageError, "3 exits need 2 thresholds, got 1"),
        ({"temperatures": (1,)}, UsageError, "3 exits need 3 temperatures, got 1"),
        ({"energies_pj": (1, 2)}, UsageError, "3 exits need 3 energies_pj, got 2"),
        ({"confidence": 0.5, "exits": "none"}, UsageError, "nothing to leave early"),
        ({"confidence": 0.5, "thresholds": (1, 1)}, UsageError, "either one confidence"),
        ({"confidence": 2.0}, BundleError, "a threshold lies in 0 … 1, got 2.0"),
        ({"example_input": 3}, UsageError, "an example input is for an nn.Module"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, more, error, message):
    with pytest.raises(error, match=message):
        from_onnx(tmp_path, onnx_exits.exits(), **more)
    assert left_in(tmp_path) == ["net.onnx"]


def test_models_nobody_knows(tmp_path):
    with pytest.raises(UnknownNameError, match="there is no model file 'resnet18'"):
        export_bundle("resnet18", tmp_path / "b")
    with pytest.raises(UsageError, match="a int can't become a bundle"):
        export_bundle(3, tmp_path / "b")


# The folder ----------------------------------------------------------------------------------------------------------


def test_what_is_there_is_replaced_only_with_force_and_only_if_it_is_a_bundle(tmp_path):
    path = onnx_exits.saved(tmp_path / "net.onnx", onnx_exits.exits(1))
    export_bundle(path, tmp_path / "b")
    with pytest.raises(OutputExistsError, match="exists"):
        export_bundle(path, tmp_path / "b")
    assert export_bundle(path, tmp_path / "b", seed=5, force=True).manifest.seed == 5
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    for place, message in (("mine", "this folder is no bundle"), ("net.onnx", "this is a file"), ("no/where", "there is no folder")):
        with pytest.raises(UsageError, match=message):
            export_bundle(path, tmp_path / place, force=True)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    assert left_in(tmp_path) == ["b", "mine", "net.onnx"]


def test_a_failure_half_way_leaves_what_was_there(tmp_path, monkeypatch):
    write_folder(tmp_path / "b", {"manifest.json": b"old"}, force=False)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for force in (True, False):
        place = "b" if force else "c"
        with pytest.raises(SystemFailure, match="No space left"):
            write_folder(tmp_path / place, {"manifest.json": b"new"}, force=force)
    monkeypatch.undo()
    assert left_in(tmp_path) == ["b"] and (tmp_path / "b" / "manifest.json").read_bytes() == b"old"


WRITER = """
import sys
from pathlib import Path
from picojoule.runtime.bundle_folder import write_folder
print("go", flush=True)
for n in range(10**6):
    write_folder(Path(sys.argv[1]) / f"b{n}", {"a.onnx": bytes(300_000), "manifest.json": b"whole"}, force=False)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_process_that_is_killed_leaves_no_half_bundle(tmp_path):
    rng = np.random.default_rng(0)
    environment = {**os.environ, "PYTHONPATH": str(Path(picojoule.__file__).parents[1])}
    cut_off = 0
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "go\n"
        time.sleep(float(rng.uniform(0.005, 0.05)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for entry in folder.iterdir():
            if entry.name.startswith("."):
                cut_off += 1
                continue
            assert {file.name: file.stat().st_size for file in entry.iterdir()} == {"a.onnx": 300_000, "manifest.json": 5}
    assert cut_off, "no kill fell into the writing: the test says nothing"


def test_a_bundle_is_the_same_wherever_it_lies(tmp_path):
    bundle = from_onnx(tmp_path, onnx_exits.exits())
    (tmp_path / "net.bundle").rename(tmp_path / "elsewhere")
    assert read_bundle(tmp_path / "elsewhere").manifest == bundle.manifest
