"""``pytest tests/docs --update-docs`` writes what commands print into the pages; read the difference before you commit it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-docs", action="store_true", help="write the output of commands into the pages")


@pytest.fixture(scope="session", autouse=True)
def kernels() -> None:
    """The search kernels lie in the cache: whoever compiles them says so on standard error."""
    from picojoule.search.compiling import compile_ahead, compiled

    if not compiled():
        compile_ahead()


@pytest.fixture(scope="module")
def found_layers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All pages search with one cache, which begins empty: most ask for the same few layers. Other tests keep none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PICOJOULE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield
