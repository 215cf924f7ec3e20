"""Machines and networks as tables: lists of them, and one in full."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, spread, to_text, total_width, without_least, wrapped
from picojoule.reporting.figures import NONE, aligned, counted, grouped, listing, printable, shortened, size
from picojoule.reporting.headline import bits_text, machine_size
from picojoule.reporting.palette import colours
from picojoule.units import parse_size_bits, significant
from picojoule.workload import DIMS, Layer, Network

_ALWAYS = 100
_DIRECTIONS = ("read", "write", "update")
_SPARES = (("gating", "gated"), ("skipping", "skipped"))


def machines_text(machines: Sequence[Mapping[str, Any]], *, width: int, color: bool) -> str:
    """A line for each machine.

    Args:
        machines: as plain data, with the keys of the YAML.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    columns = [
        column("machine", [(str(m["name"]), "bold") for m in machines], right=False, gap=1),
        column("array", [(machine_size(m)[0], "") for m in machines]),
        column("memory", [(" ".join(machine_size(m)[1:]) or NONE, "") for m in machines]),
        column("unit", [(_unit(m), "") for m in machines], right=False),
        column("node", [(_node(m), "") for m in machines]),
    ]
    columns.append(_remainder("", [str(m["description"]) for m in machines], width, columns))
    return to_text(rows(columns), color=color)


def _unit(machine: Mapping[str, Any]) -> str:
    return f"{machine['unit']}, est." if machine.get("estimated") else str(machine["unit"])


def machine_text(machine: Mapping[str, Any], *, width: int, color: bool) -> str:
    """One machine: its memories and arrays from the outermost inwards, with energies.

    Args:
        machine: as plain data, with the keys of the YAML.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    unit = machine["unit"]
    title = Text.assemble((printable(machine["name"]), "bold"), *(f" · {part}" for part in machine_size(machine)))
    about = [_node(machine), _clock(machine["clock"]), _area(machine), bits_text(machine["bits"])]
    lines = spread(title, Text(" · ".join(part for part in about if part != NONE)), width)
    lines += [*rows(_levels(machine)), Text()]
    for heading, said in (
        ("axes", _axes(machine)),
        ("depthwise", _engines(machine)),
        ("links", _links(machine)),
        ("tiles", _rules(machine)),
        ("spill", _spills(machine)),
        ("ports", _ports(machine)),
    ):
        for i, text in enumerate(said):
            lines += wrapped("" if i else heading, [Text(text)], width)
    zeros = zeros_texts(machine)
    if zeros:
        lines += wrapped("zeros", [Text(printable(text)) for text in zeros], width)
    lines += wrapped("peak", [Text(text) for text in _peak(machine)], width)
    mac, vector = machine["mac"], machine["vector"]
    at = f"{significant(mac['multiply'] + mac['add'], 4)} {unit} at {mac['bits']} bit"
    lines += wrapped("mac", [Text(at), *map(Text, _modes(machine))], width)
    lines += wrapped(
        "vector", [Text("not priced" if vector is None else f"{significant(vector, 4)} {unit} an operation")], width
    )
    lines += wrapped(
        "table", [Text(printable(machine["table"]["name"])), Text(printable(machine["table"]["source"]))], width
    )
    if machine.get("estimated"):
        lines += wrapped("estimated", [Text("no energies of this machine were published: the table's rules stand in")], width)
    if machine.get("parameters"):
        chosen = [f"{printable(name)} {printable(str(value))}" for name, value in machine["parameters"].items()]
        lines += wrapped("parameters", [Text(", ".join(chosen))], width)
    if machine["description"]:
        lines += wrapped("about", [Text(printable(machine["description"]))], width)
    return to_text(lines, color=color)


def _levels(machine: Mapping[str, Any]) -> list[Column]:
    """Columns with a row for each memory and, between them, one for each array."""
    colour, depth = colours(machine), 0
    cells: list[tuple[str, str, str, str, str, str]] = []
    for entry in machine["hierarchy"]:
        if "fanout" in entry:
            depth += 1
            sides = " × ".join(f"{name} {axis['size']}" for name, axis in entry["axes"].items())
            does = [name for name in ("multicast", "reduction") if entry[name]]
            name = f"{'  ' * (depth - 1)}└ {printable(entry['fanout'])}"
            cells.append((name, "", sides, "", ", ".join(does) or "no multicast", "dim"))
            continue
        name = "  " * depth + printable(entry.get("level", entry.get("latch")))
        if "latch" in entry:
            cells.append((name, ", ".join(entry["keeps"]), "latch", "", "free", colour[entry["latch"]]))
            continue
        held = [*entry["keeps"], *(f"{tensor}?" for tensor in entry["may_keep"])]
        room = size(parse_size_bits(entry["capacity"])) if "capacity" in entry else "unlimited"
        cells.append(
            (name, ", ".join(held), room, f"{entry['word_bits']} bit", _prices(entry["energy"]), colour[entry["level"]])
        )
    heads = ("level", "keeps", "capacity", "word", f"{machine['unit']} per word")
    return [
        column(
            head,
            [(row[i], row[5] if i == 0 or not row[1] else "") for row in cells],
            right=i in (2, 3),
            gap=1 if i == 0 else 2,
        )
        for i, head in enumerate(heads)
    ]


def zeros_texts(machine: Mapping[str, Any]) -> list[str]:
    """What the zeros of a machine spare, place by place: ``weights_spad weights gated by inputs``."""
    texts = []
    for place, rules in [("mac", {"": machine.get("zeros", {})})] + [
        (entry["level"], entry["zeros"]) for entry in machine["hierarchy"] if entry.get("zeros")
    ]:
        for tensor, rule in rules.items():
            said = [f"{word} by {' and '.join(rule[key])}" for key, word in _SPARES if rule.get(key)]
            if "compression" in rule:
                said.append(rule["compression"]["format"])
            if said:
                texts.append(" ".join(part for part in (place, tensor, ", ".join(said)) if part))
    return texts


def _prices(energy: Mapping[str, Any]) -> str:
    """One price where all are the same; of reads, writes, updates where they differ; by tensor where those differ."""
    if any(direction in energy for direction in _DIRECTIONS):
        each = [significant(energy[direction], 4) for direction in _DIRECTIONS]
        if len(set(each)) == 1:
            return each[0]
        return f"{each[0]} r, {each[1]} w" + ("" if each[2] == each[1] else f", {each[2]} u")
    return "; ".join(f"{tensor} {_prices(prices)}" for tensor, prices in energy.items())


def _axes(machine: Mapping[str, Any]) -> Iterator[str]:
    """Arrays whose axes don't take every dimension."""
    for entry in machine["hierarchy"]:
        sides = {name: axis["dims"] for name, axis in entry.get("axes", {}).items() if set(axis["dims"]) < set(DIMS)}
        if sides:
            said = "; ".join(f"{name} {', '.join(dims)}" for name, dims in sides.items())
            yield f"{printable(entry['fanout'])}: {said}"


