"""Where a network can be cut in two: after which of its layers one tensor alone is handed on.

A network in a row, or with shortcuts inside of its blocks, has such places between its blocks. They are found in the graph that
``torch.fx`` records, so that the network needs no change.
"""

from __future__ import annotations

import copy
import itertools
import traceback
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError, UnknownNameError, UsageError, nearest
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

_PRODUCTS = (
    "addmm", "baddbmm", "bmm", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "einsum",
    "linear", "matmul", "mm", "scaled_dot_product_attention",
)  # fmt: skip
_OURS = ("torch/fx", "torch/nn/modules/module.py", "picojoule/exits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an exit may read.

    Attributes:
        name: of the layer or block that it is behind. What follows without weights, an activation or a pool, belongs to it.
        names: all layers and blocks that end here.
        node: of the recorded graph.
        shape: of the tensor that crosses, without the batch.
        before: layers with weights up to here, in order.
    """

    name: str
    names: tuple[str, ...]
    node: str
    shape: tuple[int, ...]
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cuttable:
    """A network that was recorded layer by layer.

    Attributes:
        traced: the network for evaluation; it computes what the network does, to the bit.
        places: where one tensor alone crosses, from the input to the output, with layers before and behind.
        crossing: the other layers and blocks, and the tensors that cross after each.
        classes: that the network tells apart.
    """

    traced: torch.fx.GraphModule
    places: tuple[Place, ...]
    crossing: dict[str, tuple[str, ...]]
    classes: int

    def named(self, names: Sequence[str]) -> tuple[Place, ...]:
        """The places of those names, in the network's order.

        Raises:
            UnknownNameError: the network has no such layer.
            UsageError: no name, a place twice, or a layer behind which nothing is left to save.
            ModelError: more than one tensor crosses there.
        """
        if not names:
            raise UsageError("no place is named", where="at", hint=f"Places: {self._shown}.")
        by_name = {name: place for place in self.places for name in place.names}
        found: list[Place] = []
        for name in names:
            place = by_name.get(name)
            if place is None:
                raise self._refused(name, by_name)
            if place in found:
                raise UsageError(f"{name!r} is a place that was named already: {place.name}", where="at")
            found.append(place)
        return tuple(sorted(found, key=self.places.index))

    @property
    def _shown(self) -> str:
        return ", ".join(place.name for place in self.places)

    def _refused(self, name: str, by_name: dict[str, Place]) -> Exception:
        if tensors := self.crossing.get(name):
            parts = name.split(".")
            around = next((n for k in range(len(parts) - 1, 0, -1) if (n := ".".join(parts[:k])) in by_name), None)
            return ModelError(
                f"it can't be cut after {name!r}, where {_crossing(tensors)}",
                where="at",
                hint=f"One tensor alone crosses after {around!r}." if around else f"Places: {self._shown}.",
            )
        if name in self.crossing or name in dict(self.traced.named_modules()):
            return UsageError(
                f"behind {name!r} there is no layer left that an exit could save", where="at", hint=f"Places: {self._shown}."
            )
        return UnknownNameError(f"the network has no layer {name!r}", where="at", hint=nearest(name, list(by_name)))


def cuttable(module: torch.nn.Module, example: torch.Tensor) -> Cuttable:
    """Records a network and finds where it can be cut.

    Args:
        module: takes one tensor, batch first, and returns batch × classes. It stays as it is.
        example: an input.

    Raises:
        ModelError: its forward can't be recorded, computes something else when it is, returns something else, or leaves no place to
            cut (says where, and what to change).
    """
    torch = import_torch()
    where = type(module).__name__
    try:
        with torch.no_grad():
            own = copy.deepcopy(module).eval()(_two(torch, example))
    except Exception as problem:  # the user's forward: whatever it raises
        raise ModelError(
            f"it doesn't run on a batch of two inputs of {list(example.shape[1:])}: {_line(problem)}",
            where=where,
            hint="Give an example input as the network takes it, batch first.",
        ) from problem
    traced = _traced(torch, module)
    shapes, answer = _run(torch, traced, _two(torch, example))
    if not isinstance(own, torch.Tensor) or own.ndim != 2 or own.shape[1] < 2:
        shown = f"a tensor of {list(own.shape)}" if isinstance(own, torch.Tensor) else f"a {type(own).__name__}"
        raise ModelError(
            f"for a batch of two it returns {shown}, and an exit answers with scores of classes, batch × classes",
            where=where,
            hint="Let forward return the logits alone.",
        )
    if not isinstance(answer, torch.Tensor) or not torch.equal(own, answer):
        raise ModelError(
            "recorded layer by layer it computes something else",
            where=where,
            hint="Does forward draw at random, keep a state, or take another way by its input?",
        )
    places, crossing = _places(torch, traced, shapes)
    if not places:
        worst = next(((name, tensors) for name, tensors in crossing.items() if tensors), None)
        if worst is None:
            raise ModelError("it has one layer with weights: there is nothing to leave early", where=where)
        raise ModelError(
            f"its forward can't be cut in stages: wherever layers are left, more than one tensor crosses; after {worst[0]!r}"
            f" {_crossing(worst[1])}",
            where=where,
            hint="An exit can stand where all that follows reads one tensor: let shortcuts end within a block, and blocks follow in a row.",
        )
    return Cuttable(traced, places, crossing, own.shape[1])


def _crossing(tensors: Sequence[str]) -> str:
    if len(tensors) == 1:
        return f"{tensors[0]} crosses, which hasn't the batch along its first axis"
    return f"{len(tensors)} tensors cross: {', '.join(tensors[:-1])} and {tensors[-1]}"


def _line(problem: Exception) -> str:
    return str(problem).splitlines()[0] if str(problem) else type(problem).__name__


def _two(torch: Any, example: Any) -> Any:
    """A batch of two inputs that differ, so that what mixes them up shows."""
    if not example.is_floating_point():
        return torch.cat([example[:1], example[:1]])
    return torch.randn(2, *example.shape[1:], generator=torch.Generator().manual_seed(0)).to(example.dtype)


def _traced(torch: Any, module: Any) -> Any:
    module = copy.deepcopy(module).eval()
    for part in module.modules():
        if getattr(part, "inplace", False):
            part.inplace = False  # an exit may still need what an activation would overwrite
    class Tracer(torch.fx.Tracer):  # type: ignore[misc,name-defined]
        """A module whose forward can't be recorded, because its way depends on sizes say, is one layer."""

        def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
            last, around = next(iter(reversed(self.graph.nodes))), len(self.module_stack)
            try:
                return super().call_module(m, forward, args, kwargs)
            except Exception:  # the user's forward: whatever it raises while it is recorded
                while next(iter(reversed(self.graph.nodes))) is not last:
                    self.graph.erase_node(next(iter(reversed(self.graph.nodes))))
                while len(self.module_stack) > around:
                    self.module_stack.popitem()
                return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)

    tracer = Tracer()
    try:
        graph = tracer.trace(module)
        return torch.fx.GraphModule(tracer.root, graph, type(module).__name__)
    except Exception as problem:  # the user's forward: whatever it raises while it is recorded
        frames = [f for f in traceback.extract_tb(problem.__traceback__) if not any(part in f.filename for part in _OURS)]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else type(module).__name__
        raise ModelError(
            f"its forward can't be cut in stages, because it can't be recorded: {_line(problem)}",
            where=place,
            hint="Its way must not depend on values: no if, loop or Python number made from a tensor. torch.fx says what it can record.",
        ) from problem


