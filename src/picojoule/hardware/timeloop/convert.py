"""A design of Timeloop → the plain data of our description."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from picojoule.hardware.schema import short
from picojoule.hardware.timeloop.design import REFUSED, SYNONYMS, Array, Component, Design
from picojoule.hardware.timeloop.energies import MAC_ACTIONS, Table
from picojoule.hardware.timeloop.fields import Field, LeftOut
from picojoule.hardware.timeloop.kinds import drop_impossible_kinds, mac_parts, memory_kind
from picojoule.hardware.timeloop.rules import Imposed, Rules, impose
from picojoule.workload.nest import TENSORS as OUR_TENSORS

MEMORY_WITHOUT_SIZE = "DRAM"
_NODE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:nm)?\s*")
_WHY_NOT = {
    "cluster-size": "Timeloop charges an access for the whole cluster; here a word pays for itself",
    "cluster_size": "Timeloop charges an access for the whole cluster; here a word pays for itself",
    "shared_bandwidth": "a level has a port to read and a port to write",
    "adder_width": "partial sums have the width of the memory that holds them",
}


def to_data(design: Design, table: Table, areas: Mapping[str, float] | None, left_out: LeftOut) -> dict[str, object]:
    """The description of the machine, but for its name and the name of its table.

    Raises:
        HardwareError: the design is no machine of ours; names file, line and field.
    """
    components = [entry for entry in design.hierarchy if isinstance(entry, Component)]
    if len(components) < 2 or components[-1] is not design.hierarchy[-1]:
        raise design.field.refused("a design is at least a memory and, innermost, the multipliers")
    *memories, mac = components
    _check_attributes(components)
    _check_names(design)
    if mac.take("depth") is not None:
        raise mac.field.refused(f"{mac.name} is innermost and a memory", "The innermost component is the multipliers.")
    _check_sizes(memories, mac)
    holders = {memory.name: _holders(memory, memory is memories[0], design) for memory in memories}
    imposed = impose(design, {name: keeps + may for name, (keeps, may) in holders.items()}, left_out)
    kept = [memory for memory in memories if any(holders[memory.name])]
    levels = {memory.name: _level(memory, holders[memory.name], imposed, table, left_out) for memory in kept}
    drop_impossible_kinds(levels, kept, left_out)
    bits = _bits(memories, holders, left_out)
    data: dict[str, object] = {"unit": "pJ"}
    node = _node(design, left_out)
    if node is not None:
        data["node_nm"] = node
    if areas is not None:
        area = _area(design, areas, left_out)
        if area:
            data["area_mm2"] = area
    data["bits"] = bits
    data["mac"] = _mac(mac, bits, table, left_out)
    hierarchy: list[dict[str, object]] = []
    for entry in design.hierarchy[:-1]:
        if isinstance(entry, Array):
            _branch(hierarchy, entry, imposed)
        elif entry.name in levels:
            hierarchy.append(levels[entry.name])
        else:
            left_out.note(entry.field, entry.name, "it keeps no tensor, so it is no level here")
    data["hierarchy"] = hierarchy
    _note_attributes(design, left_out)
    return data


def _check_attributes(components: Sequence[Component]) -> None:
    for one in components:
        for attributes in (one.own, *one.inherited):
            for name in (n for n in REFUSED if n in attributes):
                raise attributes[name].refused(
                    f"{name!r} is not read, and would change the machine",
                    "Say it by depth, width, and the range of a name (v0.3) or `spatial` (v0.4).",
                )


def _check_sizes(memories: Sequence[Component], mac: Component) -> None:
    for memory in memories:
        if memory.take("depth") is None and MEMORY_WITHOUT_SIZE not in memory.kind:
            raise memory.field.refused(
                f"{memory.name} has no depth, and is no {MEMORY_WITHOUT_SIZE}",
                f"Add {' or '.join(SYNONYMS['depth'])}; networks and units of arithmetic besides {mac.name} are not read.",
            )


def _check_names(design: Design) -> None:
    names = [entry.name for entry in design.hierarchy]
    for entry in design.hierarchy:
        if names.count(entry.name) > 1:
            where = entry.field if isinstance(entry, Component) else design.field
            raise where.refused(f"the name {entry.name!r} is there twice", "Constraints and energies go by name.")
    components = [entry.name for entry in design.hierarchy if isinstance(entry, Component)]
    known = {*components, *design.containers}
    for one in design.constraints:
        if one.target not in known or (one.kind != "spatial" and one.target not in components[:-1]):
            raise one.field.refused(
                f"a {one.kind} constraint on {one.target!r}, which is no memory here",
                f"There are {', '.join(components[:-1])}.",
            )


def _holders(memory: Component, outermost: bool, design: Design) -> tuple[list[str], list[str]]:
    """The tensors that a memory always keeps, and those that it may keep: what no constraint decides is free."""
    mine = [one for one in design.constraints if one.kind == "dataspace" and one.target == memory.name]
    keep, bypass = {t for one in mine for t in one.keep}, {t for one in mine for t in one.bypass}
    if keep & bypass:
        raise mine[-1].field.refused(f"{memory.name} must both keep {min(keep & bypass)} and let them pass")
    if outermost:
        if bypass:
            raise mine[-1].field.refused(f"the outermost memory {memory.name} must let {min(bypass)} pass")
        return list(OUR_TENSORS), []
    return [t for t in OUR_TENSORS if t in keep], [t for t in OUR_TENSORS if t not in keep | bypass]


def _level(
    memory: Component, held: tuple[list[str], list[str]], imposed: Imposed, table: Table, left_out: LeftOut
) -> dict[str, Any]:
    word_bits, block = _word_bits(memory), _block_words(memory)
    keeps, may_keep = held
    level: dict[str, Any] = {"level": memory.name}
    kind = memory_kind(memory, left_out)
    if kind is not None:
        level["kind"] = kind
    level["keeps"] = keeps
    if may_keep:
        level["may_keep"] = may_keep
    depth = memory.whole("depth")
    if depth is not None:
        level["capacity"] = f"{depth * block} words"
    level["word_bits"] = word_bits
    prices = {"read": table.price(memory, "read", "access"), "write": table.price(memory, "write", "access")}
    prices["update"] = table.price(memory, "update", "write", "access")
    if prices["update"] == prices["write"]:
        del prices["update"]
    level["energy"] = {action: price / block for action, price in prices.items()}
    rates = {port: memory.take(port) for port in ("read", "write")}
    bandwidth = {port: f"{one.number(memory.lookup)!r} words/cycle" for port, one in rates.items() if one is not None}
    if bandwidth:
        level["bandwidth"] = bandwidth
    if block > 1:
        level["block_words"] = block
    buffering = memory.take("buffering")
    if buffering is not None and buffering.number(memory.lookup) != 1:
        level["buffering"] = buffering.whole(memory.lookup)
    rules: Rules = imposed.tiles[memory.name]
    if rules:
        listed = {dim: rule[0] if len(rule) == 1 else rule for dim, rule in rules.items()}
        level["tiles"] = {tensor: listed for tensor in OUR_TENSORS if tensor in keeps + may_keep}
    return level


def _word_bits(memory: Component) -> int:
    word_bits = memory.whole("word_bits")
    if word_bits is None:
        raise memory.field.refused(f"{memory.name} has no word-bits", f"Add {' or '.join(SYNONYMS['word_bits'])}.")
    return word_bits


def _block_words(memory: Component) -> int:
    """Words of one access: given, or the width of a row by that of a word."""
    words, width, cluster = memory.whole("block_words"), memory.whole("width"), memory.whole("cluster") or 1
    word_bits = _word_bits(memory)
    if width is None:
        return words or 1
    if width % (word_bits * cluster) or words not in (None, width // (word_bits * cluster)):
        raise memory.field.refused(
            f"{memory.name} has rows of {width} bits, which are not {words or 'a whole number of'} words of "
            f"{word_bits} bits in {cluster} clusters",
            "Correct its width, word-bits, block-size or cluster-size.",
        )
    return width // (word_bits * cluster)


def _bits(
    memories: Sequence[Component], holders: Mapping[str, tuple[list[str], list[str]]], left_out: LeftOut
) -> dict[str, int]:
    """Tensors have the width of a word at their home, partial sums that of the innermost memory that keeps outputs."""
    home = _word_bits(memories[0])
    bits = dict.fromkeys(OUR_TENSORS, home)
    psums = [_word_bits(m) for m in memories if "outputs" in holders[m.name][0] + holders[m.name][1]][-1]
    for memory in memories:
        held, word = [*holders[memory.name][0], *holders[memory.name][1]], _word_bits(memory)
        wrong = [t for t in held if word not in ((psums,) if t == "outputs" and memory is not memories[0] else (home,))]
        if wrong:
            why = f"Timeloop moves an element of {', '.join(wrong)} as one word of {word} bits; here its bits move"
            left_out.note(memory.take("word_bits") or memory.field, f"{memory.name}, word", why)
    return {**bits, "psums": psums}


def _mac(mac: Component, bits: Mapping[str, int], table: Table, left_out: LeftOut) -> dict[str, object]:
    price, width = table.price(mac, *MAC_ACTIONS), max(bits["weights"], bits["inputs"])
    for name in ("datawidth", "multiplier_width"):
        if name in mac.own:
            mac.used.add(name)
            if mac.own[name].whole(mac.lookup) != width:
                why = f"operands are words of {width} bits; the table's price is taken for these"
                left_out.note(mac.own[name], f"{mac.name}, {name}", why)
    multiply, add = mac_parts(mac, price, width, left_out)
    return {"bits": width, "multiply": multiply, "add": add}


def _branch(hierarchy: list[dict[str, object]], array: Array, imposed: Imposed) -> None:
    """Arrays with no level between them are one, if their axes have names of their own."""
    axes: dict[str, object] = {
        axis: {"size": size, "dims": list(imposed.axes[array.name][axis])} for axis, size in array.sizes.items()
    }
    outside = hierarchy[-1]
    if "fanout" in outside and isinstance(outside["axes"], dict) and not axes.keys() & outside["axes"].keys():
        axes = {**outside["axes"], **axes}
        hierarchy.pop()
    hierarchy.append({"fanout": array.name, "axes": axes, "multicast": True, "reduction": True})


def _node(design: Design, left_out: LeftOut) -> float | None:
    nodes: dict[float, Field] = {}
    for entry in design.hierarchy:
        given = entry.take("node") if isinstance(entry, Component) else None
        if given is not None:
            match = _NODE.fullmatch(given.text())
            if match is None:
                raise given.refused(f"{given.text()!r} is no technology node", 'Write "45nm".')
            nodes[float(match[1])] = given
    if len(nodes) > 1:
        several = ", ".join(f"{node:g} nm" for node in nodes)
        left_out.note([*nodes.values()][-1], "technology", f"there are several: {several}")
    return next(iter(nodes)) if len(nodes) == 1 else None


def _area(design: Design, areas: Mapping[str, float], left_out: LeftOut) -> float:
    """mm² of all components, in all their instances."""
    total, instances = 0.0, 1
    for entry in design.hierarchy:
        if isinstance(entry, Array):
            for size in entry.sizes.values():
                instances *= size
        elif entry.name in areas:
            total += areas[entry.name] * instances
        else:
            left_out.note(entry.field, entry.name, "the table of areas doesn't have it, so there is no total")
            return 0.0
    return total / 1e6


def _note_attributes(design: Design, left_out: LeftOut) -> None:
    """Lists every attribute that nothing was taken from."""
    components = [entry for entry in design.hierarchy if isinstance(entry, Component)]
    for one in components:
        for name, field in one.own.items():
            if name in _WHY_NOT:
                left_out.note(field, f"{one.name}, {name}", _WHY_NOT[name])
            elif name not in one.used:
                left_out.note(field, f"{one.name}, {name} {short(field.value)}", "no part of our model")
    read = {name for names in SYNONYMS.values() for name in names}
    for attributes in {id(a): a for one in components for a in one.inherited}.values():
        for name, field in attributes.items():
            if name not in read:
                left_out.note(field, f"{name} {short(field.value)}", "no part of our model")

