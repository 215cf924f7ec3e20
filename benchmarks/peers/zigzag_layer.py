"""ZigZag's default search of one layer on the machine ``eyeriss-normalized``; for a Python in which zigzag-dse is installed.

Takes K C P Q R S stride groups as arguments and prints ``{"energy": …, "cpu_s": …}``, energy in 16-bit MACs. No padding
is charged; DRAM 200, global buffer 6, spads and MAC 1, words of 16 bits. ZigZag doesn't charge a spad whose operand
stays the same: compare with a machine that declares a latch for weights and inputs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

WORD = 16
TENSORS = {"inputs": "I1", "weights": "I2", "outputs": "O"}
MEMORIES = (
    # name, words, energy of a word, tensors, shared by all PEs
    ("ifmap_spad", 12, 1, ("inputs",), False),
    ("weights_spad", 224, 1, ("weights",), False),
    ("psum_spad", 24, 1, ("outputs",), False),
    ("glb", 108 * 1024 * 8 // WORD, 6, ("inputs", "outputs"), True),
    ("dram", 10**10, 200, ("inputs", "weights", "outputs"), True),
)


def memory(words: int, energy: float, tensors: tuple[str, ...], shared: bool) -> dict:
    """One memory in ZigZag's terms: every tensor may be read and written by a port one word wide."""
    ways = [f"{TENSORS[t]}, {way}" for t in tensors for way in (("fh", "tl", "fl", "th") if t == "outputs" else ("fh", "tl"))]
    port = {"name": "rw_port_1", "type": "read_write", "bandwidth_min": WORD, "bandwidth_max": WORD, "allocation": ways}
    return {
        "size": words * WORD,
        "r_cost": energy,
        "w_cost": energy,
        "area": 0,
        "latency": 1,
        "operands": [TENSORS[t] for t in tensors],
        "ports": [port],
        "served_dimensions": ["D1", "D2"] if shared else [],
    }


def accelerator() -> dict:
    """``eyeriss-normalized``: 14 × 12 PEs."""
    return {
        "name": "eyeriss_normalized",
        "memories": {name: memory(*rest) for name, *rest in MEMORIES},
        "operational_array": {"unit_energy": 1, "unit_area": 0, "dimensions": ["D1", "D2"], "sizes": [14, 12]},
    }


def workload(k: int, c: int, p: int, q: int, r: int, s: int, stride: int, groups: int) -> list[dict]:
    """One convolution, K and C those of one group."""
    return [
        {
            "id": 0,
            "name": "layer",
            "operator_type": "Conv",
            "equation": "O[g][k][oy][ox]+=W[g][k][c][fy][fx]*I[g][c][iy][ix]",
            "dimension_relations": [f"iy={stride}*oy+1*fy", f"ix={stride}*ox+1*fx"],
            "loop_dims": ["G", "K", "C", "OY", "OX", "FY", "FX"],
            "loop_sizes": [groups, k // groups, c // groups, p, q, r, s],
            "operand_precision": {"I": WORD, "W": WORD, "O": WORD, "O_final": WORD},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def main() -> None:
    """Searches one layer."""
    layer = [int(argument) for argument in sys.argv[1:9]]
    mapping = [{"name": "default", "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"}}]
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        files = {}
        for name, content in (("workload", workload(*layer)), ("accelerator", accelerator()), ("mapping", mapping)):
            files[name] = str(Path(folder, f"{name}.yaml"))
            Path(files[name]).write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            from zigzag.api import get_hardware_performance_zigzag

            logging.disable(logging.CRITICAL)
            began = time.process_time()
            energy, _, _ = get_hardware_performance_zigzag(
                **files, opt="energy", dump_folder=folder, loma_show_progress_bar=False
            )
            spent = time.process_time() - began
    print(json.dumps({"energy": float(energy), "cpu_s": spent}))


if __name__ == "__main__":
    main()
