"""``picojoule hardware import timeloop``: what a user types, reads and gets."""

from __future__ import annotations

import json

import pytest
from support.timeloop_designs import V3, V4, write_design

from picojoule.hardware import accelerator_from_data, load_hardware


@pytest.mark.parametrize("architecture", [V3, V4], ids=["v0.3", "v0.4"])
def test_a_design_becomes_a_machine_that_can_be_used(run, folder, architecture):
    write_design(folder, architecture)
    ran = run("hardware", "import", "timeloop", "arch.yaml", "ERT.yaml", "--name", "mine", "-o", "mine.yaml")
    assert ran.exit_code == 0 and ran.stdout == ""
    assert " not carried: 4\n   ERT.yaml:1: " in ran.stderr
    assert " wrote mine.yaml       next: picojoule hardware check mine.yaml" in ran.stderr
    assert (folder / "mine.yaml").read_text().startswith("# Imported from Timeloop's arch.yaml, ERT.yaml")
    assert load_hardware("mine.yaml").name == "mine"
    assert run("hardware", "check", "mine.yaml").exit_code == 0
    assert run("estimate", "tiny.yaml", "--hardware", "mine.yaml", "--time-limit", "1ms", "--no-save").exit_code == 0


def test_as_json(run, folder):
    write_design(folder)
    ran = run("hardware", "import", "timeloop", "ERT.yaml", "arch.yaml", "--format", "json", "-q")
    document = json.loads(ran.stdout)
    assert ran.stderr == ""
    assert accelerator_from_data(document["machine"], "json").pes == 8
    assert len(document["left_out"]) == 4


def test_an_output_that_exists_is_kept(run, folder):
    write_design(folder)
    ran = run("hardware", "import", "timeloop", "arch.yaml", "ERT.yaml", "-o", "arch.yaml")
    assert ran.exit_code == 2 and (folder / "arch.yaml").read_text() == V3


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_an_input_is_no_output(run, folder, force):
    write_design(folder)
    ran = run("hardware", "import", "timeloop", "arch.yaml", "ERT.yaml", "-o", "./arch.yaml", *force)
    assert ran.exit_code == 2 and (folder / "arch.yaml").read_text() == V3


def test_a_wrong_design_is_named_by_file_line_and_field(run, folder):
    write_design(folder, V3.replace("depth: 1024", "depth: many"))
    ran = run("hardware", "import", "timeloop", "arch.yaml", "ERT.yaml", "-o", "mine.yaml")
    assert ran.exit_code == 3
    field = "architecture.subtree[0].subtree[0].local[0].attributes.depth"
    assert f"arch.yaml:14: {field}: 'many' is no number" in ran.stderr
    assert not (folder / "mine.yaml").exists()
    assert run("hardware", "import", "timeloop", "arch.yaml").exit_code == 3
    assert run("hardware", "import", "timeloop", "nowhere.yaml").exit_code == 2
    assert run("hardware", "import", "timeloop").exit_code == 2
