"""Units that skip zeros, step by step: every product of every unit is looked at, and the units wait for each other.

A convolution without padding is cut as hardware cuts it: output channels, input channels and output columns are dealt
out to units; a unit keeps some weights and takes block after block of inputs. It takes one nonzero input after the other and
goes through its nonzero weights, as many in a cycle as it has lanes; an input without any takes a cycle, too. When all units
have a block behind them, the next begins.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Cycles of the whole, the products of nonzeros in them, and the products of one unit if nothing were skipped."""

    cycles: int
    executed: int
    dense: int


def simulate(
    weights: np.ndarray,
    inputs: np.ndarray,
    *,
    units: tuple[int, int, int],
    block: tuple[int, int],
    lanes: int = 1,
) -> Simulated:
    """Runs a convolution of stride 1.

    Args:
        weights: ``[K, C, R, S]``.
        inputs: ``[C, rows, columns]``.
        units: over which K, C and the output columns are dealt out; each divides its dimension.
        block: output channels, and input channels, that a unit works on between two waits.
        lanes: products of one input that a unit makes in a cycle.
    """
    (k_units, c_units, q_units), (k_block, c_block) = units, block
    channels_out, channels_in, taps_down, taps_across = weights.shape
    rows, columns = inputs.shape[1] - taps_down + 1, inputs.shape[2] - taps_across + 1
    own_k, own_c, own_q = channels_out // k_units, channels_in // c_units, columns // q_units
    assert (own_k * k_units, own_c * c_units, own_q * q_units) == (channels_out, channels_in, columns)
    cycles = executed = dense = 0
    for p, q, k, c in itertools.product(
        range(rows), range(own_q), range(0, own_k, k_block), range(0, own_c, c_block)
    ):
        work = []
        for uk, uc, uq in itertools.product(range(k_units), range(c_units), range(q_units)):
            mine_k = slice(uk * own_k + k, uk * own_k + min(k + k_block, own_k))
            mine_c = slice(uc * own_c + c, uc * own_c + min(c + c_block, own_c))
            column = uq * own_q + q
            window = inputs[mine_c, p : p + taps_down, column : column + taps_across]
            pairs = np.where(window != 0, (weights[mine_k, mine_c] != 0).sum(axis=0), 0)
            work.append(int(np.where(window != 0, np.maximum(1, -(-pairs // lanes)), 0).sum()))
            executed += int(pairs.sum())
        cycles += max(work)
        dense += weights[mine_k, mine_c].size
    return Simulated(cycles=cycles, executed=executed, dense=dense)
