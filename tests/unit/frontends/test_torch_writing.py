"""PyTorch networks that write in place: into views of new tensors, into activations, into buffers that they keep."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.flop_counter import counted
from torch import nn

from picojoule.frontends import load_model
from picojoule.workload import Network
from picojoule.workload.coverage import coverage


class Writing(nn.Module):
    """Writes the result of a layer into a tensor, which another layer reads."""

    def __init__(self, write: Callable[[torch.Tensor, torch.Tensor], object]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.write = write

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = torch.zeros(2, 8)
        self.write(made, self.first(x))
        return self.second(made)


def every_form(module: nn.Module, *example: torch.Tensor, folder: Path) -> list[Network]:
    """The network of a module, of its program, of its functional program and of a file of each."""
    with torch.no_grad():
        exported = torch.export.export(module.eval(), example)
        programs = [exported]
        with contextlib.suppress(RuntimeError):  # PyTorch itself makes none of programs that write to one of many views
            programs.append(exported.run_decompositions({}))
    found = [load_model(module, example), *map(load_model, programs)]
    for number, program in enumerate(programs):
        torch.export.save(program, folder / f"{number}.pt2")
        found.append(load_model(folder / f"{number}.pt2"))
    return found


def assign(where: object) -> Callable[[torch.Tensor, torch.Tensor], None]:
    def write(made: torch.Tensor, y: torch.Tensor) -> None:
        made[where] = y[where]

    return write


def add_to_half(made: torch.Tensor, y: torch.Tensor) -> None:
    made[:, :4] += y[:, :4]


def row_by_row(made: torch.Tensor, y: torch.Tensor) -> None:
    for row in range(2):
        made[row] = y[row]


def through_two_views(made: torch.Tensor, y: torch.Tensor) -> None:
    made.view(-1)[3:7].copy_(y.reshape(-1)[3:7])


def without_gradients(made: torch.Tensor, y: torch.Tensor) -> None:
    with torch.no_grad():
        made[:, 4:] = y[:, 4:]


WRITES: dict[str, Callable[[torch.Tensor, torch.Tensor], object]] = {
    "columns": assign((slice(None), slice(0, 4))),
    "every second column": assign((slice(None), slice(None, None, 2))),
    "a row": assign(0),
    "row by row": row_by_row,
    "all": assign(slice(None)),
    "a sum on columns": add_to_half,
    "narrow": lambda made, y: made.narrow(1, 0, 4).copy_(y[:, :4]),
    "chunk": lambda made, y: made.chunk(2, 1)[1].copy_(y[:, :4]),
    "split": lambda made, y: made.split([3, 5], 1)[1].copy_(y[:, :5]),
    "unbind": lambda made, y: made.unbind(0)[0].add_(y[0]),
    "transposed": lambda made, y: made.T.copy_(y.T),
    "a view": lambda made, y: made.view(-1).add_(y.reshape(-1)),
    "a view of a view": through_two_views,
    "diagonal": lambda made, y: made.diagonal().copy_(y.diagonal()),
    "copy_": lambda made, y: made.copy_(y),
    "scatter_": lambda made, y: made.scatter_(1, torch.zeros(2, 8, dtype=torch.long), y),
    "index_add_": lambda made, y: made.index_add_(0, torch.tensor([0, 1]), y),
    "index_put_": lambda made, y: made.index_put_((torch.tensor([0]),), y[:1]),
    "masked_scatter_": lambda made, y: made.masked_scatter_(made == 0, y),
    "no_grad": without_gradients,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_what_is_written_is_no_constant_any_more(write, tmp_path):
    module, x = Writing(write).eval(), torch.zeros(2, 8)
    for network in every_form(module, x, folder=tmp_path):
        assert (network.macs, network.params) == (counted(module, x), 144) == (256, 144)
        assert network.not_costed == ()
        assert network.flow is not None  # the second layer is known to read what the first one wrote
        assert "first" in {name for names in network.flow.reads for name in names}


def test_writing_moves_what_is_written_alone_and_the_reader_holds_all_of_it():
    network = load_model(Writing(row_by_row).eval(), torch.zeros(2, 8))
    rows = {layer.name: (layer.read_elements, layer.written_elements) for layer in network.layers if not layer.nest}
    assert rows == {"copy": (8, 8), "copy (2)": (8, 8)}
    assert network.flow is not None
    assert network.flow.reads[-1] == ("copy (2)", "copy")


def test_a_view_that_was_taken_before_sees_what_is_written_later():
    class Views(Writing):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made = torch.zeros(2, 8)
            seen = made.view(4, 4).view(2, 8)
            made[:, :4] = self.first(x)[:, :4]
            return self.second(seen)

    module, x = Views(print).eval(), torch.zeros(2, 8)
    network = load_model(module, x)
    assert (network.macs, network.params) == (counted(module, x), 144)


def test_out_is_written():
    class Out(Writing):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made = torch.zeros(2, 8)
            y = self.first(x).detach()
            torch.add(y, y, out=made)
            return self.second(made)

    module, x = Out(print).eval().requires_grad_(False), torch.zeros(2, 8)
    network = load_model(module, x)
    assert (network.macs, network.params) == (counted(module, x), 144)


def test_what_is_constant_stays_so_where_only_constants_are_written():
    def write(made: torch.Tensor, y: torch.Tensor) -> None:
        made[:, :4] = 1.0

    network = load_model(Writing(write).eval(), torch.zeros(2, 8))
    assert [layer.name for layer in network.layers] == ["first"]  # what nothing given reaches is worked out, not run


def test_a_part_of_an_activation_that_is_filled_is_a_row_of_its_own():
    class Column(Writing):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x)
            y[:, 0] = 0
            return self.second(y)

    network = load_model(Column(print).eval(), torch.zeros(2, 8))
    assert [(x.name, x.read_elements, x.written_elements) for x in network.layers if not x.nest] == [("fill", 0, 2)]
    assert network.flow is not None
    assert network.flow.reads[-1] == ("first", "fill") or network.flow.reads[-1] == ("fill", "first")


# Buffers that the network keeps


class Cache(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(8, 8)
        self.register_buffer("kept", torch.zeros(1, 20, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.key(x)
        self.kept[:, 3:4] = y
        return (y @ self.kept.transpose(1, 2)).softmax(-1) @ self.kept


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.again = nn.Linear(8, 8), nn.Linear(8, 8)
        self.register_buffer("state", torch.zeros(2, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.state = torch.tanh(self.enter(x) + self.again(self.state))
        return self.state


@pytest.mark.filterwarnings("ignore")  # torch, of its own ways to decompose a program
def test_a_cache_of_keys_is_held_and_no_weight(tmp_path):
    module, x = Cache().eval(), torch.zeros(1, 1, 8)
    for network in every_form(module, x, folder=tmp_path):
        assert (network.macs, network.params) == (counted(module, x), 72) == (64 + 2 * 160, 72)
        assert [layer.kind for layer in network.layers if layer.nest] == ["fc", "matmul", "matmul"]
        assert network.flow is not None
        assert [(one.elements, one.held) for one in network.flow.given] == [(8, False), (160, True)]


@pytest.mark.filterwarnings("ignore")
def test_a_state_that_is_replaced_is_no_constant(tmp_path):
    module, x = Stateful().eval(), torch.zeros(2, 8)
    for network in every_form(module, x, folder=tmp_path):
        assert (network.macs, network.params) == (counted(module, x), 144) == (256, 144)
        assert network.flow is not None
        assert [(one.name, one.held) for one in network.flow.given] == [("x", False), ("state", True)]


def test_a_buffer_that_nobody_writes_is_constant():
    class Fixed(Stateful):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.enter(x + self.again(self.state))

    network = load_model(Fixed().eval(), torch.zeros(2, 8))
    assert network.macs == 128
    assert network.flow is not None
    assert [one.name for one in network.flow.given] == ["x"]


# What multiplies out of sight


def test_of_a_vmap_the_share_of_macs_is_unknown(tmp_path):
    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.vmap(self.first)(x)

    module, x = Mapped().eval(), torch.zeros(64, 8)
    torch.export.save(torch.export.export(module, (x,)), tmp_path / "mapped.pt2")
    for network in (load_model(module, x), load_model(tmp_path / "mapped.pt2")):
        assert [one.op for one in network.not_costed] == ["functorch._add_batch_dim", "functorch._remove_batch_dim"]
        assert coverage([], network.not_costed, 8, vector_priced=True)["macs"] is None


@pytest.mark.parametrize(
    "shapes", [((5, 3, 4), (5, 4, 4)), ((2, 3, 4), (5, 4)), ((4,), (3, 4)), ((3, 4), (4,)), ((4,), (4,))]
)
def test_inner_is_every_row_with_every_row(shapes):
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.inner(x, y)

    x, y = (torch.zeros(shape) for shape in shapes)
    result = torch.inner(x, y)
    # PyTorch's counter knows matrices, no vectors.
    if x.dim() > 1 and y.dim() > 1:
        assert load_model(Inner().eval(), (x, y)).macs == counted(Inner(), x, y)
    assert load_model(Inner().eval(), (x, y)).macs == result.numel() * 4


THIRD = torch.tensor([3])


def by_index(cache: torch.Tensor, y: torch.Tensor) -> None:
    cache[:, THIRD] = y


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("write", "read", "written"),
    [
        (lambda cache, y: cache.narrow(1, 3, 1).copy_(y), 8, 8),
        (by_index, 8, 8),
        (lambda cache, y: cache.index_copy_(1, THIRD, y), 8, 8),
        (lambda cache, y: cache.scatter_(1, torch.full((1, 1, 8), 3), y), 8, 8),
        (lambda cache, y: cache.scatter_(1, torch.full((1, 1, 4), 3), y), 4, 4),
        (lambda cache, y: cache.scatter_(1, y.argsort(-1), 1.0), 8, 8),
        (lambda cache, y: cache.scatter_add_(1, torch.full((1, 1, 8), 3), y), 16, 8),
        (lambda cache, y: cache.scatter_reduce_(1, torch.full((1, 1, 8), 3), y, "amax"), 16, 8),
        (lambda cache, y: cache.index_add_(1, THIRD, y), 16, 8),
        (lambda cache, y: cache.index_put_((torch.tensor([0]), THIRD), y[0]), 8, 8),
        (lambda cache, y: cache.index_put_((torch.tensor([0]), THIRD), y[0], accumulate=True), 16, 8),
        (lambda cache, y: cache[:, 2:9].index_fill_(1, THIRD, 0.0), 0, 8),
        (lambda cache, y: cache[:, 2:9].index_copy_(1, THIRD, y), 8, 8),
    ],
)
def test_what_is_written_by_index_moves_alone(write, read, written, tmp_path):
    class ByIndex(Cache):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.key(x)
            write(self.kept, y)
            return y @ self.kept.transpose(1, 2)

    module, x = ByIndex().eval(), torch.zeros(1, 1, 8)
    torch.export.save(torch.export.export(module, (x,)), tmp_path / "cache.pt2")
    for network in (load_model(module, x), load_model(tmp_path / "cache.pt2")):
        rows = [(layer.read_elements, layer.written_elements) for layer in network.layers if not layer.nest]
        assert rows == [(read, written)]
        assert network.macs == 64 + 160
        assert network.flow is not None
        row = next(index for index, layer in enumerate(network.layers) if not layer.nest)
        assert {network.layers[0].name, network.layers[row].name, "kept"} >= set(network.flow.reads[-1])
        assert {network.layers[row].name, "kept"} <= set(network.flow.reads[-1])


def test_what_is_written_where_data_say_copies_the_whole():
    def by_mask(made: torch.Tensor, y: torch.Tensor) -> None:
        made[y > 0] = 1.0

    network = load_model(Writing(by_mask).eval(), torch.zeros(2, 8))
    assert network.macs == 256
    assert [layer.written_elements for layer in network.layers if layer.op == "aten.index_put"] == [16]


# Operators that hand nothing back


@torch.library.custom_op("picojoule_tests::put", mutates_args=("into",))
def put(into: torch.Tensor, y: torch.Tensor) -> None:
    into.copy_(y)


@torch.library.custom_op("picojoule_tests::put_and_count", mutates_args=("into", "other"))
def put_and_count(y: torch.Tensor, into: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    into.copy_(y)
    other.copy_(y)
    return y.sum(0)


@put_and_count.register_fake
def _(y: torch.Tensor, into: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return y.sum(0)


def put_twice(made: torch.Tensor, y: torch.Tensor) -> None:
    put(made, y)
    put(made[:, :4], y[:, :4])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("write", "times"),
    [(put, 1), (put_twice, 2), (lambda made, y: put_and_count(y, torch.zeros(2, 8), made), 1)],
    ids=["put", "twice", "put and count"],
)
def test_what_an_unknown_operator_writes_is_no_constant_any_more(write, times):
    module, x = Writing(write).eval(), torch.zeros(2, 8)
    for model in ((module, x), (torch.export.export(module, (x,)), None)):
        network = load_model(*model)
        assert network.macs == 256
        assert {one.op.split(".")[0] for one in network.not_costed} == {"picojoule_tests"}
        assert len(network.not_costed) == times
        assert coverage([], network.not_costed, 8, vector_priced=True)["macs"] is None


def test_of_a_file_an_unknown_operator_that_hands_back_nothing_may_write_to_all_it_is_given(tmp_path):
    torch.export.save(torch.export.export(Writing(put_twice).eval(), (torch.zeros(2, 8),)), tmp_path / "put.pt2")
    network = load_model(tmp_path / "put.pt2")
    assert (network.macs, [one.op for one in network.not_costed]) == (256, ["picojoule_tests.put"] * 2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "write",
    [
        lambda made, y: torch._foreach_add_([made[:, :4], made[:, 4:]], [y[:, :4], y[:, 4:]]),
        lambda made, y: torch._foreach_copy_([made], [y]),
        lambda made, y: torch._foreach_add_([made], torch._foreach_mul([y], 2.0)),
    ],
    ids=["add", "copy", "mul"],
)
def test_operators_on_lists_are_those_on_each_item(write, tmp_path):
    module, x = Writing(write).eval(), torch.zeros(2, 8)
    torch.export.save(torch.export.export(module, (x,)), tmp_path / "lists.pt2")
    for network in (load_model(module, x), load_model(tmp_path / "lists.pt2")):
        assert (network.macs, network.params, network.not_costed) == (256, 144, ())


@pytest.mark.filterwarnings("ignore")
def test_two_results_that_are_written_in_place():
    def write(made: torch.Tensor, y: torch.Tensor) -> None:
        with torch.no_grad():
            torch.max(y.detach().view(2, 8, 1), dim=2, out=(made, torch.zeros(2, 8, dtype=torch.long)))

    module = Writing(write).eval().requires_grad_(False)
    assert load_model(module, torch.zeros(2, 8)).macs == 256
