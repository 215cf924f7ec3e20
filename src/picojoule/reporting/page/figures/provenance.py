"""Where the figures come from: version, table, coverage; the result file to take along, and what to cite."""

from __future__ import annotations

import base64
import gzip
import re

from picojoule.reporting.figures import NONE, percent
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.reading import Reading

PLACE = 1000


def figure(reading: Reading) -> Figure | None:
    estimate = reading.estimate
    return Figure(
        name="provenance",
        title="Where this comes from",
        finding=_finding(reading),
        drawing=tag("div", _download(reading), _citation(reading), class_="origin"),
        table=Table(
            head=("what", "value"),
            rows=[[cell(name), cell(text)] for name, text in _facts(reading)],
            words=frozenset({1}),
        ),
        note=estimate.space[:1].upper() + estimate.space[1:] + ".",
    )


def _download(reading: Reading) -> Markup:
    """The file as a link that works without any script, packed; with scripts it is unpacked first."""
    estimate = reading.estimate
    name = re.sub(r"[^\w.:-]+", "-", f"{estimate.model}.{estimate.hardware['name']}.json").replace(":", "-")
    packed = gzip.compress(reading.file_text.encode(), 9, mtime=0)
    address = f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"
    link = tag("a", "Download the result file", id="result", class_="button", href=address, download=f"{name}.gz", data_name=name)
    return tag("p", link, tag("span", f"{name}, {len(reading.file_text.encode()) / 1e3:,.0f} kB; picojoule verify checks it", class_="note"))


def _citation(reading: Reading) -> Markup:
    return tag(
        "details",
        tag("summary", "BibTeX", tag("button", "Copy", type="button", class_="copy", data_of="bibtex")),
        tag("pre", reading.bibtex, id="bibtex", tabindex="0"),
        open=True,
    )


def _finding(reading: Reading) -> list[str]:
    estimate, table = reading.estimate, reading.estimate.table
    said = [f"Every figure follows from one result file, written by picojoule {estimate.provenance.get('version', NONE)} with the energy table {table['name']}."]
    if table.get("estimated"):
        said.append("Nobody published energies of this machine: the rules of that table stand in for them.")
    if reading.altered:
        said.append("The file is not what was written: its contents don't match its hash.")
    return said


def _facts(reading: Reading) -> list[tuple[str, str]]:
    estimate, origin = reading.estimate, reading.estimate.provenance
    coverage = estimate.coverage
    missing = ", ".join(f"{entry['op']} ×{entry['count']}" for entry in coverage.get("not_costed", [])) or "nothing"
    unpriced = ", ".join(f"{entry['op']} ×{entry['count']}" for entry in coverage.get("vector_ops_not_priced", [])) or "nothing"

    def covered(key: str) -> str:
        return "unknown" if coverage.get(key) is None else percent(coverage[key])

    facts = [
        ("network", f"{estimate.model}, {estimate.macs:,} MACs, {estimate.params:,} parameters"),
        ("machine", f"{estimate.hardware['name']}: {estimate.hardware.get('description') or NONE}"),
        ("energy table", f"{estimate.table['name']}: {estimate.table.get('source') or NONE}"),
        ("objective", estimate.objective),
        ("counting", estimate.counting),
        ("batch", str(estimate.batch)),
        ("zeros", estimate.sparsity or "none known, none assumed"),
        ("MACs costed", covered("macs")),
        ("bytes costed", covered("bytes")),
        ("not costed", missing),
        ("arithmetic without a price", unpriced),
        ("written by", f"picojoule {origin.get('version', NONE)}, {origin.get('command', NONE)}"),
        ("searched for", f"{origin['wall_s']:.1f} s" if isinstance(origin.get("wall_s"), float) else NONE),
        ("content hash", str(origin.get("content_hash", NONE)) + (" (does not match)" if reading.altered else "")),
    ]
    return facts
