"""Charts of ``picojoule complexity validate``: energy along every sweep with its law, as SVG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.atomic_file import replace_file
from picojoule.errors import MissingExtraError

if TYPE_CHECKING:
    from picojoule.study.validation import Curve, Envelope, RandomLayers, Validation

_COLORS = {"ours": "#0072b2", "authors": "#d55e00"}
_SIZE = {"width": 420, "height": 280}
_STEPS = 60


def check_charts() -> None:
    """Asks for what draws before any work is done.

    Raises:
        MissingExtraError: altair or vl-convert is not installed.
    """
    _altair()


def write_charts(validation: Validation, folder: Path, *, their_points: bool = True) -> list[Path]:
    """One SVG for each sweep and one of the random layers' envelope; returns their paths.

    Args:
        validation: to draw.
        folder: that is there.
        their_points: with the authors' measurements as points, and not only their law as a line.

    Raises:
        MissingExtraError: altair or vl-convert is not installed.
        SystemFailure: a file can't be written.
    """
    from picojoule.study.validation import SWEEPS

    written = []
    for i, sweep in enumerate(SWEEPS):
        sides = {"ours": validation.ours[i]}
        if validation.theirs is not None:
            sides["authors"] = validation.theirs[i]
        drawn = {whose: [sweep.x(value) for value in curve.values] for whose, curve in sides.items()}
        law = f"y = a + b·{sweep.symbol}" if sweep.power == 1 else f"y = a + b·({sweep.symbol})²"
        title = f"{validation.machine.name}: data energy over {sweep.symbol}, law {law}"
        points = {whose for whose in sides if whose == "ours" or their_points}
        chart = _sweep_chart(sides, drawn, points, sweep.symbol, validation.machine.unit, title)
        written.append(_save(chart, folder / f"{validation.machine.name}.{sweep.parameter}.svg"))
    if validation.random is not None:
        chart = _envelope_chart(validation.random, validation.machine.name, their_points)
        written.append(_save(chart, folder / f"{validation.machine.name}.random.svg"))
    return written


def _sweep_chart(
    sides: dict[str, Curve], xs: dict[str, list[float]], points: set[str], symbol: str, unit: str, title: str
) -> Any:
    dots = [
        {"x": x, "y": y, "of": whose}
        for whose in sides
        if whose in points
        for x, y in zip(xs[whose], sides[whose].data, strict=True)
    ]
    lines = []
    for whose, curve in sides.items():
        least, most = min(xs[whose]), max(xs[whose])
        grid = [least + (most - least) * i / _STEPS for i in range(_STEPS + 1)]
        lines += [{"x": x, "y": curve.fit.at(x), "of": whose} for x in grid]
    return _layered(dots, lines, symbol, f"data energy, {unit}", title, "linear")


def _envelope_chart(random: RandomLayers, machine: str, their_points: bool) -> Any:
    sides: dict[str, Envelope] = {"ours": random.ours, "authors": random.theirs}
    dots = [
        {"x": x, "y": y, "of": whose}
        for whose, envelope in sides.items()
        if whose == "ours" or their_points
        for x, y in zip(envelope.terms, envelope.data, strict=True)
    ]
    lines = []
    for whose, envelope in sides.items():
        least, most = min(envelope.terms), max(envelope.terms)
        grid = [least * (most / least) ** (i / _STEPS) for i in range(_STEPS + 1)]
        lines += [{"x": x, "y": envelope.fit.in_logs_at(x), "of": whose} for x in grid]
    title = f"{machine}: lower envelope of {random.drawn} random layers, line y = c·xᵉ"
    return _layered(dots, lines, "d·q·n²·r²/s²", "data energy, pJ", title, "log")


def _layered(dots: list[Any], lines: list[Any], x: str, y: str, title: str, scale: str) -> Any:
    alt = _altair()
    names = list(dict.fromkeys(row["of"] for row in lines))
    color = alt.Color("of:N", title=None, scale=alt.Scale(domain=names, range=[_COLORS[name] for name in names]))
    axes = [alt.Axis(), alt.Axis(format=".2~s")] if scale == "linear" else [alt.Axis(format=".0e", tickCount=7)] * 2
    across = alt.X("x:Q", title=x, scale=alt.Scale(type=scale), axis=axes[0])
    up = alt.Y("y:Q", title=y, scale=alt.Scale(type=scale), axis=axes[1])
    points = alt.Chart(alt.Data(values=dots)).mark_point(size=22, filled=True, opacity=0.75)
    laws = alt.Chart(alt.Data(values=lines)).mark_line(strokeWidth=1.5)
    layers = [chart.encode(x=across, y=up, color=color) for chart in (laws, points)]
    return alt.layer(*layers).properties(title=title, **_SIZE)


def _save(chart: Any, path: Path) -> Path:
    import vl_convert

    replace_file(path, vl_convert.vegalite_to_svg(chart.to_dict()))
    return path


def _altair() -> Any:
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as missing:
        message = f"the charts need {'vl-convert' if missing.name == 'vl_convert' else 'altair'}, which is not installed"
        raise MissingExtraError(message, hint="pip install 'picojoule[report]'") from missing
    return altair
