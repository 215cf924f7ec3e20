"""Operating points and facts of quantization in the manifest: plain data and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from picojoule.runtime.manifest_table import Table, born
from picojoule.runtime.operation import OperatingPoint, Operation
from picojoule.runtime.quantization import Quantization


def operation_data(operation: Operation) -> dict[str, Any]:
    """The operation as JSON holds it; ``rates`` are there for people."""
    data = {name: value for name, value in asdict(operation).items() if name != "most_j"}
    data["points"] = [{**asdict(point), "rates": point.rates} for point in operation.points]
    return data


def operation_of(table: Table) -> Operation:
    """The operation in a manifest.

    Raises:
        BundleError: a key that is missing or of the wrong type, or numbers that contradict each other.
    """
    return born(
        table.where,
        lambda: Operation(
            rule=table.text("rule"),
            weights=tuple(tuple(row) for row in table.rows("weights")),
            energies_j=tuple(table.numbers("energies_j", float)),
            points=tuple(_point(part) for part in table.tables("points")),
            default=table.get("default", int),
            images=table.get("images", int),
            held_out=table.get("held_out", bool),
            delta=None if table.missing("delta") else table.number("delta"),
            machine=table.text("machine"),
            coefficients=None
            if table.missing("coefficients")
            else tuple(tuple(tuple(row) for row in one) for one in table.nested("coefficients")),
        ),
    )


def _point(table: Table) -> OperatingPoint:
    return born(
        table.where,
        lambda: OperatingPoint(
            thresholds=tuple(table.numbers_or_null("thresholds")),
            accuracy=table.number("accuracy"),
            at_least=None if table.missing("at_least") else table.number("at_least"),
            energy_j=table.number("energy_j"),
            left=tuple(table.numbers("left")),
        ),
    )


def quantization_of(table: Table) -> Quantization:
    """How the stages were quantized.

    Raises:
        BundleError: a key that is missing or of the wrong type.
    """
    return born(
        table.where,
        lambda: Quantization(
            method=table.text("method"),
            calibrated_on=table.get("calibrated_on", int),
            compared_on=table.get("compared_on", int),
            agreement=tuple(table.numbers("agreement", float)),
            max_abs_difference=tuple(table.numbers("max_abs_difference", float)),
            accuracy_before=None if table.missing("accuracy_before") else tuple(table.numbers("accuracy_before", float)),
            accuracy_after=None if table.missing("accuracy_after") else tuple(table.numbers("accuracy_after", float)),
        ),
    )
