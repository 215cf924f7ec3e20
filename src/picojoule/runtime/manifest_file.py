"""The manifest as JSON: written with a hash over its contents, read with every key and type checked."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from picojoule.errors import BundleError
from picojoule.runtime.manifest import (
    SCHEMA,
    SCHEMA_WITH_POINTS,
    SCHEMAS,
    Exit,
    FileFacts,
    Manifest,
    Parity,
    Preprocessing,
    Stage,
    Tensor,
    content_hash,
)
from picojoule.runtime.manifest_table import AGAIN, Table, born, short
from picojoule.runtime.operation_file import operation_data, operation_of, quantization_of
from picojoule.version import __version__


def manifest_text(manifest: Manifest) -> str:
    """The manifest as the text of its file."""
    more = manifest.operation is not None or manifest.quantization is not None
    document: dict[str, Any] = {
        "schema": SCHEMA_WITH_POINTS if more else SCHEMA,
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
    if more:
        document["operation"] = None if manifest.operation is None else operation_data(manifest.operation)
        document["quantization"] = None if manifest.quantization is None else asdict(manifest.quantization)
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
    top = Table(document, where)
    schema = top.text("schema")
    if schema not in SCHEMAS:
        raise BundleError(
            f"its schema is {schema!r}; this version reads {' and '.join(map(repr, SCHEMAS))}",
            where=f"{where}: schema",
            hint="Upgrade picojoule, or export the bundle with this version.",
        )
    stated, right = top.text("content_hash"), content_hash(document)
    if stated != right:
        raise BundleError(
            f"it was changed after it was written: its hash is {right[:16]}…, it states {stated[:16]}…",
            where=f"{where}: content_hash",
            hint=AGAIN,
        )
    parts = top.tables("stages")
    more = schema == SCHEMA_WITH_POINTS
    manifest = born(
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
            operation=operation_of(top.table("operation")) if more and not top.missing("operation") else None,
            quantization=quantization_of(top.table("quantization"))
            if more and not top.missing("quantization")
            else None,
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
    table = Table(document, where)
    known = set(Preprocessing.__dataclass_fields__)
    unknown = sorted(set(table.keys()) - known)
    if unknown:
        raise BundleError(f"unknown key {unknown[0]!r}; allowed are {', '.join(sorted(known))}", where=where)
    given = dict(document)
    channels = 1 if given.get("colour") == "grey" else 3
    for name, default in (("mean", 0.0), ("std", 1.0)):
        value = given.get(name, default)
        given[name] = value if isinstance(value, list) else [value] * channels
    return _preprocessing(Table({**_PLAIN, **given}, where))


_PLAIN = {
    name: entry.default for name, entry in Preprocessing.__dataclass_fields__.items() if name not in ("mean", "std")
}


def _preprocessing(table: Table) -> Preprocessing:
    resize = table.document.get("resize")
    pair = isinstance(resize, list)
    return born(
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


def _tensor(table: Table) -> Tensor:
    return born(
        table.where,
        lambda: Tensor(name=table.text("name"), shape=tuple(table.numbers("shape")), dtype=table.text("dtype")),
    )


def _facts(table: Table) -> FileFacts:
    return FileFacts(sha256=table.text("sha256"), size_bytes=table.get("bytes", int))


def _stage(table: Table) -> Stage:
    return born(
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


def _exit(table: Table) -> Exit:
    return born(
        table.where.removesuffix(".exit"),
        lambda: Exit(
            outputs=table.texts("outputs"),
            scores=table.optional("scores", str),
            temperature=table.number("temperature"),
            threshold=None if table.missing("threshold") else table.number("threshold"),
        ),
    )


def _parity(table: Table) -> Parity:
    return Parity(
        reference=table.text("reference"),
        runtime=table.text("runtime"),
        inputs=table.get("inputs", int),
        max_abs_difference=tuple(table.numbers("max_abs_difference", float)),
        max_abs_reference=tuple(table.numbers("max_abs_reference", float)),
        tolerance=table.number("tolerance"),
    )


def _parsed(raw: bytes, where: str) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError:
        raise BundleError("it is no UTF-8 text", where=where, hint=AGAIN) from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        message = "the manifest is cut off" if cut else f"not JSON: {error.msg}"
        raise BundleError(message, where=f"{where}:{error.lineno}", hint=AGAIN) from None
    except (ValueError, RecursionError) as error:
        message = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BundleError(message, where=where, hint=AGAIN) from None
    if not isinstance(document, dict):
        raise BundleError(f"a table is expected, got {short(document)}", where=where)
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