def _run(torch: Any, traced: Any, batch: Any) -> tuple[dict[Any, tuple[int, ...] | None], Any]:
    """Shapes of the tensors that nodes make, () for what holds several and None for what holds none; and the answer."""
    found: dict[Any, tuple[int, ...] | None] = {}

    def holds(value: Any) -> bool:
        return isinstance(value, torch.Tensor) or (isinstance(value, tuple | list) and any(map(holds, value)))

    class Recorder(torch.fx.Interpreter):  # type: ignore[misc,name-defined]
        def run_node(self, node: Any) -> Any:
            value = super().run_node(node)
            found[node] = tuple(value.shape) if isinstance(value, torch.Tensor) else () if holds(value) else None
            return value

    with torch.no_grad():
        return found, Recorder(traced).run(batch)


def _places(
    torch: Any, traced: Any, shapes: dict[Any, tuple[int, ...] | None]
) -> tuple[tuple[Place, ...], dict[str, tuple[str, ...]]]:
    """See ``Cuttable``."""
    nodes = list(traced.graph.nodes)
    number = {node: index for index, node in enumerate(nodes)}
    modules = dict(traced.named_modules())
    heavy = {node: None for node in nodes if _weighs(node, modules)}
    # What doesn't depend on the input, and sizes, can be had anew behind a cut.
    data = {node for node in _depending(nodes) if shapes[node] is not None and node.op != "output"}
    last = {node: max((number[user] for user in node.users), default=-1) for node in data}
    passed = dict(zip(nodes, itertools.accumulate(node in heavy for node in nodes), strict=True))
    living: dict[Any, tuple[Any, ...]] = {}
    crosses: tuple[Any, ...] = ()
    for index, node in enumerate(nodes):
        crosses = tuple(one for one in (*crosses, *([node] if node in data else [])) if last[one] > index)
        living[node] = crosses
    cuts = {node for node in data if living[node] == (node,) and (shapes[node] or (0,))[0] == 2}
    final = {passed[node]: node for node in nodes if node in cuts and 0 < passed[node] < len(heavy)}
    names: dict[Any, list[str]] = {node: [] for node in final.values()}
    crossing: dict[str, tuple[str, ...]] = {}
    late: dict[int, list[str]] = {}
    for name, node in _ends(nodes, heavy):
        place = final.get(passed[node])
        if node in cuts and place is not None:
            names[place].append(name)
        else:
            between = 0 < passed[node] < len(heavy)
            crossing[name] = tuple(one.name for one in living[node]) if between else ()
            late.setdefault(passed[node], []).append(name)
    for node in names:
        if not names[node]:
            # A shortcut or branch that no block holds: the sum belongs to the layer before it.
            names[node] = [name for name in late.get(passed[node], []) if crossing.pop(name, None) is not None]
    places = tuple(
        Place(
            name=min(names[node], key=lambda name: name.count(".")),
            names=tuple(names[node]),
            node=node.name,
            shape=tuple(shapes[node] or ())[1:],
            before=tuple(one.target if one.op == "call_module" else one.name for one in itertools.islice(heavy, count)),
        )
        for count, node in sorted(final.items())
        if names[node]
    )
    return places, crossing


