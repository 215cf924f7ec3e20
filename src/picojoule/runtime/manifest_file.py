"""The manifest as JSON: written with a hash over its contents, read with every key and type checked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from picojoule.errors import BundleError
from picojoule.runtime.manifest import (
    SCHEMA,
    Exit,
    FileFacts,
    Manifest,
    Parity,
    Preprocessing,
    Stage,
    Tensor,
    content_hash,
)
from picojoule.version import __version__

_AGAIN = "Export the bundle anew with picojoule export --to bundle."
_Value = TypeVar("_Value")


def manifest_text(manifest: Manifest) -> str:
    """The manifest as the text of its file."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "name": manifest.name,
        "version": __version__,
        "files": {name: {"sha256": facts.sha256, "bytes": facts.size_bytes} for name, facts in manifest.files.items()},
        "inputs": [asdict(tensor) for tensor in manifest.inputs],
        "batch": manifest.batch,
        "preprocessing": None if manifest.preprocessing is None else asdict(manifest.preprocessing),
        "labels": manifest.labels,
        "stages": [
            {
                "name": stage.name,
                "file": stage.file,
                "inputs": stage.inputs,
                "outputs": [{**asdict(one), "read_by": manifest.readers(one.name)} for one in stage.outputs],
                "exit": None if stage.exit is None else asdict(stage.exit),
                "energy_pj": stage.energy_pj,
            }
            for stage in manifest.stages
        ],
        "parity": None if manifest.parity is None else asdict(manifest.parity),
        "provenance": manifest.provenance,
        "seed": manifest.seed,
    }
    document = json.loads(json.dumps(document, allow_nan=False))
    document["content_hash"] = content_hash(document)
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def manifest_of(raw: bytes, *, where: str) -> Manifest:
    """The manifest in the bytes of its file.

    Raises:
        BundleError: cut off, no JSON, another schema, changed after it was written, a key that is missing or of the
            wrong type, or stages that don't match.
    """
    document = _parsed(raw, where)
    top = _Table(document, where)
    schema = top.text("schema")
    if schema != SCHEMA:
        raise BundleError(
            f"its schema is {schema!r}; this version reads {SCHEMA!r}",
            where=f"{where}: schema",
            hint="Upgrade picojoule, or export the bundle with this version.",
        )
    stated, right = top.text("content_hash"), content_hash(document)
    if stated != right:
        raise BundleError(
            f"it was changed after it was written: its hash is {right[:16]}…, it states {stated[:16]}…",
            where=f"{where}: content_hash",
            hint=_AGAIN,
        )
    parts = top.tables("stages")
    manifest = _born(
        where,
        lambda: Manifest(
            name=top.text("name"),
            inputs=tuple(_tensor(part) for part in top.tables("inputs")),
            stages=tuple(_stage(part) for part in parts),
            files={name: _facts(top.table("files").table(name)) for name in top.table("files").keys()},
            batch=top.optional("batch", int),
            labels=None if top.missing("labels") else top.texts("labels"),
            preprocessing=None if top.missing("preprocessing") else _preprocessing(top.table("preprocessing")),
            parity=None if top.missing("parity") else _parity(top.table("parity")),
            provenance=top.get("provenance", dict),
            seed=top.get("seed", int),
        ),
    )
    for part in parts:
        for entry in part.tables("outputs"):
            told, readers = entry.numbers("read_by"), manifest.readers(entry.text("name"))
            if tuple(told) != readers:
                raise BundleError(
                    f"it says that {list(told)} read {entry.text('name')!r}; by their inputs {list(readers)} do",
                    where=f"{entry.where}.read_by",
                )
    return manifest


def preprocessing_of(document: Any, *, where: str) -> Preprocessing:
    """Preprocessing from plain data; what is left out has its default, and ``mean`` and ``std`` may be one number.

    Raises:
        BundleError: an unknown key, or a value that is wrong.
    """
    table = _Table(document, where)
    known = set(Preprocessing.__dataclass_fields__)
    unknown = sorted(set(table.keys()) - known)
    if unknown:
        raise BundleError(f"unknown key {unknown[0]!r}; allowed are {', '.join(sorted(known))}", where=where)
    given = dict(document)
    channels = 1 if given.get("colour") == "grey" else 3
    for name, default in (("mean", 0.0), ("std", 1.0)):
        value = given.get(name, default)
        given[name] = value if isinstance(value, list) else [value] * channels
    return _preprocessing(_Table({**_PLAIN, **given}, where))


_PLAIN = {
    name: entry.default for name, entry in Preprocessing.__dataclass_fields__.items() if name not in ("mean", "std")
}


def _preprocessing(table: _Table) -> Preprocessing:
    resize = table.document.get("resize")
    pair = isinstance(resize, list)
    return _born(
        table.where,
        lambda: Preprocessing(
            colour=table.text("colour"),
            layout=table.text("layout"),
            resize=table.pair("resize") if pair else table.optional("resize", int),
            crop=None if table.missing("crop") else table.pair("crop"),
            resample=table.text("resample"),
            scale=table.number("scale"),
            mean=tuple(table.numbers("mean", float)),
            std=tuple(table.numbers("std", float)),
        ),
    )


