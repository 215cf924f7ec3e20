"""Results to verify, made once for all tests of this folder."""

from __future__ import annotations

import pytest
from support.verified_results import results_by_kind

from picojoule.result import Estimate


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> dict[str, Estimate]:
    return results_by_kind(tmp_path_factory.mktemp("mappings"))
