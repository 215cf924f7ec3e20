"""What every test may rely on: the shared folder if it is there, and Hypothesis without randomness."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "picojoule", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("picojoule")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published figures and data that lies beside a developer's checkout."""
    folder = Path(os.environ.get("PICOJOULE_SHARED", "../shared")).resolve()
    if (folder / "facts" / "facts.json").is_file():
        return folder
    reason = f"no shared data at {folder}; set PICOJOULE_SHARED to the folder that holds facts/ and references/"
    if os.environ.get("PICOJOULE_REQUIRE_SHARED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
