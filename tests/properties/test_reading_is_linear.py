"""Reading a network of a thousand layers takes as much work per layer as one of two hundred: lines are counted, not
time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.onnx_models import OnnxBuilder

import picojoule
from picojoule.frontends import load_model
from picojoule.frontends.torch_calls import Call, Program, Ref
from picojoule.frontends.torch_graph import network_of

OURS = str(Path(picojoule.__file__).parent)


def lines_of(work: Callable[[], Any]) -> int:
    """Lines of our code that are executed while ``work`` runs, loops counted round by round."""
    count = 0

    def within(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return within

    def follow(frame: FrameType, event: str, argument: object) -> Any:
        return within if frame.f_code.co_filename.startswith(OURS) else None

    before = sys.gettrace()
    sys.settrace(follow)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def onnx_chain(layers: int, folder: Path) -> Callable[[], Any]:
    """Convolutions of one name, each with a BatchNorm, an activation and a sum with what came before."""
    net = OnnxBuilder(1, 4, 6, 6)
    for _ in range(layers // 2):
        entry = net.last
        net.conv("conv", 4, 3, pad=1, batch_norm=True, activation="Relu")
        net.node("Add", [entry, net.last], name="sum")
    path = net.save(folder / f"{layers}.onnx")
    return lambda: load_model(path)


def torch_chain(layers: int, folder: Path) -> Callable[[], Any]:
    """The same as a traced program, as torch.export would give it."""
    tensor, sizes, calls = "x", {"x": (1, 4, 6, 6), "w": (4, 4, 3, 3)}, []
    for index in range(layers // 2):
        for target, arguments in (
            ("aten.conv2d.default", {"input": Ref(tensor), "weight": Ref("w"), "padding": [1, 1]}),
            ("aten.relu.default", {"self": Ref(f"conv2d{index}")}),
            ("aten.add.Tensor", {"self": Ref(tensor), "other": Ref(f"relu{index}")}),
        ):
            name = f"{target.split('.')[1]}{index}"
            calls.append(Call(target=target, name=name, arguments=arguments, outputs=(name,), modules=(("", "Net"),)))
            sizes[name] = (1, 4, 6, 6)
        tensor = f"add{index}"
    program = Program(inputs=("x",), parameters={"w": "weight"}, sizes=sizes, outputs=(tensor,), calls=tuple(calls))
    return lambda: network_of(program, name="chain", label="chain", shape=None, source="")


@pytest.mark.parametrize("chain", [onnx_chain, torch_chain])
def test_work_grows_no_faster_than_the_network(chain, tmp_path):
    chain(20, tmp_path)()  # what is imported or cached the first time
    few, many = (lines_of(chain(layers, tmp_path)) for layers in (200, 1000))
    assert len(chain(1000, tmp_path)().layers) == 1000
    assert few > 200 * 5
    assert many <= 5 * few * 1.02


def test_the_count_sees_what_is_quadratic(monkeypatch, tmp_path):
    """A name looked for from the start every time, as it once was."""

    def slow(name: str, taken: dict[str, int]) -> str:
        count = 1
        while f"{name} ({count})" in taken:
            count += 1
        taken[f"{name} ({count})"] = 1
        return f"{name} ({count})"

    monkeypatch.setattr(slow, "__code__", slow.__code__.replace(co_filename=f"{OURS}/slow.py"))
    monkeypatch.setattr("picojoule.frontends.torch_scribe.free_name", slow)
    few, many = (lines_of(torch_chain(layers, tmp_path)) for layers in (200, 1000))
    assert many > 5 * few * 1.02
