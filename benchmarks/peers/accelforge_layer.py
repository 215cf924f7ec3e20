"""AccelForge's search of one layer on the machine ``eyeriss-normalized``; for a Python in which accelforge is installed.

Takes K C P Q R S stride groups as arguments, ``--any-order`` after them to let it keep inner levels outside outer ones,
and prints ``{"energy": …, "cpu_s": …}``, energy in 16-bit MACs. One process, no padding charged; DRAM 200, global
buffer 6 (weights pass it by), spads and MAC 1, words of 16 bits.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

WORD = 16


def memory(name: str, words: float, energy: float, keep: str) -> str:
    """One memory in AccelForge's terms."""
    size = "inf" if words == float("inf") else str(int(words * WORD))
    actions = "".join(
        f"    - {{name: {action}, energy: {energy}, bits_per_action: {WORD}, throughput: inf}}\n" for action in ("read", "write")
    )
    return (
        f"  - !Memory\n    name: {name}\n    size: {size}\n    leak_power: 0\n    area: 0\n"
        f"    tensors: {{keep: {keep}}}\n    actions:\n{actions}"
    )


def architecture() -> str:
    """``eyeriss-normalized``: 14 × 12 PEs, any dimension on any axis."""
    return (
        "arch:\n  nodes:\n"
        + memory("DRAM", float("inf"), 200, "All")
        + memory("GLB", 108 * 1024 * 8 // WORD, 6, "input | output")
        + "  - !Container\n    name: PE\n    spatial:\n    - {name: x, fanout: 14}\n    - {name: y, fanout: 12}\n"
        + memory("ifmap_spad", 12, 1, "input")
        + memory("weights_spad", 224, 1, "weight")
        + memory("psum_spad", 24, 1, "output")
        + "  - !Compute\n    name: MAC\n    leak_power: 0\n    area: 0\n"
        "    actions:\n    - {name: compute, energy: 1, throughput: 1}\n"
    )


def workload(k: int, c: int, p: int, q: int, r: int, s: int, stride: int, groups: int) -> str:
    """One convolution without groups."""
    if groups != 1:
        raise SystemExit("only layers without groups")
    sizes = {"k": k, "c": c, "p": p, "q": q, "r": r, "s": s}
    if r == s == 1:  # only the inputs that a strided layer touches
        rows, columns = "p", "q"
    else:
        rows, columns = f"{stride} * p + r", f"{stride} * q + s"
    space = ", ".join(f"0 <= {d} < {size}" for d, size in sizes.items())
    return (
        f"workload:\n  bits_per_value: {{All: {WORD}}}\n  einsums:\n  - name: layer\n    tensor_accesses:\n"
        f"    - {{name: I, projection: {{C: c, H: {rows}, W: {columns}}}}}\n"
        "    - {name: F, projection: {K: k, C: c, R: r, S: s}}\n"
        "    - {name: O, projection: {K: k, P: p, Q: q}, output: True}\n"
        "    renames: {input: I, weight: F, output: O}\n"
        f"    iteration_space_shape: [{space}]\n"
    )


def main() -> None:
    """Searches one layer."""
    layer = [int(argument) for argument in sys.argv[1:9]]
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        file = Path(folder, "layer.yaml")
        file.write_text(architecture() + workload(*layer), encoding="utf-8")
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            import accelforge
            from accelforge.mapper.FFM.main import map_workload_to_arch

            accelforge.set_n_parallel_jobs(1)
            spec = accelforge.Spec.from_yaml(file)
            spec.mapper.metrics = accelforge.Metrics.ENERGY
            spec.mapper.force_memory_hierarchy_order = "--any-order" not in sys.argv
            began = time.process_time()
            found = map_workload_to_arch(spec, eval_in_detail=False)  # in detail it draws the mapping with graphviz
            energy = float(found.data["Total<SEP>energy"].min())
            spent = time.process_time() - began
    print(json.dumps({"energy": energy, "cpu_s": spent}))


if __name__ == "__main__":
    main()
