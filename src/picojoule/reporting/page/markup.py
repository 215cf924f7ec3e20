"""HTML put together so that nothing a user wrote can become a tag: what is not ``Markup`` is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from picojoule.reporting.figures import printable

Child = "Markup | str | float | None | Iterable[Child]"
_UNIT = re.compile(r"(?<=\d) (?=(?:%|[munpµ]?J|[GMk]?[gW]?B|[GMkT]|m?s|MACs|bit)(?![\w]))")
"""The space between a number and its unit, where a line must not break."""
_EMPTY = frozenset({"br", "input", "meta", "link"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. Children and attributes are escaped unless they are ``Markup``; None and False leave an attribute out.

    Names of attributes may end in an underscore (``class_``); inside, an underscore stands for a hyphen (``data_tip``).

    >>> tag("b", "1 < 2", title='"')
    '<b title="&quot;">1 &lt; 2</b>'
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in _EMPTY:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: object) -> Markup:
    """Children one after the other; lists of them are flattened, None is nothing."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(_UNIT.sub("&nbsp;", html.escape("\n".join(map(printable, children.split("\n"))))))
    if isinstance(children, Iterable):
        return Markup("".join(joined(child) for child in children))
    return Markup(html.escape(str(children)))


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, Markup) else html.escape(printable(str(value)))
    return f' {name}="{text}"'


def css(**properties: object) -> str:
    """Custom properties of CSS, for ``style``; numbers to four decimals.

    >>> css(w=12.34567, c="#fff")
    '--w:12.3457;--c:#fff'
    """
    return ";".join(
        f"--{name}:{round(value, 4):g}" if isinstance(value, float | int) else f"--{name}:{value}"
        for name, value in properties.items()
    )
