"""Speed of light: what share of the machine's peaks is used, and how near the energy is to the floor."""

from __future__ import annotations

import math

from picojoule.reporting.figures import counted, percent
from picojoule.reporting.page.bars import Bar, Part, bars
from picojoule.reporting.page.figure import Figure, Table, cell
from picojoule.reporting.page.reading import Reading

PLACE = 10


def figure(reading: Reading) -> Figure | None:
    estimate = reading.estimate
    rows = [("energy floor", estimate.floor_pj / estimate.energy_pj if estimate.energy_pj else 1.0, "var(--good)", _of_floor(reading))]
    busy = reading.busy
    if busy is not None:
        rows.append(("MACs at peak", busy, reading.colours["mac"], f"{counted(estimate.macs)} MACs in {counted(estimate.latency_cycles)} cycles"))
    ports = _ports(reading)
    rows += [(f"{level} {port}", share, reading.colours.get(level, "#777"), tip) for (level, port), (share, tip) in ports.items()]
    silent = [name for name in _memories(reading) if name not in {level for level, _ in ports}]
    drawn = [
        Bar(name=name, text=percent(share), parts=[Part(size=share, colour=colour, tip=tip)], tip=tip)
        for name, share, colour, tip in rows
    ]
    table = Table(
        head=("limit", "share reached", "what"),
        rows=[[cell(name), cell(percent(share), share), cell(tip)] for name, share, _, tip in rows],
        words=frozenset({2}),
    )
    return Figure(
        name="speed-of-light",
        title="Speed of light",
        finding=_finding(reading, busy, ports),
        drawing=bars(drawn, 1.0, class_="full"),
        table=table,
        note=_note(reading, silent),
    )


def _note(reading: Reading, silent: list[str]) -> str:
    said = f"No bandwidth is stated for {', '.join(silent)}, so nothing is said of it." if silent else ""
    if reading.unexplained:
        said += " Ports are counted over the layers that aren't fused."
    return said.strip()


def _of_floor(reading: Reading) -> str:
    return f"floor {reading.energy(reading.estimate.floor_pj)} of {reading.energy(reading.estimate.energy_pj)}"


def _ports(reading: Reading) -> dict[tuple[str, str], tuple[float, str]]:
    """The share of the time in which each port is busy, the busiest first."""
    cycles = math.fsum(layer.latency_cycles for layer in reading.explanation.layers)
    busy: dict[tuple[str, str], list[float]] = {}
    width: dict[tuple[str, str], float] = {}
    for layer in reading.explanation.layers:
        for ceiling in layer.roofline.ceilings:
            key = (ceiling.level, ceiling.port)
            share = layer.roofline.achieved_macs_per_cycle / ceiling.macs_per_cycle
            busy.setdefault(key, []).append(share * layer.latency_cycles)
            width[key] = ceiling.bits_per_cycle
    found = {key: (min(1.0, math.fsum(parts) / cycles), f"busiest instance, {counted(width[key])} bit a cycle") for key, parts in busy.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def _memories(reading: Reading) -> list[str]:
    return [entry["level"] for entry in reading.estimate.hardware.get("hierarchy", []) if "level" in entry]


def _finding(reading: Reading, busy: float | None, ports: dict[tuple[str, str], tuple[float, str]]) -> list[str]:
    estimate = reading.estimate
    least = estimate.floor_pj / estimate.energy_pj if estimate.energy_pj else 1.0
    said = [f"{percent(least)} of the energy is the floor that no mapping can go below; {percent(1 - least)} is above it."]
    if busy is not None:
        said.append(f"The array reaches {percent(busy)} of its peak")
        if ports:
            (level, port), (share, _) = next(iter(ports.items()))
            when = "of the time of layers that aren't fused" if reading.unexplained else "of the time"
            said[-1] += f", and the busiest port, {level} {port}, is in use {percent(share)} {when}."
        else:
            said[-1] += "; the machine states no bandwidth."
    return said


