"""Parameters are counted once each, however they reach the layer that reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from support.flop_counter import counted
from torch import nn

import picojoule
from picojoule.frontends import load_model
from picojoule.search import Exact
from picojoule.workload import Network

EXACT = Exact(time_limit_s=None, factors="exact")


class Net(nn.Module):
    """A function of its modules, its parameters and an input."""

    def __init__(self, function: Callable[..., torch.Tensor], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part if isinstance(part, nn.Module) else nn.Parameter(part))

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        return self.function(self, *given)


def fc(features: int = 8) -> nn.Linear:
    return nn.Linear(8, features)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(query, key, value)


def twice(part: nn.Module, *given: torch.Tensor) -> torch.Tensor:
    x, *others = given
    first = part.m(x, *others, need_weights=False)[0]
    return part.m(first, *others, need_weights=False)[0]


def slices(*rows: slice) -> Callable[..., torch.Tensor]:
    return lambda net, x: torch.cat([F.linear(x, net.w[part]) for part in rows], -1)


TOKENS = torch.zeros(2, 5, dtype=torch.long)
X = torch.zeros(2, 5, 8)
MATRIX = torch.zeros(2, 8)
NORMED = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
ATTENTION = nn.MultiheadAttention(8, 2, batch_first=True)

# name: the network, its input, MACs that are worked out beforehand because nothing given reaches them
NETWORKS: dict[str, tuple[Net, tuple[torch.Tensor, ...], int]] = {
    "positions by arange": (
        Net(
            lambda n, i: n.l(n.t(i) + n.p(torch.arange(5))), t=nn.Embedding(20, 8), p=nn.Embedding(10, 8), l=fc()
        ),
        (TOKENS,),
        0,
    ),
    "positions, a slice": (Net(lambda n, x: n.l(x + n.p[:, :5]), p=torch.zeros(1, 9, 8), l=fc()), (X,), 0),
    "learned queries, projected": (
        Net(
            lambda n, x: attend(n.qp(n.q)[None, None], n.k(x)[:, None], n.v(x)[:, None]),
            **{"q": torch.zeros(3, 8), "qp": fc(), "k": fc(), "v": fc()},
        ),
        (X[:1],),
        3 * 8 * 8,
    ),
    "learned keys and values": (
        Net(lambda n, q: attend(q, n.k, n.v), k=torch.zeros(1, 4, 6, 8), v=torch.zeros(1, 4, 6, 8)),
        (torch.zeros(1, 4, 5, 8),),
        0,
    ),
    "learned queries": (
        Net(lambda n, k: attend(n.q, k, k), q=torch.zeros(1, 4, 6, 8)),
        (torch.zeros(1, 4, 5, 8),),
        0,
    ),
    "a learned mask": (
        Net(
            lambda n, x: F.scaled_dot_product_attention(n.l(x)[:, None], x[:, None], x[:, None], attn_mask=n.b),
            **{"l": fc(), "b": torch.zeros(1, 1, 5, 5)},
        ),
        (X,),
        0,
    ),
    "cross-attention twice": (Net(twice, m=ATTENTION), (X, torch.zeros(2, 6, 8), torch.zeros(2, 6, 8)), 0),
    "biases of keys and values": (
        Net(
            lambda n, q, k, v: n.m(q, k, v)[0],
            m=nn.MultiheadAttention(8, 2, kdim=5, vdim=7, add_bias_kv=True, batch_first=True),
        ),
        (X, torch.zeros(2, 6, 5), torch.zeros(2, 6, 7)),
        0,
    ),
    "slices, one twice": (Net(slices(slice(8), slice(8, 16), slice(8)), w=torch.zeros(16, 8)), (X,), 0),
    "slices that overlap": (Net(slices(slice(8), slice(4, 16)), w=torch.zeros(16, 8)), (X,), 0),
    "ever larger slices": (Net(slices(slice(4), slice(8), slice(16)), w=torch.zeros(16, 8)), (X,), 0),
    "columns": (
        Net(lambda n, x: F.linear(x[..., :3], n.w[:, :3]) + F.linear(x, n.w), w=torch.zeros(16, 8)),
        (X,),
        0,
    ),
    "filters, sliced twice": (
        Net(lambda n, x: F.conv2d(x, n.w[:4]) + F.conv2d(F.relu(x), n.w[:4]), w=torch.zeros(4, 3, 3, 3)),
        (torch.zeros(1, 3, 8, 8),),
        0,
    ),
    "a normed weight": (Net(lambda n, x: n.m(x), m=NORMED), (MATRIX,), 0),
    "a normed weight twice": (Net(lambda n, x: n.m(n.m(x)), m=NORMED), (MATRIX,), 0),
    "an adapter, merged": (
        Net(
            lambda n, x: F.linear(x, n.l.weight + n.a @ n.b),
            **{"l": nn.Linear(8, 8, bias=False), "a": torch.zeros(8, 2), "b": torch.zeros(2, 8)},
        ),
        (MATRIX,),
        8 * 2 * 8,
    ),
    "a weight of rank one": (
        Net(lambda n, x: F.linear(x, n.a * n.b), a=torch.zeros(8, 1), b=torch.zeros(1, 8)),
        (MATRIX,),
        0,
    ),
    "a class token, repeated": (
        Net(lambda n, x: n.l(torch.cat([n.c.repeat(2, 1, 1), x], 1)), c=torch.zeros(1, 1, 8), l=fc()),
        (X,),
        0,
    ),
    "a class token, expanded": (
        Net(lambda n, x: n.l(torch.cat([n.c.expand(2, -1, -1), x], 1)), c=torch.zeros(1, 1, 8), l=fc()),
        (X,),
        0,
    ),
    "a relative bias": (
        Net(
            lambda n, x: n.l(x) @ x.transpose(1, 2) + n.t[torch.arange(25) % 7].reshape(5, 5), l=fc(), t=torch.zeros(7)
        ),
        (X,),
        0,
    ),
    "a scale after": (Net(lambda n, x: n.l(x) * n.s, l=fc(), s=torch.zeros(8)), (X,), 0),
    "a scale before": (Net(lambda n, x: n.l(x * n.s), l=fc(), s=torch.zeros(8)), (X,), 0),
    "a scale of a part": (Net(lambda n, x: n.l(x)[..., :4] * n.s, l=fc(), s=torch.zeros(4)), (X,), 0),
    "a second bias": (Net(lambda n, x: n.l(x) + n.s, l=fc(), s=torch.zeros(8)), (X,), 0),
    "weights of a sum": (
        Net(
            lambda n, x: n.l((F.relu(n.s) / (F.relu(n.s).sum() + 1))[0] * x + n.s[1] * x.flip(1)),
            l=fc(),
            s=torch.zeros(3),
        ),
        (X,),
        0,
    ),
    "a first state": (
        Net(
            lambda n, x: n.m(x, (n.h.expand(-1, 2, -1).contiguous(), n.c.expand(-1, 2, -1).contiguous()))[0],
            **{"m": nn.LSTM(8, 6, batch_first=True), "h": torch.zeros(1, 1, 6), "c": torch.zeros(1, 1, 6)},
        ),
        (X,),
        0,
    ),
    "written into an activation": (
        Net(lambda n, x: n.l(_with_first(n.l(x), n.c)), l=fc(), c=torch.zeros(8)),
        (X,),
        0,
    ),
    "a layer is written over it": (
        Net(
            lambda n, x: n.l(_with_first(n.p.clone()[None].expand(2, 5, 8).clone(), n.l(x)[:, 0])),
            **{"l": fc(), "p": torch.zeros(5, 8)},
        ),
        (X,),
        0,
    ),
    "tied": (
        Net(lambda n, i: n.e(i) @ n.e.weight.T, e=nn.Embedding(20, 8)),
        (TOKENS,),
        0,
    ),
    "a table and rows of it": (
        Net(lambda n, i: F.linear(n.e(i), n.e.weight[:6]), e=nn.Embedding(20, 8)),
        (TOKENS,),
        0,
    ),
}  # fmt: skip


def _with_first(x: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    x[:, 0] = row
    return x


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_counts_once(name, tmp_path):
    module, example, beforehand = NETWORKS[name]
    module.eval()
    expected = (counted(module, *example) - beforehand, sum(p.numel() for p in module.parameters()))
    network = load_model(module, example)
    assert (network.macs, network.params, network.not_costed) == (*expected, ())
    torch.export.save(torch.export.export(module, example), tmp_path / "net.pt2")
    again = load_model(tmp_path / "net.pt2")
    rows = [[(x.name, x.params, x.shared) for x in one.layers] for one in (network, again)]
    assert rows[0] == rows[1]


def test_parameters_out_of_reach_do_not_count():
    """Of a weight a slice in the place of weights counts alone; of a table everything."""
    half = Net(lambda n, x: F.linear(x, n.w[:8]), w=torch.zeros(16, 8), unused=torch.zeros(3))
    assert load_model(half.eval(), X).params == 64
    table = Net(lambda n, x: n.l(x + n.t[:5]), t=torch.zeros(16, 8), l=fc())
    assert load_model(table.eval(), X).params == 128 + 72


def test_what_is_worked_out_is_read_once_from_the_home_of_the_weights():
    module, example, _ = NETWORKS["positions by arange"]
    (row,) = (x for x in load_model(module.eval(), example).layers if x.kind == "add")
    assert (row.read_weights, row.biases) == (40, 80)  # five rows move, all of the table is there


def test_a_buffer_is_no_parameter_unless_it_stands_for_weights():
    class Buffers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l = fc()
            self.register_buffer("waves", torch.zeros(5, 8))
            self.register_buffer("filter", torch.zeros(8, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.l(x + self.waves) @ self.filter

    network = load_model(Buffers().eval(), X)
    assert (network.params, [x.read_weights for x in network.layers]) == (72 + 64, [40, 0, 0])


def test_a_norm_and_a_slope_fold():
    module = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.PReLU(8))
    assert load_model(module.eval(), MATRIX).params == 72


@pytest.mark.filterwarnings("ignore")
def test_estimates_with_folded_parameters_hold_when_verified():
    for name in ("learned keys and values", "an adapter, merged", "a weight of rank one", "ever larger slices"):
        module, example, _ = NETWORKS[name]
        found = picojoule.estimate(module.eval(), example, hardware="eyeriss-normalized", search=EXACT)
        assert picojoule.verify(found).ok
        assert found.params == sum(p.numel() for p in module.parameters())


# ONNX, whose files don't tell parameters from other data


def onnx_network(folder: Any, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], *sizes: int) -> Network:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)]), folder / "net.onnx")
    return load_model(folder / "net.onnx")


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(("direction", "ways"), [("bidirectional", 2), ("forward", 1)])
def test_peepholes_of_an_lstm(tmp_path, direction, ways):
    node = helper.make_node(
        "LSTM", ["x", "W", "R", "B", "", "", "", "P"], ["y", "", ""], hidden_size=5, direction=direction
    )
    weights = {"W": floats(ways, 20, 7), "R": floats(ways, 20, 5), "B": floats(ways, 40), "P": floats(ways, 15)}
    network = onnx_network(tmp_path, [node], weights, 6, 2, 7)
    assert network.params == ways * (20 * 7 + 20 * 5 + 40 + 15)
    plain = onnx_network(
        tmp_path,
        [helper.make_node("LSTM", ["x", "W", "R", "B"], ["y", "", ""], hidden_size=5, direction=direction)],
        {name: weights[name] for name in "WRB"},
        6, 2, 7,
    )  # fmt: skip
    more = sum(x.vector_ops for x in network.layers) - sum(x.vector_ops for x in plain.layers)
    assert more == ways * 2 * 15 * 6 * 2  # a product and a sum for each weight, step and sequence


def test_the_same_slice_of_a_weight_twice(tmp_path):
    bounds = {"a": np.array([0]), "b": np.array([4]), "axis": np.array([1])}
    nodes = [
        helper.make_node("Slice", ["w", "a", "b", "axis"], ["one"]),
        helper.make_node("Slice", ["w", "a", "b", "axis"], ["two"]),
        helper.make_node("MatMul", ["x", "one"], ["h"]),
        helper.make_node("MatMul", ["h", "two"], ["y"]),
    ]
    assert onnx_network(tmp_path, nodes, {"w": floats(4, 4), **bounds}, 3, 4).params == 16


def test_rows_of_a_table_by_constant_indices(tmp_path):
    nodes = [
        helper.make_node("Gather", ["t", "i"], ["rows"]),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "rows"], ["y"]),
    ]
    weights = {"t": floats(9, 4), "i": np.arange(3), "w": floats(4, 4)}
    assert onnx_network(tmp_path, nodes, weights, 3, 4).params == 36 + 16


# What of them is read, and their zeros


@pytest.mark.parametrize(
    "function",
    [
        lambda n, x: n.l(torch.cat([n.c.expand(x.shape[0], -1, -1), x], 1)),
        lambda n, x: n.l(torch.cat([n.c.repeat(x.shape[0], 1, 1), x], 1)),
    ],
)
def test_what_is_spread_over_a_batch_is_read_once(function):
    module = Net(function, c=torch.zeros(1, 1, 8), l=fc()).eval()
    one, three = load_model(module, X[:1]).with_batch(3), load_model(module, torch.zeros(3, 5, 8))
    reads = [[(x.name, x.read_elements, x.read_weights, x.params) for x in n.layers] for n in (one, three)]
    assert reads[0] == reads[1] == [("cat", 120, 8, 8), ("l", 0, 0, 72)]


@pytest.mark.filterwarnings("ignore")
def test_zeros_of_slices_of_a_weight(tmp_path):
    module = nn.MultiheadAttention(8, 2, batch_first=True, bias=False).eval()
    with torch.no_grad():
        module.in_proj_weight.fill_(1.0)
        module.in_proj_weight[8:12] = 0  # half of the keys
        module.in_proj_weight[16:, :2] = 0  # a quarter of the values
        module.out_proj.weight.fill_(1.0)
    given = (X, torch.zeros(2, 6, 8), torch.zeros(2, 7, 8)[:, :6])
    torch.export.save(torch.export.export(module, given), tmp_path / "net.pt2")
    for model, example in ((module, given), (tmp_path / "net.pt2", None)):
        options = {"hardware": "eyeriss-normalized", "search": EXACT, "sparsity": "given"}
        found = picojoule.estimate(model, example, **options)
        zeros = [x.zeros["weights"] for x in found.layers if x.kind == "fc"]
        assert zeros == [0.0, 0.5, 0.25, 0.0]
