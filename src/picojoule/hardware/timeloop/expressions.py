"""Arithmetic in the text of an attribute: numbers, names, ``+ - * /`` and parentheses, and nothing else.

The text comes from strangers. Python's parser only takes it apart; no part of it is ever executed.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable

MAX_LENGTH = 200
MAX_NUMBER = 1e18
_CHARACTERS = re.compile(r"[A-Za-z0-9_.+*/() -]*")
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
        ValueError: it is no such expression, or more than ``MAX_NUMBER`` on the way.

    Example:
        >>> arithmetic("2 * (depth + 1)", {"depth": 3}.__getitem__)
        8
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    if not _CHARACTERS.fullmatch(text):
        raise ValueError("not arithmetic")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's opinion on the style of a stranger's number
            tree = ast.parse(text.strip(), mode="eval").body
        return _value(tree, named)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("not an expression") from None
    except ArithmeticError as error:
        raise ValueError(str(error)) from None


def _value(node: ast.expr, named: Callable[[str], float]) -> float:
    number = _part(node, named)
    if not abs(number) <= MAX_NUMBER:
        raise ValueError("too large a number")
    return number


def _part(node: ast.expr, named: Callable[[str], float]) -> float:
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
