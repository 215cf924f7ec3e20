"""A browser, and pages that `picojoule report` wrote. Where there is no browser these tests say so and skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import picojoule
from picojoule.result import Estimate

Opened = Callable[..., object]
EVIL = "<script>document.title='pwned'</script>"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Debian's chromium, driven by Playwright."""
    reason = ""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        reason = "playwright is not installed: pip install 'picojoule[test]'"
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not reason and path is None:
        reason = "no browser: install one (Debian: apt-get install chromium)"
    if reason:
        if os.environ.get("PICOJOULE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    # root has no sandbox
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def result() -> Estimate:
    """MobileNetV1 on a machine with seven places, found in seconds."""
    search = picojoule.Exact(time_limit_s=None, factors="exact")
    return picojoule.estimate("mobilenet_v1", hardware="eyeriss-like-45nm", search=search)


@pytest.fixture(scope="session")
def report(result: Estimate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(picojoule.report(result), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, report: Path) -> Iterator[Opened]:
    """Opens the page, and fails at the end if it said anything on the console or asked for anything but itself."""
    contexts, noise, requests = [], [], []

    def open_(path: Path = report, *, width: int = 1400, scheme: str = "light", scripts: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: noise.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert noise == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