def _tensor(table: _Table) -> Tensor:
    return _born(
        table.where,
        lambda: Tensor(name=table.text("name"), shape=tuple(table.numbers("shape")), dtype=table.text("dtype")),
    )


def _facts(table: _Table) -> FileFacts:
    return FileFacts(sha256=table.text("sha256"), size_bytes=table.get("bytes", int))


def _stage(table: _Table) -> Stage:
    return _born(
        table.where,
        lambda: Stage(
            name=table.text("name"),
            file=table.text("file"),
            inputs=table.texts("inputs"),
            outputs=tuple(_tensor(part) for part in table.tables("outputs")),
            exit=None if table.missing("exit") else _exit(table.table("exit")),
            energy_pj=None if table.missing("energy_pj") else table.number("energy_pj"),
        ),
    )


def _exit(table: _Table) -> Exit:
    return _born(
        table.where.removesuffix(".exit"),
        lambda: Exit(
            outputs=table.texts("outputs"),
            scores=table.optional("scores", str),
            temperature=table.number("temperature"),
            threshold=None if table.missing("threshold") else table.number("threshold"),
        ),
    )


def _parity(table: _Table) -> Parity:
    return Parity(
        reference=table.text("reference"),
        runtime=table.text("runtime"),
        inputs=table.get("inputs", int),
        max_abs_difference=tuple(table.numbers("max_abs_difference", float)),
        max_abs_reference=tuple(table.numbers("max_abs_reference", float)),
        tolerance=table.number("tolerance"),
    )


def _born(where: str, make: Callable[[], _Value]) -> _Value:
    """What ``make`` makes; a complaint of its birth says where in the file it is."""
    try:
        return make()
    except BundleError as error:
        if error.where.startswith(where.split(": ", 1)[0]):
            raise
        joint = "." if ": " in where else ": "
        place = f"{where}{joint}{error.where}" if error.where else where
        raise BundleError(error.message, where=place, hint=error.hint) from None


class _Table:
    """A table of the manifest, and where in the file it is."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise BundleError(f"a table is expected, got {_short(document)}", where=where)
        self.document, self.where = document, where

    def at(self, key: str) -> str:
        return f"{self.where}{'.' if ': ' in self.where else ': '}{key}"

    def keys(self) -> list[str]:
        return list(self.document)

    def missing(self, key: str) -> bool:
        """Whether the key is there and null; a key that isn't there is an error."""
        self._there(key)
        return self.document[key] is None

    def get(self, key: str, kind: type[_Value]) -> _Value:
        self._there(key)
        value = self.document[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BundleError(f"{_NAMES[kind]} is expected, got {_short(value)}", where=self.at(key))
        return value

    def optional(self, key: str, kind: type[_Value]) -> _Value | None:
        return None if self.missing(key) else self.get(key, kind)

    def text(self, key: str) -> str:
        return self.get(key, str)

    def number(self, key: str) -> float:
        self._there(key)
        return _number(self.document[key], float, self.at(key))

    def numbers(self, key: str, kind: type = int) -> list[Any]:
        return [_number(value, kind, f"{self.at(key)}[{i}]") for i, value in enumerate(self.get(key, list))]

    def pair(self, key: str) -> tuple[int, int]:
        found = self.numbers(key)
        if len(found) != 2:
            raise BundleError(f"rows and columns are expected, got {found}", where=self.at(key))
        return found[0], found[1]

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.get(key, list)
        for i, value in enumerate(found):
            if not isinstance(value, str):
                raise BundleError(f"a text is expected, got {_short(value)}", where=f"{self.at(key)}[{i}]")
        return tuple(found)

    def table(self, key: str) -> _Table:
        self._there(key)
        return _Table(self.document[key], self.at(key))

    def tables(self, key: str) -> list[_Table]:
        return [_Table(value, f"{self.at(key)}[{i}]") for i, value in enumerate(self.get(key, list))]

    def _there(self, key: str) -> None:
        if key not in self.document:
            raise BundleError(f"the key {key!r} is missing", where=self.where, hint=_AGAIN)


_NAMES: dict[type, str] = {str: "a text", int: "a whole number", dict: "a table", list: "a list", float: "a number"}


def _number(value: Any, kind: type, where: str) -> Any:
    allowed = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not allowed or not abs(value) < 2**63:
        raise BundleError(f"{_NAMES[kind]} is expected, got {_short(value)}", where=where)
    return value


def _parsed(raw: bytes, where: str) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError:
        raise BundleError("it is no UTF-8 text", where=where, hint=_AGAIN) from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        message = "the manifest is cut off" if cut else f"not JSON: {error.msg}"
        raise BundleError(message, where=f"{where}:{error.lineno}", hint=_AGAIN) from None
    except (ValueError, RecursionError) as error:
        message = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BundleError(message, where=where, hint=_AGAIN) from None
    if not isinstance(document, dict):
        raise BundleError(f"a table is expected, got {_short(document)}", where=where)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice")
        found[key] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"numbers are finite, got {text}")
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
