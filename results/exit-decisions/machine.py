"""Energies of the exits of document 001's network on a machine, data movement included: `eyeriss-like-45nm.json`.

python results/exit-decisions/machine.py    (minutes: it estimates every layer)
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from picojoule.exits import energies_of_heads, estimate_exits
from picojoule.search import Exact

MACHINE, EXITS = "eyeriss-like-45nm", 6


def main() -> None:
    result = estimate_exits(MACHINE, search=Exact(time_limit_s=None, factors="exact"))
    parts = energies_of_heads(result, [f"softmax{e}" for e in range(EXITS)])
    path = Path(__file__).with_name(f"{MACHINE}.json")
    path.write_text(json.dumps(asdict(parts), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path}: {result.status}, gap {result.gap:.1%}, {parts.leaving()[-1]:.4g} {result.table['unit']}")


if __name__ == "__main__":
    main()
