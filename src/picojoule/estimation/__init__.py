"""The main path: a network on a machine, layer by layer, to the one result type.

``estimate`` reads the model and the machine, searches the best mapping of every different layer once
(``layer_costs``), and lays the figures down as an ``Estimate`` (``totals``).
"""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.atomic_file import replaced
from picojoule.certificate import write_certificate
from picojoule.errors import HardwareError, ModelError, NotCostedError, UsageError, nearest
from picojoule.estimation.certify import certificate_of
from picojoule.estimation.fronts import layer_front, network_front, search_fronts
from picojoule.estimation.fusion import OFF, AUTO, Fusion, check_fuse, fuse_best, fuse_matching
from picojoule.estimation.handover import Met, machines_met
from picojoule.estimation.layer_costs import (
    LayerCosts,
    better_known,
    given_mapping,
    mappings_of,
    moved,
    repeated,
    searched,
)
from picojoule.estimation.totals import assemble
from picojoule.frontends import load_model, load_zeros
from picojoule.frontends.samples import check_request
from picojoule.hardware import Accelerator, load_hardware, load_table, reprice
from picojoule.mapping.mapping import Mapping as Nesting
from picojoule.mapping.reading import read_mapping_file
from picojoule.result import Estimate, content_hash
from picojoule.search.costed import Found
from picojoule.search.fuse import Fuser
from picojoule.search.many import Key, search_layers
from picojoule.search.policy import Exact, Progress
from picojoule.search.recall import search_through_cache
from picojoule.version import __version__
from picojoule.workload.chains import Chains
from picojoule.workload.nest import Bits
from picojoule.workload.network import Network
from picojoule.workload.widths import BitsRequest, layer_bits, parse_bits
from picojoule.workload.zeros import Zeros, parse_zeros

if TYPE_CHECKING:
    from picojoule.frontends.resolve import Model

OBJECTIVES = ("energy", "latency", "edp")
COUNTINGS = ("exact", "timeloop")
SPARSITIES = ("given", "measured")


