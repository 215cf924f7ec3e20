"""The pytest fixture ``energy_budget``, which is there wherever picojoule is installed.

pytest imports this module whenever it starts: nothing heavy is loaded before a test asks for the fixture's answer.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from picojoule.analysis import Comparison, Verdict
    from picojoule.result import Estimate

_WIDTH = 100


class EnergyBudget:
    """What the fixture ``energy_budget`` is: call it with what ``picojoule.check`` takes."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def __call__(self, model: Any, example_input: Any = None, **asked: Any) -> Verdict:
        """Fails the test unless the model on the machine, or the result, meets every requirement.

        Energy and latency go into the report of the test (``--junit-xml``) as properties.

        Args:
            model: a model or a result, as ``picojoule.check`` takes it.
            example_input: of an ``nn.Module``.
            asked: limits (``max_energy="5 mJ"``, ``require="requirements.yaml"``), the machine, and arguments of ``estimate``.

        Raises:
            PicojouleError: as ``picojoule.check``.
        """
        __tracebackhide__ = True
        from picojoule.analysis import check
        from picojoule.reporting import verdict_text

        verdict = check(model, example_input, **asked)
        self._record("energy_pj_per_inference", verdict.estimate.energy_pj_per_inference)
        self._record("latency_s", verdict.estimate.latency_s)
        if not verdict.ok:
            pytest.fail("\n" + verdict_text(verdict, width=_WIDTH, color=False), pytrace=False)
        return verdict

    def against(
        self,
        baseline: Estimate | str | PathLike[str],
        result: Estimate | str | PathLike[str],
        *,
        fail_on: str | list[str] = "energy:+2%",
    ) -> Comparison:
        """Fails the test if a figure of ``result`` has grown from ``baseline`` by more than ``fail_on`` allows.

        Args:
            baseline, result: results or their files.
            fail_on: as ``picojoule.compare`` takes it.

        Raises:
            PicojouleError: as ``picojoule.compare``.
        """
        __tracebackhide__ = True
        from picojoule.analysis import compare
        from picojoule.reporting import comparison_text

        comparison = compare([baseline, result], fail_on=fail_on)  # type: ignore[list-item]
        if comparison.failed:
            pytest.fail("\n" + comparison_text(comparison, width=_WIDTH, color=False), pytrace=False)
        return comparison


@pytest.fixture
def energy_budget(request: pytest.FixtureRequest) -> EnergyBudget:
    """Fails a test whose model takes more energy, time or silicon than it may: ``energy_budget(model, hardware=…, max_energy="5 mJ")``."""
    # `record_property` would do the same, and warn of the XML schema that is pytest's default.
    return EnergyBudget(lambda name, value: request.node.user_properties.append((name, value)))
