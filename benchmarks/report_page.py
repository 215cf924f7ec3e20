"""The report of ResNet-50: how long it takes to write beyond imports, how large it is, and when a browser has it ready to use.

The baselines are what the imports take, and an empty page in the same browser. Without a browser the second half says so. Run it
from the checkout: ``make bench``.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

RUNS = 5
EMPTY = "<!doctype html><title>empty</title><script>performance.mark('interactive')</script>"


def main() -> None:
    """Prints a line for writing, and one for each width of the browser."""
    began = time.perf_counter()
    import picojoule
    from picojoule.reporting import report

    imports = time.perf_counter() - began
    search = picojoule.Exact(time_limit_s=None, factors="exact")
    result = picojoule.estimate("resnet50", hardware="eyeriss-like-45nm", search=search)
    walls, cpus, page = [], [], ""
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        page = report(result)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(page, encoding="utf-8")
        print(f"{'report of resnet50 on eyeriss-like-45nm':40} {'wall s':>8} {'CPU s':>8} {'kB':>6} {'× imports':>10}")
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        print(f"{'written, beyond imports':40} {wall:8.2f} {cpu:8.2f} {len(page.encode()) / 1e3:6.0f} {wall / imports:10.1f}")
        _browse(path)


def _browse(path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        print("interactive: not measured, there is no chromium or no playwright")
        return
    empty = path.with_name("empty.html")
    empty.write_text(EMPTY, encoding="utf-8")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        for width in (480, 1400):
            page = chromium.new_page(viewport={"width": width, "height": 900})
            ready, base = _ready(page, path), _ready(page, empty)
            print(f"{f'interactive at {width} px':40} {ready / 1e3:8.2f} {'':8} {'':6} {ready / base:9.1f} × an empty page")
        chromium.close()


def _ready(page: object, path: Path) -> float:
    """Milliseconds from the start of the navigation to the end of the page's own script, the median of some."""
    times = []
    for _ in range(RUNS):
        page.goto(path.as_uri())
        times.append(page.evaluate("performance.getEntriesByName('interactive')[0].startTime"))
    return statistics.median(times)


if __name__ == "__main__":
    main()
