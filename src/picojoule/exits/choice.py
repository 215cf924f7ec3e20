"""Which network should decide: the one of least cost among those at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.errors import InputError, UsageError
from picojoule.exits.cost import Candidate, alpha_of, check_alpha, decision_cost, expected_energy
from picojoule.exits.fits import Fit, Optimum, fit as fit_law


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer, and all that it rests on.

    Attributes:
        alpha: importance of the energy.
        gamma, energy_ratio: what α was derived from; None if α was given.
        candidates: in the order given.
        relative_energies: C_D of each, relative to the dearest candidate.
        costs: C of each, eq. (5).
        expected: E[E]/E_Dmax of each, eq. (8); None if α was given.
        best: index of the candidate of least cost; of equal ones the cheaper, then the earlier.
        fit: the law through the candidates, if one was asked for.
        optimum: its A*.
        notes: what the user should know about the table.
    """

    alpha: float
    gamma: float | None
    energy_ratio: float | None
    candidates: tuple[Candidate, ...]
    relative_energies: tuple[float, ...]
    costs: tuple[float, ...]
    expected: tuple[float, ...] | None
    best: int
    fit: Fit | None
    optimum: Optimum | None
    notes: tuple[str, ...]


def choose(
    candidates: Sequence[Candidate],
    *,
    alpha: float | None = None,
    gamma: float | None = None,
    energy_ratio: float | None = None,
    fit: str | None = None,
) -> Choice:
    """The network whose decisions cost least, for α or for (γ, E_X/E_Dmax); Merkel, eqs. (5)–(9).

    Args:
        candidates: the networks at hand; energies in one unit.
        alpha: importance of the energy of a decision, 0 … 1.
        gamma: instead of α, with ``energy_ratio``: how much more energy executing a bad decision takes, ≥ 1.
        energy_ratio: E_X/E_Dmax: executing a good decision relative to the dearest inference.
        fit: a law (``exponential`` or ``rational``) to fit through the candidates, for A*.

    Raises:
        UsageError: neither α nor both γ and the ratio, or one of them is out of range.
        InputError: no candidates, none that takes energy, or a law that can't be fitted.
        MissingExtraError: a fit was asked for and scipy is not installed.

    Example:
        >>> nets = [Candidate(name=n, energy=e, accuracy=a) for n, e, a in [("L1", 1, 0.4), ("L2", 10, 0.7)]]
        >>> [choose(nets, alpha=alpha).candidates[choose(nets, alpha=alpha).best].name for alpha in (0.1, 0.9)]
        ['L2', 'L1']
    """
    weight = check_importance(alpha, gamma, energy_ratio)
    if not candidates:
        raise InputError("there is no network to choose from", where="candidates")
    most = max(candidate.energy for candidate in candidates)
    if most == 0:
        raise InputError("no network takes any energy: E_Dmax is 0", where="candidates")
    relative = tuple(candidate.energy / most for candidate in candidates)
    costs = tuple(decision_cost(weight, c, x.accuracy) for c, x in zip(relative, candidates, strict=True))
    expected = None
    if gamma is not None and energy_ratio is not None:
        expected = tuple(
            expected_energy(c, x.accuracy, energy_ratio, gamma) for c, x in zip(relative, candidates, strict=True)
        )
    accuracies = [candidate.accuracy for candidate in candidates]
    law = fit_law(fit, accuracies, relative) if fit is not None else None
    return Choice(
        alpha=weight,
        gamma=gamma,
        energy_ratio=energy_ratio,
        candidates=tuple(candidates),
        relative_energies=relative,
        costs=costs,
        expected=expected,
        best=min(range(len(costs)), key=lambda i: (costs[i], relative[i])),
        fit=law,
        optimum=law.optimum(weight, accuracies) if law is not None else None,
        notes=tuple(_notes(candidates)),
    )


def check_importance(alpha: float | None, gamma: float | None, energy_ratio: float | None) -> float:
    """α, given or derived. Raises UsageError unless there is just one way to it and it is in range."""
    if (alpha is not None) == (gamma is not None or energy_ratio is not None) or (gamma is None) != (
        energy_ratio is None
    ):
        raise UsageError(
            "either α is needed, or γ and E_X/E_Dmax",
            where="alpha",
            hint="--alpha 0.3, or --gamma 2 --energy-ratio 0.5.",
        )
    if alpha is not None:
        check_alpha(alpha)
        return alpha
    assert gamma is not None and energy_ratio is not None
    return alpha_of(gamma, energy_ratio)


def _notes(candidates: Sequence[Candidate]) -> list[str]:
    ordered = sorted(candidates, key=lambda candidate: (candidate.energy, -candidate.accuracy))
    return [
        f"not monotone: {dear.name} takes {'more' if dear.energy > cheap.energy else 'no less'} energy than"
        f" {cheap.name} and is no more accurate ({dear.accuracy:g} after {cheap.accuracy:g});"
        " a law is fitted to all points all the same"
        for cheap, dear in zip(ordered, ordered[1:], strict=False)
        if dear.accuracy <= cheap.accuracy
    ]
