"""How sure an exit is, as nodes of its stage: the operating points' scores without a step through Python.

The nodes do what ``scoring`` does, in float64, so that a session leaves where ``picojoule.exits`` would. A softmax doesn't mind
a constant for all classes: weights go on logits where ``scoring`` has them on log-probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.runtime.manifest import Exit
from picojoule.runtime.operation import Operation
from picojoule.runtime.scoring import SMALLEST, TOP

if TYPE_CHECKING:
    import onnx

SCORE, PROBABILITIES = "picojoule/score", "picojoule/probabilities"
OLDEST = 13
"""Models of an older opset are converted before nodes are added."""


def passed(number: int, operation: Operation) -> list[int]:
    """Exits before ``number`` that its answer or its score depends on."""
    if operation.rule == "learned" and number < len(operation.energies_j) - 1:
        return list(range(number))
    return [e for e in range(number) if operation.weights[number][e]]


def with_scores(
    model: onnx.ModelProto, number: int, exits: Sequence[Exit], operation: Operation, classes: int
) -> onnx.ModelProto:
    """The model of an exit's stage with two outputs more: ``SCORE`` (a sample each; not of the last exit) and ``PROBABILITIES``.

    Args:
        model: makes the exit's scores of classes; those of exits passed become inputs where they matter.
        number: of the exit.
        exits: of the bundle.
        operation: rule, weights and coefficients.
        classes: how many there are.
    """
    import onnx
    from onnx import helper

    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = _Nodes(made.graph)
    before = passed(number, operation)
    kind = next(one.type.tensor_type.elem_type for one in made.graph.output if one.name == exits[number].outputs[0])
    made.graph.input.extend(
        helper.make_tensor_value_info(exits[e].outputs[0], kind, ["batch", classes]) for e in before
    )
    logits = {e: graph.logits(exits[e]) for e in [*before, number]}
    weights = operation.weights[number]
    parts = [graph.add("Mul", logits[e], graph.of(weights[e])) for e in logits if weights[e]]
    total = parts[0] if len(parts) == 1 else graph.add("Sum", *parts)
    p = graph.add("Softmax", total, axis=1, name=PROBABILITIES)
    outputs = [PROBABILITIES]
    if number < len(exits) - 1:
        _score(graph, operation, number, total, p, [logits[e] for e in before], classes)
        outputs.append(SCORE)
    made.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, ["batch", *([classes] if name != SCORE else [])])
        for name in outputs
    )
    return made


def _score(
    graph: _Nodes, operation: Operation, number: int, total: str, p: str, before: list[str], classes: int
) -> None:
    """Adds the score of the operation's rule, see ``scoring.score``."""
    if operation.rule == "max":
        largest, _ = graph.top(p, 1)
        graph.flat(largest)
    elif operation.rule == "margin":
        graph.flat(graph.add("MatMul", graph.top(p, 2)[0], graph.of([[1.0], [-1.0]])))
    elif operation.rule == "entropy":
        share = graph.add("Mul", graph.minus_entropy(total, p, classes), graph.of(1 / math.log(classes)))
        most = graph.add("Min", graph.add("Add", share, graph.of(1.0)), graph.of(1.0))
        graph.flat(graph.add("Max", most, graph.of(0.0)))
    else:
        assert operation.coefficients is not None
        features = _gain_features(graph, total, p, before, classes)
        rows = np.array(operation.coefficients[number])
        gains = graph.add("MatMul", features, graph.of(np.stack([np.zeros_like(rows[0]), *rows]).T))
        chances = graph.add("Softmax", gains, axis=1)
        half = graph.add("MatMul", chances, graph.of([[0.0], [-0.5], [0.5]]))
        graph.flat(graph.add("Add", half, graph.of(0.5)))


def _gain_features(graph: _Nodes, total: str, p: str, before: list[str], classes: int) -> str:
    """See ``scoring.gain_features``."""
    least = graph.of(SMALLEST)
    logp = graph.add("LogSoftmax", total, axis=1)
    top, _ = graph.top(logp, min(TOP, classes))
    _, answer = graph.top(logp, 1)
    entropy = graph.add("Neg", graph.minus_entropy(total, p, classes))
    one = graph.add("MatMul", p, graph.of(np.zeros((classes, 1))))
    columns = [graph.add("Add", one, graph.of(1.0)), graph.add("Max", top, least), entropy]
    if before:
        same, said = [], []
        for logits in before:
            earlier = graph.add("LogSoftmax", logits, axis=1)
            equal = graph.add("Equal", graph.top(earlier, 1)[1], answer)
            same.append(graph.add("Cast", equal, to=_DOUBLE))
            said.append(graph.add("Max", graph.add("GatherElements", earlier, answer, axis=1), least))
        columns += [graph.add("Mul", graph.add("Sum", *one), graph.of(1 / len(before))) for one in (same, said)]
    return graph.add("Concat", *columns, axis=1)


_DOUBLE = 11
"""TensorProto.DOUBLE."""


class _Nodes:
    """Adds nodes and constants to a graph, all under names of their own."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph, self._count = graph, 0

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        output = name or self._name()
        self._graph.node.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def of(self, value: Any, kind: Any = np.float64) -> str:
        """A constant."""
        from onnx import numpy_helper

        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def logits(self, exit_: Exit) -> str:
        """What an exit answers, as float64 logits, see ``session_answer.logits_of``."""
        scores = exit_.outputs[0]
        if exit_.scores == "probabilities":
            scores = self.add("Cast", scores, to=1)
            scores = self.add("Log", self.add("Max", scores, self.of(np.finfo(np.float32).tiny, np.float32)))
        return self.add("Cast", scores, to=_DOUBLE)

    def top(self, values: str, count: int) -> tuple[str, str]:
        """The largest of each row, falling, and where they stand."""
        from onnx import helper

        found = self._name(), self._name()
        self._graph.node.append(helper.make_node("TopK", [values, self.of([count], np.int64)], list(found), axis=1))
        return found

    def minus_entropy(self, total: str, p: str, classes: int) -> str:
        """Σ p·log p, rows × 1."""
        logp = self.add("LogSoftmax", total, axis=1)
        return self.add("MatMul", self.add("Mul", p, logp), self.of(np.ones((classes, 1))))

    def flat(self, column: str) -> None:
        """Makes ``SCORE`` of rows × 1."""
        self.add("Reshape", column, self.of([-1], np.int64), name=SCORE)

    def _name(self) -> str:
        self._count += 1
        return f"picojoule/{self._count}"
