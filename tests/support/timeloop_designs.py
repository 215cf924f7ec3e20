"""A small design of Timeloop in both of its versions: a buffer, 4 × 2 PEs with a register file, a MAC in each."""

from __future__ import annotations

from pathlib import Path

V3 = """\
architecture:
  version: 0.3
  subtree:
    - name: system
      attributes: {technology: 28nm, word-bits: 8}
      local:
        - name: DRAM
          class: DRAM
      subtree:
        - name: chip
          local:
            - name: buffer
              class: SRAM
              attributes: {depth: 1024, width: 32, n_banks: 2}
          subtree:
            - name: PE[0..7]
              local:
                - name: registers
                  class: regfile
                  attributes: {depth: 16, meshX: 4}
                - name: mac
                  class: intmac
                  attributes: {datawidth: 8, meshX: 4}
"""

V4 = """\
architecture:
  version: 0.4
  nodes:
    - !Container
      name: system
      attributes: {technology: 28nm, datawidth: 8}
    - !Component
      name: DRAM
      class: DRAM
    - !Component
      name: buffer
      class: SRAM
      attributes: {depth: 1024, width: 32, n_banks: 2}
    - !Container
      name: PE
      spatial: {meshX: 4, meshY: 2}
    - !Component
      name: registers
      class: regfile
      attributes: {depth: 16}
    - !Component
      name: mac
      class: intmac
      attributes: {multiplier_width: 8}
"""

ERT = """\
ERT:
  version: 0.3
  tables:
    - name: system.DRAM
      actions: [{name: read, energy: 64}, {name: write, energy: 60}]
    - name: system.chip.buffer
      actions:
        - {name: read, arguments: {data_delta: 0}, energy: 1}
        - {name: read, arguments: {data_delta: 1}, energy: 4}
        - {name: write, energy: 6}
        - {name: update, energy: 8}
    - name: system.chip.PE[0..7].registers
      actions: [{name: access, energy: 0.25}, {name: leak, energy: 0.01}]
    - name: system.chip.PE[0..7].mac
      actions: [{name: compute, energy: 0.5}]
"""


def write_design(folder: Path, architecture: str = V3, ert: str = ERT, **more: str) -> list[Path]:
    """Writes the files of a design, ``more`` by the stem of their name, and returns their paths."""
    texts = {"arch": architecture, "ERT": ert, **more}
    for stem, text in texts.items():
        (folder / f"{stem}.yaml").write_text(text, encoding="utf-8")
    return [folder / f"{stem}.yaml" for stem in texts]
