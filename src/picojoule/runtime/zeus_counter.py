"""The counters of processors and their memory (RAPL), read by zeus."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Mapping
from typing import Any

from picojoule.runtime.energy import Counter

RAPL_FOLDERS = ("/sys/class/powercap/intel-rapl", "/zeus_sys/class/powercap/intel-rapl")
"""Where Linux shows the counters, and where zeus looks for them in a container."""


class ZeusCounter:
    """Processors and memory as zeus finds them; see ``energy.Counter``.

    Args:
        cpus: what ``zeus.device.get_cpus`` gives.
    """

    name = "RAPL by zeus"

    def __init__(self, cpus: Any) -> None:
        self._cpus = cpus
        self._files: dict[str, Any] = {}
        for index, cpu in enumerate(cpus.cpus):
            package, dram = getattr(cpu, "rapl_file", None), getattr(cpu, "dram", None)
            # Laptops have a domain of the whole platform, too, which holds the package again.
            if package is None or package.name.startswith("package"):
                self._files[f"package-{index}"] = package
                if cpu.supports_get_dram_energy_consumption():
                    self._files[f"dram-{index}"] = dram
        self.wraps_j: dict[str, float | None] = {
            domain: None if file is None else file.max_energy_range_uj * 1e-6 for domain, file in self._files.items()
        }

    def read_j(self) -> Mapping[str, float]:
        """The joules on each domain.

        A file of the system is read directly: zeus would start a process that watches for wraps, which scripts without
        ``if __name__ == "__main__"`` don't survive; wraps are minded by `energy.spent_j`.
        """
        found = {}
        for domain, file in self._files.items():
            if file is not None:
                with open(file.energy_uj_path, encoding="ascii") as opened:
                    found[domain] = int(opened.read()) * 1e-6
                continue
            kind, _, index = domain.partition("-")
            read = self._cpus.get_total_energy_consumption(int(index))
            found[domain] = (read.cpu_mj if kind == "package" else read.dram_mj) / 1000
        return found


def open_counter() -> tuple[Counter | None, str]:
    """The processors' counter, or None and the reason in words."""
    trouble = rapl_trouble()
    if trouble and "ZEUSD_SOCK_PATH" not in os.environ:
        return None, trouble
    try:
        logging.getLogger("zeus").setLevel(logging.ERROR)
        from zeus.device import get_cpus
    except ImportError:
        return None, "zeus is not installed: pip install 'picojoule[measure]'"
    try:
        counter = ZeusCounter(get_cpus())
        counter.read_j()
    except Exception as problem:  # zeus raises a type of its own for each trouble
        return None, f"zeus can't read the counters: {(str(problem).strip() or type(problem).__name__).splitlines()[0]}"
    return (counter, "") if counter.wraps_j else (None, "zeus finds no processor with a counter")


def rapl_trouble() -> str:
    """Why the counters of the processors can't be read; empty if they can."""
    folder = next((place for place in RAPL_FOLDERS if os.path.isdir(place)), None)
    if folder is None:
        return f"no energy counter: this machine shows no RAPL ({RAPL_FOLDERS[0]}), as virtual machines mostly don't"
    files = sorted(glob.glob(os.path.join(folder, "intel-rapl:*", "energy_uj")))
    if not files:
        return f"no energy counter: {folder} holds no intel-rapl:N"
    for file in files:
        try:
            with open(file, encoding="ascii") as opened:
                opened.read()
        except OSError as failure:
            return f"the energy counter can't be read ({file}: {failure.strerror}): run as root, or through zeusd"
    return ""
