"""What five more exits cost in training: a step with all exits against a step of the six-layer network alone, in turn.

Pairs of steps on the same images, one network after the other; the ratio is the median over the pairs. In both
precisions, on one thread. Run it from the checkout: ``make bench``. Memory that is given back to the system and taken
anew costs as much as some layers: `MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=8000000000` keeps it.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from picojoule.exits import all_exits, one_exit

BATCH, STEPS_AN_EPOCH = 128, 351


def step(network: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> float:
    """Seconds of one step."""
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype is torch.bfloat16):
        exits = network(x)
    loss = sum(torch.nn.functional.cross_entropy(logits.float(), y) for logits in exits)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return time.perf_counter() - began


def main(pairs: int) -> None:
    """Prints a line for each precision."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    y = torch.randint(0, 10, (BATCH,))
    print(f"{'':10} {'backbone s/epoch':>17} {'combined s/epoch':>17} {'ratio':>6}  quartiles")
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(BATCH, 3, 32, 32).to(dtype, memory_format=torch.channels_last)
        sides = []
        for network in (one_exit(6), all_exits(6)):
            network = network.to(memory_format=torch.channels_last).train()
            sides.append((network, torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)))
        for side in sides:
            step(*side, x, y)
        times = np.array([[step(*side, x, y) for side in sides] for _ in range(pairs)])
        ratio = np.quantile(times[:, 1] / times[:, 0], (0.25, 0.5, 0.75))
        alone, combined = np.median(times, 0) * STEPS_AN_EPOCH
        name = str(dtype).removeprefix("torch.")
        print(f"{name:10} {alone:17.0f} {combined:17.0f} {ratio[1]:6.3f}  {ratio[0]:.3f} … {ratio[2]:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
