"""``package.module:factory``: networks that the user's own Python makes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from picojoule.cli.main import main
from picojoule.errors import MissingExtraError, ModelError, UnknownNameError
from picojoule.frontends import load_model

CODE = """
import torch
from torch import nn

def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()

def with_example():
    return plain(), torch.zeros(2, 3, 8, 8)

def fails():
    raise ValueError("no data here")

def number():
    return 7

made = plain()

class Zoo:
    @staticmethod
    def net():
        return with_example()
"""
MACS = 4 * 27 * 36 + 720


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    (tmp_path / "my_models").mkdir()
    (tmp_path / "my_models" / "__init__.py").write_text("")
    (tmp_path / "my_models" / "nets.py").write_text(CODE)
    (tmp_path / "single_net.py").write_text(CODE)
    (tmp_path / "my_models" / "broken.py").write_text("import no_such_package_at_all\n")
    (tmp_path / "my_models" / "typo.py").write_text("def net(:\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("my_models", "single_net")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["my_models.nets:with_example", "single_net:with_example", "my_models.nets:Zoo.net"])
def test_a_factory_that_gives_an_example(here, name):
    network = load_model(name)
    assert (network.macs, network.input_shape) == (2 * MACS, (2, 3, 8, 8))
    assert network.name == name.rpartition(":")[2]


@pytest.mark.parametrize("name", ["my_models.nets:plain", "my_models.nets:made"])
def test_sizes_for_a_factory_without_one(here, name):
    assert load_model(name, shape={"input": (1, 3, 8, 8)}).macs == MACS


def test_the_search_path_is_left_as_it_was(here):
    before = list(sys.path)
    load_model("my_models.nets:with_example")
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("my_models.nope:net", UnknownNameError, "there is no Python module 'my_models.nope'"),
        ("my_models.nets:plane", UnknownNameError, "my_models.nets has no 'plane'"),
        ("my_models.broken:net", ModelError, "needs the module 'no_such_package_at_all', which is not installed"),
        ("my_models.typo:net", ModelError, "importing my_models.typo raised SyntaxError"),
        ("my_models.nets:fails", ModelError, r"fails\(\) raised ValueError: no data here"),
        ("my_models.nets:number", ModelError, "it made a int"),
    ],
)
def test_what_goes_wrong(here, name, kind, message):
    with pytest.raises(kind, match=message) as caught:
        load_model(name)
    if name.endswith("plane"):
        assert "Did you mean 'plain'?" in caught.value.hint
    if name.endswith("fails"):
        assert caught.value.where == f"{here / 'my_models' / 'nets.py'}:12"


def test_a_factory_where_torch_is_not_installed(here, monkeypatch):
    (here / "without_torch.py").write_text("import torch\n")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="without_torch needs PyTorch") as caught:
        load_model("without_torch:net")
    assert caught.value.hint == "pip install 'picojoule[torch]'"


@pytest.mark.parametrize("name", ["merkle:L3", "resnet20:x"])
def test_what_is_neither_is_an_unknown_network(here, name):
    with pytest.raises(UnknownNameError, match=name):
        load_model(name)


def test_the_command_line_takes_a_factory(here):
    arguments = ["estimate", "my_models.nets:plain", "--shape", "input=1x3x8x8", "--hardware", "eyeriss-normalized"]
    result = CliRunner().invoke(main, [*arguments, "--format", "json", "--no-save", "--no-cache"])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["model"], document["macs"]) == ("plain", MACS)
    assert [layer["name"] for layer in document["layers"]] == ["0", "3"]


def test_the_command_line_says_what_is_missing(here):
    result = CliRunner().invoke(main, ["estimate", "my_models.nets:plain", "--hardware", "eyeriss-normalized"])
    assert result.exit_code == 3
    assert "--shape input=1x3x224x224" in result.stderr
