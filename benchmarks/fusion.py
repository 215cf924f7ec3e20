"""CPU of ``--fuse auto`` against the estimate without it, paired in one process, and what it spares.

    python benchmarks/fusion.py [MODEL [HARDWARE [OBJECTIVE [FACTORS]]]]

Both run once to load what is loaded once, then both in turn, without the cache.
"""

from __future__ import annotations

import sys
import time

import picojoule

MODEL, HARDWARE, OBJECTIVE, FACTORS, PAIRS = "mobilenet_v2", "dpu-v2", "energy", "any", 3


def main() -> None:
    given = sys.argv[1:]
    model, hardware, objective, factors = (given + [MODEL, HARDWARE, OBJECTIVE, FACTORS][len(given) :])[:4]
    search = picojoule.Exact(factors=factors)

    def run(fuse: str) -> tuple[float, picojoule.Estimate]:
        began = time.process_time()
        found = picojoule.estimate(model, hardware=hardware, objective=objective, search=search, cache=False, fuse=fuse)
        return time.process_time() - began, found

    run("off"), run("auto")
    ratios = []
    for _ in range(PAIRS):
        (plain_s, plain), (fused_s, fused) = run("off"), run("auto")
        ratios.append(fused_s / plain_s)
        print(f"{model} on {hardware}, least {objective}: {plain_s:.2f} s without, {fused_s:.2f} s with: {ratios[-1]:.2f}×")
    assert fused.fusion is not None
    print(
        f"median {sorted(ratios)[PAIRS // 2]:.2f}× · {fused.value / plain.value:.3f} of the {objective}, {len(fused.groups)} groups, "
        f"{fused.fusion['status']}, searched {fused.fusion['searched']}"
    )


if __name__ == "__main__":
    main()
