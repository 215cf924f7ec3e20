"""The one result type and its file, ``picojoule/estimate/1``.

An ``Estimate`` is immutable and holds all that its file holds: what was asked, the machine, every layer with its
mapping, counts and the three figures.
Reports, comparisons and ``verify`` are readings of it.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from picojoule.errors import MissingExtraError

SCHEMA = "picojoule/estimate/1"
STATUSES = ("PROVED", "GAP_OPEN", "INTERRUPTED", "GIVEN", "PER_LAYER", "INFEASIBLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Energy and accesses at one place for one tensor.

    Attributes:
        level: a memory of the machine, or ``mac``, ``vector``, ``leakage``.
        tensor: weights, inputs, outputs or none.
        energy_pj: in the unit of the table.
        reads, writes, updates: elements; executed operations stand under ``reads`` of ``mac`` and ``vector``.
        bits: bits moved by all of them; on a machine that minds zeros, on average, and without what zeros spare.
        metadata_bits: of these bits, what says where elements belong.
        raw_pj: energy of the same accesses if zeros were stored, moved and multiplied like other numbers; None where the
            machine does so anyway.
    """

    level: str
    tensor: str
    energy_pj: float
    reads: int
    writes: int
    updates: int
    bits: int | float
    metadata_bits: float = 0.0
    raw_pj: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEstimate:
    """One layer of the user's network: where its energy goes, and how far that is from the best possible.

    ``value``, ``bound`` and ``floor`` are of the objective asked for; ``energy_pj``, ``bound_pj`` and ``floor_pj``
    always of energy. All figures are for the ``runs`` of the layer together; ``dims`` and ``moved`` are of one run.

    Attributes:
        name: the user's own.
        kind: ``conv``, ``depthwise``, ``fc``, ``matmul``, or the family of a layer without loops.
        op: the operator as the model file calls it.
        dims: sizes of the loops by letter; None for a layer without loops, as are ``stride``, ``dilation`` and ``pad``.
        stride: rows, columns.
        dilation: rows, columns.
        pad: top, left, bottom, right.
        bits: widths of weights, inputs, outputs and psums.
        zeros: shares of zeros by tensor, 0 … 1, as far as they are known.
        macs: multiply–accumulates, those on padding included.
        params: parameters that count here: weights and biases.
        moved: of a layer without loops: elements ``read`` and ``written``, ``vector_ops``, and ``weights`` if it reads any.
        same_as: the earlier layer that is equal and was searched in its place.
        group: not used yet; None.
        value: of the best mapping found: pJ, cycles, or pJ · cycles.
        bound: no mapping in the searched space has less.
        floor: no mapping at all has less on this machine.
        energy_pj: of the mapping found.
        bound_pj: no mapping in the searched space needs less energy.
        floor_pj: no mapping at all needs less energy, communication included.
        compulsory_pj: the same without communication: every element moves once.
        gap: (value − bound) / value.
        status: ``PROVED``, ``GAP_OPEN``, ``INTERRUPTED`` or ``GIVEN`` (the mapping was).
        latency_cycles: of the mapping found; None where the machine models no time for such a layer.
        bound_by: the place, and the tensor there, with the largest share of the energy.
        utilization: share of the MAC units × cycles that do work.
        reuse: MACs per element that moves at the home of each tensor.
        mapping: nodes of the nest, outermost first, as in a mapping file; None without loops.
        by: one entry for each level and tensor, whose energies add up to ``energy_pj``.
        search: what the search ``visited`` and ``pruned``; None where none was needed.
        runs: ``Layer.repeats``. Named otherwise, since nothing in the row is to be multiplied with it.
        shared: its weights are parameters that an earlier layer counts already.
        reads: layers and given tensors whose elements it reads, where that is known.
        memory_bytes: of all activations that are in memory while it runs, where that is known.
        zeros_effect: on a machine that minds zeros, the energies of the same mapping if zeros were like other numbers
            (``raw_pj``) and if there were none (``dense_pj``: it has the overhead), and the density of nonzeros, the
            same in all tensors, below which minding them pays (``break_even_density``).
        compute_cycles: of ``latency_cycles``, those in which the array computes, if no memory makes it wait.
        latency_bound_cycles: no mapping in the searched space that has as little of the objective takes fewer cycles: equal to
            ``latency_cycles`` where the mapping is known to be the fastest of its energy. None where nothing was searched, and
            in groups.
        stays: tensors that stay on the chip from one layer to the next (``Engine.outputs_stay_at`` of the machine).
        front: of this layer alone, like that of the network; None where it was not asked for.
        group: the name of the group (``Estimate.groups``) in which it runs, or None. Its value, bound and floor are then its part of
            the group's.
        tiles: in a group, in place of ``mapping``: the nests that it runs, how often each (``count``), with the ``dims``, ``pad`` and
            ``mapping`` of each.
    """

    name: str
    kind: str
    op: str
    dims: dict[str, int] | None
    stride: tuple[int, int] | None
    dilation: tuple[int, int] | None
    pad: tuple[int, int, int, int] | None
    bits: dict[str, int]
    zeros: dict[str, float] | None
    macs: int
    params: int
    moved: dict[str, int] | None
    same_as: str | None
    group: str | None
    value: float
    bound: float
    floor: float
    energy_pj: float
    bound_pj: float
    floor_pj: float
    compulsory_pj: float
    gap: float
    status: str
    latency_cycles: float | None
    bound_by: str
    utilization: float | None
    reuse: dict[str, float] | None
    mapping: list[dict[str, Any]] | None
    by: tuple[Access, ...]
    search: dict[str, int] | None
    runs: int = 1
    shared: bool = False
    reads: tuple[str, ...] | None = None
    memory_bytes: float | None = None
    zeros_effect: dict[str, float] | None = None
    compute_cycles: float | None = None
    latency_bound_cycles: float | None = None
    stays: tuple[str, ...] = ()
    front: list[Any] | None = None
    tiles: list[dict[str, Any]] | None = None

    @property
    def has_search(self) -> bool:
        """Whether its bound is a search's own: a certificate then has a cover of its map space.

        That is so for a nest that is solved itself, unless the search was interrupted before it proved more than the
        floor.
        """
        at_floor = self.status == "INTERRUPTED" and math.isclose(self.bound, self.floor, rel_tol=1e-9)
        return self.dims is not None and self.group is None and self.same_as is None and self.status != "GIVEN" and not at_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Energy and latency of a network on a machine, with bound and floor. Totals are for the batch as run.

    Energies are in ``table["unit"]``: pJ, or MAC units on a normalised machine (then joules, seconds and what
    needs them are None). None is *not modelled* or *not asked for*, 0 is modelled and zero.

    Attributes:
        schema: of the result file.
        model: name of the network.
        input_shape: of its first input with the batch that the model states.
        hardware: the machine as plain data, with the keys of its YAML.
        batch: inputs that run together.
        bits: widths that were asked for, or the machine's; each layer has its own.
        objective: ``energy``, ``latency`` or ``edp``.
        counting: ``exact`` or ``timeloop``.
        space: the map space that was searched, in words.
        value: of the objective: pJ, cycles, or pJ · cycles.
        bound: no mappings in the searched space have less.
        floor: no mappings at all have less on this machine.
        gap: (value − bound) / value.
        status: ``PROVED``, ``GAP_OPEN``, ``INTERRUPTED``, ``GIVEN``, or ``PER_LAYER`` (energy × delay was least layer by layer).
        energy_pj: for the batch.
        energy_pj_per_inference: ``energy_pj`` / ``batch``.
        bound_pj: no mappings in the searched space need less energy.
        floor_pj: no mappings at all need less energy.
        latency_cycles: of all layers, one after the other.
        latency_s: None where the machine has no clock.
        throughput_inf_s: inferences a second, batches one after the other.
        edp_pj_s: energy × delay.
        gops_per_w: two operations a MAC.
        macs: of the batch.
        params: parameters; those that several layers share count once.
        dram_bytes: that move at the outermost level.
        weight_bytes: of the parameters at their widths.
        peak_activation_bytes: the most room that activations take at one layer, where it is known who reads what.
        fps: inferences a second that were asked for.
        power_w: that they take on average, however many machines that needs.
        area_mm2: of the machine, where it is known.
        accuracy: of the network, 0 … 1, where somebody measured it.
        front: what energy and latency trade for each other: ``latency_cycles``, ``energy_pj`` and ``bound_pj`` of each point, the
            fastest first.
        coverage: shares of ``macs`` and ``bytes`` that were costed, 0 … 1, and ``not_costed``: the operators that were not.
        layers: one for each layer of the user's network, in its order.
        groups: the layers that run fused.
        fusion: what was asked, found and proved of it; None without ``fuse``.
        table: of the energies: ``name``, ``source``, ``unit``, ``node_nm``, and ``estimated``: nobody published energies of
            this machine.
        provenance: version, command, times, content hash, and what the search did.
        data_flow: what the layers' ``reads`` don't say: the tensors that are given, what is handed back, and whether a chain
            was assumed because nothing was stated.
        sparsity: where the layers' ``zeros`` come from: ``given``, ``measured`` (on ``provenance["samples"]``), or None.
        zeros_effect: that of the layers together.
    """

    schema: str
    model: str
    input_shape: tuple[int, ...]
    hardware: dict[str, Any]
    batch: int
    bits: dict[str, int]
    objective: str
    counting: str
    space: str
    value: float
    bound: float
    floor: float
    gap: float
    status: str
    energy_pj: float
    energy_pj_per_inference: float
    bound_pj: float
    floor_pj: float
    latency_cycles: float | None
    latency_s: float | None
    throughput_inf_s: float | None
    edp_pj_s: float | None
    gops_per_w: float | None
    macs: int
    params: int
    dram_bytes: float
    weight_bytes: float
    peak_activation_bytes: float | None
    fps: float | None
    power_w: float | None
    area_mm2: float | None
    accuracy: float | None
    front: list[Any] | None
    coverage: dict[str, Any]
    layers: tuple[LayerEstimate, ...]
    groups: list[Any]
    table: dict[str, Any]
    provenance: dict[str, Any]
    data_flow: dict[str, Any] | None
    sparsity: str | None
    zeros_effect: dict[str, float] | None
    fusion: dict[str, Any] | None = None

    def by_layer(self) -> dict[str, float]:
        """Energy of every layer in the unit of the table, by the user's own name."""
        return {layer.name: layer.energy_pj for layer in self.layers}

    def by_level(self) -> dict[str, float]:
        """Energy at every memory level, and in ``mac`` and ``vector``; outermost first."""
        return self._grouped(lambda access: access.level)

    def by_tensor(self) -> dict[str, float]:
        """Energy spent on weights, inputs, outputs, and on no tensor (arithmetic)."""
        return self._grouped(lambda access: access.tensor)

    def _grouped(self, key: Callable[[Access], str]) -> dict[str, float]:
        parts: dict[str, list[float]] = {}
        for layer in self.layers:
            for access in layer.by:
                parts.setdefault(key(access), []).append(access.energy_pj)
        order = [
            entry.get("level", entry.get("latch"))
            for entry in self.hardware.get("hierarchy", [])
            if "fanout" not in entry
        ]
        names = [n for n in order if n in parts] + [n for n in parts if n not in order]
        return {name: math.fsum(parts[name]) for name in names}

    def to_frame(self) -> Any:
        """A pandas DataFrame, tidy: one row per layer × level × tensor.

        Raises:
            MissingExtraError: pandas is not installed (``pip install picojoule[report]``).
        """
        try:
            import pandas
        except ImportError:
            raise MissingExtraError("to_frame needs pandas", hint="pip install 'picojoule[report]'") from None
        return pandas.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """One plain row per layer × level × tensor."""
        return [
            {"layer": layer.name, "kind": layer.kind, "status": layer.status, **asdict(access)}
            for layer in self.layers
            for access in layer.by
        ]

    def to_data(self) -> dict[str, Any]:
        """The document of the result file as plain data."""
        return json.loads(self.to_json())

    def to_json(self) -> str:
        """The result file's text: one JSON document with every figure in full precision."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def _repr_html_(self) -> str:
        """A table for notebooks: the layers by energy, with their three figures."""
        unit = html.escape(str(self.table["unit"]))
        head = "".join(
            f"<th>{h}</th>" for h in ("layer", "MACs", f"energy {unit}", f"bound {unit}", f"floor {unit}", "status")
        )
        rows = "".join(
            f"<tr><td>{html.escape(x.name)}</td><td>{x.macs:,}</td><td>{x.energy_pj:,.0f}</td>"
            f"<td>{x.bound_pj:,.0f}</td><td>{x.floor_pj:,.0f}</td><td>{x.status}</td></tr>"
            for x in sorted(self.layers, key=lambda x: -x.energy_pj)
        )
        total = f"{html.escape(self.model)} on {html.escape(str(self.hardware['name']))}: {self.energy_pj:,.0f} {unit}"
        return f"<table><caption>{total}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def content_hash(document: dict[str, Any]) -> str:
    """SHA-256 over everything in a result but the hash itself."""
    provenance = {k: v for k, v in document["provenance"].items() if k != "content_hash"}
    body = json.dumps({**document, "provenance": provenance}, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(body.encode()).hexdigest()