def _engines(machine: Mapping[str, Any]) -> Iterator[str]:
    """Arrays that depthwise layers run on instead, and where their results stay."""
    for entry in machine["hierarchy"]:
        if engine := entry.get("depthwise"):
            axes = engine["axes"].items()
            sides = " × ".join(f"{name} {side['size']} ({', '.join(side['dims'])})" for name, side in axes)
            stays = f"; results stay at {engine['outputs_stay_at']}" if "outputs_stay_at" in engine else ""
            yield printable(f"{entry['fanout']}: {sides}{stays}")


def _links(machine: Mapping[str, Any]) -> Iterator[str]:
    for entry in machine["hierarchy"]:
        if link := entry.get("link"):
            said = f"{link['name']} to each {entry['fanout']}: {significant(link['energy'], 4)} {machine['unit']} a bit"
            if "bandwidth" in link:
                said += f", {significant(float(link['bandwidth'].split()[0]), 4)} bit/cycle each way"
            yield printable(said)


def _spills(machine: Mapping[str, Any]) -> Iterator[str]:
    for entry in machine["hierarchy"]:
        if entry.get("spill"):
            yield printable(f"{' and '.join(entry['spill'])} that don't fit further in go to {entry['level']}")


def _peak(machine: Mapping[str, Any]) -> Iterator[str]:
    """MACs of all units at their fastest, and in operations a second, of which a MAC has two."""
    units = math.prod(a["size"] for e in machine["hierarchy"] if "fanout" in e for a in e["axes"].values())
    modes = machine["mac"].get("modes")
    rate = units / min((mode["cycles"] for mode in modes), default=1) if modes else units
    dsps = machine.get("macs_per_dsp")
    yield f"{grouped(rate)} MACs a cycle" + (f", by {grouped(-(-units // dsps))} DSPs" if dsps else "")
    if machine["clock"]:
        yield f"{counted(2 * rate * float(machine['clock'].split()[0]), 4)} operations/s at {_clock(machine['clock'])}"


