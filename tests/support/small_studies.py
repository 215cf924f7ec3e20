"""Studies that take a moment: two small layers on a machine of two levels, and what they are read from."""

from __future__ import annotations

from pathlib import Path

NETWORK = """\
name: tiny
layers:
  - {name: conv, K: 8, C: 4, P: 6, Q: 6, R: 3, S: 3}
  - {name: fc, K: 10, C: 32}
"""
MACHINE = """\
name: small
unit: pJ
clock: 100 MHz
word_bits: 8
bits: 8
table: {name: invented, source: for tests}
mac: {bits: 8, multiply: 0.2, add: 0.02}
vector: null
hierarchy:
  - level: DRAM
    keeps: [weights, inputs, outputs]
    energy: 64
    bandwidth: 8 bit/cycle
  - level: buffer
    keeps: [weights, inputs, outputs]
    capacity: 1 KiB
    energy: 1
  - fanout: PE
    axes: {x: 4}
    multicast: true
    reduction: true
  - level: register
    keeps: [weights]
    capacity: 4 words
    energy: 0.1
"""
STUDY = """\
name: sizes
networks: [tiny.yaml]
machines: [small.yaml]
axes:
  PE.axes.x: [2, 4]
  buffer.capacity: [256 B, 512 B, 1 KiB]
  DRAM.energy: [32, 64]
objectives: [energy, latency, area]
constraints: [area <= 1.5 mm²]
area: {fixed: 0.5, per_position: {PE: 0.2}, per_KiB: {buffer: 0.4}}
"""


def written(folder: Path, study: str = STUDY, name: str = "study.yaml") -> Path:
    """The study in a file, beside its network and machine."""
    for file, text in (("tiny.yaml", NETWORK), ("small.yaml", MACHINE), (name, study)):
        (folder / file).write_text(text, encoding="utf-8")
    return folder / name
