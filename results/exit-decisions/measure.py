"""When to leave the network of document 001: what thresholds chosen together save, and whether a guarantee holds.

python results/exit-decisions/measure.py           everything, on standard output (minutes)
python results/exit-decisions/measure.py --keep    what is printed into README.md, its figures into claims.json

Reads the logits of `results/merkel`: settings are chosen on its choosing images (of training, 45000–49999) and measured
on the test images.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picojoule.errors import InputError
from picojoule.exits import (
    RULES,
    Answers,
    Decision,
    ExitEnergies,
    Rule,
    achieved,
    answers,
    baseline_energy,
    decide,
    depth_macs,
    guaranteed,
    leaving,
)
from picojoule.exits.macs import backbone_macs, exit_macs

HERE = Path(__file__).resolve().parent
MERKEL = HERE.parent / "merkel"
MARKS = ("<!-- printed by measure.py -->", "<!-- end -->")
COMMAND = "python results/exit-decisions/measure.py"
EXITS, MOST = 6, depth_macs(6)
DROP = 0.002
BETAS = ((1.0, 1.0), (0.8, 1.1))
DESIRED = np.round(np.arange(0.0, 1.0001, 0.01), 2)
SPLITS, DELTA = 100, 0.1
HEADLINE = ("margin", True)
"""Rule and combining that save most on the choosing images at the target; the report says if another one does."""
MACHINE = "eyeriss-like-45nm"
HELD = (2000, 5000)
WANTED = (0.74, 0.75, 0.77)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Logits, exits × images × classes, and labels of the images that choose and of those that report."""

    choose: np.ndarray
    choose_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    train: Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One figure."""

    id: str
    value: float
    unit: str


def read() -> Evidence:
    """The logits of the network with six exits, trained combined."""
    with np.load(MERKEL / "logits" / "combined.npz") as logits, np.load(MERKEL / "labels.npz") as labels:
        return Evidence(
            choose=logits["choose"],
            choose_labels=labels["choose"].astype(np.int64),
            test=logits["test"],
            test_labels=labels["test"].astype(np.int64),
            train=Answers(confidence=logits["train_confidence"].astype(float), right=logits["train_right"]),
        )


def energies() -> ExitEnergies:
    """MACs of each exit's trunk and head."""
    trunk = np.diff([0, *(backbone_macs(e) for e in range(EXITS))])
    return ExitEnergies(trunk=tuple(trunk.tolist()), heads=tuple(exit_macs(e) for e in range(EXITS)))


def target(logits: np.ndarray, labels: np.ndarray) -> float:
    """The accuracy of the best fixed exit less 0.2 points."""
    return float((logits.argmax(2) == labels).mean(1).max()) - DROP


def curve(decision: Decision, evidence: Evidence) -> list[tuple[float, float]]:
    """Accuracy and energy of every setting of a front on the test images."""
    right, taken = outcomes(decision, evidence)
    return list(zip(right.mean(1).tolist(), taken.mean(1).tolist(), strict=True))


def cheapest(points: list[tuple[float, float]], wanted: float) -> tuple[float, float] | None:
    """The measured setting of least energy that is at least so accurate."""
    return min((p for p in points if p[0] >= wanted), key=lambda p: p[1], default=None)


def rule_10(evidence: Evidence) -> list[tuple[float, float]]:
    """Accuracy and energy of the rule of eq. (10) on the test images, all Ã and both β, heads passed charged."""
    test = answers(evidence.test, evidence.test_labels)
    return [
        (point.accuracy, point.energy)
        for beta1, beta2 in BETAS
        for point in achieved(
            Rule(train_accuracy=tuple(evidence.train.accuracy.tolist()), beta1=beta1, beta2=beta2),
            test,
            energies().leaving(),
            DESIRED,
        )
    ]


