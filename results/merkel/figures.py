"""The figures of document 001 as rows of numbers, from the evidence. Nothing is drawn here."""

from __future__ import annotations

from typing import Any

import numpy as np
from evidence import EXITS, Trained

from picojoule.exits import (
    Candidate,
    Fit,
    Followed,
    Rule,
    accuracy_from,
    achieved,
    alpha_of,
    baseline_energy,
    decision_cost,
    depth_macs,
    exit_energies,
    fit,
    follow,
    one_network,
    separate_networks,
)
from picojoule.workload.builtin.merkel import merkel, merkel_exits

Rows = list[dict[str, Any]]
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
WIDTHS = (1, 2, 4, 8, 16, 32, 64)
BETAS = ((1.0, 1.0), (0.8, 1.1))
DESIRED = np.round(np.arange(0.0, 1.0001, 0.01), 2)
NOT_RUN = "not run"


def separate(evidence: dict[str, Trained]) -> dict[int, Trained]:
    """The networks of one depth each, by depth."""
    return {depth: evidence[f"L{depth}"] for depth in range(1, 12) if f"L{depth}" in evidence}


def figure_2(evidence: dict[str, Trained]) -> tuple[Rows, Rows]:
    """(a) by depth, energies relative to 11 layers; (b) by width at 6 layers, relative to 64 filters."""
    by_depth = [
        _point("depth", depth, depth_macs(depth) / depth_macs(11), evidence.get(f"L{depth}")) for depth in range(1, 12)
    ]
    by_width = [
        _point("width", width, depth_macs(6, width) / depth_macs(6), evidence.get(_width_name(width)))
        for width in WIDTHS
    ]
    return by_depth, by_width


def _width_name(width: int) -> str:
    return "L6" if width == 64 else f"L6w{width}"


def _point(kind: str, size: int, relative: float, trained: Trained | None) -> dict[str, Any]:
    row: dict[str, Any] = {kind: size, "relative_energy": relative, "state": NOT_RUN if trained is None else "run"}
    if trained is not None:
        accuracy = float(trained.accuracy[0])
        row |= {"test_accuracy": accuracy, "train_accuracy": float(trained.train.accuracy[0])}
        row |= {f"cost α={alpha:g}": decision_cost(alpha, relative, accuracy) for alpha in ALPHAS}
    return row


def figure_3(evidence: dict[str, Trained]) -> tuple[Rows, dict[str, Fit]]:
    """Energy against accuracy, relative to 6 layers of 64 filters; the laws where there are points enough."""
    rows, laws = [], {}
    for kind, sizes, law in (("depth", range(1, 7), "exponential"), ("width", WIDTHS, "rational")):
        points = []
        for size in sizes:
            name = f"L{size}" if kind == "depth" else _width_name(size)
            if name in evidence:
                macs = depth_macs(size) if kind == "depth" else depth_macs(6, size)
                points.append((float(evidence[name].accuracy[0]), macs / depth_macs(6), size))
        rows += [{"varying": kind, "size": s, "accuracy": a, "relative_energy": c} for a, c, s in points]
        if len(points) > 2:
            laws[kind] = fit(law, [a for a, _, _ in points], [c for _, c, _ in points])
    return rows, laws


def figure_4(evidence: dict[str, Trained], law: Fit) -> Rows:
    """The number of layers nearest to A* for a binary decision, over E_X/E_Dmax and γ."""
    accuracies = {depth: float(net.accuracy[0]) for depth, net in separate(evidence).items() if depth <= EXITS}
    depths, reachable = list(accuracies), list(accuracies.values())
    rows = []
    for ratio in np.geomspace(0.01, 10, 61):
        for gamma in np.linspace(1, 10, 46):
            best = law.optimum(alpha_of(float(gamma), float(ratio)), reachable)
            rows.append(
                {
                    "energy_ratio": float(ratio),
                    "gamma": float(gamma),
                    "accuracy": best.accuracy,
                    "layers": depths[best.nearest],
                }
            )
    return rows


def alpha_trace(steps: int = 1000, seed: int = 0) -> np.ndarray:
    """A made-up world: α walks at random (standard deviation 0.05 a step) between the walls 0 and 1."""
    walk = 0.5 + np.cumsum(np.random.default_rng(seed).normal(0, 0.05, steps))
    return np.abs((walk + 1) % 2 - 1)


