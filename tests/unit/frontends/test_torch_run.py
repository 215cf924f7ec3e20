"""Programs read from ``.pt2`` files are run as torch runs them in memory, and nothing but known operators is called."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from support.random_modules import modules
from support.torch_files import save_pt2
from torch import nn

from picojoule.errors import ModelError
from picojoule.frontends import load_model, load_zeros

pytestmark = pytest.mark.filterwarnings("ignore")  # torch, of its own kernels


class Parts(nn.Module):
    """A part without gradients, casts, constants, and results of several tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = F.relu(self.conv(x))
        x = x.mean((2, 3)).to(torch.float64).to(torch.float32)
        x = F.relu_(self.fc(x)) + torch.arange(4, dtype=torch.float32) - torch.tensor(2.0)
        left, right = torch.split(x, 2, 1)
        return torch.where(left > 0, right, torch.zeros_like(right)) @ torch.full((2, 3), 1.5)


class Tokens(nn.Module):
    """Named inputs of other element types, and numbers that JSON has no word for."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.encoder = nn.Embedding(10, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.encoder(self.table(tokens), src_key_padding_mask=mask).topk(3)[0]


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8, dtype=torch.bfloat16)
        self.register_buffer("stored", torch.randint(-3, 4, (6, 8)).to(torch.float8_e5m2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(F.relu(self.fc(x.to(torch.bfloat16))).float(), self.stored.float())


class Regions(nn.Module):
    """Parts of a program inside each other, which `torch.export` keeps as parts."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = F.relu(self.b(F.relu(self.a(x))))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                x = F.relu(self.b(F.relu(self.a(x))))
                with torch.autocast("cpu", enabled=False):
                    x = F.relu(self.c(F.relu(self.c(x.float()))))
        return F.relu(self.c(x))


