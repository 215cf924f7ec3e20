"""The public list: explicit, sorted, documented, and every name leads somewhere."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil
import re

import pytest

import picojoule
from picojoule import errors

PUBLIC = [
    "Compression", "Estimate", "Exact", "PicojouleError", "adapt", "check", "cite", "compare", "estimate", "explain", "export",
    "load_hardware", "load_model", "measure", "prune", "quantize", "report", "verify",
]  # fmt: skip


def test_the_public_list_is_what_we_mean_and_sorted():
    assert picojoule.__all__ == PUBLIC == sorted(PUBLIC)


def test_the_module_documents_the_public_list():
    described = re.findall(r"^    (\w+) ", picojoule.__doc__, re.MULTILINE)
    assert sorted(described) == picojoule.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_leads_to_what_bears_it(name):
    thing = getattr(picojoule, name)
    assert thing.__name__ == name
    assert thing.__module__.startswith("picojoule.")
    assert inspect.getdoc(thing), f"{name} has no docstring"


@pytest.mark.parametrize("name", ["adapt", "check", "cite", "compare", "estimate", "explain", "export", "load_hardware", "load_model", "measure", "prune", "quantize", "report", "verify"])
def test_a_verb_takes_its_problem_by_position_and_policies_by_keyword(name):
    kinds = [p.kind for p in inspect.signature(getattr(picojoule, name)).parameters.values()]
    assert kinds[0] in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert sum(kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD) for kind in kinds) <= 2


def test_no_module_bears_a_public_name():
    """``import picojoule.verify`` would put a module where the function stood."""
    modules = {module.name for module in pkgutil.iter_modules(picojoule.__path__)}
    assert modules.isdisjoint(PUBLIC)


def test_dir_shows_names_that_are_not_loaded_yet():
    assert set(PUBLIC) | {"__version__", "errors"} <= set(dir(picojoule))


def test_a_name_nobody_knows_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'picojoule' has no attribute 'estimat'"):
        _ = picojoule.estimat


def test_every_error_is_reached_through_errors_and_has_one_root():
    tree = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert len(tree) > 10
    for name in tree:
        assert issubclass(getattr(picojoule.errors, name), picojoule.PicojouleError)
    defined = {n for n, c in vars(errors).items() if inspect.isclass(c) and c.__module__ == errors.__name__}
    assert defined == {*tree, "PicojouleError"}


def test_the_version_is_the_one_that_was_installed():
    assert re.fullmatch(r"\d+\.\d+\.\d+", picojoule.__version__)
    try:
        installed = importlib.metadata.version("picojoule")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("picojoule is not installed here, only on the path")
    assert installed == picojoule.__version__
