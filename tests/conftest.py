"""What every test may rely on: one thread, the shared folder if it is there, and Hypothesis without randomness."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Two threads on small layers wait for one another more than they work, above all beside other tests. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "picojoule", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("picojoule")


@pytest.fixture(scope="session", autouse=True)
def no_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every test searches for itself, and none touches the user's cache: a file stands where the folder would be.

    The tests of the cache name a folder of their own. Processes that tests start inherit this.
    """
    blocked = tmp_path_factory.mktemp("cache") / "none"
    blocked.write_text("", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PICOJOULE_CACHE_DIR", str(blocked))
        yield


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
