"""Shares of zeros: exact against numpy, on every kind of model, and data that don't fit refused in words."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import helper, numpy_helper
from PIL import Image
from torch import nn

import picojoule
from picojoule.cli.main import main
from picojoule.errors import InputError, ModelError, UsageError
from picojoule.frontends import load_model, load_zeros

RNG = np.random.default_rng(7)
FILTERS = RNG.integers(-2, 3, size=(4, 3, 3, 3)).astype(np.float32)
MATRIX = RNG.integers(-1, 2, size=(4, 5)).astype(np.float32)
SAMPLES = RNG.integers(-2, 3, size=(6, 3, 8, 8)).astype(np.float32)


def by_hand(samples: np.ndarray) -> dict[str, dict[str, float]]:
    """A convolution, ReLU, the mean over the map, and a product, in numpy; all of it in small whole numbers or
    eighths."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, (3, 3), axis=(2, 3))
    maps = np.maximum(np.einsum("nchwij,kcij->nkhw", windows, FILTERS), 0)
    pooled = maps.max(axis=(2, 3))
    result = pooled @ MATRIX

    def share(array: np.ndarray) -> float:
        return float(np.mean(array == 0))

    return {
        "conv": {"weights": share(FILTERS), "inputs": share(samples), "outputs": share(maps)},
        "pool": {"inputs": share(maps), "outputs": share(pooled)},
        "fc": {"weights": share(MATRIX), "inputs": share(pooled), "outputs": share(result)},
    }


@pytest.fixture
def model(tmp_path) -> Path:
    nodes = [
        helper.make_node("Conv", ["x", "filters"], ["c"], name="conv"),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalMaxPool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "matrix"], ["y"], name="fc"),
    ]
    weights = [numpy_helper.from_array(FILTERS, "filters"), numpy_helper.from_array(MATRIX, "matrix")]
    ends = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 3, 8, 8]), ("y", [1, 5]))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(inplace=True)
        self.pool, self.fc = nn.AdaptiveMaxPool2d(1), nn.Linear(4, 5, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.from_numpy(FILTERS))
            self.fc.weight.copy_(torch.from_numpy(MATRIX.T))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pool(self.relu(self.conv(x))).flatten(1))


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, x=SAMPLES)
    return path


def zeros(model: object, example: object = None, **options: object) -> tuple[dict[str, dict[str, float]], int | None]:
    found = load_zeros(model, example, network=load_model(model, example), **options)
    return found.zeros, found.samples


# Exact


def test_an_onnx_model(model, data):
    assert zeros(model, sparsity="measured", data=data) == (by_hand(SAMPLES), 6)


def test_a_module_even_where_it_writes_in_place(data):
    assert zeros(Net(), torch.zeros(1, 3, 8, 8), sparsity="measured", data=data) == (by_hand(SAMPLES), 6)


def test_an_exported_program_and_a_batch_of_several(data):
    program = torch.export.export(Net(), (torch.zeros(3, 3, 8, 8),))
    assert zeros(program, sparsity="measured", data=data) == (by_hand(SAMPLES), 6)


