"""Results → terminal and files. Computes nothing new."""

from picojoule.reporting.added_exits import added_exits_text
from picojoule.reporting.buffers import curve_csv, curve_data, curve_markdown, curve_text
from picojoule.reporting.checks import verification_data, verification_text
from picojoule.reporting.comparisons import (
    comparison_csv,
    comparison_data,
    comparison_markdown,
    comparison_text,
)
from picojoule.reporting.complexity import bounds_csv, bounds_data, bounds_markdown, bounds_text
from picojoule.reporting.datasheets import datasheet_csv, datasheet_data, datasheet_markdown, datasheet_text
from picojoule.reporting.decisions import choice_csv, choice_data, choice_text, fit_data, fit_text
from picojoule.reporting.dials import dials_data, dials_text
from picojoule.reporting.exit_policies import decision_data, decision_text
from picojoule.reporting.explanations import (
    explanation_csv,
    explanation_data,
    explanation_markdown,
    explanation_text,
)
from picojoule.reporting.listings import (
    machine_text,
    machines_text,
    network_data,
    network_text,
    networks_text,
)
from picojoule.reporting.network_tables import network_csv, network_markdown
from picojoule.reporting.tables import estimate_csv, estimate_markdown
from picojoule.reporting.terminal import estimate_text
from picojoule.reporting.validation import validation_csv, validation_data, validation_markdown, validation_text
from picojoule.reporting.verdicts import verdict_data, verdict_markdown, verdict_text

__all__ = [
    "added_exits_text",
    "bounds_csv",
    "bounds_data",
    "bounds_markdown",
    "bounds_text",
    "choice_csv",
    "choice_data",
    "choice_text",
    "comparison_csv",
    "comparison_data",
    "comparison_markdown",
    "comparison_text",
    "curve_csv",
    "curve_data",
    "curve_markdown",
    "curve_text",
    "datasheet_csv",
    "datasheet_data",
    "datasheet_markdown",
    "datasheet_text",
    "decision_data",
    "decision_text",
    "dials_data",
    "dials_text",
    "estimate_csv",
    "estimate_markdown",
    "estimate_text",
    "explanation_csv",
    "explanation_data",
    "explanation_markdown",
    "explanation_text",
    "fit_data",
    "fit_text",
    "machine_text",
    "machines_text",
    "network_csv",
    "network_data",
    "network_markdown",
    "network_text",
    "networks_text",
    "validation_csv",
    "validation_data",
    "validation_markdown",
    "validation_text",
    "verdict_data",
    "verdict_markdown",
    "verdict_text",
    "verification_data",
    "verification_text",
]
