"""Files of ``torch.export.save``: read without torch and without unpickling, refused in words where they make no
sense."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from support.torch_files import save_pt2
from torch import nn

from picojoule.errors import ModelError, UnknownNameError, UsageError
from picojoule.frontends import load_model
from picojoule.frontends.torch_archive import NEWEST_ARCHIVE, NEWEST_SCHEMA
from picojoule.frontends.torch_calls import evaluate_size


class Bomb:
    """Unpickling this leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()


@pytest.fixture
def saved(small, tmp_path) -> Path:
    return save_pt2(small, (torch.zeros(1, 3, 8, 8),), tmp_path / "net.pt2")


def changed(path: Path, change: Any = None, *, leave_out: str = "-", add: tuple[str, bytes] | None = None) -> Path:
    """The archive with its description changed, or members left out or added."""
    copy = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if "models/" in name and change is not None:
                document = json.loads(content)
                change(document)
                content = json.dumps(document).encode()
            if leave_out not in name:
                new.writestr(name, content)
        if add is not None:
            new.writestr(*add)
    return copy


def test_a_program_has_the_layers_of_its_module(small, saved):
    network = load_model(saved)
    assert network.layers == load_model(small, torch.zeros(1, 3, 8, 8)).layers
    assert (network.name, network.input_shape, network.params) == ("net", (1, 3, 8, 8), 4 * 27 + 4 + 144 * 5 + 5)


def test_reading_a_program_needs_no_torch(saved):
    code = (
        "import sys; from picojoule.frontends import load_model; print(load_model(sys.argv[1]).macs);"
        " print('torch' in sys.modules, 'onnx' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(4 * 27 * 36 + 720), "False", "False"]


def test_open_sizes_are_given_by_shape(small, tmp_path):
    batch = torch.export.Dim("batch")
    path = save_pt2(small, (torch.zeros(2, 3, 8, 8),), tmp_path / "net.pt2", dynamic_shapes=({0: batch},))
    with pytest.raises(ModelError, match="input 'input' has open dimensions") as caught:
        load_model(path)
    assert "--shape input=1x3x8x8" in caught.value.hint
    assert load_model(path, shape={"input": (5, 3, 8, 8)}).macs == 5 * (4 * 27 * 36 + 720)
    with pytest.raises(UsageError, match="has the fixed shape"):
        load_model(path, shape={"input": (5, 3, 9, 8)})
    with pytest.raises(UsageError, match="has 4 dimensions"):
        load_model(path, shape={"input": (5, 3)})
    with pytest.raises(UnknownNameError, match="no input 'x'"):
        load_model(path, shape={"x": (5, 3, 8, 8)})


def test_weights_under_two_names_are_parameters_once(tmp_path):
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    module[2].weight = module[0].weight
    network = load_model(save_pt2(module.eval(), (torch.zeros(1, 4),), tmp_path / "net.pt2"))
    assert [(layer.params, layer.shared) for layer in network.layers] == [(16, False), (0, True)]


def test_parts_without_gradients_are_run_where_they_stand(tmp_path):
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                x = self.lin(x).chunk(2, 1)
            return x[0] + x[1]

    network = load_model(save_pt2(Part().eval(), (torch.zeros(1, 4),), tmp_path / "net.pt2"))
    assert [(layer.name, layer.params) for layer in network.layers] == [("lin", 20), ("add", 0)]


def test_training_mode_is_refused(tmp_path):
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    path = save_pt2(module.train(), (torch.zeros(1, 4),), tmp_path / "net.pt2")
    with pytest.raises(ModelError, match="training mode"):
        load_model(path)


# What is no such file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a zip archive, or cut off"),
        (b"PK\x03\x04", "not a zip archive, or cut off"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (pickle.dumps({"a": 1}), "this is a pickle, not a program of torch.export"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, message):
    path = tmp_path / "net.pt2"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path)
    assert caught.value.exit_code == 3
    assert "torch.export.save" in caught.value.hint


@pytest.mark.parametrize("protocol", [2, 5])
def test_no_pickle_is_ever_loaded(tmp_path, protocol):
    mark, path = tmp_path / "loaded", tmp_path / "net.pt2"
    path.write_bytes(pickle.dumps(Bomb(mark), protocol=protocol))
    with pytest.raises(ModelError, match="pickles are never loaded"):
        load_model(path)
    torch.save(Bomb(mark), path)
    with pytest.raises(ModelError, match="pickles are never loaded"):
        load_model(path)
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists(), "the bomb works"


def test_a_pickle_inside_the_archive_is_not_loaded(saved, tmp_path):
    mark = tmp_path / "loaded"
    bomb = pickle.dumps(Bomb(mark))
    path = changed(saved, leave_out="sample_inputs", add=("net/data/sample_inputs/model.pt", bomb))
    assert load_model(path).macs > 0
    assert not mark.exists()


def test_a_module_of_torch_save_and_of_torchscript(small, tmp_path):
    path = tmp_path / "net.pt2"
    torch.save(small, path)
    with pytest.raises(ModelError, match="this is a pickle"):
        load_model(path)


def test_a_zip_archive_of_something_else(tmp_path):
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match="this zip archive holds no program"):
        load_model(path)


