"""What document 001 states in words, beside what was measured here, each with a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from evidence import EXITS, Trained
from figures import BETAS, Rows, figure_6, figure_8, figures_9_and_10, separate

from picojoule.workload.builtin.merkel import merkel, merkel_exits

HOLDS, FAILS, OPEN = "holds", "does not hold", "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One claim.

    Attributes:
        id: for `claims.json`.
        claim: in the document's words or nearly.
        where: in the document.
        stated: its value; None if it is no number.
        value: measured on the test images; None if what it needs was not run.
        unit: of both.
        verdict: ``HOLDS``, ``FAILS`` or ``OPEN``.
        remark: what the verdict rests on.
    """

    id: str
    claim: str
    where: str
    stated: float | None
    value: float | None
    unit: str
    verdict: str
    remark: str


def verdicts(evidence: dict[str, Trained]) -> list[Verdict]:
    """Every claim; one that needs a network which was not run says so."""
    found = [_parameters()]
    for judge in (
        _best_depth,
        _full_depth,
        _individual,
        _combined,
        _confidences,
        _monotone,
        _above,
        _everywhere,
        _saved,
    ):
        found += judge(evidence)
    return found


def _open(id_: str, claim: str, where: str, stated: float | None, unit: str, needs: str) -> list[Verdict]:
    return [
        Verdict(
            id=id_,
            claim=claim,
            where=where,
            stated=stated,
            value=None,
            unit=unit,
            verdict=OPEN,
            remark=f"needs {needs}",
        )
    ]


def _judged(good: bool) -> str:
    return HOLDS if good else FAILS


def _parameters() -> Verdict:
    alone = sum(merkel(depth).params for depth in range(1, EXITS + 1))
    exits = merkel_exits(EXITS).params
    fewer = 100 * (1 - exits / alone)
    return Verdict(
        id="merkel.parameters", claim="one network with six exits has ≈ 8 % fewer parameters than six networks",
        where="§IV", stated=8.0, value=fewer, unit="%", verdict=_judged(round(fewer) in (8, 9)),
        remark=f"{exits:,} against {alone:,}; the document's figure is that of its rounded 2.4 M and 2.6 M",
    )  # fmt: skip


def _best_depth(evidence: dict[str, Trained]) -> list[Verdict]:
    claim, alone = "the best test accuracy is that of 6 layers, among 1 … 11", separate(evidence)
    missing = [depth for depth in range(1, 12) if depth not in alone]
    if not set(range(1, 7)) <= set(alone):
        return _open("merkel.best_depth", claim, "§II, Fig. 2(a)", 6, "layers", f"L{missing[0]}")
    accuracy = {depth: float(net.accuracy[0]) for depth, net in alone.items()}
    best = max(accuracy, key=lambda depth: accuracy[depth])
    shown = " ".join(f"{a:.4f}" for a in accuracy.values())
    state = _judged(best == 6) if not missing or best != 6 else OPEN
    more = f"; not run: L{', L'.join(map(str, missing))}" if missing else ""
    return [
        Verdict(
            id="merkel.best_depth", claim=claim, where="§II, Fig. 2(a)", stated=6, value=best, unit="layers",
            verdict=state, remark=f"L1 … L{max(accuracy)}: {shown}{more}",
        )
    ]  # fmt: skip


def _full_depth(evidence: dict[str, Trained]) -> list[Verdict]:
    found = []
    for name, what in (("combined", "the sixth exit"), ("L6", "six layers alone")):
        claim = f"full depth reaches ≈ 80 % ({what})"
        if name not in evidence:
            found += _open(f"merkel.full_depth.{name}", claim, "§V", 80.0, "%", name)
            continue
        value = 100 * float(evidence[name].accuracy[-1])
        found.append(
            Verdict(
                id=f"merkel.full_depth.{name}", claim=claim, where="§V", stated=80.0, value=value, unit="%",
                verdict=_judged(abs(value - 80) <= 1.5), remark=f"holds within 1.5 points; {_progress(evidence[name])}",
            )
        )  # fmt: skip
    return found


def _progress(net: Trained) -> str:
    return f"{len(net.log)} epochs" if net.log else "no log"


def _mean_change(evidence: dict[str, Trained], kind: str, stated: float) -> list[Verdict]:
    id_, where = f"merkel.change.{kind}", "§IV, Fig. 6"
    claim = f"{kind} training changes accuracy by ≈ {stated:+.1f} points, mean of the layers".replace("+0", "0")
    rows = [row for row in figure_6(evidence) if row["training"] == kind]
    if len(rows) < EXITS:
        missing = [n for n in (kind, *(f"L{d}" for d in range(1, 7))) if n not in evidence]
        return _open(id_, claim, where, stated, "points", ", ".join(missing))
    value = 100 * float(np.mean([row["change"] for row in rows]))
    each = " ".join(f"{100 * row['change']:+.1f}" for row in rows)
    return [
        Verdict(
            id=id_, claim=claim, where=where, stated=stated, value=value, unit="points",
            verdict=_judged(abs(value - stated) <= 0.5), remark=f"holds within 0.5 points; by layer {each}",
        )
    ]  # fmt: skip


def _individual(evidence: dict[str, Trained]) -> list[Verdict]:
    return _mean_change(evidence, "individual", -2.5)


def _combined(evidence: dict[str, Trained]) -> list[Verdict]:
    return _mean_change(evidence, "combined", 0.0)


