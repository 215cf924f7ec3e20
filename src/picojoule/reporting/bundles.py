"""What a bundle holds, after it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, wrapped
from picojoule.reporting.figures import energy_scale, printable, size
from picojoule.reporting.palette import ATTENTION

if TYPE_CHECKING:
    from picojoule.runtime.bundle import Bundle
    from picojoule.runtime.operation import Operation
    from picojoule.runtime.quantization import Quantization

SHOWN_POINTS = 6


def bundle_text(bundle: Bundle, *, width: int, color: bool) -> str:
    """Its stages with what they read and make, and how well it answers."""
    manifest = bundle.manifest
    parity = manifest.parity
    inputs = ", ".join(f"{t.name} {t.dtype} {_shape(manifest.batch, t.shape)}" for t in manifest.inputs)
    kind = f"{manifest.classes} classes" if manifest.classes is not None else "no classes"
    lines = spread(Text.assemble((printable(manifest.name), "bold"), f" · {printable(inputs)}"), Text(kind), width)
    stages = manifest.stages
    columns = [
        column("stage", [(printable(stage.file), "bold") for stage in stages], right=False, gap=1),
        column("size", [(size(8 * manifest.files[stage.file].size_bytes), "") for stage in stages]),
        column("reads", [(printable(", ".join(stage.inputs)), "") for stage in stages], right=False),
        column("hands on", [(_handed_on(bundle, number), "") for number in range(len(stages))], right=False),
        column("exit", [(_exit(stage.exit), "") for stage in stages], right=False),
    ]
    if parity is not None:
        columns.append(column("off by", [(f"{one:.1e}", "") for one in parity.max_abs_difference]))
    lines += [*rows(columns), Text()]
    if parity is not None:
        what = f"{parity.runtime} against {printable(parity.reference)}"
        lines += wrapped(
            "parity", [Text(what), Text(f"{parity.inputs} random inputs"), Text(f"{parity.tolerance:g} allowed")], width
        )
    because = manifest.provenance.get("batch_is_fixed_because")
    if manifest.batch is not None:
        told = f"every run takes {manifest.batch}" + (
            f", as any batch fails: {printable(str(because))}" if because else ""
        )
        lines += wrapped("batch", [Text(told, style=ATTENTION if because else "")], width)
    if manifest.quantization is not None:
        lines += wrapped("INT8", [Text(part) for part in _int8_parts(manifest.quantization)], width)
    if manifest.operation is not None:
        lines += [Text(), *_points(manifest.operation)]
        lines += [Text(), *wrapped("points", [Text(part) for part in _points_parts(manifest.operation)], width)]
    wish = "" if manifest.operation is None else " --alpha 0.3"
    lines += wrapped("next", [Text(f"picojoule run {printable(str(bundle.path))} --input IMAGES{wish}")], width)
    return to_text(lines, color=color)


def _points(operation: Operation) -> list[Text]:
    """Some of the points, from the cheapest to the most accurate, and the default."""
    count = len(operation.points)
    shown = sorted({*(round(k * (count - 1) / (SHOWN_POINTS - 1)) for k in range(SHOWN_POINTS)), operation.default})
    points = [operation.points[number] for number in shown]
    scale = energy_scale([point.energy_j * 1e12 for point in points], "pJ", 4)
    styles = ["bold" if number == operation.default else "" for number in shown]

    def cells(values: list[str]) -> list[tuple[str, str]]:
        return list(zip(values, styles, strict=True))

    columns = [
        column("point", cells([str(number + 1) for number in shown]), gap=1),
        column("accuracy", cells([f"{point.accuracy:.4f}" for point in points])),
        column("at least", cells(["–" if p.at_least is None else f"{p.at_least:.4f}" for p in points])),
        column(f"{scale.unit} an inference", cells([scale.text(point.energy_j * 1e12) for point in points])),
    ]
    columns += [
        column(f"exit {e}", cells([f"{point.rates[e]:.1%}" for point in points])) for e in range(len(points[0].left))
    ]
    return rows(columns)


def _points_parts(operation: Operation) -> list[str]:
    whose = "held out" if operation.held_out else "that chose them"
    combined = " combined" if operation.looks_back else ""
    parts = [f"{len(operation.points)}, by {operation.rule}{combined}", f"calibrated on {operation.images} samples {whose}"]
    if operation.delta is None:
        parts.append("nothing is guaranteed")
    else:
        parts.append(f"each guarantee with confidence {1 - operation.delta:g}")
    if operation.machine:
        parts.append(f"energies of {printable(operation.machine)}")
    return [*parts, f"point {operation.default + 1} where nothing is asked for"]


def _int8_parts(facts: Quantization) -> list[str]:
    parts = [f"ranges by {facts.method} on {facts.calibrated_on} samples"]
    parts.append("the same class as in float, by exit: " + ", ".join(f"{share:.2%}" for share in facts.agreement))
    if facts.accuracy_before is not None and facts.accuracy_after is not None:
        pairs = zip(facts.accuracy_before, facts.accuracy_after, strict=True)
        parts.append("accuracy, float → INT8: " + ", ".join(f"{a:.4f} → {b:.4f}" for a, b in pairs))
    return [*parts, f"compared on {facts.compared_on} samples"]


def _handed_on(bundle: Bundle, number: int) -> str:
    manifest = bundle.manifest
    passed = [t for t in manifest.stages[number].outputs if manifest.readers(t.name)]
    return printable(", ".join(f"{t.name} {_shape(manifest.batch, t.shape)}" for t in passed)) or "–"


def _exit(exit_: Any) -> str:
    if exit_ is None:
        return "–"
    threshold = "" if exit_.threshold is None else f" ≥ {exit_.threshold:g}"
    return printable(", ".join(exit_.outputs)) + (f" ({exit_.scores}{threshold})" if exit_.scores else "")


def _shape(batch: int | None, shape: tuple[int, ...]) -> str:
    return "×".join(map(str, [batch or "n", *shape]))


def bundle_data(bundle: Bundle) -> dict[str, Any]:
    """The manifest as plain data, and where the bundle lies."""
    import json

    from picojoule.runtime.manifest_file import manifest_text

    return {"bundle": str(bundle.path), "manifest": json.loads(manifest_text(bundle.manifest))}