def _modes(machine: Mapping[str, Any]) -> Iterator[str]:
    """Widths that the MACs take, with their cycles and their own energies."""
    for mode in machine["mac"].get("modes", ()):
        own = f", {significant(mode['multiply'] + mode['add'], 4)} {machine['unit']}" if "multiply" in mode else ""
        cycles = "" if mode["cycles"] == 1 else f", {mode['cycles']:g} cycles"
        yield f"up to {mode['weights']} × {mode['inputs']} bit{cycles}{own}"


def _rules(machine: Mapping[str, Any]) -> Iterator[str]:
    for entry in machine["hierarchy"]:
        if entry.get("tiles"):
            yield f"{printable(entry['level'])}: {_tiles(entry['tiles'])}"


def _ports(machine: Mapping[str, Any]) -> Iterator[str]:
    """Bandwidths of one instance of each memory: those that tensors share, and those of single tensors."""

    def rates(ports: Mapping[str, str]) -> str:
        each = {way: significant(float(ports[way].split()[0]), 4) for way in ("read", "write") if way in ports}
        if len(each) == 2 and len(set(each.values())) == 1:
            return each["read"]
        return ", ".join(f"{rate} {way[0]}" for way, rate in each.items())

    for entry in machine["hierarchy"]:
        bandwidth = entry.get("bandwidth") or {}
        own = [f"{t} {rates(ports)}" for t, ports in bandwidth.items() if isinstance(ports, Mapping)]
        shared = rates({way: rate for way, rate in bandwidth.items() if isinstance(rate, str)})
        if own or shared:
            yield f"{printable(entry['level'])}: {'; '.join([shared, *own] if shared else own)} bit/cycle"


def _tiles(rules: Mapping[str, Mapping[str, Any]]) -> str:
    """Rules for tiles as the description has them: ``weights K <= 16, R all; inputs P 1``."""

    def text(limit: Any) -> str:
        return " and ".join(map(str, limit)) if isinstance(limit, list) else str(limit)

    return "; ".join(
        f"{tensor} " + ", ".join(f"{dim} {text(limit)}" for dim, limit in dims.items())
        for tensor, dims in rules.items()
    )


def _node(machine: Mapping[str, Any]) -> str:
    return NONE if machine["node_nm"] is None else f"{machine['node_nm']:g} nm"


