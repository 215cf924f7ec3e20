"""What users are meant to use: the names that the public modules list."""

from __future__ import annotations

import importlib
import pkgutil

PUBLIC_MODULES = (
    "picojoule", "picojoule.exits", "picojoule.hardware", "picojoule.runtime", "picojoule.study", "picojoule.train",
    "picojoule.workload",
)  # fmt: skip
"""Whatever they, and the packages in them, list in ``__all__`` is for users."""


def public_names() -> dict[str, str]:
    """Every name that users are meant to use, by its module, and where it is defined."""
    names = {}
    for root in PUBLIC_MODULES:
        try:
            module = importlib.import_module(root)
        except ModuleNotFoundError:
            continue
        packages = [root]
        if root != "picojoule":
            packages += [inner.name for inner in pkgutil.walk_packages(module.__path__, f"{root}.") if inner.ispkg]
        for package in packages:
            members = importlib.import_module(package)
            for name in getattr(members, "__all__", ()):
                thing = getattr(members, name)
                names[f"{package}.{name}"] = f"{getattr(thing, '__module__', package)}.{name}"
    return names
