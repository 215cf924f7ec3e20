"""The mapper's CPU time, energy and proof, beside ZigZag and AccelForge: one core, kernels cached, in one run.

Whole networks first (``--quick`` leaves out the searches with any factors), then how soon each layer is within 0.5 % of
its optimum, then the layers that the reference tools were measured on. ZigZag and AccelForge run here and now where this
Python has them, or the one that ``PICOJOULE_ZIGZAG`` or ``PICOJOULE_ACCELFORGE`` names (their requirements differ from
ours); otherwise their recorded figures stand beside ours (``../shared/references/mappers.json``, another machine of the
same kind) and are marked so.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
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
NEAR = 0.005
"""How close to the proved optimum is close."""
PEERS = ("zigzag", "accelforge")


def whole_networks(quick: bool) -> None:
    """CPU seconds of the search, layers proved, widest gap, and how soon the slowest layer is near its optimum."""
    print(
        f"{'network':16} {'machine':20} {'factors':8} {'CPU s':>7} {'target':>7} {'proved':>8} {'widest gap':>11} "
        f"{'≤ 0.5 % after, each layer: median, slowest (CPU s)':>50}"
    )
    for hardware, factors, networks in NETWORKS:
        machine = load_hardware(hardware)
        for name, target in networks.items():
            if quick and factors == "any":
                continue
            nests = {layer.nest for layer in builtin_network(name).layers if layer.nest}
            began, proved, gap, near = time.process_time(), 0, 0.0, []
            for nest in nests:
                found, after = watched(nest, machine, factors)
                proved += found.status == "PROVED"
                gap = max(gap, 1 - found.bound / found.value)
                near.append(after)
            spent = time.process_time() - began
            near.sort()
            print(
                f"{name:16} {hardware:20} {factors:8} {spent:7.2f} {target:7} {proved:4}/{len(nests):<3} {100 * gap:10.3f}% "
                f"{near[len(near) // 2]:39.2f}, {near[-1]:5.2f}",
                flush=True,
            )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def watched(nest: Nest, machine: Accelerator, factors: str) -> tuple:
    """What a search finds, and after how many CPU seconds it had a mapping within 0.5 % of that.

    Progress is told every tenth of a second, so the second figure is up to a tenth too large.
    """
    seen: list[tuple[float, float]] = []
    began = time.process_time()

    def note(value: float, bound: float, visited: int) -> None:
        seen.append((time.process_time() - began, value))

    policy = Exact(time_limit_s=None, factors=factors)
    found = search_layer(nest, machine, machine.bits, "energy", policy, on_progress=note)
    near = [after for after, value in seen if value <= found.value * (1 + NEAR)]
    return found, near[0] if near else time.process_time() - began


def single_layers(records: list[dict], pythons: dict[str, str]) -> None:
    """Ours against every row of the reference tools, under that row's accounting rule.

    Args:
        records: rows of ``mappers.json``.
        pythons: the Python that runs a tool now; the recorded figures stand for the others.
    """
    print(
        f"\n{'tool':22} {'when':9} {'layer':22} {'E/MAC theirs':>13} {'ours':>9} {'theirs/ours':>12} "
        f"{'CPU s theirs':>13} {'ours':>7} {'ratio':>7}"
    )
    plain = load_hardware("eyeriss-normalized")
    latched = replace(plain, hierarchy=(*plain.hierarchy, operand_latch("operands", ("weights", "inputs"))))
    known = set()
    for row in records:
        one = row["tool"], row.get("variant"), tuple(row["shape"])
        if row["tool"] not in PEERS or one in known:
            continue
        known.add(one)
        machine: Accelerator = latched if row["tool"] == "zigzag" else plain
        k, c, p, q, r, s, stride, groups = row["shape"]
        nest = Nest(G=groups, K=k // groups, C=c // groups, P=p, Q=q, R=r, S=s, stride=(stride, stride))
        theirs = run_peer(row, pythons[row["tool"]]) if row["tool"] in pythons else row
        began = time.process_time()
        found = search_layer(nest, machine, machine.bits, "energy", Exact(time_limit_s=None, factors="exact"))
        spent = time.process_time() - began
        tool = f"{row['tool']} {row.get('variant') or ''}".strip()
        print(
            f"{tool:22} {'now' if row['tool'] in pythons else 'recorded':9} {row['net'] + ' ' + row['layer']:22} "
            f"{theirs['energy'] / nest.macs:13.4f} {found.value / nest.macs:9.4f} {theirs['energy'] / found.value:12.3f} "
            f"{theirs['cpu_s']:13.2f} {spent:7.3f} {theirs['cpu_s'] / spent:6.0f}×",
            flush=True,
        )


def run_peer(row: dict, python: str) -> dict:
    """``{"energy": …, "cpu_s": …}`` of another tool's search of a record's layer, now."""
    script = Path(__file__).parent / "peers" / f"{row['tool']}_layer.py"
    command = [python, str(script), *map(str, row["shape"])]
    if row.get("variant") == "E_noorder":
        command.append("--any-order")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{row['tool']} failed on {row['net']} {row['layer']}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def peers_here() -> dict[str, str]:
    """The Python that has a tool, for every tool at hand."""
    found = {}
    for tool in PEERS:
        named = os.environ.get(f"PICOJOULE_{tool.upper()}")
        if named:
            found[tool] = named
        elif importlib.util.find_spec(tool):
            found[tool] = sys.executable
    return found


def main() -> None:
    """Prints both tables."""
    warm = Nest(K=4, C=4, P=4, R=3)
    machine = load_hardware("eyeriss-normalized")
    search_layer(warm, machine, machine.bits)  # compiles, or loads what was compiled
    whole_networks("--quick" in sys.argv)
    recorded = Path(os.environ.get("PICOJOULE_SHARED", "../shared")) / "references" / "mappers.json"
    if recorded.is_file():
        single_layers(json.loads(recorded.read_text(encoding="utf-8"))["records"], peers_here())
    else:
        print("\nno figures of other tools at hand")


if __name__ == "__main__":
    main()
