"""Arithmetic in the text of an attribute: numbers, names, ``+ - * /`` and parentheses, and nothing else.

The text comes from strangers. Python's parser only takes it apart; no part of it is ever executed.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

MAX_LENGTH = 200
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def arithmetic(text: str, named: Callable[[str], float]) -> float:
    """What ``text`` comes to; ``named`` gives the numbers that names stand for.

    Raises:
        ValueError: it is no such expression, or comes to no finite number.

    Example:
        >>> arithmetic("2 * (depth + 1)", {"depth": 3}.__getitem__)
        8
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    try:
        number = _value(ast.parse(text.strip(), mode="eval").body, named)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("not an expression") from None
    except ArithmeticError as error:
        raise ValueError(str(error)) from None
    if not math.isfinite(number):
        raise ValueError("too large")
    return number


def _value(node: ast.expr, named: Callable[[str], float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            return named(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, named)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left, named), _value(right, named))
    raise ValueError(f"{ast.unparse(node)!r} is neither a number, a name, nor one of + - * / of these")
