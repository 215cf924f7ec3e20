"""``picojoule verify``, ``hardware`` and ``models``."""

from __future__ import annotations

import csv
import io
import json

import pytest
from support.certificates import certificate_of, with_parts

from picojoule.certificate import certificate_from_data, read_document, write_certificate
from picojoule.frontends import load_model
from picojoule.hardware import accelerator_from_data, catalogue_names, catalogue_text, load_hardware
from picojoule.result_file import read_result
from picojoule.verification import verify
from picojoule.workload import builtin_names

SAVED = "tiny.eyeriss-normalized.json"


def test_verify_shows_every_check(estimate, run, folder):
    estimate()
    ran = run("verify", SAVED)
    assert ran.exit_code == 0
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[0] == SAVED
    for check in verify(folder / SAVED).checks:
        assert any(f" ✓ {check.name} " in line for line in lines)
    assert "verified" in lines[-1]


def test_verify_never_writes_over_what_it_reads(estimate, run, folder):
    estimate()
    before = (folder / SAVED).read_text(encoding="utf-8")
    ran = run("verify", SAVED, "-o", SAVED, "--force")
    assert ran.exit_code == 2
    assert f"-o would replace the input {SAVED}" in ran.stderr
    assert (folder / SAVED).read_text(encoding="utf-8") == before


def test_verify_in_json(estimate, run, folder):
    estimate()
    document = json.loads(run("verify", SAVED, "--format", "json").stdout)
    assert document["schema"] == "picojoule/verification/1"
    assert (document["result"], document["ok"]) == (SAVED, True)
    assert len(document["checks"]) == len(verify(folder / SAVED).checks)
    assert set(document["checks"][0]) == {"name", "where", "ok", "message"}


def test_verify_names_what_is_wrong(estimate, run, folder):
    estimate()
    document = json.loads((folder / SAVED).read_text(encoding="utf-8"))
    document["layers"][1]["by"][0]["reads"] += 1
    (folder / SAVED).write_text(json.dumps(document), encoding="utf-8")
    ran = run("verify", SAVED)
    assert ran.exit_code == 1
    assert any(line.startswith(" ✗ fc: ") for line in ran.stdout.splitlines())


def certified(folder) -> None:
    """Writes the certificate of the saved result."""
    certificate = certificate_of(read_result(folder / SAVED), load_hardware("eyeriss-normalized"))
    write_certificate(certificate, folder / "proof.json.gz")


def test_verify_with_a_certificate_derives_the_bounds(estimate, run, folder):
    estimate("--factors", "exact")
    certified(folder)
    ran = run("verify", SAVED, "--certificate", "proof.json.gz", "--sample", "2", "--seed", "7")
    assert ran.exit_code == 0
    assert " 2 of the other " in ran.stdout and "(sample, seed 7)" in ran.stdout
    assert "bound: order only" not in ran.stdout
    assert "✓ certificate: parts cover the map space" in ran.stdout
    every = json.loads(
        run("verify", SAVED, "--certificate", "proof.json.gz", "--sample", "all", "--format", "json").stdout
    )
    assert every["ok"]
    assert any(check["name"].endswith(" solved again") for check in every["checks"])


def test_verify_says_which_bound_does_not_hold(estimate, run, folder):
    estimate("--factors", "exact")
    certified(folder)
    certificate = certificate_from_data(read_document(folder / "proof.json.gz"))

    def raised(parts):
        parts[:] = [(name, bound * 1.2) for name, bound in parts]

    write_certificate(with_parts(certificate, 1, raised), folder / "proof.json")
    ran = run("verify", SAVED, "--certificate", "proof.json", "--sample", "all")
    assert ran.exit_code == 1
    assert " ✗ fc: " in ran.stdout and "has the bound" in ran.stdout


@pytest.mark.parametrize("contents", [b"", b"[]", b"{}", b"{", b"\xff\xfe", b'{"schema": "picojoule/certificate/9"}'])
def test_verify_refuses_what_is_no_certificate(estimate, run, folder, contents):
    estimate("--factors", "exact")
    (folder / "proof.json").write_bytes(contents)
    ran = run("verify", SAVED, "--certificate", "proof.json", "--format", "json")
    assert ran.exit_code == 3
    assert json.loads(ran.stdout)["error"]["code"] == "certificate"
    assert "proof.json" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--certificate", "nowhere.json"],
        ["--sample", "3"],
        ["--seed", "3"],
        ["--certificate", SAVED, "--sample", "some"],
        ["--certificate", SAVED, "--sample", "-1"],
        ["--certificate", SAVED, "--seed", "-1"],
    ],
)
def test_verify_refuses_a_sample_of_nothing(estimate, run, arguments):
    estimate("--factors", "exact")
    assert run("verify", SAVED, *arguments).exit_code == 2


