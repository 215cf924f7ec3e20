"""Several bundles of one network, say at several widths, of which every call takes the one that suits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from picojoule.errors import BundleError, UsageError
from picojoule.runtime.bundle import Bundle
from picojoule.runtime.operation import OperatingPoint, Operation, Wish
from picojoule.runtime.session import Session
from picojoule.runtime.session_answer import Answer


class Dial:
    """Bundles with operating points, side by side: α, a target accuracy or a budget chooses the bundle and its point.

    Args:
        bundles: their folders, or what ``read_bundle`` gave; all of the same inputs and classes.
        threads: see ``Session``.

    Attributes:
        sessions: one for each bundle.

    Raises:
        UsageError: no bundle, or one without operating points.
        BundleError: bundles of different inputs or classes, or see ``Session``.
    """

    def __init__(
        self, bundles: Sequence[str | os.PathLike[str] | Bundle], *, threads: int | None = None
    ) -> None:
        self.sessions = [Session(bundle, threads=threads) for bundle in bundles]
        if not self.sessions:
            raise UsageError("there is no bundle to choose from", where="bundles")
        first = self.sessions[0].manifest
        for session in self.sessions:
            where, manifest = str(session.bundle.path), session.manifest
            if manifest.operation is None:
                raise UsageError(
                    "this bundle has no operating points to choose from", where=where, hint="picojoule exits deploy gives it some."
                )
            if (manifest.inputs, manifest.classes) != (first.inputs, first.classes):
                raise BundleError(f"it takes or answers something else than {self.sessions[0].bundle.path}", where=where)

    def choose(
        self, *, alpha: float | None = None, target_accuracy: float | None = None, energy_budget_j: float | None = None
    ) -> tuple[int, int]:
        """Numbers of the bundle and of its operating point that a call with these arguments would take.

        Args:
            alpha: importance of energy, 0 … 1: the least α·E/E_Dmax + (1 − α)·(1 − A); E_Dmax is the dearest bundle's.
            target_accuracy: the cheapest point that guarantees it, see ``Session.run``.
            energy_budget_j: the most accurate point whose mean energy keeps to it.

        Raises:
            UsageError: nothing or several things are asked for, or no bundle can do it.
        """
        wish = Wish(alpha=alpha, target_accuracy=target_accuracy, energy_budget_j=energy_budget_j)
        if not wish:
            raise UsageError("α, a target accuracy or a budget chooses the bundle", where="alpha")
        most = max(operation.most_j for operation in self._operations)
        found: list[tuple[tuple[float, float], int, int]] = []
        refusals: list[UsageError] = []
        for number, operation in enumerate(self._operations):
            try:
                # What suits α best depends on the dearest bundle, so that all points are looked at.
                points = range(len(operation.points)) if alpha is not None else [wish.choose(operation)]
            except UsageError as error:
                refusals.append(error)
            else:
                found += [(_cost(operation.points[k], wish, most), number, k) for k in points]
        if not found:
            raise refusals[-1]
        _, bundle, point = min(found)
        return bundle, point

    def run(
        self,
        inputs: np.ndarray | Mapping[str, np.ndarray],
        *,
        alpha: float | None = None,
        target_accuracy: float | None = None,
        energy_budget_j: float | None = None,
    ) -> tuple[int, Answer]:
        """Runs a batch.

        Args:
            inputs: see ``Session.run``.
            alpha: see ``choose``.
            target_accuracy: see ``choose``.
            energy_budget_j: see ``choose``.

        Returns:
            The number of the bundle that ran, and its answer.

        Raises:
            InputError, UsageError: see ``choose`` and ``Session.run``.
        """
        bundle, point = self.choose(alpha=alpha, target_accuracy=target_accuracy, energy_budget_j=energy_budget_j)
        return bundle, self.sessions[bundle].run(inputs, point=point)

    @property
    def _operations(self) -> list[Operation]:
        return [session.manifest.operation for session in self.sessions if session.manifest.operation is not None]


def _cost(point: OperatingPoint, wish: Wish, most: float) -> tuple[float, float]:
    """What the best point has least of."""
    if wish.alpha is not None:
        return wish.alpha * point.energy_j / (most or 1.0) + (1 - wish.alpha) * (1 - point.accuracy), point.energy_j
    if wish.target_accuracy is not None:
        return point.energy_j, -point.accuracy
    return -point.accuracy, point.energy_j
