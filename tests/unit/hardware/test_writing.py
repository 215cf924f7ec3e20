"""Every machine that is written as YAML is read back as the same machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from picojoule.hardware import accelerator_to_data, catalogue_names, load_hardware
from picojoule.hardware.describe import accelerator_from_text
from picojoule.hardware.writing import machine_yaml


@pytest.mark.parametrize("name", catalogue_names())
def test_a_machine_comes_back(name):
    machine = load_hardware(name)
    assert accelerator_from_text(machine_yaml(accelerator_to_data(machine)), "written") == machine


TEXTS = ("null", "no", "1e5", "a: b # c", 'a "quoted" \\ word', "16 × 16", "- x", "\U0001f642", "")


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back(text):
    machine = replace(load_hardware("eyeriss-normalized"), description=text, table_source=text)
    again = accelerator_from_text(machine_yaml(accelerator_to_data(machine)), "written")
    assert (again.description, again.table_source) == (text, text)


def test_comments_stand_at_the_top_and_are_wrapped():
    data = accelerator_to_data(load_hardware("eyeriss-normalized"))
    text = machine_yaml(data, ["first", "", "word " * 60, "two\nlines"])
    top = text.partition("name: ")[0].splitlines()
    assert top[:2] == ["# first", "#"] and all(line.startswith("#") and len(line) <= 120 for line in top)
    assert machine_yaml(data) == "\n".join(text.splitlines()[len(top) :]) + "\n"
