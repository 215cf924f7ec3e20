"""``picojoule verify``: check a result again, with code of its own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picojoule.cli.options import Output, Parsed, output_options
from picojoule.errors import UsageError

NOT_VERIFIED = 1
EVERY = "all"


def _sample(text: str) -> int | str:
    """A number of parts, or all of them."""
    if text == EVERY:
        return EVERY
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"a sample is a number of parts or {EVERY}, got {text!r}")
    return int(text)


@click.command("verify", short_help="Check a result again, with code of its own.")
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--certificate",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The search certificate that was written with RESULT: derive its bounds again.",
)
@click.option(
    "--sample",
    metavar="N|all",
    type=Parsed("N|all", _sample),
    help="Parts of the certificate to solve again, of those that no simple bound settles.  [default: 40]",
)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="Draws the sample.  [default: 0]")
@output_options("table", "json")
def command(
    *, result: Path, certificate: Path | None, sample: int | str | None, seed: int | None, output: Output
) -> int:
    """Check the result file RESULT again: legality of every mapping, counts, energies, sums, order of the figures.

    With the certificate of the search also that no mapping beats the bounds: its parts must cover the map space, and
    the bound of each must hold. The code that checks shares nothing with the code that searched. The exit code is 0 if
    everything holds and 1 if anything doesn't.
    """
    from picojoule.reporting import verification_data, verification_text
    from picojoule.verification import SAMPLE, verify

    if certificate is None and (sample is not None or seed is not None):
        raise UsageError("a sample of what?", where="--sample", hint="Give the certificate, too (--certificate FILE).")
    verification = verify(result, certificate=certificate, sample=SAMPLE if sample is None else sample, seed=seed or 0)
    if output.format == "json":
        data = verification_data(verification, str(result))
        output.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    else:
        output.write(verification_text(verification, str(result), color=output.colored, every=output.verbose > 0))
    return 0 if verification.ok else NOT_VERIFIED