def _weighs(node: Any, modules: dict[str, Any]) -> bool:
    """Whether a node multiplies by weights, or matrices: a layer that an exit can save."""
    if node.op == "call_module":
        return any(parameter.ndim > 1 for parameter in modules[node.target].parameters())
    return node.op in ("call_function", "call_method") and getattr(node.target, "__name__", node.target) in _PRODUCTS


def _depending(nodes: Sequence[Any]) -> set[Any]:
    found: set[Any] = set()
    for node in nodes:
        if node.op == "placeholder" or any(one in found for one in node.all_input_nodes):
            found.add(node)
    return found


def _ends(nodes: Sequence[Any], heavy: Container[Any]) -> Iterator[tuple[str, Any]]:
    """Every layer and block with its last node; those that run again are numbered: ``conv (2)``."""
    count: dict[str, int] = {}
    stacks = [_stack(node, heavy) for node in nodes] + [()]
    for node, own, following in zip(nodes, stacks, stacks[1:], strict=False):
        for name in own[::-1]:
            if name not in following or node.target == name:
                count[name] = count.get(name, 0) + 1
                yield name if count[name] == 1 else f"{name} ({count[name]})", node


def _stack(node: Any, heavy: Container[Any]) -> tuple[str, ...]:
    """Names of the modules that a node runs in, its own last."""
    around = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values() if path]
    if node.op == "call_module" and node.target not in around:
        around.append(node.target)
    if node.op != "call_module" and node in heavy:
        around.append(node.name)
    return tuple(around)
