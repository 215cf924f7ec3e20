"""``pytest tests/references --update-validation`` writes ``docs/validation.md`` anew; read the difference before you commit it."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-validation", action="store_true", help="write docs/validation.md anew")
