"""Runs a program that was read from a ``.pt2`` file, call by call, without torch loading that file.

``torch.export.load`` unpickles what the file says is pickled, and evaluates the formulas of its sizes as Python code.
Here the program is data: names of operators that picojoule knows, and plain values for their arguments.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError, PicojouleError
from picojoule.frontends.torch_calls import Call, Constant, Program, Ref, closed_shape, evaluate_size
from picojoule.frontends.torch_table import ATEN, CONSTANT, INLINED, NOTHING
from picojoule.frontends.torch_trace import import_torch
from picojoule.frontends.torch_views import written_inputs

if TYPE_CHECKING:
    import numpy as np
    import torch

_RUN = frozenset((*ATEN, *CONSTANT, *"argsort bucketize kthvalue searchsorted sort topk".split()))
"""Whatever a file asks for, nothing but these is called: no operator that reads or writes files is among them."""

_FLOATS = ("Infinity", "-Infinity", "NaN")
"""What a file says for numbers that JSON has no word for."""

_FAMILIES = ("aten", "quantized_decomposed")

_See = Callable[[str, "torch.Tensor"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A program with its parameters, ready to be given inputs.

    Attributes:
        program: as `torch_archive.read_archive` gives it.
        state: its parameters, buffers and constants, by the names of the tensors in the program. Every run starts from
            them, whatever the one before has written.
        symbols: the numbers that stand for its open sizes.
        label: how messages name it.
    """

    program: Program
    state: Mapping[str, torch.Tensor]
    symbols: Mapping[str, int]
    label: str

    def run(self, inputs: Mapping[str, np.ndarray], see: _See) -> None:
        """Runs the program once and shows each tensor, with its name, as it is made.

        Those inside a part of the program have the names that `torch_graph` gives them.

        Raises:
            ModelError: an operator that isn't known, or one that fails.
        """
        torch = import_torch("running a .pt2 file")
        tensors = untouched(self.state, self.program)
        for name, array in inputs.items():
            kind = getattr(torch, self.program.types[name], None)
            if kind is None:
                raise ModelError(f"input {name!r} has an element type that isn't known", where=self.label)
            tensors[name] = torch.from_numpy(array.copy()).to(kind)
            see(name, tensors[name])
        with torch.no_grad():
            self._calls(self.program, tensors, see)

    def _calls(self, program: Program, tensors: dict[str, torch.Tensor], see: _See) -> None:
        last_read = {name: index for index, call in enumerate(program.calls) for name in _reads(call)}
        done: dict[int, list[str]] = {}
        for name in last_read.keys() - set(program.outputs):
            done.setdefault(last_read[name], []).append(name)
        for index, call in enumerate(program.calls):
            try:
                self._call(call, program, tensors, see)
            except PicojouleError:
                raise
            except Exception as problem:  # kernels and their checks raise whatever they like
                said = (str(problem).strip() or type(problem).__name__).splitlines()[0]
                raise ModelError(f"PyTorch can't run it: {said[:300]}", where=self._place(call)) from problem
            for name in done.get(index, ()):
                tensors.pop(name, None)

    def _call(self, call: Call, program: Program, tensors: dict[str, torch.Tensor], see: _See) -> None:
        kind = _kind(call)
        inside = next((value for value in call.arguments.values() if isinstance(value, Program)), None)
        if kind in INLINED and inside is not None:
            self._part(call, inside, tensors, see)
        elif kind in NOTHING or not (call.outputs or any(True for _ in _reads(call))):
            return  # numbers alone: they are in the formulas of those who need them
        else:
            # What has no outputs may still change what it is given.
            made = self._results(call, tensors)
            for name, tensor in zip(call.outputs, made, strict=True):
                wanted = closed_shape(program.sizes[name], self.symbols) if name in program.sizes else None
                if wanted not in (None, tuple(tensor.shape)):
                    raise ModelError(
                        f"{name!r} comes out as {list(tensor.shape)}; the file says {list(wanted or ())}",
                        where=self._place(call),
                    )
                tensors[name] = tensor
                see(name, tensor)

    def _part(self, call: Call, inside: Program, tensors: dict[str, torch.Tensor], see: _See) -> None:
        """Runs a part of the program where it is called."""
        given = [value for _, value in sorted(call.numbered()) if not isinstance(value, Program)]
        modes, given = given[: len(given) - len(inside.inputs)], given[len(given) - len(inside.inputs) :]
        own = {
            name: _known(tensors, value.name)
            for name, value in zip(inside.inputs, given, strict=True)
            if isinstance(value, Ref)
        }
        results = dict(zip(inside.outputs, call.outputs, strict=True))
        with _autocast(modes) if _kind(call) == "wrap_with_autocast" else contextlib.nullcontext():
            self._calls(inside, own, lambda name, tensor: see(results.get(name, f"{call.name}.{name}"), tensor))
        for made, result in zip(inside.outputs, call.outputs, strict=True):
            tensors[result] = _known(own, made)

    def _results(self, call: Call, tensors: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """What ``call`` makes, one for each of its outputs."""
        import torch

        operator = self._operator(call)
        schema = {argument.name: str(argument.type) for argument in operator._schema.arguments}
        made = operator(
            **{name: self._plain(value, schema.get(name, "str"), tensors) for name, value in call.arguments.items()}
        )
        found = [one for one in _flat(made) if isinstance(one, torch.Tensor)]
        if len(found) != len(call.outputs):
            raise ModelError(
                f"it makes {len(found)} tensors; the file says {len(call.outputs)}", where=self._place(call)
            )
        return found

    def _operator(self, call: Call) -> torch._ops.OpOverload:
        import torch

        family, _, rest = call.target.partition(".")
        name, _, overload = rest.partition(".")
        found = None
        if family in _FAMILIES and _kind(call) in _RUN:
            if family == "quantized_decomposed":
                import torch.ao.quantization.fx._decomposed  # registers them
            packet = getattr(getattr(torch.ops, family), name, None)
            found = getattr(packet, overload or "default", None)
        if not isinstance(found, torch._ops.OpOverload):
            raise ModelError(
                f"{call.target} is not run: of a .pt2 file only operators that picojoule knows are",
                where=self._place(call),
                hint="If you trust the file, give the program itself: estimate(torch.export.load(FILE), …).",
            )
        return found

    def _plain(self, value: Any, kind: str, tensors: Mapping[str, torch.Tensor]) -> Any:
        """An argument as PyTorch takes it, for a parameter of the type ``kind``."""
        import torch

        match value:
            case Ref():
                return _known(tensors, value.name)
            case Constant(kind="dtype" | "memory_format"):
                word = getattr(torch, value.word, None)
                if word is None:
                    raise ValueError(f"it asks for a {value.kind} that isn't known")
                return word
            case Constant(kind="layout"):
                return torch.strided
            case Constant():
                return torch.device("cpu")  # whatever it was traced on
            case list():
                return [self._plain(item, kind, tensors) for item in value]
            case str() if "str" not in kind and value in _FLOATS:
                return float(value)
            case str() if "str" not in kind:
                number = evaluate_size(value, self.symbols)
                if number is None:
                    raise ValueError(f"{value} is not known beforehand")
                return number
        return value

    def _place(self, call: Call) -> str:
        return f"{self.label}: {call.name!r} ({call.target})"


def untouched(state: Mapping[str, torch.Tensor], program: Program) -> dict[str, torch.Tensor]:
    """``state`` for one run of ``program``: with copies of what that writes to, and of what shares memory with it."""
    changed = program.kept | written_inputs(program)
    written = {_memory(state[name]) for name in changed if name in state}
    copied = {name: tensor.detach() for name, tensor in state.items() if _memory(tensor) in written}
    return {**state, **copy.deepcopy(copied)}


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def torch_tensor(array: np.ndarray) -> torch.Tensor:
    """A copy of ``array`` that torch may write to, in its element type, those of machine learning included."""
    torch = import_torch("running a .pt2 file")
    if array.dtype.isbuiltin == 1:
        return torch.from_numpy(array.copy())
    import numpy as np

    plain = np.ascontiguousarray(array).view(np.dtype(f"u{array.dtype.itemsize}")).copy()
    return torch.from_numpy(plain).view(getattr(torch, array.dtype.name)).reshape(array.shape)


def _autocast(modes: list[Any]) -> contextlib.AbstractContextManager[Any]:
    """The mode in which PyTorch chooses element types itself, here always the processor's."""
    import torch

    _, dtype, enabled, cached = modes
    kind = getattr(torch, dtype.word, None) if isinstance(dtype, Constant) else None
    return torch.autocast("cpu", dtype=kind, enabled=bool(enabled), cache_enabled=bool(cached))


def _kind(call: Call) -> str:
    return call.target.partition(".")[2].split(".")[0].removesuffix("_")


def _known(tensors: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    if name not in tensors:
        raise ValueError(f"there is no tensor {name!r} at this point")
    return tensors[name]


def _reads(call: Call) -> Iterator[str]:
    """Names of the tensors among the arguments."""
    for value in call.arguments.values():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, Ref):
                yield item.name


def _flat(value: Any) -> list[Any]:
    return [inner for item in value for inner in _flat(item)] if isinstance(value, list | tuple) else [value]
