"""The name that a call in a PyTorch network has for its user: the path of the module that makes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HOLDS_OTHERS = re.compile(r"torch\.nn\.modules\.(container|transformer|module)\.|MultiheadAttention$")
_NAMED_ALONE = frozenset(("scaled_dot_product_attention",))
"""Functions that bear the name of their module, whatever module that is: their layers have endings of their own."""


def call_name(modules: Sequence[tuple[str, str]], function: str, weight: str = "") -> str:
    """The path of the module where that does this one thing, else that of the weight, else the path and the function.

    Args:
        modules: path and type of the modules around the call, from the outermost inwards.
        function: what is called, for example ``conv2d``.
        weight: the user's name of the parameter that the function multiplies with.

    >>> call_name([("", "my.Net"), ("features.0", "torch.nn.modules.conv.Conv2d")], "conv2d")
    'features.0'
    >>> call_name([("", "my.Net"), ("block", "my.Block")], "add")
    'block.add'
    """
    path, module = modules[-1] if modules else ("", "")
    path = re.sub(r"@\d+", "", path)
    short = function.lstrip("_") or "call"
    alone = module.startswith("torch.nn.modules.") and not _HOLDS_OTHERS.search(module)
    if path and (alone or function in _NAMED_ALONE):
        return path
    owner = re.sub(r"[._]?weight$", "", weight)
    if owner:
        return owner
    return f"{path}.{short}" if path else short
