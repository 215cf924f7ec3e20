"""Document 004's story of depthwise layers on Xilinx' DPU: operations, latency, fusion, memory on the chip. Prints a table.

    python benchmarks/dpu_fusion.py

Least latency, exact factors. Minutes: fused layers run beside each other there, and all heights of tiles are tried.
"""

from __future__ import annotations

import sys

import picojoule

RUNS = (
    ("resnet50", "dpu-v2", "off"), ("mobilenet_v1", "dpu-v1", "off"), ("mobilenet_v1", "dpu-v2", "off"),
    ("mobilenet_v1", "dpu-v2", "auto"), ("mobilenet_v1", "dpu-v2:memory=8 MiB", "auto"), ("mobilenet_v2", "dpu-v1", "off"),
    ("mobilenet_v2", "dpu-v2", "off"), ("mobilenet_v2", "dpu-v2", "auto"),
)  # fmt: skip


def main() -> None:
    print("| network | machine | fused | ms | of the array | ResNet-50's operations : its | latency : its | DRAM MB | status |")
    print("|---|---|---|---|---|---|---|---|---|")
    search, first = picojoule.Exact(time_limit_s=None, factors="exact"), None
    for model, hardware, fuse in RUNS:
        run = picojoule.estimate(model, hardware=hardware, objective="latency", search=search, fuse=fuse)
        first = first or run
        share = run.macs / (2048 * (run.latency_cycles or 1.0))
        print(
            f"| {model} | `{hardware}` | {fuse} | {1e3 * (run.latency_s or 0.0):.2f} | {share:.0%} | {first.macs / run.macs:.1f} | "
            f"{(first.latency_s or 0.0) / (run.latency_s or 1.0):.1f} | {run.dram_bytes / 1e6:.1f} | {run.status}, gap {run.gap:.2%} |"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
