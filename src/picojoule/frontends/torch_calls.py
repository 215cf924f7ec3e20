"""A traced PyTorch network as plain data: its calls, and what is known of the tensors between them.

`torch_trace` makes it from a program in memory, `torch_archive` from a file, the latter without torch.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from picojoule.frontends.graph import Shape

Size = int | str
"""Of a dimension: a number, or the formula of one in sympy's spelling where the program leaves it open."""


class Ref(NamedTuple):
    """A tensor by its name, where it stands among the arguments of a call."""

    name: str


class Constant(NamedTuple):
    """A word of PyTorch's among the arguments of a call.

    ``kind`` is "dtype", "layout", "memory_format" or "device"; ``word`` as in torch.float32.
    """

    kind: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operator call.

    Attributes:
        target: as PyTorch spells it: ``aten.conv2d.default``, ``higher_order.cond``.
        name: of the call, different for every call of a program.
        arguments: by the name in the operator's schema; tensors are `Ref`, open numbers formulas; from a file, element
            types and the like are `Constant`. Those without a name (of higher-order operators) are numbered "0", "1", ….
        outputs: names of the tensors that it makes.
        modules: path and type of the modules that it runs in, from the outermost inwards.
        trace: the lines of the user's code that led here, as Python prints them.
        changes: arguments that the operator's schema says it writes to; a file doesn't tell.
    """

    target: str
    name: str
    arguments: dict[str, Any]
    outputs: tuple[str, ...]
    modules: tuple[tuple[str, str], ...] = ()
    trace: str = ""
    changes: tuple[str, ...] = ()

    def numbered(self) -> list[tuple[int, Any]]:
        """The arguments without a name, by their places."""
        return [(int(key), value) for key, value in self.arguments.items() if key.isdigit()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A network, or a part of one that a higher-order operator calls.

    Attributes:
        inputs: names of what is given from outside, in order; of parameters, too, in a part of a network.
        parameters: the user's names for them (layer1.conv.weight), by the name of the tensor.
        same: for parameters that are one under several names, the first of these.
        learned: those among ``parameters`` that are parameters to PyTorch, not buffers or constants.
        kept: those that the program changes and finds changed when it runs again.
        sizes: of every tensor.
        types: element type of every tensor, in PyTorch's word (float32).
        outputs: what is handed back.
        calls: in the order in which they run.
        ranges: the least and the largest number that each open size may be, None where that is open, too.
    """

    inputs: tuple[str, ...]
    parameters: dict[str, str] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    learned: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    sizes: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    ranges: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)


_OF_ONE = {"List": "Tensor", "ScalarList": "Scalar", "ScalarAndTensor": "Scalar"}
"""From the overloads of operators on lists to those of the operators on their items."""


def single_calls(call: Call) -> Iterator[Call]:
    """``call``; one on lists of tensors (``aten._foreach_add_.List``) as calls on one item after the other."""
    family, _, rest = call.target.partition(".")
    counts = {len(value) for value in call.arguments.values() if isinstance(value, list)}
    if not rest.startswith("_foreach_") or len(counts) != 1:
        yield call
        return
    name, _, overload = rest.removeprefix("_foreach_").partition(".")
    number = "value" if "tensor1" in call.arguments else "other"
    given = {number if key in ("scalar", "scalars") else key: value for key, value in call.arguments.items()}
    for index in range(*counts):
        yield replace(
            call,
            target=f"{family}.{name}.{_OF_ONE.get(overload, overload)}",
            name=f"{call.name}#{index}",
            arguments={key: value[index] if isinstance(value, list) else value for key, value in given.items()},
            outputs=call.outputs[index : index + 1],
        )


_FUNCTORCH = re.compile(r"(?:torch\.)?_functorch\.predispatch\.")


def target_of(name: str) -> str:
    """An operator's name as `Call` has it; those that torch.vmap leaves in a program are ``functorch.…``."""
    return _FUNCTORCH.sub("functorch.", name.removeprefix("torch.ops."))


def symbol_of(size: Size) -> str | None:
    """The name of the open size if ``size`` is nothing but one, else None."""
    if isinstance(size, int):
        return None
    tree = _parsed(size)
    return _symbol(tree) if tree is not None else None


def evaluate_size(size: Size, symbols: Mapping[str, int]) -> int | None:
    """The number that ``size`` comes to; None if it depends on what isn't known.

    >>> evaluate_size("Mul(Integer(5), Symbol('s23', integer=True))", {"s23": 4})
    20
    """
    if isinstance(size, int):
        return size
    tree = _parsed(size)
    value = None if tree is None else _value(tree, symbols)
    return int(value) if value is not None and value == int(value) else None


def closed_shape(sizes: tuple[Size, ...], symbols: Mapping[str, int]) -> Shape | None:
    """The shape in numbers, or None."""
    numbers = [evaluate_size(size, symbols) for size in sizes]
    return None if None in numbers else tuple(number for number in numbers if number is not None)


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "Add": lambda *terms: sum(terms),
    "Mul": lambda *factors: math.prod(factors),
    "Pow": lambda base, exponent: base**exponent if abs(exponent) < 64 else math.nan,
    "FloorDiv": lambda a, b: a // b,
    "CleanDiv": lambda a, b: a // b,
    "CeilDiv": lambda a, b: -(-a // b),
    "CeilToInt": math.ceil,
    "FloorToInt": math.floor,
    "TruncToInt": math.trunc,
    "IntTrueDiv": lambda a, b: a / b,
    "ToFloat": float,
    "Mod": lambda a, b: a % b,
    "PythonMod": lambda a, b: a % b,
    "ModularIndexing": lambda a, b, c: a // b % c,
    "Max": max,
    "Min": min,
}


def _parsed(formula: str) -> ast.expr | None:
    try:
        return ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _symbol(tree: ast.expr) -> str | None:
    match tree:
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Name(id=name):
            return name
    return None


def _value(tree: ast.expr, symbols: Mapping[str, int]) -> float | None:
    name = _symbol(tree)
    if name is not None:
        return symbols.get(name)
    match tree:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _value(operand, symbols)
            return None if inner is None else -inner
        case ast.Call(func=ast.Name(id="Integer"), args=[number]):
            return _value(number, symbols)
        case ast.Call(func=ast.Name(id="Rational"), args=[ast.Constant(value=int(a)), ast.Constant(value=int(b))]) if b:
            return a / b
        case ast.Call(func=ast.Name(id=function), args=arguments) if function in _FUNCTIONS:
            values = [_value(argument, symbols) for argument in arguments]
            if None in values:
                return None
            try:
                found = _FUNCTIONS[function](*values)
            except (ArithmeticError, TypeError, ValueError):
                return None
            return found if isinstance(found, int | float) and math.isfinite(found) else None
    return None
