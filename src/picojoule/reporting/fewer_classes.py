"""A network of fewer classes on the terminal: accuracy on those that are kept, and what becomes of images of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, to_text, wrapped
from picojoule.reporting.figures import counted, percent, printable

if TYPE_CHECKING:
    from picojoule.workload.class_channels import ClassChannels


def classes_lines(classes: Mapping[str, Any], width: int) -> list[Text]:
    """The lines below those of the result.

    Args:
        classes: of ``Compression.classes``.
        width: of the terminal.
    """
    kept = [Text(printable(name)) for name in classes["names"]]
    found = classes["others"]
    table = rows(
        [
            column("answers", [(row["network"], "") for row in found], right=False, gap=1),
            column("accuracy", [(f"{classes['accuracy'][row['network']]:.2%}", "") for row in found]),
            column("threshold", [(_or_blank(row["threshold"], ".3f"), "") for row in found]),
            column("kept, rejected", [(f"{row['kept_rejected']:.1%}", "") for row in found]),
            column("others, accepted", [(f"{row['others_accepted']:.1%}", "") for row in found]),
            column("AUROC", [(_or_blank(row["auroc"], ".3f"), "") for row in found]),
        ]
    )
    last = found[-1]
    strangers = [
        Text(f"{printable(name)} {percent(share)}")
        for name, share in sorted(last["accepted_as"].items(), key=lambda item: -item[1])
    ]
    calibration = classes["calibration"]
    norm = "taken anew" if calibration["batchnorm"]["taken"] else "left as trained, which chose better"
    return [
        *wrapped("kept", kept, width),
        *wrapped("head", [Text(printable(classes["head"]))], width),
        Text(),
        *table,
        Text(),
        *wrapped("taken for", [Text("others that are accepted are")] + strangers, width, joint="  "),
        *wrapped(
            "calibrated",
            [Text(f"temperature {calibration['temperature']:.3f}, in the head"), Text(f"BatchNorm {norm}")],
            width,
        ),
    ]


def class_channels_text(channels: ClassChannels, *, width: int, color: bool) -> str:
    """What part of a network's MACs stands for classes, and what is left of it.

    Args:
        channels: of the network.
        width: of the terminal.
        color: by escape sequences.
    """
    gone = channels.head_macs - channels.kept_macs
    lines = wrapped(
        "classes",
        [
            Text(f"{channels.now} → {channels.kept}"),
            Text(f"{counted(gone)} MACs less, {percent(gone / channels.macs)} of {counted(channels.macs)}"),
            Text(f"{channels.macs / (channels.macs - gone):.3f} times fewer"),
        ],
        width,
    )
    for label, macs, names in (
        ("class head", channels.head_macs, channels.head),
        ("other head", channels.other_macs, channels.other_heads),
        ("backbone", channels.backbone_macs, ()),
    ):
        if macs:
            said = [Text(f"{counted(macs)} MACs, {percent(macs / channels.macs)}")]
            said += [Text(", ".join(map(printable, names)))] if names else [Text("the same for any classes")]
            lines += wrapped(label, said, width)
    return to_text(lines, color=color)


def _or_blank(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
