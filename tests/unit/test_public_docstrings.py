"""Public docstrings are whole: every argument and every field has its sentence, and every example is true."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import re

import numpy
import pytest
from support.public_names import public_names

from picojoule.result import LayerEstimate

THINGS = {name: getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in public_names()}
THINGS["picojoule.result.LayerEstimate"] = LayerEstimate


def described(doc: str, section: str) -> set[str]:
    """The names that a section of a docstring says something about; several may share a line."""
    inside = doc.partition(f"{section}:\n")[2].partition("\n\n")[0]
    return {name.strip(" *") for line in re.findall(r"^    (\*{0,2}\w[\w, ]*):", inside, re.MULTILINE) for name in line.split(",")}


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if inspect.isfunction(thing)])
def test_every_argument_is_described(name):
    arguments = set(inspect.signature(THINGS[name]).parameters)
    assert arguments - described(inspect.getdoc(THINGS[name]) or "", "Args") == set()


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if dataclasses.is_dataclass(thing)])
def test_every_field_is_described(name):
    doc = inspect.getdoc(THINGS[name]) or ""
    fields = {field.name for field in dataclasses.fields(THINGS[name]) if not field.name.startswith("_")}
    mentioned = set(re.findall(r"``(\w+)``", doc))
    assert fields - described(doc, "Attributes") - mentioned == set()


def test_what_is_not_described_is_noticed():
    doc = "One thing.\n\nArgs:\n    a, b: two.\n    c: a third:\n        d: no name.\n\nRaises:\n    E: never.\n"
    assert described(doc, "Args") == {"a", "b", "c"}


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if callable(thing) and ">>>" in (inspect.getdoc(thing) or "")])
def test_every_example_is_true(name):
    names = {**vars(inspect.getmodule(THINGS[name])), "np": numpy}
    report: list[str] = []
    for test in doctest.DocTestFinder(recurse=False).find(THINGS[name], name, globs=names):
        doctest.DocTestRunner().run(test, out=report.append)
    assert report == []
