"""The file of a search certificate, ``picojoule/certificate/1``: a cover of the map space of every layer, each part
with its bound.

A part is one choice of levels with one spatial assignment. What a part and its bound mean, and who may check them,
stands in ``docs/reference/certificate.md``. This module only holds, reads and writes; the search fills it, ``verify``
derives it anew.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from picojoule.atomic_file import replace_file
from picojoule.errors import CertificateError, SystemFailure
from picojoule.workload.nest import DIMS, TENSORS, Nest

SCHEMA = "picojoule/certificate/1"
OBJECTIVES = ("energy", "latency", "edp")
FACTORS = ("any", "exact")
MAX_BYTES = 2**30
_AGAIN = "Write it again with picojoule estimate --certificate."

Part = tuple[str, float]
"""How the dimensions are spread (``spread_text``), and what no mapping of the part can beat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """All parts of one choice of levels: ``levels`` that hold each tensor, outermost first."""

    levels: dict[str, tuple[str, ...]]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """The cover of one layer's map space.

    Attributes:
        name: of the first row of the result with this nest and these widths.
        nest: sizes by loop letter, ``stride``, ``dilation`` and ``pad``.
        bits: widths of weights, inputs, outputs and psums.
        value, bound, floor: as in the result, of the objective.
    """

    name: str
    nest: dict[str, Any]
    bits: dict[str, int]
    value: float
    bound: float
    floor: float
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Covers of all layers that were searched.

    Attributes:
        model, hardware, objective: of the result that it belongs to.
        factors: ``any`` where a tile need not divide its dimension, ``exact`` where it does.
        layers: one cover for each different layer.
        content_hash: over everything else; ``sealed`` fills it.
    """

    model: str
    hardware: str
    objective: str
    factors: str
    layers: tuple[Cover, ...]
    schema: str = SCHEMA
    content_hash: str = ""

    @property
    def parts(self) -> int:
        """Parts of all layers."""
        return sum(len(choice.parts) for layer in self.layers for choice in layer.choices)

    def to_data(self) -> dict[str, Any]:
        """The document of the file as plain data."""
        return {
            "schema": self.schema,
            "model": self.model,
            "hardware": self.hardware,
            "objective": self.objective,
            "factors": self.factors,
            "content_hash": self.content_hash,
            "layers": [_cover_data(layer) for layer in self.layers],
        }

    def reference(self) -> dict[str, Any]:
        """What a result says of its certificate, under ``provenance.certificate``."""
        return {"content_hash": self.content_hash, "parts": self.parts}


def sealed(*, model: str, hardware: str, objective: str, factors: str, layers: Iterable[Cover]) -> Certificate:
    """A certificate with the hash of its contents."""
    bare = Certificate(model=model, hardware=hardware, objective=objective, factors=factors, layers=tuple(layers))
    return replace(bare, content_hash=content_hash(bare.to_data()))


def content_hash(document: dict[str, Any]) -> str:
    """SHA-256 over everything in a certificate but the hash itself."""
    body = {key: value for key, value in document.items() if key != "content_hash"}
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def nest_data(nest: Nest) -> dict[str, Any]:
    """A nest as it stands in a certificate."""
    return {**nest.dims, "stride": list(nest.stride), "dilation": list(nest.dilation), "pad": list(nest.pad)}


# How a part is named --------------------------------------------------------------------------------------------------


def spread_text(fanouts: Sequence[str], factors: Sequence[Sequence[int]]) -> str:
    """The name of a spatial assignment: ``PE K4 C3 P2; lane C4``; empty where nothing is spread.

    Args:
        fanouts: names, outermost first.
        factors: ``[fan-out][dimension]`` positions, the dimensions in the order N G K C P Q R S.

    Example:
        >>> spread_text(["PE", "lane"], [[1, 1, 4, 3, 2, 1, 1, 1], [1] * 8])
        'PE K4 C3 P2'
    """
    words = []
    for name, row in zip(fanouts, factors, strict=True):
        spread = " ".join(f"{d}{n}" for d, n in zip(DIMS, row, strict=True) if n > 1)
        if spread:
            words.append(f"{name} {spread}")
    return "; ".join(words)


def spread_factors(text: str, fanouts: Sequence[str]) -> tuple[tuple[int, ...], ...] | None:
    """The inverse of ``spread_text``; None unless the text is exactly what that would write.

    Example:
        >>> spread_factors("lane C4", ["PE", "lane"])
        ((1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 4, 1, 1, 1, 1))
    """
    rows = {name: [1] * len(DIMS) for name in fanouts}
    for word in text.split("; ") if text else []:
        name, *spread = word.split(" ")
        for one in spread:
            factor = re.fullmatch(rf"([{''.join(DIMS)}])([1-9][0-9]{{0,9}})", one)
            if name not in rows or factor is None:
                return None
            rows[name][DIMS.index(factor[1])] = int(factor[2])
    factors = tuple(tuple(rows[name]) for name in fanouts)
    return factors if spread_text(fanouts, factors) == text else None


# The file -------------------------------------------------------------------------------------------------------------


def write_certificate(certificate: Certificate, path: Path | str) -> None:
    """Writes the file whole or not at all; packed by gzip where its name ends in ``.gz``.

    Raises:
        SystemFailure: the disk is full, the folder is missing or not ours to write in.
    """
    text = json.dumps(certificate.to_data(), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    packed = str(path).endswith(".gz")
    # Without a time in it, equal certificates are equal files.
    replace_file(Path(path), gzip.compress(text.encode(), mtime=0) if packed else text)


def read_document(path: Path | str) -> dict[str, Any]:
    """The plain data of a certificate file; only the schema's name is checked.

    Raises:
        CertificateError: no such file, no JSON, cut off, or another schema.
        SystemFailure: the system doesn't let us read it.
    """
    where, text = str(path), _read_text(Path(path))
    try:
        document = json.loads(text, object_pairs_hook=_table, parse_float=_finite, parse_constant=_finite)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        message = "the file is cut off" if cut else f"not JSON: {error.msg}"
        raise CertificateError(message, where=f"{where}:{error.lineno}", hint=_AGAIN) from None
    except ValueError as error:
        raise CertificateError(str(error), where=where, hint=_AGAIN) from None
    except RecursionError:
        raise CertificateError("nested too deeply for a certificate", where=where) from None
    _check_schema(document.get("schema") if isinstance(document, dict) else None, where)
    return document


def certificate_from_data(document: dict[str, Any], *, where: str = "certificate") -> Certificate:
    """A ``Certificate`` from plain data, every key and type checked; the inverse of ``to_data``.

    Raises:
        CertificateError: another schema, a key that is missing or unknown, a value of the wrong type.
    """
    _check_schema(document.get("schema"), where)
    reading = _Reading(where)
    top = reading.table(document, "", ("schema", "model", "hardware", "objective", "factors", "content_hash", "layers"))
    texts = {key: reading.text(top[key], key) for key in ("model", "hardware", "objective", "factors", "content_hash")}
    for key, allowed in (("objective", OBJECTIVES), ("factors", FACTORS)):
        if texts[key] not in allowed:
            reading.fail(f"expected {' or '.join(allowed)}, got {_short(texts[key])}", key)
    layers = [reading.cover(x, f"layers[{i}]") for i, x in enumerate(reading.items(top["layers"], "layers"))]
    return Certificate(**texts, layers=tuple(layers))


def _cover_data(cover: Cover) -> dict[str, Any]:
    choices = [
        {
            "levels": {tensor: list(names) for tensor, names in choice.levels.items()},
            "parts": [[text, bound] for text, bound in choice.parts],
        }
        for choice in cover.choices
    ]
    return {
        "name": cover.name,
        "nest": cover.nest,
        "bits": cover.bits,
        "value": cover.value,
        "bound": cover.bound,
        "floor": cover.floor,
        "choices": choices,
    }


class _Reading:
    """Plain data into facts; ``where`` is the file."""

    def __init__(self, where: str) -> None:
        self.where = where

    def cover(self, value: Any, key: str) -> Cover:
        table = self.table(value, key, ("name", "nest", "bits", "value", "bound", "floor", "choices"))
        nest = self.table(table["nest"], f"{key}.nest", (*DIMS, "stride", "dilation", "pad"))
        for name, size in nest.items():
            numbers = [size] if name in DIMS else self.items(size, f"{key}.nest.{name}")
            for number in numbers:
                self.whole(number, f"{key}.nest.{name}")
        bits = self.table(table["bits"], f"{key}.bits", (*TENSORS, "psums"))
        choices = self.items(table["choices"], f"{key}.choices")
        return Cover(
            name=self.text(table["name"], f"{key}.name"),
            nest=nest,
            bits={name: self.whole(width, f"{key}.bits.{name}") for name, width in bits.items()},
            value=self.number(table["value"], f"{key}.value"),
            bound=self.number(table["bound"], f"{key}.bound"),
            floor=self.number(table["floor"], f"{key}.floor"),
            choices=tuple(self.choice(x, f"{key}.choices[{i}]") for i, x in enumerate(choices)),
        )

    def choice(self, value: Any, key: str) -> Choice:
        table = self.table(value, key, ("levels", "parts"))
        levels = self.table(table["levels"], f"{key}.levels", TENSORS)
        return Choice(
            levels={
                tensor: tuple(self.text(name, f"{key}.levels.{tensor}") for name in self.items(names, f"{key}.levels"))
                for tensor, names in levels.items()
            },
            parts=tuple(
                self.part(part, f"{key}.parts[{i}]")
                for i, part in enumerate(self.items(table["parts"], f"{key}.parts"))
            ),
        )

    def part(self, value: Any, key: str) -> Part:
        if not isinstance(value, list | tuple) or len(value) != 2:
            self.fail(f"expected a list of a text and a bound, got {_short(value)}", key)
        return self.text(value[0], key), self.number(value[1], key)

    def table(self, value: Any, key: str, names: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(f"expected a table, got {_short(value)}", key)
        for name in names:
            if name not in value:
                self.fail(f"the key {name!r} is missing", key)
        for name in value:
            if name not in names:
                self.fail(f"unknown key {_short(name)}; allowed: {', '.join(names)}", key)
        return value

    def items(self, value: Any, key: str) -> Sequence[Any]:
        if not isinstance(value, list | tuple):
            self.fail(f"expected a list, got {_short(value)}", key)
        return value

    def text(self, value: Any, key: str) -> str:
        if not isinstance(value, str):
            self.fail(f"expected a text, got {_short(value)}", key)
        return value

    def whole(self, value: Any, key: str) -> int:
        if type(value) is not int:
            self.fail(f"expected a whole number, got {_short(value)}", key)
        return value

    def number(self, value: Any, key: str) -> float:
        if type(value) not in (int, float):
            self.fail(f"expected a number, got {_short(value)}", key)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not 0 <= number < math.inf:
            self.fail(f"expected a finite number of at least 0, got {_short(value)}", key)
        return number

    def fail(self, message: str, key: str) -> NoReturn:
        raise CertificateError(message, where=f"{self.where}: {key}" if key else self.where, hint=_AGAIN)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise CertificateError(
            "there is no such file",
            where=str(path),
            hint="picojoule estimate MODEL --hardware HW --certificate FILE writes one.",
        ) from None
    except IsADirectoryError:
        raise CertificateError("this is a folder, not a certificate", where=str(path)) from None
    except OSError as error:
        raise SystemFailure(f"can't read the certificate: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise CertificateError(f"not a file name: {error}", where=repr(str(path))) from None
    if path.name.endswith(".gz"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as unpacked:
                raw = unpacked.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise CertificateError(f"not packed by gzip, or damaged: {error}", where=str(path), hint=_AGAIN) from None
    if len(raw) > MAX_BYTES:
        raise CertificateError(f"larger than {MAX_BYTES // 2**20} MiB, which no certificate is", where=str(path))
    if not raw.strip():
        raise CertificateError("the file is empty", where=str(path), hint=_AGAIN)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CertificateError(f"not a text file in UTF-8 (byte {error.start})", where=str(path)) from None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands twice in one table")
    return table


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _check_schema(schema: object, where: str) -> None:
    if schema != SCHEMA:
        got = "it has no key 'schema'" if schema is None else f"its schema is {_short(schema)}"
        raise CertificateError(
            f"not a certificate that this version reads: {got}",
            where=where,
            hint=f"A certificate has the schema {SCHEMA!r}.",
        )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}…"