def test_a_newer_version(saved):
    def age(document: dict[str, Any]) -> None:
        document["schema_version"]["major"] = NEWEST_SCHEMA + 1
        document["torch_version"] = "3.1.4"

    with pytest.raises(
        ModelError, match=rf"written by PyTorch 3.1.4 with schema version {NEWEST_SCHEMA + 1}"
    ) as caught:
        load_model(changed(saved, age))
    assert "Upgrade picojoule" in caught.value.hint


@pytest.mark.parametrize("version", ["99", "1", "?"])
def test_a_newer_archive(saved, tmp_path, version):
    path = tmp_path / "newer.pt2"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, version if name.endswith("archive_version") else old.read(name))
    with pytest.raises(ModelError, match=rf"archive has version '{re.escape(version)}'; up to {NEWEST_ARCHIVE}"):
        load_model(path)


@pytest.mark.parametrize("in_memory", [True, False])
def test_sizes_beyond_what_the_program_was_exported_for(tmp_path, in_memory):
    rows = torch.export.Dim("rows", min=2, max=64)
    program = torch.export.export(nn.Linear(4, 3).eval(), (torch.zeros(8, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, tmp_path / "net.pt2")
    model = program if in_memory else tmp_path / "net.pt2"
    (name,) = (node.name for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    assert [load_model(model, shape={name: (size, 4)}).macs for size in (2, 64)] == [24, 768]
    for size in (1, 65):
        with pytest.raises(UsageError, match=f"would be {size}; the program was exported for from 2 to 64"):
            load_model(model, shape={name: (size, 4)})


def test_this_version_is_known(saved):
    """The installed PyTorch writes what this reader knows; a newer one will fail here."""
    from torch._export.serde.schema import SCHEMA_VERSION

    assert SCHEMA_VERSION[0] == NEWEST_SCHEMA


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("graph_module"),
        lambda document: document["graph_module"].update(graph=[]),
        lambda document: document["graph_module"]["graph"]["nodes"][0].pop("target"),
        lambda document: document["graph_module"]["graph"]["nodes"][0]["inputs"][0].update(arg={"a": 1, "b": 2}),
        lambda document: document["graph_module"]["graph"]["tensor_values"]["conv2d"].update(sizes=7),
    ],
)
def test_a_description_that_makes_no_sense(saved, change):
    with pytest.raises(ModelError, match="its description of the program makes no sense"):
        load_model(changed(saved, change))


def test_a_version_that_is_missing(saved):
    with pytest.raises(ModelError, match="doesn't say which version"):
        load_model(changed(saved, lambda document: document.pop("schema_version")))


def test_a_file_that_is_cut_off(saved):
    saved.write_bytes(saved.read_bytes()[:-200])
    with pytest.raises(ModelError):
        load_model(saved)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("Mul(Integer(5), Symbol('s', integer=True))", 35),
        ("Add(Pow(Symbol('s'), Integer(2)), Integer(-1))", 48),
        ("FloorDiv(Symbol('s'), Integer(2))", 3),
        ("Max(Integer(1), Mod(Symbol('s'), Integer(4)))", 3),
        ("Symbol('other')", None),
        ("Mul(Rational(1, 2), Symbol('s'))", None),
        ("__import__('os').getcwd()", None),
        ("Pow(Integer(9), Integer(999999999))", None),
        ("(", None),
    ],
)
def test_formulas_of_sizes(formula, value):
    assert evaluate_size(formula, {"s": 7}) == value
