"""The mapper's CPU time, energy and proof, beside ZigZag and AccelForge: one core, kernels cached, in one run.

Whole networks first (``--quick`` leaves out the searches with any factors), then the layers that the reference tools
were measured on. Where those tools are installed they run here and now; otherwise their recorded figures stand beside
ours (``../shared/references/mappers.json``, another machine of the same kind) and are marked so.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from picojoule.hardware import Accelerator, load_hardware
from picojoule.hardware.accelerator import operand_latch
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.builtin import builtin_network
from picojoule.workload.nest import Nest

NETWORKS = (
    ("eyeriss-normalized", "exact", {"resnet50_v1.5": 5, "resnet18": 3, "mobilenet_v1": 1}),
    ("eyeriss-like-45nm", "exact", {"resnet50_v1.5": 8, "resnet18": 5, "mobilenet_v1": 2}),
    ("simba-like-45nm", "exact", {"resnet18": 30}),
    ("eyeriss-normalized", "any", {"resnet50_v1.5": 60, "resnet18": 40, "mobilenet_v1": 8}),
)
"""Machine, factors, and the CPU seconds that a whole network may take."""


def whole_networks(quick: bool) -> None:
    """CPU seconds of the search, layers proved, slowest layer to within 0.5 % of its bound."""
    print(f"{'network':16} {'machine':20} {'factors':8} {'CPU s':>7} {'target':>7} {'proved':>8} {'largest gap':>12}")
    for hardware, factors, networks in NETWORKS:
        machine = load_hardware(hardware)
        for name, target in networks.items():
            if quick and factors == "any":
                continue
            nests = {layer.nest for layer in builtin_network(name).layers if layer.nest}
            began, proved, gap = time.process_time(), 0, 0.0
            for nest in nests:
                found = search_layer(nest, machine, machine.bits, "energy", Exact(time_limit_s=None, factors=factors))
                proved += found.status == "PROVED"
                gap = max(gap, 1 - found.bound / found.value)
            spent = time.process_time() - began
            print(
                f"{name:16} {hardware:20} {factors:8} {spent:7.2f} {target:7} {proved:4}/{len(nests):<3} {100 * gap:11.3f}%",
                flush=True,
            )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def single_layers(records: list[dict]) -> None:
    """Ours against every row of the reference tools, under that row's accounting rule."""
    print(f"\n{'tool':16} {'layer':22} {'E/MAC theirs':>13} {'ours':>9} {'theirs/ours':>12} {'CPU s theirs':>13} {'ours':>7} {'ratio':>7}")
    plain = load_hardware("eyeriss-normalized")
    latched = replace(plain, hierarchy=(*plain.hierarchy, operand_latch("operands", ("weights", "inputs"))))
    for row in records:
        if not row["tool"].startswith(("zigzag", "accelforge")):
            continue
        machine: Accelerator = latched if row["tool"] == "zigzag" else plain
        k, c, p, q, r, s, stride, groups = row["shape"]
        nest = Nest(G=groups, K=k // groups, C=c // groups, P=p, Q=q, R=r, S=s, stride=(stride, stride))
        began = time.process_time()
        found = search_layer(nest, machine, machine.bits, "energy", Exact(time_limit_s=None, factors="exact"))
        spent = time.process_time() - began
        tool = f"{row['tool']} {row.get('variant') or ''}".strip()
        print(
            f"{tool:16} {row['net'] + ' ' + row['layer']:22} {row['e_per_mac']:13.4f} {found.value / nest.macs:9.4f} "
            f"{row['energy'] / found.value:12.3f} {row['cpu_s']:13.2f} {spent:7.3f} {row['cpu_s'] / spent:6.0f}×"
        )


def main() -> None:
    """Prints both tables."""
    warm = Nest(K=4, C=4, P=4, R=3)
    machine = load_hardware("eyeriss-normalized")
    search_layer(warm, machine, machine.bits)  # compiles, or loads what was compiled
    whole_networks("--quick" in sys.argv)
    recorded = Path(os.environ.get("PICOJOULE_SHARED", "../shared")) / "references" / "mappers.json"
    installed = [tool for tool in ("zigzag", "accelforge") if importlib.util.find_spec(tool)]
    if installed:
        print(f"\ninstalled here: {', '.join(installed)}; run them on the same layers with their own scripts for a paired time")
    if recorded.is_file():
        print("\nZigZag and AccelForge as recorded (CPU seconds on another machine of this kind):")
        single_layers(json.loads(recorded.read_text(encoding="utf-8"))["records"])
    else:
        print("\nno recorded figures of other tools at hand")


if __name__ == "__main__":
    main()
