"""``picojoule verify``: check a result again, with code of its own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picojoule.cli.options import Output, output_options

NOT_VERIFIED = 1


@click.command("verify", short_help="Check a result again, with code of its own.")
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output_options("table", "json")
def command(*, result: Path, output: Output) -> int:
    """Check the result file RESULT again: legality of every mapping, counts, energies, sums, order of the figures.

    The code that checks shares nothing with the code that searched. The exit code is 0 if everything holds and 1 if
    anything doesn't.
    """
    from picojoule.reporting import verification_data, verification_text
    from picojoule.verification import verify

    verification = verify(result)
    if output.format == "json":
        data = verification_data(verification, str(result))
        output.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    else:
        output.write(verification_text(verification, str(result), color=output.colored, every=output.verbose > 0))
    return 0 if verification.ok else NOT_VERIFIED
