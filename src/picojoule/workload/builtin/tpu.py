"""Two of the networks by which Google measured its first TPU; only their totals are published."""

from __future__ import annotations

from dataclasses import replace

from picojoule.workload.builtin.ledger import Ledger
from picojoule.workload.convolution import add_layer, fc_layer
from picojoule.workload.data_flow import Given
from picojoule.workload.movement import mul_layer
from picojoule.workload.network import Layer, Network

SOURCE = "totals: Jouppi et al.: In-datacenter performance analysis of a tensor processing unit, ISCA 2017, table 1"
WIDTH = 2000
CELLS, STATE, STEPS = 6, 1040, 16
GATES = ("input", "forget", "candidate", "output")


def mlp0() -> Network:
    """MLP0, a perceptron of 5 layers: 20 M MACs, 20 M parameters."""
    ledger = Ledger((1, WIDTH), Given(name="input", elements=WIDTH))
    before = "input"
    for index in range(5):
        before = ledger.put(fc_layer(f"fc{index}", in_features=WIDTH, out_features=WIDTH, bias=True), before)
    return ledger.network(
        "mlp0",
        variant="five layers of 2000 × 2000: an assumption that meets the published 5 layers and 20 M weights",
        source=SOURCE,
    )


def lstm0() -> Network:
    """LSTM0, six cells of 1040 over 16 steps: 831 M MACs, 51.9 M parameters."""
    ledger = Ledger((1, STATE), Given(name="input", elements=STATE))
    before = "input"
    for index in range(CELLS):
        before = _cell(ledger, f"cell{index}", before)
    return ledger.network(
        "lstm0",
        variant="six cells of 1040, four gates each, 16 steps: an assumption that meets the published 24 fully "
        "connected layers and 52 M weights; the 34 vector layers are not laid out one by one",
        source=SOURCE,
    )


def _cell(ledger: Ledger, name: str, below: str) -> str:
    """One cell: its gates read what lies below and the cell's own last output, side by side."""
    hidden, state = (ledger.give(Given(name=f"{name}.{what}", elements=STATE, held=True)) for what in ("h", "c"))
    for gate in GATES:
        matrix = fc_layer(f"{name}.{gate}", in_features=2 * STATE, out_features=STATE, bias=True)
        ledger.put(_in_steps(matrix), below, hidden)
    four = [f"{name}.{gate}" for gate in GATES]
    kept = ledger.put(_in_steps(mul_layer(f"{name}.forgotten", operands=(STATE,) * 2, written=STATE)), four[1], state)
    new = ledger.put(_in_steps(mul_layer(f"{name}.learnt", operands=(STATE,) * 2, written=STATE)), four[0], four[2])
    total = ledger.put(_in_steps(add_layer(f"{name}.state", operands=(STATE,) * 2, written=STATE)), kept, new)
    return ledger.put(_in_steps(mul_layer(f"{name}.hidden", operands=(STATE,) * 2, written=STATE)), four[3], total)


def _in_steps(layer: Layer) -> Layer:
    return replace(layer, repeats=STEPS)
