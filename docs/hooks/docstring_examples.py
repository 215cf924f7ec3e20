"""Shows the examples of docstrings as code: those under ``Example:``, and those that stand alone."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ALONE = re.compile(r"(?<=\n\n)(>>> .*?)(?=\n\n|\Z)", re.DOTALL)


class DocstringExamples(griffe.Extension):
    """griffe knows ``Examples:`` alone, and takes ``>>>`` anywhere else for a quotation."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = _ALONE.sub(r"```pycon\n\1\n```", text)
