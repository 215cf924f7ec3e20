"""A network as CSV for programs and as Markdown for pages."""

from __future__ import annotations

import csv
import io

from picojoule.reporting.figures import counted, grouped, listing
from picojoule.reporting.tables import markdown_table, markdown_text
from picojoule.workload import DIMS, Layer, Network

CSV_COLUMNS = (
    "name", "kind", "op", *DIMS, "stride_h", "stride_w", "dilation_h", "dilation_w",
    "pad_top", "pad_left", "pad_bottom", "pad_right", "read", "written", "vector_ops", "read_weights", "repeats", "macs", "params",
)  # fmt: skip


def network_csv(network: Network) -> str:
    """A row for each layer in the order in which they run; cells of what a layer doesn't have are empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_record, network.layers))
    return stream.getvalue()


def network_markdown(network: Network) -> str:
    """A heading, a table of the layers with totals, and which network this is."""
    head = ["layer", "kind", *DIMS, "stride", "runs", "MACs", "parameters"]
    body = [
        [
            layer.name,
            layer.kind,
            *(grouped(layer.nest.dims[dim]) if layer.nest else "" for dim in DIMS),
            "×".join(map(str, layer.nest.stride)) if layer.nest else "",
            str(layer.repeats),
            counted(layer.macs),
            counted(layer.params),
        ]
        for layer in network.layers
    ]
    total = ["**total**", *[""] * (len(head) - 3), counted(network.macs), counted(network.params)]
    shape = f" · {'×'.join(map(str, network.input_shape))}" if network.input_shape else ""
    missing: dict[str, int] = {}
    for one in network.not_costed:
        missing[one.op] = missing.get(one.op, 0) + 1
    notes = {"variant": network.variant, "source": network.source, "not costed": listing(missing.items())}
    lines = [
        f"## {markdown_text(network.name)}{shape}",
        "",
        *markdown_table(head, [*body, total], left=(0, 1)),
        "",
        *(f"- {label}: {markdown_text(text)}" for label, text in notes.items() if text),
    ]
    return "\n".join(lines) + "\n"


def _record(layer: Layer) -> dict[str, object]:
    record: dict[str, object] = {
        key: getattr(layer, key) for key in ("name", "kind", "op", "repeats", "macs", "params")
    }
    if layer.nest is None:
        moved = (layer.read_elements, layer.written_elements, layer.vector_ops, layer.read_weights)
        return record | dict(zip(("read", "written", "vector_ops", "read_weights"), moved, strict=True))
    nest = layer.nest
    shape = (*nest.stride, *nest.dilation, *nest.pad)
    first = CSV_COLUMNS.index("stride_h")
    return record | nest.dims | dict(zip(CSV_COLUMNS[first : first + len(shape)], shape, strict=True))