def test_hardware_list_names_every_machine(run):
    ran = run("hardware", "list")
    assert [line.split()[0] for line in ran.stdout.splitlines()[1:]] == list(catalogue_names())
    assert [machine["name"] for machine in json.loads(run("hardware", "list", "--format", "json").stdout)] == list(
        catalogue_names()
    )


@pytest.mark.parametrize("name", catalogue_names())
def test_hardware_show(run, name):
    machine = load_hardware(name)
    table = run("hardware", "show", name).stdout
    assert all(entry.name in table for entry in machine.hierarchy)
    assert machine.table_source.split()[0] in table
    document = json.loads(run("hardware", "show", name, "--format", "json").stdout)
    assert accelerator_from_data(document, "shown") == machine
    assert run("hardware", "show", name, "--format", "yaml").stdout == catalogue_text(name)


def test_a_machine_of_ones_own_starts_from_a_built_in_one(run, folder):
    assert run("hardware", "show", "eyeriss-normalized", "--format", "yaml", "-o", "mine.yaml").exit_code == 0
    ran = run("hardware", "check", "mine.yaml")
    assert ran.exit_code == 0
    assert "mine.yaml is sound" in ran.stderr
    assert run("hardware", "show", "./mine.yaml").stdout == ran.stdout
    assert run("estimate", "tiny.yaml", "--hardware", "mine.yaml").exit_code == 0
    refused = run("hardware", "show", "./mine.yaml", "--format", "yaml")
    assert refused.exit_code == 2


def test_models_list_names_every_network(run):
    short = run("models", "list").stdout
    every = run("models", "list", "--all").stdout
    for name in builtin_names():
        assert any(line.split()[:1] == [name] for line in every.splitlines())
    assert "mobilenet_v1:0.5-128" not in short
    assert "mobilenet_v1:… " in short
    assert [n["name"] for n in json.loads(run("models", "list", "--format", "json").stdout)] == list(builtin_names())


def test_models_show(run):
    document = json.loads(run("models", "show", "alexnet", "--format", "json").stdout)
    network = load_model("alexnet")
    assert (document["macs"], document["params"]) == (network.macs, network.params)
    assert [layer["name"] for layer in document["layers"]] == [layer.name for layer in network.layers]
    table = run("models", "show", "alexnet").stdout
    assert all(f" {layer.name} " in table for layer in network.layers)
    assert "YoloDetection ×3" in run("models", "show", "yolov3").stdout


@pytest.mark.parametrize("form", ["yaml", "scalesim", "mit"])
def test_models_show_writes_tables_that_can_be_read(run, folder, form):
    ran = run("models", "show", "alexnet", "--format", form, "-o", f"alexnet.{form}.csv")
    assert ran.exit_code == 0
    assert ("left out, as the format has no row for them: 6 layers (norm1, pool1, norm2, …)" in ran.stderr) == (
        form != "yaml"
    )
    network = load_model(f"alexnet.{form}.csv") if form != "yaml" else load_model("alexnet")
    assert network.macs == load_model("alexnet").macs
    if form != "yaml":
        estimated = run(
            "estimate", f"alexnet.{form}.csv", "--hardware", "eyeriss-normalized", "--time-limit", "1ms", "--no-save"
        )
        assert estimated.exit_code == 0


def test_models_show_as_csv_and_markdown(run):
    rows = list(csv.DictReader(io.StringIO(run("models", "show", "resnet18", "--format", "csv").stdout)))
    network = load_model("resnet18")
    assert [(row["name"], row["macs"], row["params"]) for row in rows] == [
        (layer.name, str(layer.macs), str(layer.params)) for layer in network.layers
    ]
    assert rows[0]["pad_top"] == "3" and rows[1]["K"] == "" and rows[1]["written"] == str(64 * 56 * 56)
    page = run("models", "show", "yolov3", "--format", "md").stdout
    assert page.startswith("## yolov3 · 1×3×416×416\n") and "| conv_1 " in page and "- not costed: YoloDetection ×3" in page


def test_models_show_refuses_what_a_format_cannot_say(run):
    ran = run("models", "show", "deeplabv3_mobilenet_v2", "--format", "mit")
    assert ran.exit_code == 2
    assert "no dilation" in ran.stderr and "--format yaml" in ran.stderr


def test_a_wrong_foreign_table_is_named_by_file_line_and_column(run, folder):
    (folder / "t.csv").write_text("Layer, M, N, K,\nqk, 3, 0, 5,\n")
    ran = run("estimate", "t.csv", "--hardware", "eyeriss-normalized")
    assert ran.exit_code == 3
    assert "t.csv:2: N (column 3): must be a whole number from 1 to 2147483648, got '0'" in ran.stderr


def test_models_show_reads_files_too(run):
    assert " conv1 " in run("models", "show", "tiny.yaml").stdout
