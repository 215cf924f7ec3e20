"""What ``picojoule verify`` found, on the terminal and as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, to_text
from picojoule.reporting.figures import grouped, printable
from picojoule.reporting.palette import BAD, GOOD

if TYPE_CHECKING:
    from picojoule.verification import Check, Verification

SCHEMA = "picojoule/verification/1"
_SHOWN_FAILURES = 20


def verification_text(verification: Verification, name: str, *, color: bool, every: bool = False) -> str:
    """A line for each kind of check, the failures one by one, and the answer.

    Args:
        verification: what was checked.
        name: of the result file.
        color: colours by escape sequences.
        every: show all failures and not only the first.
    """
    kinds: dict[str, list[Check]] = {}
    for check in verification.checks:
        kinds.setdefault(check.name, []).append(check)
    lines = [Text(printable(name), style="bold")]
    lines += rows(_columns(kinds)) if kinds else []
    failed = [check for check in verification.checks if not check.ok]
    shown = failed if every else failed[:_SHOWN_FAILURES]
    if failed:
        lines.append(Text())
    for check in shown:
        place = f"{printable(check.where)}: " if check.where else ""
        lines.append(Text.assemble((" ✗ ", BAD), (place, "bold"), printable(check.message)))
    if len(failed) > len(shown):
        lines.append(Text(f"   … {len(failed) - len(shown)} more: -v shows all", style="dim"))
    return to_text([*lines, Text(), _answer(verification, len(failed))], color=color)


def _columns(kinds: dict[str, list[Check]]) -> list[Any]:
    wrong = {kind: sum(not check.ok for check in checks) for kind, checks in kinds.items()}
    return [
        column("", [("✗" if wrong[kind] else "✓", BAD if wrong[kind] else GOOD) for kind in kinds], right=False, gap=1),
        column("check", [(printable(kind), "") for kind in kinds], right=False, gap=1),
        column("made", [(grouped(len(checks)), "") for checks in kinds.values()]),
        column("failed", [(grouped(wrong[kind]), BAD if wrong[kind] else "dim") for kind in kinds]),
    ]


def _answer(verification: Verification, failures: int) -> Text:
    if verification.ok:
        return Text(f" verified: {_counted(verification.checks)} hold", style=GOOD)
    return Text(f" not verified: {grouped(failures)} of {_counted(verification.checks)} failed", style=BAD)


def _counted(checks: Sequence[Any]) -> str:
    return f"{grouped(len(checks))} check{'s' if len(checks) != 1 else ''}"


def verification_data(verification: Verification, name: str) -> dict[str, Any]:
    """The outcome as plain data: ``{schema, result, ok, checks: [{name, where, ok, message}]}``."""
    return {"schema": SCHEMA, "result": name, "ok": verification.ok, "checks": list(_plain(verification.checks))}


def _plain(checks: Iterable[Check]) -> Iterable[dict[str, Any]]:
    return ({"name": c.name, "where": c.where, "ok": c.ok, "message": c.message} for c in checks)