class Rounded(nn.Module):
    """Numbers that come to nothing where they are stored as whole ones, in PyTorch's own words for that."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        import torch.ao.quantization.fx._decomposed

        words = torch.ops.quantized_decomposed
        x = words.quantize_per_tensor(F.relu(self.a(x)), 0.3, 0, -128, 127, torch.int8)
        return self.b(words.dequantize_per_tensor(x, 0.3, 0, -128, 127, torch.int8))


def agree(module: nn.Module, inputs: dict[str, torch.Tensor], folder: Path, **options: Any) -> dict[str, Any]:
    """Zeros found in the file and in memory, which must be the same; those of the file."""
    program = torch.export.export(module.eval(), (), inputs, **options)
    path, data = save_pt2(module, (), folder / "net.pt2", kwargs=inputs, **options), folder / "data.npz"
    np.savez(data, **{name: tensor.numpy() for name, tensor in inputs.items()})
    shape = {name: tuple(tensor.shape) for name, tensor in inputs.items()} if options else None
    network = load_model(path, shape=shape)
    one, other = (
        load_zeros(model, network=network, sparsity="measured", data=data, shape=shape) for model in (path, program)
    )
    assert one == other
    assert one.samples == len(next(iter(inputs.values())))
    return one.zeros


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (Parts, {"x": torch.randn(2, 3, 8, 8)}),
        (Tokens, {"tokens": torch.arange(10).view(2, 5), "mask": torch.zeros(2, 5, dtype=torch.bool)}),
        (Halves, {"x": torch.randn(2, 8)}),
        (Regions, {"x": torch.randn(2, 8)}),
        (Rounded, {"x": torch.randn(2, 8)}),
    ],
)
def test_a_file_runs_as_the_program_does(make, inputs, tmp_path):
    found = agree(make(), inputs, tmp_path)
    assert any(share for zeros in found.values() for share in zeros.values())


def test_what_is_made_in_parts_of_a_program_is_seen(tmp_path):
    """In memory, too, where the part is one call to torch."""
    torch.manual_seed(0)
    module, x = Regions(), torch.randn(2, 8)
    found = agree(module, {"x": x}, tmp_path)
    first = F.relu(module.a(x))
    assert found["a"]["outputs"] == found["b"]["inputs"] == (first == 0).sum().item() / 16
    assert {name: set(zeros) for name, zeros in found.items()} == {
        name: {"weights", "inputs", "outputs"} for name in ("a", "b", "a (2)", "b (2)", "c", "c (2)", "c (3)")
    }


def test_open_sizes_are_closed_by_shape(tmp_path):
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(self.fc(x.reshape(x.shape[0] * x.shape[1], 8))).view(x.shape[0], -1)

    batch = torch.export.Dim("batch", min=2, max=64)
    agree(Rows(), {"x": torch.randn(4, 3, 8)}, tmp_path, dynamic_shapes={"x": {0: batch}})


@settings(max_examples=30)
@given(modules())
def test_random_modules_run_from_a_file_as_in_memory(tmp_path_factory, drawn):
    module, example = drawn
    try:
        load_model(module, example)
    except ModelError as error:
        assert "nothing to cost" in error.message
        return
    agree(module, {"x": torch.randn(example.shape)}, tmp_path_factory.mktemp("random"))


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The archive whose description of the program went through ``change``."""
    copy = path.with_name("rewritten.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if "models/" in name:
                document = json.loads(content)
                change(document["graph_module"]["graph"])
                content = json.dumps(document).encode()
            new.writestr(name, content)
    return copy


def tampered(path: Path, target: str, **arguments: Any) -> Path:
    """The archive whose last call, a ReLU, is one of ``target`` with more arguments."""

    def change(graph: dict[str, Any]) -> None:
        node = graph["nodes"][-1]
        node["target"] = target
        node["inputs"] += [{"name": key, "arg": value, "kind": 1} for key, value in arguments.items()]

    return rewritten(path, change)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("torch.ops.aten.from_file.default", "aten.from_file.default is not run"),
        ("torch.ops.aten.relu.__init__", "is not run"),
        ("torch.ops.prims.relu.default", "is not run"),
        ("os.system", "os.system is not run"),
        ("torch.ops.aten.relu.default", "PyTorch can't run it: aten::relu"),
        ("torch.ops.aten.max.dim", "PyTorch can't run it"),
        ("torch.ops.aten._foreach_mul_.Scalar", "aten._foreach_mul_.Scalar is not run"),
        ("torch.ops.higher_order.cond", "higher_order.cond is not run"),
    ],
)
def test_nothing_but_known_operators_is_called(target, message, tmp_path):
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    path = save_pt2(module, (torch.zeros(1, 4),), tmp_path / "net.pt2")
    network, victim = load_model(path), tmp_path / "made"
    np.savez(tmp_path / "data.npz", x=np.zeros((1, 4), np.float32))
    changed = tampered(path, target, filename={"as_string": str(victim)}, shared={"as_bool": True}, size={"as_int": 9})
    with pytest.raises(ModelError, match=message):
        load_zeros(changed, network=network, sparsity="measured", data=tmp_path / "data.npz")
    assert not victim.exists()


def test_an_operator_that_is_not_known_says_what_to_do(tmp_path):
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.fc(x)
            return x, torch.nonzero(x)

    module, data = Positions().eval(), tmp_path / "data.npz"
    path = save_pt2(module, (torch.zeros(1, 4),), tmp_path / "net.pt2")
    np.savez(data, x=np.ones((3, 4), np.float32)[:1])
    with pytest.raises(ModelError, match="aten.nonzero.default is not run") as caught:
        load_zeros(path, network=load_model(path), sparsity="measured", data=data)
    assert "'nonzero'" in caught.value.where
    assert "give the program itself" in caught.value.hint
    program = torch.export.load(path)
    assert load_zeros(program, network=load_model(path), sparsity="measured", data=data).samples == 1


def out_of_order(graph: dict[str, Any]) -> None:
    graph["nodes"].reverse()


def another_shape(graph: dict[str, Any]) -> None:
    graph["tensor_values"]["relu"]["sizes"] = [{"as_int": 7}, {"as_int": 4}]


