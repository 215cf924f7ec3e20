"""How soon a change of the images is reported, and how often one that isn't there; on real logits.

python results/exit-decisions/drift.py

Half of the test images calibrate operating points of the network of document 001; the other half is what comes later.
A change is made by hand: logits that are smaller, as those of images with less contrast are.
"""

from __future__ import annotations

import numpy as np
from measure import EXITS, energies, read

from picojoule.exits import leaving, operation_of
from picojoule.exits.deciding import settings_of
from picojoule.exits.deploying import thinned
from picojoule.runtime import DriftMonitor

BATCH, LEVELS, POINTS = 50, 15, 32


def main() -> None:
    evidence = read()
    half = evidence.test.shape[1] // 2
    choosing = evidence.choose, evidence.choose_labels
    settings, _, _ = settings_of(*choosing, energies(), tuple(range(EXITS)), rule="margin", combine=True, levels=LEVELS)
    settings = thinned(settings, POINTS)
    operation = operation_of(settings, choosing, (evidence.test[:, :half], evidence.test_labels[:half]))
    scorer = settings[0].policy.scorer
    later = evidence.test[:, half:].astype(np.float64)
    scored = scorer.read(later)
    alarms = 0
    for number, setting in enumerate(settings):
        monitor, left = DriftMonitor(operation), leaving(scored.score, setting.policy.thresholds)
        alarms += sum(monitor.add(number, left[n : n + BATCH]) is not None for n in range(0, half, BATCH))
    print(f"without a change: {alarms} alarms at {len(settings)} points, {half} samples each, windows of {monitor.window}")
    number = 3 * len(settings) // 4
    for factor in (0.95, 0.9, 0.8, 0.6):
        monitor = DriftMonitor(operation)
        left = leaving(scorer.read(factor * later).score, settings[number].policy.thresholds)
        found = [monitor.add(number, left[n : n + BATCH]) for n in range(0, monitor.window, BATCH)]
        seen = next((f"reported after {one.after} samples" for one in found if one is not None), "not reported")
        rates = ", ".join(f"{share:.3f}" for share in np.bincount(left, minlength=EXITS) / half)
        print(f"logits × {factor}: {seen}; leave at {rates}")
    print(f"calibrated: leave at {', '.join(f'{rate:.3f}' for rate in operation.points[number].rates)}")


if __name__ == "__main__":
    main()