def _with_combined(
    id_: str, claim: str, where: str, judge: Callable[[Trained], tuple[float, str, bool, str]]
) -> Callable[[dict[str, Trained]], list[Verdict]]:
    """A claim without a figure of its own about the network of combined training."""

    def found(evidence: dict[str, Trained]) -> list[Verdict]:
        if "combined" not in evidence:
            return _open(id_, claim, where, None, "", "combined")
        value, unit, good, remark = judge(evidence["combined"])
        return [
            Verdict(
                id=id_,
                claim=claim,
                where=where,
                stated=None,
                value=value,
                unit=unit,
                verdict=_judged(good),
                remark=remark,
            )
        ]

    return found


def _rising_confidence(net: Trained) -> tuple[float, str, bool, str]:
    means = net.test.confidence.mean(1)
    steps = np.diff(means)
    return (
        float(steps.min()),
        "",
        bool((steps > 0).all()),
        f"means {' '.join(f'{x:.3f}' for x in means)}; value: least step",
    )


def _rising_accuracy(net: Trained) -> tuple[float, str, bool, str]:
    # Steps of 0.01 of the minimum confidence; half a point down is the noise of few answers.
    rows = figure_8(net)
    steps = [b["accuracy"] - a["accuracy"] for a, b in zip(rows, rows[1:], strict=False) if a["layers"] == b["layers"]]
    share = 100 * float(np.mean(np.array(steps) >= -0.005))
    return (
        share,
        "%",
        share >= 95,
        "share of steps of 0.01 at which it doesn't fall by more than 0.5 points; 95 % is asked for",
    )


_confidences = _with_combined(
    "merkel.confidence", "mean confidence rises from exit to exit", "§V, Fig. 7", _rising_confidence
)
_monotone = _with_combined(
    "merkel.monotone",
    "training accuracy rises with the minimum confidence, approximately",
    "§V, Fig. 8",
    _rising_accuracy,
)


def above_the_line(rows: Rows, beta: tuple[float, float], last: float) -> float:
    """Share of the desired accuracies, from 0.4 up to that of the last exit, which are achieved."""
    curve = [
        row
        for row in rows
        if (row["beta1"], row["beta2"]) == beta and row["heads_charged"] and 0.4 <= row["desired"] <= last
    ]
    return float(np.mean([row["accuracy"] >= row["desired"] for row in curve]))


def _above(evidence: dict[str, Trained]) -> list[Verdict]:
    id_, claim, where = "merkel.above", "β (0.8, 1.1) lifts most of the curve above y = x", "§V, Fig. 9"
    if "combined" not in evidence:
        return _open(id_, claim, where, None, "%", "combined")
    rows, last = figures_9_and_10(evidence), float(evidence["combined"].accuracy[-1])
    plain, lifted = (100 * above_the_line(rows, beta, last) for beta in BETAS)
    return [
        Verdict(
            id=id_, claim=claim, where=where, stated=None, value=lifted, unit="%",
            verdict=_judged(lifted > 50 and lifted > plain),
            remark=f"share of desired accuracies from 0.40 to the last exit's {last:.3f} that are achieved;"
            f" β (1, 1): {plain:.0f} %",
        )
    ]  # fmt: skip


def _everywhere(evidence: dict[str, Trained]) -> list[Verdict]:
    id_, claim, where = "merkel.everywhere", "the rule takes less energy at all levels of accuracy", "§V, Fig. 10"
    if "combined" not in evidence or len([d for d in separate(evidence) if d <= EXITS]) < EXITS:
        return _open(id_, claim, where, None, "%", "combined and L1 … L6")
    rows = [
        row
        for row in figures_9_and_10(evidence)
        if row["heads_charged"] and (row["beta1"], row["beta2"]) == BETAS[1] and row["saved"] is not None
    ]
    saved = 100 * np.array([row["saved"] for row in rows])
    share = 100 * float(np.mean(saved > 0))
    # A rule that leaves every image at the first exit takes what one layer takes.
    less, same, more = (int(np.sum(side)) for side in (saved > 0, saved == 0, saved < 0))
    excess = f", at most {-saved.min():.2g} % of E_Dmax more" if more else ""
    return [
        Verdict(
            id=id_, claim=claim, where=where, stated=None, value=share, unit="%", verdict=_judged(share == 100),
            remark="share of the points of β (0.8, 1.1) at accuracies of fixed depths that lie below them:"
            f" {less} take less, {same} the same, {more} more{excess}",
        )
    ]  # fmt: skip


def _saved(evidence: dict[str, Trained]) -> list[Verdict]:
    found = []
    bases = {
        "saved": ("networks of fixed depth", ("combined", *(f"L{d}" for d in range(1, EXITS + 1)))),
        "saved_exits": ("fixed exits of the same network", ("combined",)),
    }
    for key, (base, needs) in bases.items():
        for heads, short, what in (
            (True, "charged", "heads passed charged"),
            (False, "free", "only the last head charged"),
        ):
            id_ = f"merkel.{key}.{short}"
            claim, where = f"up to ≈ 42 % of E_Dmax is saved at equal accuracy, below {base} ({what})", "§V, Fig. 10"
            missing = [name for name in needs if name not in evidence]
            if missing:
                found += _open(id_, claim, where, 42.0, "% of E_Dmax", ", ".join(missing))
                continue
            rows = [row for row in figures_9_and_10(evidence) if row["heads_charged"] == heads and row[key] is not None]
            best = max(rows, key=lambda row: row[key])
            value = 100 * best[key]
            found.append(
                Verdict(
                    id=id_, claim=claim, where=where, stated=42.0, value=value, unit="% of E_Dmax",
                    verdict=_judged(abs(value - 42) <= 5),
                    remark=f"holds within 5 points; at accuracy {best['accuracy']:.4f}, Ã {best['desired']:.2f},"
                    f" β ({best['beta1']:g}, {best['beta2']:g}), taking {100 * best['relative_energy']:.1f} %",
                )
            )  # fmt: skip
    return found