def another_type(graph: dict[str, Any]) -> None:
    graph["tensor_values"]["input"]["dtype"] = 99


def too_many_results(graph: dict[str, Any]) -> None:
    graph["nodes"][-1]["outputs"].append({"as_tensor": {"name": "more"}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (out_of_order, "there is no tensor 'linear' at this point"),
        (another_shape, r"'relu' comes out as \[1, 4\]; the file says \[7, 4\]"),
        (another_type, "input 'input' has an element type that isn't known"),
        (too_many_results, "it makes 1 tensors; the file says 2"),
    ],
)
def test_a_file_that_does_not_describe_what_runs(change, message, tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.ReLU()).eval()
    path = save_pt2(module, (torch.zeros(1, 4),), tmp_path / "net.pt2")
    np.savez(tmp_path / "data.npz", input=np.zeros((1, 4), np.float32))
    network, changed = load_model(path), rewritten(path, change)
    with pytest.raises(ModelError, match=message):
        load_zeros(changed, network=network, sparsity="measured", data=tmp_path / "data.npz")


def test_checks_that_kernels_make_in_python(tmp_path):
    module = Rounded().eval()
    path = save_pt2(module, (torch.zeros(1, 8),), tmp_path / "net.pt2")
    np.savez(tmp_path / "data.npz", x=np.zeros((1, 8), np.float32))

    def narrower(graph: dict[str, Any]) -> None:
        call = next(node for node in graph["nodes"] if ".quantize_per_tensor" in node["target"])
        next(entry for entry in call["inputs"] if entry["name"] == "quant_min")["arg"] = {"as_int": -999}

    changed = rewritten(path, narrower)
    with pytest.raises(ModelError, match=r"quantize_per_tensor.default\).*PyTorch can't run it"):
        load_zeros(changed, network=load_model(path), sparsity="measured", data=tmp_path / "data.npz")


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.victim,))


def test_a_pickle_in_the_archive_stays_one(tmp_path):
    """In the place of sample inputs, which torch.export.load unpickles, of weights and of constants."""
    module, victim = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), tmp_path / "made"
    path = save_pt2(module, (torch.zeros(1, 4),), tmp_path / "net.pt2")
    np.savez(tmp_path / "data.npz", input=np.ones((1, 4), np.float32))
    network, bomb = load_model(path), pickle.dumps(Bomb(victim))
    for where in ("data/sample_inputs/", "data/constants/", "data/weights/"):
        copy = tmp_path / "trapped.pt2"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if where in name and name.endswith("_config.json"):
                    config = json.loads(content)
                    for entry in config["config"].values():
                        entry["use_pickle"] = True
                    content = json.dumps(config).encode()
                elif where in name:
                    content = bomb
                new.writestr(name, content)
            new.writestr(f"net/{where}trap.pt", bomb)
        if where == "data/weights/":
            with pytest.raises(ModelError, match="pickles are never loaded"):
                load_zeros(copy, network=network, sparsity="measured", data=tmp_path / "data.npz")
        else:
            assert load_zeros(copy, network=network, sparsity="measured", data=tmp_path / "data.npz").samples == 1
    assert not victim.exists()
    pickle.loads(bomb)
    assert victim.exists()  # it would have


def test_formulas_of_sizes_are_no_code(tmp_path):
    """torch.export.load hands them to sympy, which evaluates them."""
    module, victim = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), tmp_path / "made"
    path = save_pt2(module, (torch.zeros(1, 4),), tmp_path / "net.pt2")
    code = f"__import__('pathlib').Path({str(victim)!r}).touch()"
    changed = tampered(path, "torch.ops.aten.full.default", fill_value={"as_string": code})
    np.savez(tmp_path / "data.npz", x=np.zeros((1, 4), np.float32))
    with pytest.raises(ModelError, match="is not known beforehand"):
        load_zeros(changed, network=load_model(path), sparsity="measured", data=tmp_path / "data.npz")
    assert not victim.exists()
