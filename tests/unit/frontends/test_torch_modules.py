"""PyTorch modules as networks: names, parameters, what is given as input, and what is refused."""

from __future__ import annotations

import re
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import picojoule
from picojoule.errors import ModelError, UnknownNameError, UsageError
from picojoule.frontends import load_model
from picojoule.workload import ModelBits


def images(*shape: int) -> torch.Tensor:
    return torch.zeros(shape or (1, 3, 8, 8))


def names(module: nn.Module, example: object, **options: object) -> list[str]:
    return [layer.name for layer in load_model(module.eval(), example, **options).layers]


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lin(F.relu(self.lin(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc = Encoder()
        self.head = nn.Linear(4, 2, bias=False)
        self.scale = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None, *, again: bool = False) -> torch.Tensor:
        x = F.linear(self.enc(x), self.scale)
        return self.head(x if y is None else x + y)


# Names and parameters


def test_layers_have_the_paths_of_their_modules_and_a_second_run_is_numbered():
    network = load_model(Net().eval(), torch.zeros(3, 4))
    assert [(x.name, x.macs, x.params, x.shared) for x in network.layers] == [
        ("enc.lin", 48, 20, False),
        ("enc.lin (2)", 48, 0, True),
        ("scale", 48, 16, False),
        ("head", 24, 8, False),
    ]
    assert network.params == sum(p.numel() for p in Net().parameters())
    assert (network.name, network.input_shape) == ("Net", (3, 4))


def test_a_module_without_a_path_is_named_after_its_function():
    assert names(nn.Conv2d(3, 4, 3), images()) == ["conv2d"]


def test_functions_have_the_path_of_the_module_that_calls_them():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.conv(x)
            return torch.cat([x, x + self.conv(x)])

    assert names(nn.Sequential(Block(), Block()), images()) == [
        *("0.conv", "0.add", "0.conv (2)", "0.add (2)", "0.cat"),
        *("1.conv", "1.add", "1.conv (2)", "1.add (2)", "1.cat"),
    ]


def test_attention_and_recurrent_layers_name_their_parts():
    class Attn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
            self.rnn = nn.LSTM(8, 4, num_layers=2, bidirectional=True, batch_first=True)
            self.gru = nn.GRU(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.attn(x, x, x, need_weights=False)[0]
            return self.gru(self.rnn(x)[0])[0]

    directions = [f"rnn.l{layer}{back}" for layer in (0, 1) for back in ("", "_reverse")]
    assert names(Attn(), torch.zeros(2, 5, 8)) == [
        # The input of the network comes batch first: nobody but the attention can turn it.
        *("attn.transpose", "attn.in_proj", "attn.qk", "attn.softmax", "attn.av", "attn.out_proj"),
        *(f"{name}.{part}" for name in directions for part in ("input", "recurrent", "cell")),
        *("gru.input", "gru.recurrent", "gru.cell"),
    ]
    network = load_model(Attn().eval(), torch.zeros(2, 5, 8))
    steps = {x.name: (x.repeats, x.nest.N) for x in network.layers if x.nest and x.name.startswith(("rnn.l0.", "gru"))}
    # GRU(batch_first=False) takes the first axis, of 2, for time.
    assert steps == {
        "rnn.l0.input": (1, 10), "rnn.l0.recurrent": (5, 2), "gru.input": (1, 10), "gru.recurrent": (2, 5),
    }  # fmt: skip
    assert network.params == sum(p.numel() for p in Attn().parameters())


def test_an_embedding_and_the_head_that_shares_its_table():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emb = nn.Embedding(100, 8)
            self.norm = nn.LayerNorm(8)
            self.head = nn.Linear(8, 100, bias=False)
            self.head.weight = self.emb.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.norm(self.emb(ids)))

    network = load_model(Tied().eval(), torch.zeros(1, 5, dtype=torch.int64))
    emb, norm, head = network.layers
    assert (emb.kind, emb.read_elements, emb.read_weights, emb.written_elements, emb.params) == (
        "embedding",
        5,
        40,
        40,
        800,
    )
    assert (norm.kind, norm.vector_ops, norm.params) == ("norm", 7 * 40, 16)
    assert (head.shared, head.params, head.macs) == (True, 0, 4000)
    assert network.params == 816


# What is given as input


def test_no_weights_are_needed():
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    assert load_model(module, images()).macs == load_model(module, images().to("meta")).macs == 4 * 27 * 36 + 288


@pytest.mark.parametrize(
    "example", [torch.zeros(3, 4), (torch.zeros(3, 4),), [torch.zeros(3, 4)], {"x": torch.zeros(3, 4)}], ids=type
)
def test_an_example_is_a_tensor_positional_or_named_arguments(example):
    assert load_model(Net().eval(), example).macs == 168


@pytest.mark.filterwarnings("ignore")  # of torch about its own prototypes
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)]), "nested"),
        (lambda: torch.zeros(3, 4).to_sparse(), "sparse_coo"),
    ],
)
def test_an_input_that_is_not_dense_is_refused(make, kind):
    with pytest.raises(ModelError, match=f"an input is a {kind} tensor"):
        load_model(nn.Linear(4, 4).eval(), make())


