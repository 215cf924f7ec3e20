"""``picojoule export``: targets, where the output goes, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import sample_estimates

from picojoule.cli.main import main
from picojoule.reporting.exports import targets
from picojoule.result_file import write_result


@pytest.fixture
def saved(folder):
    write_result(sample_estimates.estimate(clock_hz=2e8), folder / "toy.json")
    return "toy.json"


@pytest.fixture
def chip(run):
    """A result of a machine that comes with picojoule."""
    ran = run("estimate", "tiny.yaml", "--hardware", "eyeriss-v1", "--factors", "exact", "--save", "tiny.json", "-q")
    assert ran.exit_code == 0
    return "tiny.json"


@pytest.mark.parametrize("target", ["csv", "bibtex"])
def test_text_goes_to_stdout_or_a_file(run, saved, folder, target):
    on_stdout = run("export", saved, "--to", target)
    assert (on_stdout.exit_code, on_stdout.stderr) == (0, "")
    assert run("export", saved, "--to", target, "-o", "out").stdout == ""
    assert (folder / "out").read_text(encoding="utf-8") == on_stdout.stdout
    assert run("export", saved, "--to", target, "-o", "out").exit_code == 2
    assert run("export", saved, "--to", target, "-o", "out", "--force").exit_code == 0


def test_a_datasheet_and_what_it_is_told(run, chip, folder):
    (folder / "about.yaml").write_text("accuracy: 0.802\nmetric: top-5\ndataset: ImageNet\n", encoding="utf-8")
    ran = run("export", chip, "--to", "datasheet", "--about", "about.yaml", "--format", "json")
    document = json.loads(ran.stdout)
    (network,) = document["networks"]
    entries = {entry["key"]: entry for entry in network}
    assert (ran.exit_code, entries["accuracy"]["value"], entries["accuracy"]["origin"]) == (0, 80.2, "given")
    assert entries["images"]["missing"].startswith("energy depends on the zeros")
    (folder / "about.yaml").write_text("accuracy: 0.802\nacuracy: 1\n", encoding="utf-8")
    ran = run("export", chip, "--to", "datasheet", "--about", "about.yaml")
    assert ran.exit_code == 3
    assert "about.yaml:2: acuracy: unknown key 'acuracy'" in ran.stderr
    assert "Did you mean 'accuracy'?" in ran.stderr


def test_parquet_needs_a_file(run, saved, folder):
    ran = run("export", saved, "--to", "parquet")
    assert ran.exit_code == 2
    assert "parquet goes into a file" in ran.stderr
    ran = run("export", saved, "--to", "parquet", "-o", "t.parquet")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "wrote t.parquet: 70 rows" in ran.stderr
    assert (folder / "t.parquet").read_bytes()[:4] == b"PAR1"


def test_onnx_with_notes(run, folder):
    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), "float32"), "w")
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 3, 8, 8)), ("y", (1, 4, 6, 6)))
    ]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "conv")], "g", ends[:1], ends[1:], [weight])
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), str(folder / "net.onnx"))
    assert run("estimate", "net.onnx", "--hardware", "eyeriss-v1", "--save", "r.json", "-q").exit_code == 0
    ran = run("export", "r.json", "--to", "onnx", "--model", "net.onnx", "-o", "noted.onnx")
    assert (ran.exit_code, ran.stderr) == (0, " wrote noted.onnx: 1 nodes with notes\n")
    (node,) = onnx.load_model(str(folder / "noted.onnx")).graph.node
    assert {entry.key for entry in node.metadata_props} >= {
        "picojoule.energy",
        "picojoule.goes_to",
        "picojoule.bound_by",
    }
    assert run("export", "r.json", "--to", "onnx", "--model", "net.onnx", "-o", "net.onnx", "--force").exit_code == 2
    assert run("export", "r.json", "--to", "onnx", "-o", "other.onnx").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "bibtex", "--about", "tiny.yaml"), "--about is for --to datasheet"),
        (("--to", "csv", "--format", "md"), "csv has no form 'md'"),
        (("--to", "pdf"), "'pdf' is not one of"),
        (("toy.json", "--to", "bibtex"), "bibtex takes one source, got 2"),
        (("--to", "csv", "-o", "toy.json", "--force"), "would replace the input toy.json"),
    ],
)
def test_what_is_refused_is_2(run, saved, arguments, message):
    ran = run("export", saved, *arguments)
    assert ran.exit_code == 2
    assert message in ran.stderr


def test_a_source_that_is_no_result_is_3(run, saved):
    ran = run("export", "tiny.yaml", "--to", "csv", "--format", "json")
    assert ran.exit_code == 3
    assert json.loads(ran.stdout)["error"]["code"] == "result_file"


def test_the_command_has_the_options_of_every_target():
    command = main.get_command(None, "export")
    names = {parameter.name for parameter in command.params}
    for target in targets().values():
        assert {option.name for option in target.options} <= names
        assert f"{target.name}" in command.help or target.name == "bundle"
