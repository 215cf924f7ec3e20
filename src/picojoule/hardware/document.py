"""YAML text → plain data, with the line of every field.

The text comes from strangers, so the YAML nodes are walked here by hand: only text, numbers, booleans, null,
lists and tables come through. Tags are never executed, and refused unless the caller names them as kinds of tables;
keys may not repeat, and aliases may not blow up.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from picojoule.errors import HardwareError, SystemFailure

MAX_BYTES = 1_000_000
MAX_FIELDS = 20_000
MAX_DEPTH = 20
TAG = "!"
"""The key under which a table holds its tag, where tags are allowed."""

FieldPath = tuple[str | int, ...]

_CORE = "tag:yaml.org,2002:"
_PLAIN_DATA = "A description is plain data: text, numbers, lists and tables."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a description came from: the name of its source, and the line of every field if it was a text."""

    name: str
    lines: Mapping[FieldPath, int] = field(default_factory=dict)

    def line(self, path: FieldPath) -> int | None:
        """The line of a field, or of the nearest field around it that has one."""
        return next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), None)

    def at(self, *path: str | int) -> str:
        """``file:line: field.path``, for the ``where`` of an error."""
        line = self.line(path)
        place = self.name if line is None else f"{self.name}:{line}"
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return f"{place}: {dotted}" if dotted else place


def read_text(path: Path) -> str:
    """The text of a description file.

    Raises:
        HardwareError: no such file, not a regular file, above ``MAX_BYTES``, or not UTF-8.
        SystemFailure: the system doesn't let us read it.
    """
    name = str(path)
    try:
        if not path.exists():
            raise HardwareError("there is no such file", where=name)
        if path.is_dir():
            raise HardwareError("this is a directory, not a description", where=name)
        if not path.is_file():
            raise HardwareError("this is not a regular file", where=name)
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise SystemFailure(f"the file can't be read: {error}", where=name, hint="Check its permissions.") from None
    if len(content) > MAX_BYTES:
        raise HardwareError(
            f"the file is larger than {MAX_BYTES:,} bytes",
            where=name,
            hint="A description takes about 60 lines; is this the right file?",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HardwareError(
            f"the file is not UTF-8 text: byte {content[error.start]:#04x} at offset {error.start}",
            where=name,
            hint="Save it as UTF-8.",
        ) from None


def parse(text: str, name: str, tags: Collection[str] = ()) -> tuple[object, Origin]:
    """Plain data in one YAML 1.2 document, and where each field of it stands.

    Args:
        text: the document.
        name: names it in errors.
        tags: those that a table may bear, such as ``!Component``; it then holds its tag under ``TAG``.

    Raises:
        HardwareError: not YAML, a tag, a key that is there twice, or too deep or too large.
    """
    lines: dict[FieldPath, int] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ruamel warns of style; what matters here is an error
            root = YAML(typ="safe", pure=True).compose(text)
        if root is None:
            raise HardwareError("the file is empty", where=name, hint="It should hold a description.")
        data = _plain(root, (), lines, name, tags)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        what = " ".join(str(error.problem or error.context).split())
        if isinstance(error, ComposerError) and "another document" in what:
            raise HardwareError(
                "a second YAML document begins here, and a file holds one",
                where=where,
                hint="Give each document, from one '---' to the next, a file of its own.",
            ) from None
        raise HardwareError(
            f"this is not valid YAML: {what}",
            where=where,
            hint="Indent with spaces, and put quotes around text that holds ': ' or ' #'.",
        ) from None
    except YAMLError as error:
        raise HardwareError(f"this is not valid YAML: {' '.join(str(error).split())}", where=name) from None
    except RecursionError:
        raise HardwareError(f"nested deeper than {MAX_DEPTH} levels", where=name, hint=_PLAIN_DATA) from None
    return data, Origin(name, lines)


def _plain(
    node: Node, path: FieldPath, lines: dict[FieldPath, int], name: str, tags: Collection[str] = ()
) -> object:
    """The value of ``node``; notes the line of everything below it in ``lines``."""
    line = node.start_mark.line + 1
    lines.setdefault(path, line)  # for a field of a table, the line of its key is there already
    where = Origin(name, lines).at(*path)
    # An alias is walked again each time it is used, so a bomb of aliases runs into one of these two.
    if len(lines) > MAX_FIELDS:
        raise HardwareError(
            f"more than {MAX_FIELDS:,} fields, aliases included", where=f"{name}:{line}", hint=_PLAIN_DATA
        )
    if len(path) > MAX_DEPTH:
        raise HardwareError(f"nested deeper than {MAX_DEPTH} levels", where=f"{name}:{line}", hint=_PLAIN_DATA)
    tag = str(node.tag)
    if isinstance(node, SequenceNode) and tag == f"{_CORE}seq":
        return [_plain(child, (*path, i), lines, name, tags) for i, child in enumerate(node.value)]
    if isinstance(node, MappingNode) and (tag == f"{_CORE}map" or tag in tags):
        table: dict[str, object] = {}
        if tag in tags:
            table[TAG], lines[(*path, TAG)] = tag, line
        for key_node, child in node.value:
            key = _key(key_node, name)
            if key in table:
                raise HardwareError(
                    f"the key {key!r} is there twice, first on line {lines[(*path, key)]}",
                    where=Origin(name, {(*path, key): key_node.start_mark.line + 1}).at(*path, key),
                    hint="Keep one of the two.",
                )
            lines[(*path, key)] = key_node.start_mark.line + 1
            table[key] = _plain(child, (*path, key), lines, name, tags)
        return table
    if isinstance(node, ScalarNode) and tag in tags and not node.value:
        return {TAG: tag}
    if isinstance(node, ScalarNode) and tag.startswith(_CORE):
        kind = tag.removeprefix(_CORE)
        try:
            return _scalar(kind, node.value)
        except ValueError:
            raise HardwareError(f"{_short(node.value)} is not a value of kind {kind}", where=where) from None
        except KeyError:
            pass
    raise HardwareError(f"the tag {_written(tag)} is not allowed", where=where, hint=_PLAIN_DATA)


def _key(node: Node, name: str) -> str:
    if isinstance(node, ScalarNode) and str(node.tag) == f"{_CORE}merge":
        what = "merging tables with '<<' is not supported"
    elif not isinstance(node, ScalarNode):
        what = "a key must be one word, not a list or table"
    elif not str(node.tag).startswith(_CORE) or str(node.tag).startswith(f"{_CORE}python"):
        what = f"the tag {_written(str(node.tag))} is not allowed"
    else:
        return str(node.value)
    raise HardwareError(what, where=f"{name}:{node.start_mark.line + 1}", hint=_PLAIN_DATA)


def _scalar(kind: str, text: str) -> object:
    """Raises KeyError for a kind that plain data doesn't have, ValueError where the text is none of its kind."""
    if kind in ("str", "timestamp"):
        return text
    if kind == "null":
        return None
    if kind == "bool":
        if text.lower() not in ("true", "false"):  # "yes" and "on" are truths of YAML 1.1
            raise ValueError(text)
        return text.lower() == "true"
    if kind == "int":
        return int(text, 0) if text[:2].lower() in ("0x", "0o") else int(text)
    if kind == "float":
        special = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
        return float(special.get(text.lower(), text))
    raise KeyError(kind)


def _written(tag: str) -> str:
    return repr(tag.replace(_CORE, "!!", 1) if tag.startswith(_CORE) else tag)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
