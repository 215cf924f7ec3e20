"""The file of an ``Estimate``: read with every key and type checked, written whole or not at all.

``read_result`` and ``write_result`` are each other's inverse. A document may hold keys that this version doesn't know:
they are kept by ``read_document``, so that the content hash still covers them, and left out of the ``Estimate``.
"""

from __future__ import annotations

import functools
import json
import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from picojoule.atomic_file import replace_file
from picojoule.errors import ResultFileError, SystemFailure
from picojoule.result import SCHEMA, Estimate

MAX_BYTES = 256 * 2**20
_Record = TypeVar("_Record")
_AGAIN = "Write it again with picojoule estimate --save."


def read_result(path: Path | str) -> Estimate:
    """The estimate that a result file holds.

    Raises:
        ResultFileError: no such file, no JSON, cut off, another schema, a key that is missing or of the wrong type.
        SystemFailure: the system doesn't let us read it.
    """
    return estimate_from_data(read_document(path), where=str(path))


def read_document(path: Path | str) -> dict[str, Any]:
    """The plain data of a result file, unknown keys included; only the schema's name is checked.

    Raises:
        ResultFileError, SystemFailure: as ``read_result``.
    """
    return parse_document(_read_text(Path(path)), where=str(path))


def parse_document(text: str, *, where: str) -> dict[str, Any]:
    """The plain data in the text of a result file; only the schema's name is checked.

    Raises:
        ResultFileError: no JSON, a key given twice, a number that isn't finite, or another schema.
    """
    try:
        document = json.loads(
            text, object_pairs_hook=_table, parse_float=_finite, parse_int=_integer, parse_constant=_finite
        )
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        message = "the file is cut off" if cut else f"not JSON: {error.msg}"
        raise ResultFileError(message, where=f"{where}:{error.lineno}", hint=_AGAIN) from None
    except _BadContent as error:
        raise ResultFileError(str(error), where=where, hint=_AGAIN) from None
    except RecursionError:
        raise ResultFileError("nested too deeply for a result file", where=where) from None
    if not isinstance(document, dict):
        raise ResultFileError(f"a result file holds one table, got {_short(document)}", where=where)
    _check_schema(document.get("schema"), where)
    return document


def usable(estimate: Estimate, *, where: str = "result") -> Estimate:
    """The same estimate, of which figures can be made: a batch, a layer, no energy below 0. ``verify`` names more, and does without.

    Raises:
        ResultFileError: it isn't so.
    """
    _expect(estimate.batch >= 1, estimate.batch, "at least 1", where, "batch")
    _expect(bool(estimate.layers), list(estimate.layers), "a list with a layer", where, "layers")
    for i, layer in enumerate(estimate.layers):
        _expect(layer.energy_pj >= 0, layer.energy_pj, "at least 0", where, f"layers[{i}].energy_pj")
    return estimate


def estimate_from_data(document: dict[str, Any], *, where: str = "result") -> Estimate:
    """An ``Estimate`` from plain data; the inverse of ``Estimate.to_data`` and as strict as ``read_result``.

    Raises:
        ResultFileError: another schema, a key that is missing or of the wrong type, a share of zeros outside 0 … 1.
    """
    _check_schema(document.get("schema"), where)
    estimate: Estimate = _typed(document, Estimate, where, "")
    for i, layer in enumerate(estimate.layers):
        for tensor, share in (layer.zeros or {}).items():
            _expect(0 <= share <= 1, share, "a share from 0 to 1", where, f"layers[{i}].zeros.{tensor}")
    return estimate


def record_from_data(document: dict[str, Any], kind: type[_Record], *, where: str) -> _Record:
    """A dataclass of plain fields, such as one that ``asdict`` was made of, with every key and type checked.

    Raises:
        ResultFileError: a key that is missing or of the wrong type.
    """
    record: _Record = _typed(document, kind, where, "")
    return record