def figure_5(evidence: dict[str, Trained]) -> tuple[list[Followed], np.ndarray]:
    """Six networks and one with six exits, following α over the same trace; E_Dmax is that of six layers."""
    exits, alphas = merkel_exits(EXITS), alpha_trace()
    params = {layer.name: layer.params for layer in exits.layers}
    names = [f"L{depth}" for depth in range(1, EXITS + 1)]
    alone = [evidence[name].accuracy[0] for name in names]
    ways = [
        Candidate(name=n, energy=depth_macs(d), accuracy=float(a))
        for d, (n, a) in enumerate(zip(names, alone, strict=True), 1)
    ]
    # α names the exit beforehand: the heads before it aren't asked.
    answers = [
        Candidate(name=f"exit {e}", energy=energy, accuracy=float(evidence["combined"].accuracy[e]))
        for e, energy in enumerate(exit_energies(EXITS, heads_passed=False))
    ]
    systems = (
        separate_networks(ways, [merkel(depth).params for depth in range(1, EXITS + 1)]),
        one_network(answers, [params[f"conv{e}"] for e in range(1, EXITS)], [params[f"fc{e}"] for e in range(EXITS)]),
    )
    return [follow(system, alphas, energy_max=depth_macs(EXITS)) for system in systems], alphas


def figure_6(evidence: dict[str, Trained]) -> Rows:
    """Test accuracy of each exit less that of the network of its depth alone."""
    rows = []
    for kind in ("individual", "combined"):
        if kind in evidence:
            for depth, net in separate(evidence).items():
                if depth <= EXITS:
                    change = float(evidence[kind].accuracy[depth - 1] - net.accuracy[0])
                    rows.append({"training": kind, "layers": depth, "change": change})
    return rows


def figure_7(net: Trained, bins: int = 20) -> Rows:
    """How the confidences of the test images spread, by exit."""
    edges = np.linspace(0, 1, bins + 1)
    rows = []
    for e, confidence in enumerate(net.test.confidence):
        shares = np.histogram(confidence, edges)[0] / len(confidence)
        rows += [
            {"layers": e + 1, "confidence": float(x), "share": float(s)} for x, s in zip(edges, shares, strict=False)
        ]
    return rows


def figure_8(net: Trained) -> Rows:
    """Accuracy on training images of the answers with a minimum confidence; where fewer than 20 have it, no row."""
    thresholds = np.round(np.arange(0.1, 0.991, 0.01), 2)
    accuracy, share = accuracy_from(net.train, thresholds)
    return [
        {"layers": e + 1, "minimum": float(t), "accuracy": float(accuracy[e, i]), "share": float(share[e, i])}
        for e in range(len(accuracy))
        for i, t in enumerate(thresholds)
        if share[e, i] * net.train.right.shape[1] >= 20
    ]


def figures_9_and_10(evidence: dict[str, Trained]) -> Rows:
    """Accuracy and energy of the rule on the test images, and the energy saved, both as shares of E_Dmax (six layers).

    ``saved``: below networks of fixed depth (Fig. 3) of the same accuracy; ``saved_exits``: below fixed exits of the
    same network. None where no fixed depth is so accurate, and where not all six networks were run.
    """
    net, most = evidence["combined"], depth_macs(EXITS)
    alone = {depth: float(t.accuracy[0]) for depth, t in separate(evidence).items() if depth <= EXITS}
    fixed = exit_energies(EXITS, heads_passed=False)
    complete = len(alone) == EXITS
    rows = []
    for beta1, beta2 in BETAS:
        rule = Rule(train_accuracy=tuple(net.train.accuracy.tolist()), beta1=beta1, beta2=beta2)
        for heads in (True, False):
            for point in achieved(rule, net.test, exit_energies(EXITS, heads_passed=heads), DESIRED):
                at = np.array([point.accuracy])
                bases = {
                    "saved": baseline_energy(list(alone.values()), [depth_macs(d) for d in alone], at)[0]
                    if complete
                    else np.nan,
                    "saved_exits": baseline_energy(net.accuracy.tolist(), fixed, at)[0],
                }
                rows.append(
                    {
                        "beta1": beta1,
                        "beta2": beta2,
                        "heads_charged": heads,
                        "desired": point.desired,
                        "accuracy": point.accuracy,
                        "relative_energy": point.energy / most,
                        **{k: None if np.isnan(v) else float((v - point.energy) / most) for k, v in bases.items()},
                    }
                )
    return rows
