"""One file a figure. Each has ``PLACE``, its rank on the page, and ``figure(reading)``: the figure, or None without its data.

A new figure is one file here: the page finds it by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator

from picojoule.reporting.page.figure import Figure
from picojoule.reporting.page.reading import Reading


def figures(reading: Reading) -> Iterator[Figure]:
    """The figures that a result has the data for, in the order of the page."""
    yield from drawn_by(__name__, __path__, reading)


def drawn_by(package: str, path: Iterable[str], reading: object) -> Iterator[Figure]:
    """What the modules of a package make of a reading, in the order of their ``PLACE``."""
    modules = [importlib.import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(path)]
    for module in sorted(modules, key=lambda module: module.PLACE):
        drawn = module.figure(reading)
        if drawn is not None:
            yield drawn