def _clock(clock: str | None) -> str:
    if clock is None:
        return "no clock"
    hertz = float(clock.split()[0])
    scale, unit = next(((s, u) for s, u in ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz")) if hertz >= s), (1.0, "Hz"))
    return f"{hertz / scale:g} {unit}"


def _area(machine: Mapping[str, Any]) -> str:
    return NONE if machine["area_mm2"] is None else f"{machine['area_mm2']:.4g} mm²"


def networks_text(networks: Mapping[str, Network], *, width: int, color: bool, every: bool = False) -> str:
    """A line for each network, by the name that asks for it.

    Args:
        networks: by name.
        width: of the terminal in characters.
        color: colours by escape sequences.
        every: the members of families (``FAMILY:MEMBER``) of a network that stands for itself, too.
    """
    families = [name.partition(":")[0] for name in networks if ":" in name]
    folded = {family: families.count(family) for family in families if family in networks and not every}
    shown = {
        name: network for name, network in networks.items() if name.partition(":")[0] not in folded or ":" not in name
    }
    columns = [
        column("network", [(name, "bold") for name in shown], right=False, gap=1),
        column("MACs", [(aligned(n.macs), "") for n in shown.values()]),
        column("parameters", [(aligned(n.params), "") for n in shown.values()]),
        column("layers", [(str(len(n.layers)), "") for n in shown.values()]),
    ]
    columns.append(_remainder("", [n.variant for n in shown.values()], width, columns))
    lines = rows(columns)
    if folded:
        parts = [Text(f"{family}:… {count} variants") for family, count in folded.items()]
        lines += [Text(), *wrapped("families", [*parts, Text("--all lists them")], width)]
    return to_text(lines, color=color)


def network_text(network: Network, *, width: int, color: bool) -> str:
    """One network, layer by layer.

    Args:
        network: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    shape = "×".join(map(str, network.input_shape))
    title = Text.assemble((printable(network.name), "bold"), f" · {shape}" if shape else "")
    lines = spread(title, Text(f"{len(network.layers)} layer{'' if len(network.layers) == 1 else 's'}"), width)
    for longest in (30, 22, 16):
        columns = _network_columns(network, longest)
        if total_width(columns) <= width:
            break
    lines += rows(without_least(columns, width, _ALWAYS))
    missing: dict[str, int] = {}
    for one in network.not_costed:
        missing[one.op] = missing.get(one.op, 0) + 1
    lines.append(Text())
    if missing:
        lines += wrapped("not costed", [Text(listing(missing.items()))], width)
    for label, text in (("variant", network.variant), ("source", network.source)):
        if text:
            lines += wrapped(label, [Text(printable(text))], width)
    return to_text(lines, color=color)


def _network_columns(network: Network, longest: int) -> list[Column]:
    layers = network.layers

    def texts(head: str, say: Callable[[Layer], str], total: str = "", style: str = "", **more: Any) -> Column:
        return column(head, [*((say(layer), style) for layer in layers), (total, "bold")], **more)

    columns = [
        texts("layer", lambda x: shortened(printable(x.name), longest), "total", right=False, gap=1),
        texts("kind", lambda x: printable(x.kind), style="dim", right=False, worth=20),
    ]
    for dim in DIMS:
        if any(x.nest and x.nest.dims[dim] > 1 for x in layers):
            columns.append(texts(dim, lambda x, dim=dim: _dim(x, dim), worth=60))
    if any(_stride(x) for x in layers):
        columns.append(texts("stride", _stride, worth=30))
    if any(x.repeats > 1 for x in layers):
        columns.append(texts("runs", lambda x: str(x.repeats), worth=70))
    columns.append(texts("MACs", lambda x: aligned(x.macs), aligned(network.macs)))
    columns.append(texts("parameters", lambda x: aligned(x.params), aligned(network.params)))
    return columns


def network_data(network: Network, *, layers: bool = True) -> dict[str, Any]:
    """A network as plain data.

    Args:
        network: to describe.
        layers: with every layer, and what is not costed.
    """
    data: dict[str, Any] = {
        "name": network.name,
        "input_shape": list(network.input_shape),
        "macs": network.macs,
        "params": network.params,
        "variant": network.variant,
        "source": network.source,
    }
    if not layers:
        return data | {"layers": len(network.layers)}
    flow = network.flow if network.flow and not network.flow.chain else None
    reads = flow.reads if flow else (None,) * len(network.layers)
    data["layers"] = [_layer_data(*pair) for pair in zip(network.layers, reads, strict=True)]
    data["given"] = [asdict(tensor) for tensor in flow.given] if flow else None
    data["outputs"] = list(flow.outputs) if flow else None
    data["not_costed"] = [{"op": one.op, "where": one.where, "elements": one.elements} for one in network.not_costed]
    return data


def _layer_data(layer: Layer, reads: tuple[str, ...] | None) -> dict[str, Any]:
    nest = layer.nest
    shape = (
        {"dims": nest.dims, "stride": nest.stride, "dilation": nest.dilation, "pad": nest.pad}
        if nest
        else {"dims": None}
    )
    moved = {
        "read": layer.read_elements,
        "written": layer.written_elements,
        "vector_ops": layer.vector_ops,
        "read_weights": layer.read_weights,
    }
    return {
        "name": layer.name,
        "kind": layer.kind,
        "op": layer.op,
        **shape,
        **({} if nest else moved),
        "bits": asdict(layer.bits) if layer.bits else None,
        "zeros": asdict(layer.zeros) if layer.zeros else None,
        "repeats": layer.repeats,
        "shared": layer.shared,
        "reads": reads,
        "macs": layer.macs,
        "params": layer.params,
    }


def _dim(layer: Layer, dim: str) -> str:
    return grouped(layer.nest.dims[dim]) if layer.nest else ""


def _stride(layer: Layer) -> str:
    if not layer.nest or layer.nest.stride == (1, 1):
        return ""
    down, across = layer.nest.stride
    return str(down) if down == across else f"{down}×{across}"


def _remainder(head: str, texts: Sequence[str], width: int, before: Sequence[Column]) -> Column:
    """A last column of prose, cut where the line ends."""
    room = max(width - total_width(before) - 2, 12)
    said = [printable(text) for text in texts]
    return column(
        head, [(text if len(text) <= room else f"{text[: room - 1].rstrip()}…", "dim") for text in said], right=False
    )
