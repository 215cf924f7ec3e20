"""What the figures of a page read: the result, what binds its layers, what fills its memories, and what it is compared with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from picojoule.analysis import Comparison, Explanation, Fill, LayerExplanation, cite, compare, occupancy, outline
from picojoule.errors import UsageError
from picojoule.mapping.mapping import Mapping as CheckedMapping
from picojoule.reporting.figures import energy, printable
from picojoule.reporting.page.explained import explanation_of, merged
from picojoule.reporting.palette import TENSOR_COLOURS, colours
from picojoule.result import Estimate, LayerEstimate, content_hash
from picojoule.result_file import estimate_from_data, read_document, usable

DRAWN = 60
"""Layers that a drawing shows at most; the rest are drawn together, and stand in the table."""
TENSORS = ("weights", "inputs", "outputs", "none")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All that a page is made of.

    Attributes:
        estimate: the result that the page is about: the last of those given.
        document: its file as plain data, with what this version doesn't know.
        before: the results given before it.
        comparison: of all of them; None for one.
        explanation: what binds its layers.
        fills: of the memories, by layer.
        explained_only: the layer that an explanation was given of, where it is of one only.
    """

    estimate: Estimate
    document: Mapping[str, Any]
    before: Sequence[Estimate]
    comparison: Comparison | None
    explanation: Explanation
    fills: Mapping[str, Sequence[Fill]]
    explained_only: str | None = None

    @property
    def unit(self) -> str:
        """Of the energies."""
        return str(self.estimate.table["unit"])

    @property
    def machine(self) -> str:
        return printable(str(self.estimate.hardware["name"]))

    @property
    def altered(self) -> bool:
        """Whether the file is not what was written."""
        return self.estimate.provenance.get("content_hash") not in (None, content_hash(dict(self.document)))

    @property
    def bibtex(self) -> str:
        return cite(self.estimate)

    @property
    def file_text(self) -> str:
        """The result file."""
        return json.dumps(self.document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @cached_property
    def levels(self) -> dict[str, float]:
        """Energy at every place, outermost first, arithmetic last."""
        return self.estimate.by_level()

    @cached_property
    def colours(self) -> dict[str, str]:
        """Of every place, the same as on the terminal."""
        return {name: self._colours.get(name, "#777777") for name in self.levels} | self._colours

    @cached_property
    def _colours(self) -> dict[str, str]:
        return colours(self.estimate.hardware)

    @cached_property
    def explained(self) -> dict[str, LayerExplanation]:
        """What binds each layer that has loops, by its name."""
        return {layer.name: layer for layer in self.explanation.layers}

    @cached_property
    def largest(self) -> list[LayerEstimate]:
        """The layers by energy, the largest first."""
        return sorted(self.estimate.layers, key=lambda layer: -layer.energy_pj)

    @cached_property
    def busy(self) -> float | None:
        """Share of the array's peak, averaged over the time of the layers; None where none has loops."""
        layers = [layer for layer in self.estimate.layers if layer.utilization is not None and layer.latency_cycles]
        cycles = math.fsum(layer.latency_cycles or 0.0 for layer in layers)
        return math.fsum((x.utilization or 0.0) * (x.latency_cycles or 0.0) for x in layers) / cycles if cycles else None

    @cached_property
    def unexplained(self) -> str:
        """A sentence about the layers with loops that no mapping of their own runs: fused ones. Empty where there are none."""
        left = sum(layer.dims is not None and layer.name not in self.explained for layer in self.estimate.layers)
        return f" {left} fused layer{'' if left == 1 else 's'} {'is' if left == 1 else 'are'} not in it." if left else ""

    @cached_property
    def tiles(self) -> dict[str, list[dict[str, Any]]]:
        """Of fused layers, the nests that they run, the most frequent first: ``count``, ``dims``, ``mapping``.

        Raises:
            MappingError: one of them is no mapping.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.document["layers"]:
            tiles = row.get("tiles") or []
            for tile in tiles:
                CheckedMapping.from_data(tile.get("mapping"), where=f"{row['name']}: tiles")
            if tiles:
                found[row["name"]] = sorted(tiles, key=lambda tile: -tile.get("count", 1))
        return found

    def drawn(self) -> tuple[list[LayerEstimate], list[LayerEstimate]]:
        """The layers that are drawn one by one, and those that are drawn together: the smallest where there are too many."""
        if len(self.largest) <= DRAWN:
            return self.largest, []
        return self.largest[: DRAWN - 1], self.largest[DRAWN - 1 :]

    def energy(self, value: float) -> str:
        """An energy for a sentence."""
        return energy(value, self.unit)

    def tensor_colour(self, tensor: str) -> str:
        return TENSOR_COLOURS[tensor]


def tensor_name(tensor: str) -> str:
    """What a legend calls it."""
    return "arithmetic" if tensor == "none" else tensor


def summed(layers: Sequence[LayerEstimate], key: str) -> dict[str, float]:
    """Energy of layers by the ``level`` or ``tensor`` of their accesses."""
    parts: dict[str, list[float]] = {}
    for layer in layers:
        for access in layer.by:
            parts.setdefault(getattr(access, key), []).append(access.energy_pj)
    return {name: math.fsum(values) for name, values in parts.items()}


def read(results: Sequence[Estimate | str | Path], explanation: str | Path | Explanation | None) -> Reading:
    """Reads all that a page is made of.

    Args:
        results: one or more; the page is about the last.
        explanation: of the last, or its file; what it says of a layer is taken in place of what is known without a search.

    Raises:
        UsageError: no result, results of different networks, or an explanation of another result.
        ResultFileError, SystemFailure: a file that can't be read.
    """
    if not results:
        raise UsageError("a report needs a result", where="results", hint="Name the file that picojoule estimate wrote.")
    documents = [one.to_data() if isinstance(one, Estimate) else read_document(one) for one in results]
    estimates = [
        one if isinstance(one, Estimate) else usable(estimate_from_data(document, where=str(one)), where=str(one))
        for one, document in zip(results, documents, strict=True)
    ]
    comparison = compare(results) if len(results) > 1 else None
    last = estimates[-1]
    known = outline(last)
    given = None if explanation is None else explanation_of(explanation)
    partly = given is not None and len(given.layers) == 1 < len(known.layers)
    return Reading(
        estimate=last,
        document=documents[-1],
        before=estimates[:-1],
        comparison=comparison,
        explanation=known if given is None else merged(known, given, last, where=str(explanation) if isinstance(explanation, str | Path) else "explanation"),
        fills=occupancy(last),
        explained_only=given.layers[0].name if given is not None and partly else None,
    )