def test_several_arguments():
    two = torch.zeros(3, 4)
    assert "add" in names(Net(), (two, two))
    assert "add" in names(Net(), {"x": two, "y": two, "again": True})


def test_sizes_stand_in_for_an_example():
    assert load_model(Net().eval(), shape={"x": (5, 4)}).macs == 5 * 56
    assert load_model(Net().eval(), torch.zeros(3, 4), shape={"x": (5, 4)}).macs == 5 * 56


def test_halves_take_halves():
    assert load_model(nn.Linear(4, 2).half(), shape={"input": (3, 4)}).macs == 24


def test_without_an_example_there_is_an_error_that_names_the_arguments():
    with pytest.raises(ModelError, match="an nn.Module needs an example input") as caught:
        load_model(Net().eval())
    assert caught.value.exit_code == 3
    assert "--shape x=1x3x224x224" in caught.value.hint


@pytest.mark.parametrize(
    ("example", "shape", "kind", "message"),
    [
        ({"z": images()}, None, ModelError, "the example input doesn't fit forward"),
        ((1, 2, 3), None, ModelError, "too many positional arguments"),
        (None, {"z": (3, 4)}, UnknownNameError, "has no argument 'z'"),
        (None, {"x": (3, 0)}, UsageError, "whole numbers of at least 1"),
        (None, {"y": (3, 4)}, ModelError, "no example for 'x'"),
        (torch.zeros(3, 5), None, ModelError, "fails when torch.export runs it"),
        (torch.zeros(0, 4), None, ModelError, "a dimension of size 0"),
        (torch.zeros(3, 4, dtype=torch.complex64), None, ModelError, "an input of complex64 elements"),
        (torch.zeros(3, 4, dtype=torch.int64), None, ModelError, "it multiplies int64 with float32 elements"),
    ],
)
def test_inputs_that_do_not_fit(example, shape, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        load_model(Net().eval(), example, shape=shape)


# What is refused


class Chooses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        if x.sum() > 0:  # the line that the message names
            x = self.conv(x)
        return x


def line_of(comment: str) -> int:
    with open(__file__, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, start=1) if line.rstrip().endswith(f"# {comment}"))


def test_control_flow_that_depends_on_data_is_refused_with_the_users_line():
    with pytest.raises(ModelError, match="its control flow depends on data") as caught:
        load_model(Chooses().eval(), images())
    assert caught.value.where == f"{__file__}:{line_of('the line that the message names')}"
    assert "torch.cond" in caught.value.hint


def test_two_inputs_through_one_tensor():
    first, second = load_model(nn.Bilinear(4, 5, 6).eval(), (torch.zeros(2, 3, 4), torch.zeros(2, 3, 5))).layers
    assert (first.name, first.macs, first.params) == ("bilinear.1", 6 * 6 * 4 * 5, 6 * 4 * 5 + 6)
    assert (second.name, second.macs, second.params) == ("bilinear.2", 6 * 6 * 5, 0)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_a_table_summed_up_by_bags(weighted):
    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bags, self.fc = nn.EmbeddingBag(100, 16, mode="sum"), nn.Linear(16, 4)

        def forward(self, x: torch.Tensor, w: torch.Tensor | None = None) -> torch.Tensor:
            return self.fc(self.bags(x, per_sample_weights=w))

    indices = torch.zeros(2, 5, dtype=torch.long)
    bags, _ = load_model(Bags().eval(), (indices, torch.ones(2, 5)) if weighted else indices).layers
    assert (bags.name, bags.kind, bags.params) == ("bags", "embedding", 1600)
    assert (bags.read_weights, bags.written_elements) == (10 * 16, 2 * 16)
    assert (bags.read_elements, bags.vector_ops) == ((20, 8 * 16 + 10 * 16) if weighted else (10, 8 * 16))


