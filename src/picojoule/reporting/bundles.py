"""What a bundle holds, after it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, wrapped
from picojoule.reporting.figures import printable, size
from picojoule.reporting.palette import ATTENTION

if TYPE_CHECKING:
    from picojoule.runtime.bundle import Bundle


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
    lines += wrapped("next", [Text(f"picojoule run {printable(str(bundle.path))} --input IMAGES")], width)
    return to_text(lines, color=color)


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