def outcomes(decision: Decision, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Of each setting of the front on each test image: whether it is right, and the energy; settings × images."""
    right, taken = [], []
    read: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}
    for setting in decision.front:
        policy = setting.policy
        if policy.asked not in read:
            scored = policy.scorer.read(evidence.test[list(policy.asked)])
            read[policy.asked] = scored.score, scored.predicted == evidence.test_labels
        score, good = read[policy.asked]
        left = leaving(score, policy.thresholds)
        right.append(good[left, np.arange(len(left))])
        taken.append(np.array(policy.energies.leaving(policy.asked))[left])
    return np.array(right), np.array(taken)


def missed(
    right: np.ndarray, taken: np.ndarray, images: int, wanted: float, *, batch: bool, seed: int = 0
) -> tuple[int, int, float]:
    """Splits of the test images whose rest falls short of the target; splits that can't guarantee it; mean saving.

    A random part of the test images calibrates, the others judge. ``batch``: the guarantee is for these, not the long
    run.
    """
    right, taken = right[::-1], taken[::-1]
    rng = np.random.default_rng(seed)
    fails = refused = 0
    saved = []
    for _ in range(SPLITS):
        order = rng.permutation(right.shape[1])
        held, rest = order[:images], order[images:]
        try:
            found = guaranteed(right[:, held].sum(1).tolist(), images, target=wanted, delta=DELTA, next_images=len(rest) if batch else None)
        except InputError:
            refused += 1
            continue
        fails += bool(right[found.index, rest].mean() < wanted)
        saved.append(1 - taken[found.index, rest].mean() / MOST)
    return fails, refused, float(np.mean(saved)) if saved else float("nan")


def report(evidence: Evidence) -> tuple[list[str], list[Claim]]:
    """All tables, as lines of Markdown, and the claims."""
    wanted, asked = target(evidence.choose, evidence.choose_labels), target(evidence.test, evidence.test_labels)
    lines = [
        f"Target: the best fixed exit less 0.2 points: {wanted:.2%} on the choosing images, {asked:.2%} on the test"
        " images. Shares of E_Dmax, six layers alone; heads passed charged.",
        "",
        "| rule | combined | saved, choosing | test accuracy | saved, test | saved on the curve |",
        "|---|---|---|---|---|---|",
    ]
    decisions, claims = {}, []
    for rule in RULES:
        for combine in (False, True):
            found = decide(
                evidence.choose, evidence.choose_labels, energies(), target_accuracy=wanted, rule=rule, combine=combine
            )
            decisions[rule, combine] = found
            test = found.policy.measure(evidence.test, evidence.test_labels)
            best = cheapest(curve(found, evidence), asked)
            shown = "–" if best is None else f"{1 - best[1] / MOST:.1%} at {best[0]:.2%}"
            lines.append(
                f"| {rule} | {'yes' if combine else 'no'} | {1 - found.setting.energy / MOST:.1%} | {test.accuracy:.2%} |"
                f" {1 - test.energy / MOST:.1%} | {shown} |"
            )
            if (rule, combine) == HEADLINE and best is not None:
                claims += [
                    Claim(id="decide.saved", value=100 * (1 - test.energy / MOST), unit="% of E_Dmax"),
                    Claim(id="decide.accuracy", value=100 * test.accuracy, unit="%"),
                    Claim(id="decide.saved.curve", value=100 * (1 - best[1] / MOST), unit="% of E_Dmax"),
                ]
    most = min(decisions, key=lambda key: decisions[key].setting.energy)
    main_ = decisions[HEADLINE]
    low, high = spread(main_, evidence)
    lines += [
        "",
        f"Most is saved on the choosing images by {most[0]}{' combined' if most[1] else ''}; the following is for"
        f" {HEADLINE[0]} combined. Over test images drawn anew its curve saves {low:.1%} to {high:.1%} (90 %).",
        "",
        f"Searched: {main_.combinations} combinations of thresholds, {main_.counted} of them counted.",
        "",
    ]
    ours, points = curve(main_, evidence), rule_10(evidence)
    accuracy, energy = np.array(points).T
    steps = np.array([np.nan if (best := cheapest(ours, a)) is None else best[1] for a in accuracy])
    lines += ["| against rule (10) on the test images | points | less | the same | more | more by at most |", "|" + "---|" * 6]
    for name, at in (
        ("settings as they are", steps),
        ("lines between settings", baseline_energy(*zip(*ours, strict=True), accuracy)),  # type: ignore[arg-type]
    ):
        excess = (at - energy) / MOST
        known = ~np.isnan(excess)
        less, more = int((excess[known] < -1e-9).sum()), int((excess[known] > 1e-9).sum())
        worst = max(0.0, float(excess[known].max()))
        lines.append(
            f"| {name} | {known.sum()} of {len(points)} | {less} | {known.sum() - less - more} | {more} |"
            f" {worst:.3%} of E_Dmax |"
        )
        kind = "steps" if at is steps else "lines"
        claims += [
            Claim(id=f"decide.rule10.{kind}.more", value=float(more), unit="points"),
            Claim(id=f"decide.rule10.{kind}.worst", value=100 * worst, unit="% of E_Dmax"),
        ]
    lines += [
        "",
        "| target | guaranteed for | calibration images | splits that miss it | splits that can't guarantee it | saved, mean |",
        "|---|---|---|---|---|---|",
    ]
    right, taken = outcomes(main_, evidence)
    for goal in WANTED:
        for images, batch in itertools.product(HELD, (False, True)):
            fails, refused, saved = missed(right, taken, images, goal, batch=batch)
            whom, mean = ("the rest", "batch") if batch else ("the long run", "long"), f"{saved:.1%}"
            lines.append(
                f"| {goal:.2f} | {whom[0]} | {images} | {fails} of {SPLITS} | {refused} |"
                f" {'–' if refused == SPLITS else mean} |"
            )
            claims.append(
                Claim(id=f"decide.missed.{goal:g}.{images}.{whom[1]}", value=float(fails), unit="of 100 splits")
            )
    more, figures = on_the_machine(evidence)
    return lines + more, claims + figures


def spread(decision: Decision, evidence: Evidence, seed: int = 0, draws: int = 100) -> tuple[float, float]:
    """5 % and 95 % of what is saved at the target over test images drawn anew, the target drawn with them."""
    labels = evidence.test_labels
    fixed = evidence.test.argmax(2) == labels
    right, taken = outcomes(decision, evidence)
    rng = np.random.default_rng(seed)
    saved = []
    for _ in range(draws):
        weight = np.bincount(rng.integers(0, len(labels), len(labels)), minlength=len(labels)) / len(labels)
        wanted = (fixed @ weight).max() - DROP
        reached = right @ weight >= wanted
        if reached.any():
            saved.append(1 - (taken @ weight)[reached].min() / MOST)
    return tuple(np.quantile(saved, [0.05, 0.95]).tolist())  # type: ignore[return-value]


def on_the_machine(evidence: Evidence) -> tuple[list[str], list[Claim]]:
    """The same target with the energies of a machine: all exits asked, or the best of them."""
    data = json.loads((HERE / f"{MACHINE}.json").read_text(encoding="utf-8"))
    parts = ExitEnergies(trunk=tuple(data["trunk"]), heads=tuple(data["heads"]))
    alone = parts.leaving([EXITS - 1])[0]
    lines = [
        "",
        f"| energies of {MACHINE} | exits asked | saved, choosing | test accuracy | saved, test |",
        "|---|---|---|---|---|",
    ]
    claims = []
    wanted = target(evidence.choose, evidence.choose_labels)
    for ask in ("all", "best"):
        found = decide(
            evidence.choose, evidence.choose_labels, parts, target_accuracy=wanted, rule="margin", combine=False,
            ask=ask, levels=24,
        )  # fmt: skip
        test = found.policy.measure(evidence.test, evidence.test_labels)
        lines.append(
            f"| {ask} | {', '.join(map(str, found.policy.asked))} | {1 - found.setting.energy / alone:.1%} |"
            f" {test.accuracy:.2%} | {1 - test.energy / alone:.1%} |"
        )
        claims.append(Claim(id=f"decide.machine.{ask}", value=100 * (1 - test.energy / alone), unit="% of E_Dmax"))
    return lines, claims


def timed() -> tuple[list[str], list[dict[str, object]]]:
    """What `benchmarks/exits.py --keep` measured: lines of Markdown, and rows of claims."""
    facts = json.loads((HERE / "time.json").read_text(encoding="utf-8"))
    lines = [
        "",
        "| batch | exits asked | whole | with exits | saved in mean time | saved in MACs | of what MACs promise |",
        "|---|---|---|---|---|---|---|",
    ]
    claims: list[dict[str, object]] = []
    names = {"all": "", "best": ": best by measured time", "one": ": best with one before the last"}
    for row in facts["rows"]:
        asked = ", ".join(map(str, row["asked"])) + names[row["which"]]
        lines.append(
            f"| {row['batch']} | {asked} | {1e3 * row['whole_s']:.2f} ms | {1e3 * row['exits_s']:.2f} ms |"
            f" {row['saved_time']:.1%} | {row['saved_macs']:.1%} | {row['of_promised']:.0%} |"
        )
        name = f"decide.time.{row['batch']}.{row['which']}"
        claims.append(
            {
                "id": name, "value": row["of_promised"], "unit": "of what MACs promise", "tolerance": 1e-9,
                "kind": "timing", "artefact": "results/exit-decisions/time.json", "command": "python benchmarks/exits.py --keep",
            }
        )  # fmt: skip
    return lines, claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    evidence = read()
    lines, claims = report(evidence)
    more, timings = timed()
    text = "\n".join([*lines, *more])
    print(text)
    if given.keep:
        readme = HERE / "README.md"
        before, _, rest = readme.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        readme.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")
        rows = [
            {
                "id": claim.id, "value": claim.value, "unit": claim.unit, "tolerance": 1e-6, "kind": "exact",
                "artefact": "results/merkel/logits/combined.npz", "command": COMMAND,
            }
            for claim in claims
        ]  # fmt: skip
        rows += timings
        (HERE / "claims.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