def test_torch_says_nothing_of_its_own(capfd):
    """Where it can't go on, it dumps the program so far."""
    with pytest.raises(ModelError):
        load_model(Chooses().eval(), images())
    assert capfd.readouterr() == ("", "")


def test_what_the_users_code_says_is_heard(capsys):
    class Speaks(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            print("here", file=sys.stderr)
            return super().forward(x)

    load_model(Speaks(4, 4).eval(), torch.zeros(1, 4))
    assert "here" in capsys.readouterr().err


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(3)[x.shape[0] + "one"]  # never mind why


def test_code_that_fails_is_refused_with_the_users_line():
    with pytest.raises(ModelError, match="TypeError") as caught:
        load_model(Raises(), images())
    assert caught.value.where == f"{__file__}:{line_of('never mind why')}"


def test_training_mode_that_only_the_users_code_asks_for_is_refused():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(8, 8)

        def forward(self, x):
            return self.lin(self.lin(x)) if self.training else self.lin(x)

        def eval(self):
            raise AssertionError("the user's own eval() may do anything")

    module, example = nn.Sequential(Twice(), nn.ReLU()), torch.zeros(2, 8)
    message = r"2 layers \(0.lin, 0.lin \(2\)\) with 256 MACs in training, 1 layer \(0.lin\) with 128"
    with pytest.raises(ModelError, match=message) as caught:
        load_model(module, example)
    assert "module.eval()" in caught.value.hint
    assert all(part.training for part in module.modules())
    module.training = module[0].training = module[1].training = False
    assert load_model(module, example).macs == 128
    module[0].training = True  # a part of a network is enough
    with pytest.raises(ModelError, match="training mode"):
        load_model(module, example)


@pytest.mark.parametrize(
    ("part", "op"),
    [
        (nn.Dropout(0.5), "aten.dropout"),
        (nn.BatchNorm2d(4), "aten.batch_norm"),
        (nn.Dropout2d(0.1), "aten.feature_dropout"),
    ],
)
def test_training_mode_is_refused(part, op):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), part)
    with pytest.raises(ModelError, match=rf"the network is in training mode: {op}") as caught:
        load_model(module.train(), images())
    assert caught.value.exit_code == 3
    assert "'1'" in caught.value.where
    assert "module.eval()" in caught.value.hint
    assert names(module, images()) == ["0"]


def test_training_mode_is_no_matter_where_it_makes_no_difference():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.0))
    assert module.training
    assert load_model(module, images()).not_costed == ()


def test_recurrent_dropout_is_training_too():
    with pytest.raises(ModelError, match="training mode"):
        load_model(nn.LSTM(4, 4, num_layers=2, dropout=0.5), torch.zeros(3, 2, 4))


@pytest.mark.parametrize(
    ("query", "key", "gqa"),
    [
        ((3, 2, 8, 4), (1, 1, 8, 4), False),
        ((3, 2, 8, 4), (1, 2, 5, 4), False),
        ((1, 1, 8, 4), (3, 2, 5, 4), False),
        ((2, 8, 4), (5, 4), False),
        ((3, 4, 8, 4), (1, 2, 5, 4), True),
        ((8, 4), (5, 4), False),
    ],
)
def test_attention_spreads_operands_as_torch_does(query, key, gqa):
    class Attends(nn.Module):
        def forward(self, q, k):
            return nn.functional.scaled_dot_product_attention(q, k, k, enable_gqa=gqa)

    inputs = torch.zeros(query), torch.zeros(key)
    result = Attends()(*inputs)
    # By hand: every element of the result is a sum over the keys, each of whose weights is a product over the size.
    assert load_model(Attends().eval(), inputs).macs == 2 * result.numel() * key[-2]


def test_products_of_complex_numbers_are_refused():
    class Spectrum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.fft.fft(x)
            return x @ x

    with pytest.raises(ModelError, match="multiplies complex numbers"):
        load_model(Spectrum(), torch.zeros(4, 4))


def test_a_module_that_multiplies_nothing():
    with pytest.raises(ModelError, match="nothing to cost"):
        load_model(nn.ReLU(), images())


def test_an_example_for_a_program_that_has_its_own():
    program = torch.export.export(nn.Linear(4, 2), (torch.zeros(3, 4),))
    assert load_model(program).macs == 24
    with pytest.raises(UsageError, match="has its inputs already"):
        load_model(program, torch.zeros(3, 4))


# Nothing vanishes


