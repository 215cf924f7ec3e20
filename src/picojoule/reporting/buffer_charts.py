"""A chart of bounds and optimum over the size of the buffer, as an SVG file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.atomic_file import replace_file
from picojoule.reporting.validation_charts import check_charts

if TYPE_CHECKING:
    from picojoule.analysis.complexity import BufferCurve

__all__ = ["BYTES", "check_charts", "write_buffer_chart"]

_LINES = {
    "optimum": "#d55e00",
    "bound": "#0072b2",
    "triplets": "#999999",
    "document": "#cccccc",
    "compulsory": "#009e73",
}

BYTES = (
    "datum.value >= 1048576 ? datum.value / 1048576 + ' MB' : "
    "datum.value >= 1024 ? datum.value / 1024 + ' kB' : datum.value + ' B'"
)
"""How an axis says sizes, as an expression of Vega."""


def write_buffer_chart(curve: BufferCurve, folder: Path) -> Path:
    """Numbers that pass between DRAM and the buffer, over its size, on two logarithmic axes.

    Args:
        curve: to draw.
        folder: that is there; the file is named after the model.

    Raises:
        MissingExtraError: altair or vl-convert is not installed.
        SystemFailure: the file can't be written.
    """
    check_charts()
    import vl_convert

    path = folder / f"{curve.model.replace('/', '-').replace(':', '-')}.buffers.svg"
    replace_file(path, vl_convert.vegalite_to_svg(_chart(curve).to_dict()))
    return path


def _chart(curve: BufferCurve) -> Any:
    import altair as alt

    values = []
    for point in curve.points:
        figures = {
            "optimum": point.optimum,
            "bound": point.bound,
            "triplets": point.lower_triplets,
            "document": point.lower_document,
            "compulsory": point.compulsory,
        }
        values += [{"x": point.buffer_bits / 8, "y": y, "of": name} for name, y in figures.items()]
    least = min(point.compulsory for point in curve.points) / 30
    color = alt.Color("of:N", title=None, scale=alt.Scale(domain=list(_LINES), range=list(_LINES.values())))
    across = alt.X("x:Q", title="buffer, bytes", scale=alt.Scale(type="log", base=2), axis=alt.Axis(labelExpr=BYTES))
    up = alt.Y(
        "y:Q",
        title="numbers between DRAM and buffer",
        scale=alt.Scale(type="log", domainMin=least),
        axis=alt.Axis(format="~s", tickCount=6),
    )
    lines = alt.Chart(alt.Data(values=values)).mark_line(clip=True, strokeWidth=1.6, point={"size": 18})
    marks = [{"x": curve.needed * curve.bits / 8}]
    rule = alt.Chart(alt.Data(values=marks)).mark_rule(strokeDash=[4, 3], color="#009e73").encode(x="x:Q")
    title = alt.TitleParams(
        f"{curve.model}: bounds and optimum over the buffer, numbers of {curve.bits} bits",
        subtitle="left of the dashed line more than what is compulsory must pass",
    )
    layers = alt.layer(rule, lines.encode(x=across, y=up, color=color))
    return layers.properties(title=title, width=460, height=300)
