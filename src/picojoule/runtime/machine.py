"""Which machine this is, in words that tell one from another."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from picojoule.runtime.threads import usable_cpus

_CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """The processor as its maker calls it, as far as the system knows."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    fields = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    name = fields.get("model name") or fields.get("hardware") or platform.processor() or platform.machine()
    family = [fields[key] for key in ("cpu family", "model", "stepping") if fields.get(key)]
    # Virtual machines often give a name that says little: family and model tell generations apart.
    return re.sub(r"\s+", " ", f"{name} ({'/'.join(family)})" if family else name)


def machine_name() -> str:
    """Processor, how many of them, and the system: what latencies depend on and doesn't change by itself."""
    return f"{processor_name()} × {os.cpu_count() or 1}, {platform.system()} {platform.machine()}"


def machine_data() -> dict[str, object]:
    """The machine as it stands in a result."""
    return {
        "name": machine_name(),
        "processor": processor_name(),
        "cpus": os.cpu_count() or 1,
        "usable_cpus": list(usable_cpus()),
        "system": f"{platform.system()} {platform.release()}",
        "load": load_average(),
    }


def load_average() -> float | None:
    """Processes that ran or waited to run over the last minute; None where the system doesn't count them."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