def test_what_is_not_known_is_listed_with_the_path_of_its_module():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.topk(self.conv(x), 2).values

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.odd, self.last = Odd(), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.odd(x))

    network = load_model(Both().eval(), torch.zeros(1, 3, 8, 8, 8))
    assert [(entry.op, entry.where) for entry in network.not_costed] == [
        ("Conv", "odd.conv"),
        ("aten.topk", "odd.topk"),
    ]
    assert [layer.name for layer in network.layers] == ["last"]
    result = picojoule.estimate(Both().eval(), torch.zeros(1, 3, 8, 8, 8), hardware="eyeriss-normalized", cache=False)
    assert result.coverage["macs"] is None
    assert picojoule.verify(result).ok


def test_branches_of_the_graph_are_listed_and_parts_without_gradients_are_not():
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                y = self.lin(x)
            return torch.cond(y.sum() > 0, lambda z: z + 1, lambda z: z @ z, (y,))

    network = load_model(Parts().eval(), torch.zeros(4, 4))
    assert [(entry.op, entry.where) for entry in network.not_costed] == [("higher_order.cond", "cond")]
    assert "lin" in [layer.name for layer in network.layers]


@pytest.mark.filterwarnings("ignore")
def test_quantized_programs_give_their_widths():
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    steps = torch.ops.quantized_decomposed

    def through(x: torch.Tensor) -> torch.Tensor:
        x = steps.quantize_per_tensor(x, 0.1, 0, -128, 127, torch.int8)
        return steps.dequantize_per_tensor(x, 0.1, 0, -128, 127, torch.int8)

    class Quantized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("stored", torch.zeros(5, 4, dtype=torch.int8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weights = steps.dequantize_per_tensor(self.stored, 0.1, 0, -8, 7, torch.int8)  # of 16 values: 4 bits
            return through(F.linear(through(x), weights).relu())

    (layer,) = load_model(Quantized().eval(), torch.zeros(2, 4)).layers
    assert layer.bits == ModelBits(weights=4, inputs=8, outputs=8)


# The whole way


def test_estimate_takes_a_module_and_its_result_verifies():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    result = picojoule.estimate(module, images(), hardware="eyeriss-normalized", batch=2, cache=False)
    assert (result.model, result.input_shape, result.macs) == ("Sequential", (2, 3, 8, 8), 2 * (4 * 27 * 36 + 720))
    assert [layer.name for layer in result.layers] == ["0", "3"]
    assert picojoule.verify(result).ok


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_a_recurrent_layer_costs_its_steps_and_verifies(objective):
    result = picojoule.estimate(
        nn.LSTM(4, 6), torch.zeros(5, 2, 4), hardware="eyeriss-like-45nm", objective=objective, cache=False
    )
    row = {layer.name: layer for layer in result.layers}["lstm.recurrent"]
    once = picojoule.estimate(
        nn.Linear(6, 24), torch.zeros(2, 6), hardware="eyeriss-like-45nm", objective=objective, cache=False
    ).layers[0]
    assert (row.runs, row.dims, row.mapping) == (5, once.dims, once.mapping)
    assert row.macs == 5 * once.macs
    assert row.energy_pj == pytest.approx(5 * once.energy_pj)
    assert row.latency_cycles == 5 * once.latency_cycles
    assert row.value == pytest.approx(once.value * (25 if objective == "edp" else 5))
    assert [access.reads for access in row.by] == [5 * access.reads for access in once.by]
    # No way to run the steps does less than all of them as a batch, with the weights fetched once.
    assert row.floor_pj < 5 * once.floor_pj
    assert 0 < row.floor <= row.bound <= row.value
    check = picojoule.verify(result)
    assert check.ok, check.failed


def test_a_branch_of_training_is_told_from_that_of_evaluation_by_its_layers():
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(x) if self.training else self.other(x)

    with pytest.raises(ModelError) as caught:
        load_model(Branch().train(), torch.zeros(2, 8))
    assert "1 layer (one) with 128 MACs in training, 1 layer (other) with 128 MACs in evaluation" in str(caught.value)


@pytest.mark.parametrize(
    "product",
    [
        lambda fc, x: torch.addmm(torch.zeros(2, 8), x, fc.weight),
        lambda fc, x: nn.functional.linear(x, fc.weight, torch.zeros(8)),
        lambda fc, x: nn.functional.linear(x, fc.weight, torch.zeros(8) + 1),
    ],
)
def test_what_the_network_makes_itself_and_adds_is_no_parameter(product):
    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return product(self.fc, x)

    network = load_model(Added().eval(), torch.zeros(2, 8))
    assert (network.macs, network.params) == (128, 64)
