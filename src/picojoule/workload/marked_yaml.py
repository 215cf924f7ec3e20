"""YAML or JSON text as plain values that remember their line.

Only YAML 1.2's own types come through: a tag, such as one that asks Python to build an object, is
refused before anything is built. Aliases are followed, merges (``<<``) are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picojoule.errors import LayerTableError, SystemFailure, UnknownNameError

SIZE_LIMIT_BYTES = 16 * 1024 * 1024
DEPTH_LIMIT = 50
_CORE = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A value and the line (from 1) on which it begins.

    Attributes:
        value: dict of Marked by key, list of Marked, or a str, int, float, bool or None.
        line: in the file.
        text: the scalar as written, for messages; "a list" or "a mapping" for the others.
    """

    value: Any
    line: int
    text: str


def read_text(path: Path) -> str:
    """The text of a file of at most ``SIZE_LIMIT_BYTES``.

    Raises:
        UnknownNameError: there is no such file.
        SystemFailure: it can't be read.
        LayerTableError: it is too large, or no UTF-8 text.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise UnknownNameError(f"there is no file {str(path)!r}", hint="Check the path.") from None
    except OSError as error:
        raise SystemFailure(f"can't be read: {error.strerror}", where=str(path)) from error
    if len(content) > SIZE_LIMIT_BYTES:
        raise LayerTableError(
            f"the file is larger than {SIZE_LIMIT_BYTES // 2**20} MB",
            where=str(path),
            hint="A layer table needs about 100 bytes per layer. Is this another kind of file?",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LayerTableError(
            "the file is not UTF-8 text", where=f"{path}:{line}", hint="A layer table is text."
        ) from None


def parse_marked(text: str, path: Path) -> Marked:
    """The one document in ``text``; ``path`` is for messages.

    Raises:
        LayerTableError: it is no single well-formed YAML or JSON document of plain values.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if path.suffix.lower() == ".json":
        # JSON may be indented by tabs, YAML may not; inside a JSON string a bare tab is not allowed anyway.
        text = text.replace("\t", " ")
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "malformed"
        raise LayerTableError(f"this is not YAML or JSON: {problem}", where=where) from None
    except RecursionError:
        raise LayerTableError("the file is nested too deeply", where=str(path)) from None
    except ValueError as error:
        raise LayerTableError(f"this is not YAML or JSON: {error}", where=str(path)) from None
    if node is None:
        raise LayerTableError(
            "the file is empty", where=str(path), hint="Write `layers:` and a list of layers; see the layer-table page."
        )
    return _Converter(path).convert(node, depth=0)


class _Converter:
    """Turns composed nodes into `Marked`; a node that several aliases name is converted once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[int, Marked] = {}

    def convert(self, node: Any, *, depth: int) -> Marked:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        if id(node) in self._done:
            return self._done[id(node)]
        line = node.start_mark.line + 1
        if depth > DEPTH_LIMIT:
            # An alias inside of what it names ends here, too.
            raise LayerTableError("the file is nested too deeply", where=f"{self._path}:{line}")
        if isinstance(node, MappingNode):
            self._plain_kind(node, line, ("map",))
            marked = Marked(value=self._mapping(node, depth), line=line, text="a mapping")
        elif isinstance(node, SequenceNode):
            self._plain_kind(node, line, ("seq",))
            items = [self.convert(item, depth=depth + 1) for item in node.value]
            marked = Marked(value=items, line=line, text="a list")
        else:
            marked = self._scalar(node, line)
        self._done[id(node)] = marked
        return marked

    def _mapping(self, node: Any, depth: int) -> dict[str, Marked]:
        result: dict[str, Marked] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self.convert(key_node, depth=depth + 1)
            if not isinstance(key.value, str):
                raise LayerTableError(f"a key must be text, got {key.text}", where=f"{self._path}:{line}")
            if key.value in result:
                raise LayerTableError(
                    f"the key {key.value!r} is given twice, first on line {result[key.value].line}",
                    where=f"{self._path}:{line}",
                    hint="Keep one of them.",
                )
            value = self.convert(value_node, depth=depth + 1)
            result[key.value] = Marked(value=value.value, line=line, text=value.text)
        return result

    def _scalar(self, node: Any, line: int) -> Marked:
        kind = self._plain_kind(node, line, ("str", "int", "float", "bool", "null", "timestamp", "merge", "value"))
        written = str(node.value)
        value: str | int | float | bool | None = written
        # Python refuses to read very long numbers; no number of such length is a size, so it stays text.
        if kind == "int" and _WHOLE.fullmatch(written) and len(written) < 1000:
            value = int(written)
        elif kind == "float":
            value = _float(written)
        elif kind == "bool":
            value = written.lower() == "true"
        elif kind == "null":
            value = None
        return Marked(value=value, line=line, text=written or "nothing")

    def _plain_kind(self, node: Any, line: int, allowed: tuple[str, ...]) -> str:
        """The node's type if it is one of YAML's own."""
        tag = str(node.tag)
        kind = tag.removeprefix(_CORE)
        if kind == tag or kind not in allowed:
            shown = tag.replace(_CORE, "!!", 1)
            raise LayerTableError(
                f"the tag {shown} is not allowed", where=f"{self._path}:{line}", hint="Write plain values without tags."
            )
        return kind


def _float(written: str) -> float | str:
    try:
        return float(written)
    except ValueError:  # .inf and .nan, which no field takes
        return written
