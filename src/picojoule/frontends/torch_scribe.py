"""Writes the nodes of the common graph for one call of a traced program after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from picojoule.errors import ModelError
from picojoule.frontends.graph import MULTIPLYING, Node, Shape, attribute, free_name
from picojoule.frontends.torch_calls import Call, Ref
from picojoule.frontends.torch_views import Storages


@dataclass(slots=True)
class Scribe:
    """The nodes so far, and the call at hand.

    Attributes:
        label: how messages name the network.
        shapes: of all tensors, those of parts of the program included.
        types: element types.
        names: from a name in the program to that in the graph, where they differ.
        constants: tensors that don't depend on what the network is given.
        bits: widths of the tensors that are stored quantized.
        storages: what is written in place, and the views of it.
        beside: where the call writes to a part of a tensor, what the part held before.
    """

    label: str
    shapes: dict[str, Shape] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)
    bits: dict[str, int] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    name: str = ""
    where: str = ""
    made: int = 0
    storages: Storages = field(default_factory=Storages)
    beside: tuple[str, ...] = ()

    def begin(self, call: Call, name: str, outputs: tuple[str, ...]) -> None:
        """What is written next belongs to ``call``."""
        self.name, self.outputs, self.made, self.beside = name, outputs, 0, ()
        self.where = self.place(call)
        for value in call.arguments.values():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, Ref):
                    self.reread(item.name)

    def reread(self, tensor: str) -> None:
        """Takes a view whose storage was written to from its newest version."""
        tensor = self.names.get(tensor, tensor)
        if not self.storages.is_stale(tensor):
            return
        now = f"{tensor}@{self.storages.version(tensor)}"
        self.like(now, tensor)
        whole = self.storages.now(self.storages.behind(tensor))
        self._append("Slice", [whole], (now,), f"{self.name}/view", "", {})
        self.storages.renew(tensor, now)

    def writes_to(self, tensor: str) -> None:
        """The call at hand overwrites ``tensor``, perhaps a view."""
        tensor = self.names.get(tensor, tensor)
        self.beside = () if self.storages.covers(tensor, self.shapes) else (self.storages.now(tensor),)

    def written(self, target: str, made: str) -> None:
        """What the call made stands in ``target`` now, and in the storage that it is a view of."""
        target = self.names.get(target, target)
        base, whole = self.storages.behind(target), made
        if target != base:
            whole = f"{base}@{self.storages.version(base) + 1}"
            kept = [] if self.storages.covers(target, self.shapes) else [self.storages.now(base)]
            self.like(whole, base)
            self._append("torch.Written", [made, *kept], (whole,), f"{self.name}/whole", "", {})
        self.storages.write(target, made, made, whole)

    def like(self, tensor: str, other: str) -> None:
        """``tensor`` has the shape and the element type of ``other``."""
        if other in self.shapes:
            self.shapes[tensor] = self.shapes[other]
        self.types[tensor] = self.types.get(other, "")

    def place(self, call: Call) -> str:
        """Where a call stands, for messages: the network, the layer, and the user's line if it is known."""
        lines = [line.strip() for line in call.trace.splitlines() if line.strip().startswith('File "')]
        own = [line for line in lines if "/torch/" not in line.split('"')[1]]
        file, line = "", ""
        if own:
            parts = own[-1].split('"')
            file, line = parts[1], parts[2].removeprefix(", line ").split(",")[0]
        return f"{self.label}: {self.name or call.name!r} ({self.own_name(call)}){f', {file}:{line}' if file else ''}"

    def own_name(self, call: Call) -> str:
        """The operator as PyTorch calls it, without its overload: aten.topk."""
        parts = call.target.split(".")
        return ".".join(parts[:2]).rstrip("_") if len(parts) > 1 else call.target

    def tensor(self, call: Call, name: str) -> str:
        """The tensor among the arguments called ``name``, or "" if there is none."""
        value = call.arguments.get(name)
        return self._of(value) if isinstance(value, Ref) else ""

    def tensors(self, call: Call, name: str) -> list[str]:
        """The tensors in the list ``name``; "" for each that is left out."""
        values = call.arguments.get(name)
        return [self._of(value) if isinstance(value, Ref) else "" for value in values or ()]

    def all_tensors(self, call: Call) -> list[str]:
        """Every tensor among the arguments, in order; numbers beside them are constants."""
        found: list[str] = []
        for name, value in call.arguments.items():
            if isinstance(value, Ref):
                found.append(self._of(value))
            elif isinstance(value, list) and any(isinstance(item, Ref) for item in value):
                found += [self._of(item) for item in value if isinstance(item, Ref)]
            elif name in ("other", "self", "exponent", "value") and isinstance(value, int | float | str):
                found.append(self.number_tensor())
        return found

    def first(self, call: Call) -> str:
        """The first tensor among the arguments."""
        return next((name for name in self.all_tensors(call) if name in self.shapes), "")

    def number_tensor(self) -> str:
        """A constant of one element."""
        self.shapes["a number"] = ()
        self.constants.add("a number")
        return "a number"

    def known(self, tensor: str) -> Shape:
        """The shape of a tensor of the graph.

        Raises:
            ModelError: it depends on data, or on sizes that nobody gave.
        """
        shape = self.shapes.get(tensor)
        if shape is None:
            raise ModelError(
                f"the shape of {tensor!r} can't be found out: it depends on data or on an open size",
                where=self.where,
                hint="Export the network with static shapes.",
            )
        return shape

    def shape(self, call: Call, name: str) -> Shape:
        """The shape of the argument ``name``."""
        tensor = self.tensor(call, name)
        if not tensor:
            raise ModelError(f"{self.own_name(call)} has no tensor {name!r}", where=self.where)
        return self.known(tensor)

    def made_shape(self) -> Shape:
        """The shape of what the call makes."""
        return self.known(self.outputs[0])

    def number(self, call: Call, name: str, default: int) -> int:
        value = call.arguments.get(name, default)
        if not isinstance(value, int):
            raise ModelError(f"{name} is {value!r}, not known beforehand", where=self.where)
        return int(value)

    def several(self, call: Call, name: str, count: int, default: int | Shape) -> Shape:
        """``count`` whole numbers, which may be given as one."""
        value: Any = call.arguments.get(name)
        if value is None or value == []:
            value = default
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        values = values * count if len(values) == 1 else values
        if len(values) != count or any(not isinstance(item, int) for item in values):
            raise ModelError(f"{name} is {value!r}; {count} whole numbers are allowed", where=self.where)
        return values

    def refuse_training(self, call: Call, name: str, hint: str) -> None:
        """Raises ModelError where the argument ``name`` says that the network is in training mode."""
        value = call.arguments.get(name)
        if value:
            raise ModelError(
                f"the network is in training mode: {self.own_name(call)} has {name}={value}",
                where=self.where,
                hint=hint,
            )

    def batched(self, call: Call, name: str, rank: int) -> tuple[str, Shape | None]:
        """The argument with ``rank`` axes, a batch of one put before where it lacks one; and the result's shape
        then."""
        tensor, shape = self.tensor(call, name), self.shape(call, name)
        if len(shape) >= rank:
            return tensor, None
        return self.side("Unsqueeze", [tensor], (1, *shape)), (1, *self.made_shape())

    def side(
        self,
        op: str,
        inputs: Sequence[str],
        shape: Shape,
        *,
        main: bool = False,
        suffix: str = "",
        **attributes: Any,
    ) -> str:
        """A node on the way to the result; ``main`` gives it the name of the call. Returns the tensor that it makes."""
        self.made += 1
        output = f"{self.outputs[0]}/{self.made}"
        self.shapes[output] = shape
        name = f"{self.name}{suffix}" if main else f"{self.name}/{op.lower()}{self.made}"
        self._append(op, inputs, (output,), name, "", attributes)
        return output

    def write(
        self,
        op: str,
        inputs: Iterable[str],
        *,
        like: str = "",
        batched: Shape | None = None,
        width: int = 0,
        suffix: str = "",
        **attributes: Any,
    ) -> None:
        """The node that makes what the call makes.

        Args:
            op: in ONNX's words.
            inputs: tensors of the graph, "" for one left out.
            like: the operator of ONNX that stands for ``op``.
            batched: the shape of the result with the batch that the call does without.
            width: bits in which the result is stored.
            suffix: sets it apart from a node before it that has the name of the call.
            attributes: by their names in ONNX.
        """
        if width:
            self.bits[self.outputs[0]] = width
        if batched is None:
            self._append(op, list(inputs), self.outputs, self.name + suffix, like, attributes)
            return
        result = self.side(op, list(inputs), batched, main=True, **attributes)
        self._append("Squeeze", [result], self.outputs[:1], f"{self.name}/squeeze", "", {})

    def write_part(self, op: str, inputs: Sequence[str], shape: Shape) -> None:
        """``op`` writes elements of the ``shape`` into the second of ``inputs``: that is what the call makes."""
        self.made += 1
        part = f"{self.outputs[0]}/{self.made}"
        self.shapes[part] = shape
        self._append(op, inputs, (part,), self.name, "torch.Write", {})
        self._append("torch.Written", [part, inputs[1]], self.outputs[:1], f"{self.name}/all", "", {})

    def part_of(self, tensors: list[str], shape: Shape) -> str:
        """What two directions made, side by side: they write it there, so nothing moves."""
        self.made += 1
        output = f"{self.outputs[0]}/{self.made}"
        self.shapes[output] = shape
        self._append("Slice", tensors, (output,), f"{self.name}/both{self.made}", "", {})
        return output

    def finish(self, tensor: str) -> None:
        """The results of the call are what lies in ``tensor``, or parts of it."""
        for index, output in enumerate(self.outputs):
            self._append("Slice" if index else "Identity", [tensor], (output,), f"{self.name}/out{index}", "", {})

    def stored(self, tensor: str, width: int) -> None:
        """Notes that ``tensor`` is stored in so many bits."""
        self.bits.setdefault(tensor, width)

    def _check_types(self, types: list[str]) -> None:
        """Tracing on tensors without data lets products pass that no real data would."""
        if any(kind.startswith("complex") for kind in types):
            raise ModelError(
                "it multiplies complex numbers; products of real or whole ones are what picojoule costs",
                where=self.where,
            )
        if len({"float" in kind for kind in types if kind}) > 1:
            raise ModelError(f"it multiplies {types[0]} with {types[1]} elements", where=self.where)

    def tensor_of(self, name: str) -> str:
        """The tensor of the graph that stands for ``name`` of the program now."""
        return self.storages.now(self.names.get(name, name))

    def _of(self, ref: Ref) -> str:
        return self.tensor_of(ref.name)

    def _append(
        self, op: str, inputs: Sequence[str], outputs: tuple[str, ...], name: str, like: str, attributes: dict[str, Any]
    ) -> None:
        given = [tensor for tensor in inputs if tensor]
        if given and all(tensor in self.constants for tensor in given):
            self.constants.update(outputs)
        if op in MULTIPLYING:
            self._check_types([self.types.get(tensor, "") for tensor in given[:2]])
        self.nodes.append(
            Node(
                name=free_name(name, self.taken),
                op=op,
                inputs=tuple(inputs),
                outputs=outputs,
                attributes={key: attribute(value) for key, value in attributes.items()},
                captures=frozenset(),
                place=self.where,
                like=like,
                title=name,
            )
        )