def estimate(
    model: Model,
    example_input: Any = None,
    *,
    hardware: str | Path | Accelerator,
    bits: BitsRequest = None,
    batch: int = 1,
    objective: str = "energy",
    sparsity: str | None = None,
    data: str | Path | None = None,
    search: Exact | None = None,
    mapping: str | Path | None = None,
    table: str | Path | None = None,
    counting: str = "exact",
    shape: Mapping[str, tuple[int, ...]] | None = None,
    strict: bool = False,
    jobs: int = 1,
    cache: bool = True,
    certificate: str | Path | None = None,
    fuse: str = "off",
    front: bool = False,
    fps: float | None = None,
    known: Estimate | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Estimate:
    """Where the energy of a network goes on a machine, with the best mapping of every layer and its proof.

    Args:
        model: a built-in name (``"resnet18"``), an ONNX file, a program of ``torch.export`` (``.pt2``), a layer table,
            a factory (``"package.module:factory"``), an ``nn.Module``, or a ``Network``.
        example_input: what an ``nn.Module`` is called with: a tensor, a tuple of positional or a dict of named
            arguments.
        hardware: a machine of the catalogue, a YAML file, or an ``Accelerator``.
        bits: ``8``, ``"weights=4,inputs=8,outputs=8,psums=20"`` or the like as a dict; what is not given comes from the
            model, else from the machine.
        batch: inputs that run together; the totals are for all of them.
        objective: ``energy``, ``latency`` or ``edp`` (their product, minimised per layer).
        sparsity: which zeros there are: ``given`` (those that a layer table states, or in the weights of a model),
            ``measured`` (in activations, too, on ``data``), or shares for all layers, ``"weights=0.3"``. They stand in the result, and spare what the machine says
            that they spare. Without it, and in tensors of which nothing is known, no element is zero: a machine that
            compresses then pays for it.
        data: inputs to measure zeros on: a folder of images of the network's size, or an ``.npz`` file of arrays.
        search: when the search of a layer stops; by default at the proved optimum or after 3 s.
        mapping: a file with the mappings to use (ours as JSON, a result file, or Timeloop's text); layers that it
            leaves out are searched.
        table: an energy table to price the machine with in place of its own: a built-in name
            (``"horowitz-45nm"``) or a YAML file. It stands in the result, with the machine at its prices.
        counting: ``exact``, or ``timeloop`` to count given mappings as Timeloop does, for comparing.
        shape: sizes of inputs by name: for the dynamic dimensions of a file, or instead of an example input:
            ``{"input": (1, 3, 224, 224)}``.
        strict: refuse a network of which some operator is not costed.
        jobs: processes that search layers side by side.
        cache: take what earlier runs found for equal layers from the cache on disk, and keep there what this one finds.
        certificate: a file to write the certificate to: every part of the map spaces with its bound, for ``verify`` to
            derive anew. Then every layer is searched now, whatever the cache holds.
        fuse: ``off``; ``auto``, which runs those layers in groups whose results between them then never leave the chip, where that
            costs least; or the layers to fuse, as a pattern (``"dw*+pw*"``): a name for each layer of a group, ``*`` for any letters.
        front: also search all that energy and latency trade for each other (``front`` of the result and of every layer), within the same
            limits again.
        fps: inferences a second, of which the power is to be told: their energy each second (``power_w``), leakage left out,
            however many machines it takes.
        known: an earlier estimate of these layers on this machine, with other zeros or bits: a layer whose search was cut short above what
            its mapping there costs now takes that mapping. Fewer bits or more zeros then never seem to cost more because of a limit.
        progress: called as the search goes on.

    Returns:
        An ``Estimate``. After Ctrl-C the layers concerned have status ``INTERRUPTED`` and the best mapping found
        until then.

    Raises:
        UsageError: an unknown name, an argument that is out of range, or layers that can't be fused.
        InputError: the contents of a file are wrong.
        NotCostedError: ``strict`` and something is not costed.

    Example:
        >>> import picojoule
        >>> result = picojoule.estimate("merkel:L1", hardware="eyeriss-normalized")
        >>> result.status
        'PROVED'
    """
    began = (time.perf_counter(), time.process_time())
    _check_choice("objective", objective, OBJECTIVES)
    _check_choice("counting", counting, COUNTINGS)
    for name, value in (("batch", batch), ("jobs", jobs)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"{name} must be a whole number of at least 1, got {value!r}", where=name)
    stated = sparsity is not None and sparsity not in SPARSITIES
    if stated:
        parse_zeros(sparsity)
    check_request(sparsity, data)
    if certificate is not None:
        _check_replaces_none(Path(certificate), (model, hardware, mapping, table, data))
    if counting == "timeloop" and mapping is None:
        raise UsageError(
            "Timeloop's counting is for replaying a mapping",
            where="counting",
            hint="Give the mapping file, too (--mapping FILE).",
        )
    _check_fps(fps)
    check_fuse(fuse, objective, {"mapping": mapping, "front": front, "certificate": certificate})
    if known is not None and certificate is not None:
        raise UsageError("a certificate is of a search alone", where="known", hint="Leave out one of the two.")
    asked = parse_bits(bits)
    machine = hardware if isinstance(hardware, Accelerator) else load_hardware(hardware)
    if table is not None:
        machine = reprice(machine, load_table(table))
    if fps is not None and machine.unit != "pJ":
        raise UsageError(
            f"no power can be told of {machine.name}: its energies are multiples of a MAC, not joules",
            where="fps",
            hint="Price it in joules with another table (--table eyeriss-normalized-65nm-pj), or take another machine.",
        )
    network = load_model(model, example_input, shape=shape)
    if not any(layer.nest for layer in network.layers):
        raise ModelError(
            "nothing to cost: no convolution, fully connected layer or product of matrices", where=network.name
        )
    if strict and network.not_costed:
        listed = ", ".join(f"{entry.op} at {entry.where}" for entry in network.not_costed[:5])
        more = f" and {len(network.not_costed) - 5} more" if len(network.not_costed) > 5 else ""
        raise NotCostedError(
            f"not costed: {listed}{more}", where=network.name, hint="Without --strict they are listed under coverage."
        )
    shares = None
    if sparsity is not None:
        shares = load_zeros(model, example_input, network=network, sparsity=sparsity, data=data, shape=shape)
    network = network.with_batch(batch)
    widths = [layer_bits(layer, asked, machine.bits) for layer in network.layers]
    _check_widths(network, widths, machine)
    given = _given_mappings(mapping, network, machine)
    policy = search or Exact()
    shown = {} if shares is None or not machine.minds_zeros or counting != "exact" else shares.zeros
    minded = [Zeros.of(shown.get(layer.name)) for layer in network.layers]
    keys: list[Key | None] = [
        None if layer.nest is None else (layer.nest, w, z)
        for layer, w, z in zip(network.layers, widths, minded, strict=True)
    ]
    met = machines_met(network, widths, machine) if counting == "exact" else [Met(machine=machine)] * len(keys)
    wanted = _wanted(network, keys, met, given, counting)
    certify = certificate is not None
    found: dict[tuple[Accelerator, Key], Found] = {}
    from_cache = 0
    for one, layers in wanted.items():
        follow = _counted_on(progress, len(found), sum(map(len, wanted.values())))
        here, recalled = (
            search_through_cache(layers, one, objective, policy, jobs, follow)
            if cache and not certify
            else (search_layers(layers, one, objective, policy, jobs, follow, with_parts=certify), 0)
        )
        found |= {(one, key): answer for key, answer in here.items()}
        from_cache += recalled
    costs = _layer_costs(network, widths, minded, met, objective, found, given, counting, mappings_of(known))
    fusion = None
    if fuse != OFF:
        follow = _search_of(objective, policy, jobs, cache, progress)
        fusion = _fused(fuse, network, widths, minded, machine, objective, policy, follow, costs, met)
        costs, met = fusion.costs, fusion.met
    result = assemble(
        network, widths, minded, machine, met, costs, batch, asked, objective, counting, policy.factors, fps, fusion
    )
    if shares is not None:
        rows = tuple(replace(row, zeros=shares.zeros.get(row.name) or None) for row in result.layers)
        result = replace(result, layers=rows, sparsity="stated" if stated else sparsity)
    if front:
        fronts = {
            (one, key): front_
            for one, layers in wanted.items()
            for key, front_ in search_fronts(layers, one, policy, progress).items()
        }
        own = [None if key is None else fronts.get((m.machine, key)) for m, key in zip(met, keys, strict=True)]
        rows = tuple(
            row if one is None else replace(row, front=layer_front(one, row.runs))
            for row, one in zip(result.layers, own, strict=True)
        )
        result = replace(result, layers=rows, front=network_front(network, own, costs))
    reference = None
    if certificate is not None:
        named = zip(network.layers, met, keys, strict=True)
        solved = {layer.name: (key, found.get((m.machine, key))) for layer, m, key in named if key is not None}
        written = certificate_of(result, solved, machine, policy)
        write_certificate(written, Path(certificate))
        reference = written.reference()
    return _sealed(result, from_cache, reference, began, shares.samples if shares else None)


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"unknown {name} {value!r}", where=name, hint=nearest(str(value), allowed))


