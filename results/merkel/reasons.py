"""The figures behind "Why some don't hold" in README.md, from the logits and logs of this folder.

python results/merkel/reasons.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from evidence import EXITS, Trained, read_evidence
from figures import BETAS, DESIRED, Rows, figures_9_and_10, separate

from picojoule.errors import PicojouleError
from picojoule.exits import Rule, baseline_energy, depth_macs, exit_energies

HERE = Path(__file__).resolve().parent
RESAMPLES = 1000
Lines = list[tuple[str, str, str]]


def main() -> int:
    try:
        evidence = read_evidence(HERE)
    except PicojouleError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print("| figure | value | computed from |\n|---|---|---|")
    for part in (training, combining, everywhere, saving, chance):
        for line in part(evidence):
            print(f"| {' | '.join(line)} |")
    return 0


def _points(values: np.ndarray, digits: int = 1) -> str:
    return " ".join(f"{100 * x:+.{digits}f}" for x in values)


def _alone(evidence: dict[str, Trained]) -> list[Trained]:
    return [separate(evidence)[depth] for depth in range(1, EXITS + 1)]


def training(evidence: dict[str, Trained]) -> Lines:
    """How far the training came."""
    lines = []
    for name, what in (("combined", "sixth exit"), ("L6", "six layers alone")):
        net = evidence[name]
        trained, test = float(net.train.accuracy[-1]), float(net.accuracy[-1])
        noise = (test * (1 - test) / net.test.right.shape[1]) ** 0.5
        before, last = (line["choose_accuracy"][-1] for line in net.log[-2:])
        lines.append(
            (
                f"{what}: test, training, gap; last epoch",
                f"{100 * test:.2f} ± {100 * noise:.2f} %, {100 * trained:.2f} %, {100 * (trained - test):.1f} points;"
                f" {100 * (last - before):+.2f} points",
                "`test`, `train_right`; choosing images in the log",
            )
        )
    return lines


def combining(evidence: dict[str, Trained]) -> Lines:
    """What the exits gain from being trained together, and when."""
    net, alone = evidence["combined"], _alone(evidence)
    gaps = [
        net.train.accuracy - net.accuracy,
        np.array([t.train.accuracy[0] - t.accuracy[0] for t in alone]),
    ]
    lead = np.array([line["choose_accuracy"] for line in net.log]) - np.transpose(
        [[line["choose_accuracy"][0] for line in t.log] for t in alone]
    )
    trained = net.train.accuracy - np.array([t.train.accuracy[0] for t in alone])
    change = net.test.right.astype(float) - np.concatenate([t.test.right for t in alone])
    mean = change.mean(0)
    return [
        (
            "combined less alone, test, mean of six",
            f"{100 * mean.mean():+.2f} ± {100 * mean.std() / len(mean) ** 0.5:.2f} points",
            "standard error over images, paired",
        ),
        (
            "the same by layer, training images",
            f"{_points(trained)} points",
            "`train_right`, no dropout",
        ),
        (
            "gap of training and test, combined; alone",
            "; ".join(" ".join(f"{100 * x:.1f}" for x in gap) for gap in gaps) + " points",
            "`train_right`, `test`",
        ),
        (
            "lead by layer after epochs 2, 5, 10",
            "; ".join(_points(lead[epoch - 1]) for epoch in (2, 5, 10)) + " points",
            "choosing images in the logs",
        ),
    ]


def _rows(evidence: dict[str, Trained], *, heads: bool, beta: tuple[float, float] = BETAS[1]) -> Rows:
    return [
        row
        for row in figures_9_and_10(evidence)
        if row["heads_charged"] == heads and (row["beta1"], row["beta2"]) == beta
    ]


def everywhere(evidence: dict[str, Trained]) -> Lines:
    """Where the rule takes more than networks of fixed depth."""
    lines: Lines = []
    for heads, what in (
        (True, "heads passed charged"),
        (False, "only the last head charged"),
    ):
        rows = [row for row in _rows(evidence, heads=heads) if row["saved"] is not None]
        more = [row for row in rows if row["saved"] < 0]
        less, same = (
            sum(row["saved"] > 0 for row in rows),
            sum(row["saved"] == 0 for row in rows),
        )
        at = (
            f" (accuracy {more[0]['accuracy']:.4f} … {more[-1]['accuracy']:.4f}, Ã {more[0]['desired']:.2f} …"
            f" {more[-1]['desired']:.2f}; {-100 * min(row['saved'] for row in more):.3f} % of E_Dmax at most)"
            if more
            else ""
        )
        lines.append(
            (
                f"points that take less, the same, more; {what}",
                f"{less}, {same}, {len(more)}{at}",
                "Fig. 10",
            )
        )
    gap = evidence["combined"].accuracy[1] - evidence["L2"].accuracy[0]
    lines.append(
        (
            "second exit less two layers alone",
            f"{_points(np.array([gap]), 2)} points",
            "`test`",
        )
    )
    head = 100 * exit_energies(1, heads_passed=True)[0] / depth_macs(EXITS)
    lines.append(("first head", f"{head:.3f} % of E_Dmax", "MACs"))
    return lines


def saving(evidence: dict[str, Trained]) -> Lines:
    """Of the energy saved, what the rule saves and what the better network does; what leaving early costs."""
    net, most = evidence["combined"], depth_macs(EXITS)
    rows = _rows(evidence, heads=True)
    best = max((row for row in rows if row["saved"] is not None), key=lambda row: row["saved"])
    taken = best["relative_energy"]
    exits, alone = best["saved_exits"] + taken, best["saved"] + taken
    lines = [
        (
            f"at accuracy {best['accuracy']:.4f}: alone, fixed exit, rule",
            f"{100 * alone:.1f}, {100 * exits:.1f}, {100 * taken:.1f} % of E_Dmax:"
            f" the network saves {100 * (alone - exits):.1f}, the rule {100 * (exits - taken):.1f}",
            "Fig. 10",
        )
    ]
    fixed = " ".join(
        f"{100 * a:.2f} % for {100 * e / most:.1f} %"
        for a, e in zip(net.accuracy[3:], exit_energies(EXITS, heads_passed=False)[3:], strict=True)
    )
    lines.append(("accuracy for E_Dmax, exits 4 to 6", fixed, "`test`, MACs"))
    best = max(
        (row for row in rows if row["saved_exits"] is not None),
        key=lambda row: row["saved_exits"],
    )
    rule = Rule(
        train_accuracy=tuple(net.train.accuracy.tolist()),
        beta1=best["beta1"],
        beta2=best["beta2"],
    )
    left = rule.exits(net.test.confidence, best["desired"])
    here = left == 1
    lost = [100 * float(net.test.right[-1][left == e].sum() - net.test.right[e][left == e].sum()) / len(left)
            for e in range(EXITS)]  # fmt: skip
    lines.append(
        (
            f"Ã {best['desired']:.2f}: images that leave at exit 2, right there, right at exit 6",
            f"{100 * here.mean():.1f} %, {100 * net.test.right[1][here].mean():.1f} %,"
            f" {100 * net.test.right[-1][here].mean():.1f} %: {lost[1]:.2f} of the {sum(lost):.2f} points lost",
            "`test`",
        )
    )
    return lines


def chance(evidence: dict[str, Trained]) -> Lines:
    """How the claims would stand on other test images: these drawn anew, with replacement."""
    net, most, alone = evidence["combined"], depth_macs(EXITS), _alone(evidence)
    images = net.test.right.shape[1]
    # Counts of whole images add up exactly in any order: accuracies that tie do so on every machine.
    drawn = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=RESAMPLES).T.astype(float)
    energies = np.array(exit_energies(EXITS, heads_passed=True)) / most
    fixed = [depth_macs(depth) / most for depth in range(1, EXITS + 1)]
    right, energy = [], []
    for beta1, beta2 in BETAS:
        rule = Rule(train_accuracy=tuple(net.train.accuracy.tolist()), beta1=beta1, beta2=beta2)
        for wanted in DESIRED:
            left = rule.exits(net.test.confidence, float(wanted))
            right.append(net.test.right[left, np.arange(images)])
            energy.append(energies[left])
    accuracy, taken = np.array(right, dtype=float) @ drawn / images, np.array(energy) @ drawn / images
    single = np.concatenate([t.test.right for t in alone]).astype(float) @ drawn / images
    exits = net.test.right.astype(float) @ drawn / images
    lines = []
    for base, what in ((single, "networks of fixed depth"), (exits, "fixed exits")):
        best = [
            100 * np.nanmax(baseline_energy(base[:, i].tolist(), fixed, accuracy[:, i]) - taken[:, i])
            for i in range(RESAMPLES)
        ]
        low, middle, high = np.quantile(best, (0.025, 0.5, 0.975))
        lines.append(
            (
                f"most saved below {what}, 95 %",
                f"{low:.1f} … {high:.1f}, median {middle:.1f} % of E_Dmax",
                "resamples",
            )
        )
    lead = single[5] - single[4]
    lines.append(
        (
            "six layers alone less five",
            f"{100 * (alone[5].accuracy[0] - alone[4].accuracy[0]):+.2f} ± {100 * lead.std():.2f} points",
            "resamples",
        )
    )
    step = net.test.confidence[5] - net.test.confidence[4]
    lines.append(
        (
            "mean confidence, exit 6 less exit 5",
            f"{step.mean():+.4f} ± {step.std() / images**0.5:.4f}",
            "`test`, paired",
        )
    )
    return lines


if __name__ == "__main__":
    sys.exit(main())