def write_result(estimate: Estimate, path: Path | str) -> None:
    """Writes the result file whole or not at all: what was there stays untouched until the new file is safe on disk.

    Raises:
        SystemFailure: the disk is full, the folder is missing or not ours to write in.
    """
    replace_file(Path(path), estimate.to_json())


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise ResultFileError(
            "there is no such file", where=str(path), hint="picojoule estimate MODEL --hardware HW --save writes one."
        ) from None
    except IsADirectoryError:
        raise ResultFileError("this is a folder, not a result file", where=str(path)) from None
    except OSError as error:
        raise SystemFailure(f"can't read the result file: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise ResultFileError(f"not a file name: {error}", where=repr(str(path))) from None
    if len(raw) > MAX_BYTES:
        raise ResultFileError(f"larger than {MAX_BYTES // 2**20} MiB, which no result file is", where=str(path))
    if not raw.strip():
        raise ResultFileError("the file is empty", where=str(path), hint=_AGAIN)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ResultFileError(f"not a text file in UTF-8 (byte {error.start})", where=str(path)) from None


class _BadContent(ValueError):
    """JSON that parses but can't be part of a result."""


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _BadContent(f"the key {twice!r} stands twice in one table")
    return table


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _BadContent(f"{text[:40]} is not a finite number")
    return number


def _integer(text: str) -> int:
    # No count has more digits; int() of a very long text would also take very long.
    if len(text) > 40:
        raise _BadContent(f"a whole number of {len(text)} digits")
    return int(text)


def _check_schema(schema: object, where: str) -> None:
    if schema == SCHEMA:
        return
    family, _, ours = SCHEMA.rpartition("/")
    if isinstance(schema, str) and schema.startswith(f"{family}/") and schema.rpartition("/")[2].isdigit():
        theirs = int(schema.rpartition("/")[2])
        age, advice = (
            ("a newer", "Upgrade picojoule.") if theirs > int(ours) else ("an older", "Run the estimate again.")
        )
        raise ResultFileError(
            f"written by {age} version: schema {schema}, this one reads {SCHEMA}", where=where, hint=advice
        )
    got = "it has no key 'schema'" if schema is None else f"its schema is {_short(schema)}"
    raise ResultFileError(
        f"not a picojoule result: {got}", where=where, hint=f"A result file has the schema {SCHEMA!r}."
    )


def _typed(value: Any, kind: Any, where: str, key: str) -> Any:
    """``value`` as ``kind``: a dataclass, or the type of a field of ``Estimate``; lists become tuples there."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        if set(arguments) - {type(None)} == {int, float}:
            return value if isinstance(value, int) and not isinstance(value, bool) else _typed(value, float, where, key)
        return _typed(value, next(a for a in arguments if a is not type(None)), where, key)
    if is_dataclass(kind):
        return _record(value, kind, where, key)
    if origin is tuple:
        return _tuple(value, arguments, where, key)
    if origin is list:
        _expect(isinstance(value, list), value, "a list", where, key)
        return [_typed(item, arguments[0], where, f"{key}[{i}]") for i, item in enumerate(value)]
    if origin is dict:
        _expect(isinstance(value, dict), value, "a table", where, key)
        return {name: _typed(item, arguments[1], where, f"{key}.{name}") for name, item in value.items()}
    if kind is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), value, "a number", where, key)
        return _as_float(value, where, key)
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), value, "a whole number", where, key)
        return value
    _expect(isinstance(value, kind), value, {str: "a text", bool: "true or false"}[kind], where, key)
    return value


@functools.cache
def _kinds(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _record(value: Any, kind: Any, where: str, key: str) -> Any:
    _expect(isinstance(value, dict), value, "a table", where, key)
    kinds = _kinds(kind)
    filled = {}
    for field in fields(kind):
        here = f"{key}.{field.name}" if key else field.name
        if field.name in value:
            filled[field.name] = _typed(value[field.name], kinds[field.name], where, here)
        elif field.default is MISSING and field.default_factory is MISSING:
            _fail(f"the key {here!r} is missing", where, "")
    return kind(**filled)


def _tuple(value: Any, arguments: tuple[Any, ...], where: str, key: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list | tuple), value, "a list", where, key)
    if arguments[-1] is Ellipsis:
        return tuple(_typed(item, arguments[0], where, f"{key}[{i}]") for i, item in enumerate(value))
    _expect(len(value) == len(arguments), value, f"a list of {len(arguments)}", where, key)
    return tuple(
        _typed(item, kind, where, f"{key}[{i}]") for i, (item, kind) in enumerate(zip(value, arguments, strict=True))
    )


def _as_float(value: float, where: str, key: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        _fail(f"{_short(value)} is not a finite number", where, key)
    return number


def _expect(right: bool, value: object, wanted: str, where: str, key: str) -> None:
    if not right:
        _fail(f"expected {wanted}, got {_short(value)}", where, key)


def _fail(message: str, where: str, key: str) -> NoReturn:
    raise ResultFileError(message, where=f"{where}: {key}" if key else where, hint=_AGAIN)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}…"