def _check_fps(fps: float | None) -> None:
    right = isinstance(fps, int | float) and not isinstance(fps, bool) and 0 < fps < math.inf
    if fps is not None and not right:
        raise UsageError(f"fps must be a number of inferences a second above 0, got {fps!r}", where="fps")


def _check_widths(network: Network, widths: list[Bits], machine: Accelerator) -> None:
    """Raises HardwareError if the MACs of the machine have no mode for some layer."""
    for layer, bits in zip(network.layers, widths, strict=True):
        try:
            if layer.nest is not None:
                machine.mac.mode(bits)
        except HardwareError as error:
            raise HardwareError(error.message, where=f"{machine.name}: {layer.name}", hint=error.hint) from None


def _counted_on(
    progress: Callable[[Progress], None] | None, before: int, layers: int
) -> Callable[[Progress], None] | None:
    """Tells of the layers on one of several machines as of part of all."""
    if progress is None:
        return None

    def tell(state: Progress) -> None:
        progress(replace(state, index=state.index + before, layers=layers))

    return tell


def _check_replaces_none(certificate: Path, inputs: Sequence[Any]) -> None:
    named = [Path(one) for one in inputs if isinstance(one, str | Path)]
    lost = replaced(certificate, [path for path in named if os.path.lexists(path)])
    if lost is not None:
        message = f"the certificate would replace the input {lost}"
        raise UsageError(message, where="certificate", hint="Name another file.")


def _given_mappings(path: str | Path | None, network: Network, machine: Accelerator) -> dict[str, Nesting]:
    if path is None:
        return {}
    return read_mapping_file(path, machine, {layer.name: layer.nest for layer in network.layers if layer.nest})


def _wanted(
    network: Network, keys: list[Key | None], met: list[Met], given: dict[str, Nesting], counting: str
) -> dict[Accelerator, dict[Key, str]]:
    """The different layers to search on every machine that they meet, with the name of the first of each."""
    wanted: dict[Accelerator, dict[Key, str]] = {}
    for layer, key, one in zip(network.layers, keys, met, strict=True):
        if key is not None and layer.name not in given:
            wanted.setdefault(one.machine, {}).setdefault(key, layer.name)
    if counting == "timeloop" and wanted:
        raise UsageError(
            f"no mapping for {next(iter(next(iter(wanted.values())).values()))}",
            where="counting",
            hint="Timeloop's counting needs a mapping for every layer.",
        )
    return wanted


