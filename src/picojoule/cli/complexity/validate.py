"""``picojoule complexity validate``: how energy grows with a layer's parameters, beside what was published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from picojoule.cli.complexity.journalled import journalled
from picojoule.cli.failures import INTERRUPTED
from picojoule.cli.options import Output, Parsed, cluster_option, output_options, progress_option
from picojoule.cli.options import time_limit as parse_time_limit
from picojoule.cli.streams import check_output, write_file
from picojoule.errors import UsageError

if TYPE_CHECKING:
    from picojoule.search.policy import Progress
    from picojoule.study.validation import Validation


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{text!r} is neither a whole number nor all")
    return int(text)


@click.command("validate", short_help="How energy grows with a layer's parameters, beside what was published.")
@click.option(
    "--hardware", metavar="HW", required=True, help="A machine: a name of `picojoule hardware list`, or a YAML file."
)
@click.option(
    "--reference",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The authors' measurements: the folder data of github.com/PetraVidnerova/timeloop-accelergy-test.",
)
@click.option(
    "--random",
    metavar="N|all",
    type=Parsed("N", _count),
    default="0",
    show_default=True,
    help="Search so many of the authors' layers with all parameters drawn, too.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Which of them.")
@click.option(
    "--recount",
    is_flag=True,
    help="Also put every optimum beside a measurement into Timeloop's own form and counting; some seconds a point.",
)
@click.option(
    "--factors",
    type=click.Choice(["exact", "any"]),
    default="exact",
    show_default=True,
    help="any: a tile need not divide its dimension; a wider space that takes longer.",
)
@click.option(
    "--time-limit",
    type=Parsed("TIME", parse_time_limit),
    default="none",
    show_default=True,
    help="Stop a layer's search after this; none for never.",
)
@click.option("--charts", metavar="DIR", type=click.Path(path_type=Path), help="Write charts there, as SVG files.")
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@cluster_option
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the result file goes.  [default: complexity.HARDWARE.json]",
)
@click.option("--no-save", is_flag=True, help="Write no result file, and no journal to go on from.")
@progress_option
@output_options("table", "json", "csv", "md", writes=("save",))
def validate(
    *,
    hardware: str,
    reference: Path | None,
    factors: str,
    time_limit: float | None,
    charts: Path | None,
    save: Path | None,
    no_save: bool,
    progress: str,
    output: Output,
    **asked: Any,
) -> int:
    """Run the experiments of the energy complexity model on a machine: 124 layers, each with its proved optimum.

    One parameter of AlexNet's first layer is varied at a time: feature maps d, input size n, receptive fields r and
    stride s. The energy of the data is fitted on (1, x, x²), for the stride with x = 1/s. With --reference the same
    stands beside it for the authors' measurements, and both are compared at every point.

    Every point is kept as it is done, in FILE.journal: the same command goes on where an earlier one was stopped.
    Needs `pip install 'picojoule[study]'`, charts need `picojoule[report]`.
    """
    from picojoule.hardware import load_hardware
    from picojoule.reporting import validation_data
    from picojoule.reporting.validation_charts import check_charts, write_charts
    from picojoule.search import Exact
    from picojoule.study.validation import validate_complexity

    source = click.get_current_context().get_parameter_source("seed")
    if source is ParameterSource.COMMANDLINE and asked["random"] in (0, None):
        raise UsageError("--seed draws among random layers", where="--seed", hint="Say how many with --random N.")
    machine = load_hardware(hardware)
    if no_save and save is not None:
        raise UsageError("--save and --no-save exclude each other")
    if not no_save:
        save = save or Path(f"complexity.{machine.name.replace('/', '-')}.json")
        check_output(save, force=True, option="--save")
    if charts is not None:
        if not charts.is_dir():
            raise UsageError("there is no such folder", where=f"--charts {charts}", hint="Make the folder first.")
        check_charts()
    search = Exact(time_limit_s=time_limit, factors=factors)

    def run(journal: Any, follow: Callable[[Progress], None] | None) -> Validation:
        return validate_complexity(
            machine, reference=reference, search=search, journal=journal, progress=follow, **asked
        )

    found = journalled(run, None if save is None else _journal_of(save), progress, output)
    if found is None:
        return INTERRUPTED
    written = [] if charts is None else write_charts(found, charts)
    output.write(_formatted(found, output))
    if save is not None:
        write_file(save, json.dumps(validation_data(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        _journal_of(save).unlink(missing_ok=True)
    for path in [*([] if output.to_stdout else [output.path]), *([] if save is None else [save]), *written]:
        output.note(f" wrote {path}")
    return 0


def _journal_of(save: Path) -> Path:
    return save.with_name(f"{save.name}.journal")


def _formatted(found: Validation, output: Output) -> str:
    from picojoule.reporting import validation_csv, validation_data, validation_markdown, validation_text

    if output.format == "json":
        return json.dumps(validation_data(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if output.format == "csv":
        return validation_csv(found)
    if output.format == "md":
        return validation_markdown(found)
    return validation_text(found, width=output.width, color=output.colored)