class PreActivated(nn.Module):
    """Reads the result of ``a`` as it is and behind a ReLU; of ``c`` only behind one, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(n, 4, 3, padding=1, bias=False) for n in (3, 4, 4))
        with torch.no_grad():
            self.a.weight.copy_(torch.from_numpy(FILTERS))
            self.b.weight.copy_(torch.from_numpy(np.concatenate([FILTERS, FILTERS[:, :1]], axis=1)))
            self.c.weight.copy_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        y = self.c(self.b(torch.relu(y)) + y)
        return torch.relu(y).amax(2) + torch.relu(y).amax(3)


@pytest.mark.filterwarnings("ignore")  # torch about its own ways of exporting
@pytest.mark.parametrize("form", ["module", "pt2", "onnx"])
def test_each_version_of_a_result_that_is_kept_has_its_zeros(tmp_path, data, form):
    module, example = PreActivated().eval(), torch.zeros(1, 3, 8, 8)
    model: object = module
    if form == "pt2":
        model = tmp_path / "net.pt2"
        torch.export.save(torch.export.export(module, (example,)), model)
    if form == "onnx":
        model = tmp_path / "net.onnx"
        torch.onnx.export(module, (example,), model, input_names=["x"], verbose=False)
    found, _ = zeros(model, example if form == "module" else None, sparsity="measured", data=data)
    with torch.no_grad():
        plain = module.a(torch.from_numpy(SAMPLES))
        after = torch.relu(module.c(module.b(torch.relu(plain)) + plain))
    kinds = [layer.kind for layer in load_model(model, example if form == "module" else None).layers]
    assert kinds[:5] == ["conv", "pointwise", "conv", "add", "conv"]
    first, relu, second, _, last = list(found.values())[:5]

    def share(tensor: torch.Tensor) -> float:
        return float((tensor == 0).double().mean())

    assert (first["outputs"], relu, second["inputs"]) == (
        share(plain),
        {"outputs": share(torch.relu(plain))},
        share(torch.relu(plain)),
    )
    assert last["outputs"] == share(after)
    assert share(plain) < 0.2 < share(after)


def test_a_layer_without_nest_fetches_what_is_kept_and_applies_the_function_itself(data):
    """The result is kept plain for one reduction; the other makes its ReLU on the way in."""

    class Reduces(PreActivated):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            return torch.relu(torch.relu(y) - 1).amax(2) + y.amax(3)

    module = Reduces().eval()
    found, _ = zeros(module, torch.zeros(1, 3, 8, 8), sparsity="measured", data=data)
    with torch.no_grad():
        plain = module.a(torch.from_numpy(SAMPLES))
    share = float((plain == 0).double().mean())
    assert found["a"]["outputs"] == found["amax"]["inputs"] == found["amax (2)"]["inputs"] == share
    assert list(found) == ["a", "amax", "amax (2)", "add"]


@pytest.mark.filterwarnings("ignore")  # torch about its own ways of exporting
@pytest.mark.parametrize("form", ["module", "pt2"])
def test_a_copy_has_the_zeros_of_what_it_reads_not_of_what_it_overwrites(tmp_path, form):
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(16, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made, y = torch.zeros(2, 16), self.first(x)
            made[:, :8] = torch.relu(y)
            made[:, 8:] = y
            return self.second(made)

    torch.manual_seed(0)
    module, example, model = Halves().eval(), torch.zeros(2, 8), tmp_path / "net.pt2"
    samples = torch.randn(4, 8)
    np.savez(tmp_path / "x.npz", x=samples.numpy())
    torch.export.save(torch.export.export(module, (example,)), model)
    found, _ = zeros(
        *((module, example) if form == "module" else (model, None)), sparsity="measured", data=tmp_path / "x.npz"
    )
    rectified = (module.first(samples) <= 0).float().mean().item()
    assert 0 < rectified < 1
    assert found["copy"] == pytest.approx({"inputs": 0, "outputs": rectified})  # it rectifies while it reads
    assert found["copy (2)"] == {"inputs": 0, "outputs": 0}


@pytest.mark.filterwarnings("ignore")  # torch about its own ways of exporting
@pytest.mark.parametrize("form", ["module", "program", "pt2"])
def test_every_run_starts_from_the_state_that_the_model_has_and_leaves_it(tmp_path, form):
    class Kept(nn.Module):
        """Holds the sum of all that it was ever given, part of which is another buffer, too."""

        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)
            self.register_buffer("sum", torch.zeros(1, 8))
            self.register_buffer("part", self.sum[:, :4])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.sum.add_(x)
            return self.fc(torch.relu(self.sum))

    module, example, model = Kept().eval(), torch.zeros(1, 8), tmp_path / "net.pt2"
    samples = np.eye(8, dtype=np.float32)
    np.savez(tmp_path / "x.npz", x=samples)
    program = torch.export.export(module, (example,))
    torch.export.save(program, model)
    given = {"module": (module, example), "program": (program,), "pt2": (model,)}[form]
    for _ in range(2):
        found, _ = zeros(*given, sparsity="measured", data=tmp_path / "x.npz")
        assert found["fc"]["inputs"] == 7 / 8
    assert not module.sum.any()
    assert module.part.data_ptr() == module.sum.data_ptr()
    assert not any(tensor.any() for name, tensor in program.state_dict.items() if name in ("sum", "part"))


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # torch, of the list in which an LSTM keeps its weights
@pytest.mark.parametrize("bias", [True, False])
def test_each_matrix_of_a_recurrent_layer_has_its_own_zeros(tmp_path, bias):
    module = nn.LSTM(4, 6, num_layers=2, bidirectional=True, proj_size=3, bias=bias)
    expected = {}
    with torch.no_grad():
        matrices = [(name, weight) for name, weight in module.named_parameters() if name.startswith("weight")]
        for number, (name, weight) in enumerate(matrices, start=1):
            weight.fill_(1).view(-1)[:number] = 0
            _, which, place = name.split("_", maxsplit=2)
            part = {"ih": "input", "hh": "recurrent", "hr": "projection"}[which]
            expected[f"lstm.{place}.{part}"] = {"weights": number / weight.numel()}
    module.eval()
    example = torch.zeros(5, 1, 4)
    torch.export.save(torch.export.export(module, (example,)), tmp_path / "net.pt2")
    for model, given in ((module, example), (tmp_path / "net.pt2", None)):
        found, _ = zeros(model, given, sparsity="given")
        assert {name: share for name, share in found.items() if share} == expected


def test_weights_alone_need_no_data(model):
    weights = {name: {t: s for t, s in shares.items() if t == "weights"} for name, shares in by_hand(SAMPLES).items()}
    assert zeros(model, sparsity="given") == (weights, None)
    assert zeros(Net(), torch.zeros(1, 3, 8, 8), sparsity="given") == (weights, None)


@pytest.mark.parametrize(("zero_point", "known"), [(0, True), (3, False)])
def test_quantized_weights_have_the_zeros_of_what_is_stored(tmp_path, zero_point, known):
    stored = RNG.integers(-2, 3, size=(4, 5)).astype(np.int8)
    weights = [
        numpy_helper.from_array(array, name)
        for name, array in (("stored", stored), ("scale", np.float32(0.1)), ("zero", np.int8(zero_point)))
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["stored", "scale", "zero"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="fc"),
    ]
    ends = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 4]), ("y", [1, 5]))]
    path, data = tmp_path / "q.onnx", tmp_path / "x.npz"
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:], weights),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.save(model, path)
    np.savez(data, x=np.ones((2, 4), dtype=np.float32))
    share = float(np.mean(stored == zero_point))
    assert zeros(path, sparsity="given")[0] == {"fc": {"weights": share} if known else {}}
    assert zeros(path, sparsity="measured", data=data)[0]["fc"]["weights"] == share


def quantized(path: Path, nodes: list[onnx.NodeProto], **held: np.ndarray) -> Path:
    """A model from x, two rows of four, to y."""
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [2, 4])], [], weights)
    graph.output.add(name="y")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


HALVES = np.array([[0, 0.5, -1, 2], [1, 0, 0, -0.5]], dtype=np.float32)
WHOLE = RNG.integers(-1, 2, size=(4, 5)).astype(np.int8)


def test_what_is_stored_for_zero_counts_as_zero(tmp_path):
    path = quantized(
        tmp_path / "q.onnx",
        [
            helper.make_node("QuantizeLinear", ["x", "half", "three"], ["q"]),
            helper.make_node(
                "QLinearMatMul", ["q", "half", "three", "stored", "one", "two", "quarter", "seventy"], ["y"], name="fc"
            ),
        ],
        half=np.float32(0.5), quarter=np.float32(0.25), one=np.float32(1), three=np.uint8(3), two=np.int8(2),
        seventy=np.uint8(70), stored=WHOLE + np.int8(2),
    )  # fmt: skip
    np.savez(tmp_path / "x.npz", x=HALVES)
    weights, product = float(np.mean(WHOLE == 0)), HALVES @ WHOLE
    assert 0 < weights and 0 < np.mean(product == 0) != np.mean(HALVES == 0)
    assert zeros(path, sparsity="given")[0] == {"fc": {"weights": weights}}
    assert zeros(path, sparsity="measured", data=tmp_path / "x.npz")[0] == {
        "fc": {"weights": weights, "inputs": float(np.mean(HALVES == 0)), "outputs": float(np.mean(product == 0))}
    }


def test_a_zero_point_that_is_found_while_it_runs(tmp_path):
    path = quantized(
        tmp_path / "q.onnx",
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], name="row"),
            helper.make_node("MatMulInteger", ["q", "stored", "zero"], ["y"], name="fc"),
        ],
        stored=WHOLE,
    )
    np.savez(tmp_path / "x.npz", x=HALVES)
    found = zeros(path, sparsity="measured", data=tmp_path / "x.npz")[0]
    assert found["row"]["outputs"] == found["fc"]["inputs"] == float(np.mean(HALVES == 0))


def test_what_rounding_makes_zero_is_zero_in_what_a_layer_writes(tmp_path):
    path = quantized(
        tmp_path / "q.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["m"], name="first"),
            helper.make_node("QuantizeLinear", ["m", "two", "three"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "two", "three"], ["d"]),
            helper.make_node("MatMul", ["d", "v"], ["y"], name="second"),
        ],
        w=np.eye(4, dtype=np.float32), v=MATRIX, two=np.float32(2), three=np.uint8(3),
    )  # fmt: skip
    np.savez(tmp_path / "x.npz", x=HALVES)
    found = zeros(path, sparsity="measured", data=tmp_path / "x.npz")[0]
    assert found["first"]["outputs"] == found["second"]["inputs"] == float(np.mean(np.rint(HALVES / 2) == 0))
    assert found["first"]["inputs"] < found["first"]["outputs"]


def test_a_layer_table_states_its_zeros(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(
        "layers:\n- {name: a, K: 4, C: 3, P: 6, Q: 6, zeros: {weights: 0.5, inputs: 0.25, outputs: 0}}\n"
        "- {name: b, K: 2, C: 4}\n"
    )
    result = picojoule.estimate(path, hardware="eyeriss-normalized", sparsity="given", cache=False)
    assert [row.zeros for row in result.layers] == [{"weights": 0.5, "inputs": 0.25, "outputs": 0.0}, None]
    assert (result.provenance["samples"], result.sparsity) == (None, "given")
    assert picojoule.verify(result).ok
    assert all(row.zeros is None for row in picojoule.estimate(path, hardware="eyeriss-normalized", cache=False).layers)


def test_images_are_fed_as_pixels(model, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = RNG.integers(0, 3, size=(2, 8, 8, 3)).astype(np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index}.png")
    (folder / "notes.txt").write_text("no image")
    expected = by_hand(pixels.transpose(0, 3, 1, 2).astype(np.float32))
    assert zeros(model, sparsity="measured", data=folder) == (expected, 2)


def test_the_command_line(model, data):
    arguments = [
        "estimate",
        str(model),
        "--hardware",
        "eyeriss-normalized",
        "--sparsity",
        "measured",
        "--data",
        str(data),
    ]
    result = CliRunner().invoke(main, [*arguments, "--format", "json", "--no-save", "--no-cache"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert {row["name"]: row["zeros"] for row in document["layers"]} == by_hand(SAMPLES)
    assert document["provenance"]["samples"] == 6


# Refused


def test_nan_is_refused_with_its_tensor(model, tmp_path):
    bad = SAMPLES.copy()
    bad[3, 0, 0, 0] = np.nan
    path = tmp_path / "bad.npz"
    np.savez(path, x=bad)
    for one, example in ((model, None), (Net(), torch.zeros(1, 3, 8, 8))):
        with pytest.raises(InputError, match="tensor 'x' holds NaN") as caught:
            zeros(one, example, sparsity="measured", data=path)
        assert caught.value.exit_code == 3


def test_nan_that_the_network_makes(tmp_path, data):
    class Root(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(torch.sqrt(x))

    with pytest.raises(InputError, match="tensor 'sqrt' holds NaN"):
        zeros(Root(), torch.zeros(1, 3, 8, 8), sparsity="measured", data=data)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": SAMPLES[:, :, :7]}, r"the shape \[6, 3, 7, 8\]; the network takes \[samples, 3, 8, 8\]"),
        ({"x": SAMPLES[0]}, r"the shape \[3, 8, 8\]"),
        ({"x": SAMPLES[:0]}, "0 samples of 'x' don't fill batches of 1"),
        ({"y": SAMPLES, "z": SAMPLES}, "it has no array 'x'; it has y, z"),
        ({"x": SAMPLES.astype("U8")}, "numbers are allowed"),
    ],
)
def test_arrays_that_do_not_fit(model, tmp_path, arrays, message):
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        zeros(model, sparsity="measured", data=path)


def test_samples_that_do_not_fill_a_batch(tmp_path, data):
    program = torch.export.export(Net(), (torch.zeros(4, 3, 8, 8),))
    with pytest.raises(InputError, match="6 samples of 'x' don't fill batches of 4"):
        zeros(program, sparsity="measured", data=data)


def test_arrays_that_are_pickled_are_not_loaded(model, tmp_path):
    path = tmp_path / "odd.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="its arrays can't be read"):
        zeros(model, sparsity="measured", data=path)


def test_what_numpy_advises_is_not_passed_on(model, tmp_path):
    path = tmp_path / "junk.npz"
    path.write_bytes(b"no array at all")
    with pytest.raises(InputError, match="pickled objects, which are never loaded") as caught:
        zeros(model, sparsity="measured", data=path)
    assert "allow_pickle" not in str(caught.value)
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match="can't be read"):
        zeros(model, sparsity="measured", data=path)


@pytest.mark.parametrize("form", ["module", "pt2", "onnx"])
@pytest.mark.filterwarnings("ignore")  # torch about its own ways of exporting
@pytest.mark.parametrize(
    ("ids", "message"), [([1.5, 2, 3], "array 'ids' holds fractions"), ([1, 2, 20], "can't run it"), ([1, 2, 3], "")]
)
def test_tokens_that_the_network_does_not_have(tmp_path, form, ids, message):
    module, example = nn.Sequential(nn.Embedding(20, 4), nn.Linear(4, 2)).eval(), torch.zeros(1, 3, dtype=torch.long)
    model: object = module
    if form == "pt2":
        model = tmp_path / "net.pt2"
        torch.export.save(torch.export.export(module, (example,)), model)
    if form == "onnx":
        model = tmp_path / "net.onnx"
        torch.onnx.export(module, (example,), model, input_names=["x"], verbose=False)
    np.savez(tmp_path / "data.npz", ids=np.array([ids]))
    given = example if form == "module" else None
    if not message:
        assert zeros(model, given, sparsity="measured", data=tmp_path / "data.npz")[1] == 1
        return
    with pytest.raises(InputError, match=message) as caught:
        zeros(model, given, sparsity="measured", data=tmp_path / "data.npz")
    assert caught.value.exit_code == 3


def test_arrays_are_called_as_their_file_calls_them(tmp_path):
    class Any(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 2)

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return self.lin(inputs[0])

    np.savez(tmp_path / "data.npz", photos=np.zeros((4, 4), np.float32))
    with pytest.raises(InputError, match="^.*4 samples of 'photos' don't fill batches of 3"):
        zeros(Any().eval(), torch.zeros(3, 4), sparsity="measured", data=tmp_path / "data.npz")


@pytest.mark.parametrize("form", ["module", "pt2"])
def test_weights_that_are_nan_are_called_by_their_name(tmp_path, form):
    module, example = nn.Sequential(nn.Linear(4, 2)).eval(), torch.zeros(1, 4)
    with torch.no_grad():
        module[0].weight[0, 0] = float("nan")
    torch.export.save(torch.export.export(module, (example,)), tmp_path / "net.pt2")
    model, given = (module, example) if form == "module" else (tmp_path / "net.pt2", None)
    with pytest.raises(ModelError, match="the weights '0.weight' hold NaN"):
        zeros(model, given, sparsity="given")


def test_folders_that_do_not_fit(model, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    with pytest.raises(InputError, match="there is no image in this folder"):
        zeros(model, sparsity="measured", data=folder)
    Image.new("RGB", (9, 8)).save(folder / "a.png")
    with pytest.raises(InputError, match="the image has 9 × 8 pixels; the network takes 8 × 8") as caught:
        zeros(model, sparsity="measured", data=folder)
    assert caught.value.where.endswith("a.png")
    (folder / "a.png").write_bytes(b"no image at all")
    with pytest.raises(InputError, match="not a readable image"):
        zeros(model, sparsity="measured", data=folder)


def test_images_for_a_network_that_takes_none(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    with pytest.raises(InputError, match="images are for a network with one input of"):
        zeros(nn.Linear(4, 2), torch.zeros(1, 4), sparsity="measured", data=folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": "measured"}, "measuring zeros needs inputs to run"),
        ({"data": "x.npz"}, "data are for measuring zeros"),
        ({"sparsity": "given", "data": "x.npz"}, "data are for measuring zeros"),
        ({"sparsity": "guessed"}, "'guessed' says no share of zeros"),
        ({"sparsity": "given"}, "merkel:L1 has no weights and states no zeros"),
        ({"sparsity": "measured", "data": "."}, "has no weights and states no zeros"),
    ],
)
def test_requests_that_make_no_sense(options, message):
    with pytest.raises(UsageError, match=message):
        picojoule.estimate("merkel:L1", hardware="eyeriss-normalized", cache=False, **options)


def test_a_file_that_is_not_there(model):
    with pytest.raises(UsageError, match="there is no file or folder 'nowhere'"):
        zeros(model, sparsity="measured", data="nowhere")


def saved(module: nn.Module, path: Path) -> Path:
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(1, 3, 8, 8),)), path)
    return path


def test_a_program_in_a_file(tmp_path, data):
    assert zeros(saved(Net(), tmp_path / "net.pt2"), sparsity="measured", data=data) == (by_hand(SAMPLES), 6)


@pytest.mark.filterwarnings("ignore:No complete tensor found")  # torch, of weights stored the other way round
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_weights_in_a_file_of_a_program(tmp_path, kind):
    module = Net().to(kind)
    module.fc.weight = nn.Parameter(module.fc.weight.T.contiguous().T)  # stored the other way round
    exported = torch.export.export(module.eval(), (torch.zeros(1, 3, 8, 8, dtype=kind),))
    torch.export.save(exported, tmp_path / "net.pt2")
    expected = {name: {"weights": share["weights"]} for name, share in by_hand(SAMPLES).items() if "weights" in share}
    assert zeros(tmp_path / "net.pt2", sparsity="given") == ({**expected, "pool": {}}, None)


def test_reading_weights_of_a_program_needs_no_torch(tmp_path):
    code = (
        "import sys; from picojoule.frontends import load_model, load_zeros; path = sys.argv[1];"
        " found = load_zeros(path, network=load_model(path), sparsity='given').zeros;"
        " print(found['fc']['weights'], 'torch' in sys.modules)"
    )
    ran = [sys.executable, "-c", code, str(saved(Net(), tmp_path / "net.pt2"))]
    output = subprocess.run(ran, capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(float(np.mean(MATRIX == 0))), "False"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: entry.update(use_pickle=True), "pickles are never loaded"),
        (lambda entry: entry["tensor_meta"]["storage_offset"].update(as_int=9), "belongs to a tensor in it"),
        (lambda entry: entry["tensor_meta"]["storage_offset"].update(as_int=-9), "belongs to a tensor in it"),
        (lambda entry: entry["tensor_meta"]["device"].update(type="meta"), "have no values"),
        (lambda entry: entry.update(path_name="elsewhere"), "no item named"),
        (lambda entry: entry.pop("use_pickle"), "its weights can't be read"),
    ],
)
def test_weights_in_a_file_that_do_not_lie_where_it_says(tmp_path, change, message):
    path, copy = saved(Net(), tmp_path / "net.pt2"), tmp_path / "copy.pt2"
    network = load_model(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("weights_config.json"):
                document = json.loads(content)
                change(document["config"]["fc.weight"])
                content = json.dumps(document).encode()
            new.writestr(name, content)
    with pytest.raises(ModelError, match=message):
        load_zeros(copy, network=network, sparsity="given")


def test_parameters_without_values(data):
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(ModelError, match="they lie on the meta device"):
        zeros(module, torch.zeros(1, 3, 8, 8), sparsity="measured", data=data)


def test_weights_that_are_elsewhere(model, data):
    loaded = onnx.load(model)
    loaded.graph.initializer[0].ClearField("raw_data")
    loaded.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    loaded.graph.initializer[0].external_data.add(key="location", value="no-such-file.bin")
    model.write_bytes(loaded.SerializeToString())
    with pytest.raises(ModelError, match="its weights can't be read"):
        zeros(model, sparsity="measured", data=data)