def _layer_costs(
    network: Network,
    widths: list[Bits],
    minded: list[Zeros],
    met: list[Met],
    objective: str,
    found: Mapping[tuple[Accelerator, Key], Found],
    given: dict[str, Nesting],
    counting: str,
    known: Mapping[str, Nesting],
) -> list[LayerCosts]:
    costs = []
    candidates: dict[tuple[Accelerator, Key], list[Nesting]] = {}
    for layer, bits, zeros, one in zip(network.layers, widths, minded, met, strict=True):
        if layer.nest is not None and layer.name in known:
            candidates.setdefault((one.machine, (layer.nest, bits, zeros)), []).append(known[layer.name])
    for layer, bits, zeros, one in zip(network.layers, widths, minded, met, strict=True):
        machine = one.machine
        key = None if layer.nest is None else (layer.nest, bits, zeros)
        if key is None:
            once = moved(layer, machine, bits, zeros)
        elif layer.name in given:
            once = given_mapping(key, given[layer.name], machine, objective, counting, layer.name)
        else:
            once = searched(key, found[machine, key], machine, objective)
            for mapping in candidates.get((machine, key), ()):
                once = better_known(once, key, mapping, machine, objective, layer.name)
        costs.append(repeated(once, layer, machine, bits, zeros, objective, counting))
    return costs


def _search_of(
    objective: str, policy: Exact, jobs: int, cache: bool, progress: Callable[[Progress], None] | None
) -> Callable[[Accelerator, Mapping[Key, str]], dict[Key, Found]]:
    def search(machine: Accelerator, wanted: Mapping[Key, str]) -> dict[Key, Found]:
        if cache:
            return search_through_cache(wanted, machine, objective, policy, jobs, progress)[0]
        return search_layers(wanted, machine, objective, policy, jobs, progress)

    return search


def _fused(
    fuse: str,
    network: Network,
    widths: list[Bits],
    minded: list[Zeros],
    machine: Accelerator,
    objective: str,
    policy: Exact,
    search: Callable[[Accelerator, Mapping[Key, str]], dict[Key, Found]],
    costs: list[LayerCosts],
    met: list[Met],
) -> Fusion:
    chains = Chains(network, widths, minded)
    fuser = Fuser(machine, objective, policy, search)
    alone: dict[int, LayerCosts] = {}

    def single(i: int) -> LayerCosts:
        """A layer on the machine as described, whatever the rule of results that stay made of it."""
        layer, bits, zeros = network.layers[i], widths[i], minded[i]
        if not met[i].stays:
            return costs[i]
        if i not in alone and layer.nest is not None:
            key = layer.nest, bits, zeros
            once = searched(key, search(machine, {key: layer.name})[key], machine, objective)
            alone[i] = repeated(once, layer, machine, bits, zeros, objective, "exact")
        return alone[i]

    if fuse == AUTO:
        return fuse_best(network, chains, fuser, costs, met, single)
    return fuse_matching(fuse, network, chains, fuser, single)


def _sealed(
    result: Estimate,
    from_cache: int,
    certificate: dict[str, Any] | None,
    began: tuple[float, float],
    samples: int | None,
) -> Estimate:
    """The result with its provenance, and the hash of all else."""
    counted = [row.search for row in result.layers if row.search and row.same_as is None]
    provenance = {
        "version": __version__,
        "command": _command(),
        "seed": None,
        "samples": samples,
        "content_hash": "",
        "wall_s": time.perf_counter() - began[0],
        "cpu_s": time.process_time() - began[1],
        "search": {
            **{key: sum(entry[key] for entry in counted) for key in ("visited", "pruned")},
            "from_cache": from_cache,
        },
        **({} if certificate is None else {"certificate": certificate}),
    }
    unsealed = replace(result, provenance=provenance)
    digest = content_hash(json.loads(unsealed.to_json()))
    return replace(unsealed, provenance={**provenance, "content_hash": digest})


def _command() -> str:
    """The command line if picojoule runs as a command; a caller's own command line is not ours to keep."""
    if os.path.basename(sys.argv[0] if sys.argv else "") == "picojoule":
        return shlex.join(["picojoule", *sys.argv[1:]])
    return "picojoule.estimate"
