"""``pytest tests/golden --update-golden`` writes the golden files anew; read the difference before you commit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files of terminal output anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the golden file of that name, or writes it if asked to."""
    # In a run of the whole suite this file is read too late for the option to exist.
    update = request.config.getoption("--update-golden", default=False)

    def compare(name: str, text: str) -> None:
        file = FOLDER / f"{name}.txt"
        if update:
            file.write_text(text, encoding="utf-8")
        assert file.is_file(), f"{file.name} is missing: run pytest tests/golden --update-golden"
        assert text == file.read_text(encoding="utf-8"), (
            f"{file.name} differs: if that is meant, run pytest tests/golden --update-golden"
        )

    return compare
