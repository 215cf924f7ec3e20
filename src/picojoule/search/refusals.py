"""A layer for which a machine has no mapping, named in the error: one such layer refuses a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from picojoule.errors import HardwareError


@contextmanager
def named(layer: str) -> Iterator[None]:
    """Puts the layer before the place of an error of the machine that is raised inside: ``conv1 on eyeriss-v1``.

    Raises:
        HardwareError: the one that was raised, with the layer.
    """
    try:
        yield
    except HardwareError as error:
        raise HardwareError(error.message, where=f"{layer} on {error.where}", hint=error.hint) from None
