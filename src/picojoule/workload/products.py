"""Products of matrices as loop nests: with a weight matrix, of two activations, einsum, attention, recurrent layers.

The left operand lies where a nest has its inputs, the right one where it has its weights; with weights on the left it
is the other way round. An axis over which both vary becomes groups (G), one over which only the inputs vary becomes
rows (N), one over which only the weights vary becomes columns (K).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from picojoule.workload.movement import softmax_layer
from picojoule.workload.nest import Nest
from picojoule.workload.network import WEIGHTLESS, Layer

Shape = tuple[int, ...]

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
"""Matrices per weight tensor of a recurrent cell."""

CELL_OPERATIONS = {"LSTM": 13, "GRU": 11, "RNN": 2}
"""Element-wise operations of a cell per unit and step: sums of the two products, activations, and the new state."""


def product_layer(name: str, *, left: Shape, right: Shape, weights: str = "", op: str = "MatMul") -> Layer:
    """The product of two stacks of matrices, shaped and broadcast as numpy's ``matmul`` has it.

    Args:
        name: the user's own name for it.
        left: shape of the left operand.
        right: shape of the right operand.
        weights: which of them holds weights, "left" or "right"; "" if both are activations.
        op: the operator as the model calls it.

    Raises:
        ValueError: the shapes can't be multiplied.

    >>> product_layer("qk", left=(8, 197, 64), right=(8, 64, 197)).nest.G
    8
    """
    if not left or not right:
        raise ValueError(f"shapes {list(left)} and {list(right)} can't be multiplied: a scalar is no matrix")
    rows, columns = left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)
    if rows[-1] != columns[-2]:
        raise ValueError(f"shapes {list(left)} and {list(right)} can't be multiplied: {rows[-1]} is not {columns[-2]}")
    if weights == "left":
        # Weights times data: the same products as data times weights, transposed.
        rows, columns = (*columns[:-2], *columns[:-3:-1]), (*rows[:-2], *rows[:-3:-1])
    depth = max(len(rows), len(columns)) - 2
    stacks = [(1,) * (depth - len(shape) + 2) + shape[:-2] for shape in (rows, columns)]
    sizes = {"G": 1, "N": rows[-2], "K": columns[-1]}
    for ours, theirs in zip(*stacks, strict=True):
        if ours != theirs and 1 not in (ours, theirs):
            raise ValueError(
                f"shapes {list(left)} and {list(right)} can't be multiplied: {ours} matrices against {theirs}"
            )
        sizes["G" if ours == theirs else "N" if theirs == 1 else "K"] *= max(ours, theirs)
    return Layer(name=name, kind="fc" if weights else WEIGHTLESS, op=op, nest=Nest(**sizes, C=rows[-1]))


def einsum_layer(
    name: str, *, equation: str, left: Shape, right: Shape, weights: str = "", op: str = "Einsum"
) -> Layer | None:
    """A contraction of two operands; None if it is no product of matrices.

    Letters of both operands and the result are groups, of one operand and the result rows or columns, of both operands
    alone are summed over. Letters that stand twice in an operand, or are summed over in one operand alone, are no such
    product. Where nothing is summed over, it is an element-wise one.

    Raises:
        ValueError: the equation doesn't fit the shapes.

    >>> einsum_layer("av", equation="bhqk,bkhd->bqhd", left=(1, 12, 197, 197), right=(1, 197, 12, 64)).macs
    29805312
    """
    terms = _letters(equation, (left, right))
    if terms is None:
        return None
    (a, b), out = terms
    if any(len(set(term)) < len(term) for term in (a, b, out)):
        return None
    size: dict[str, int] = {}
    for term, shape in ((a, left), (b, right)):
        for letter, length in zip(term, shape, strict=True):
            if size.get(letter, 1) not in (1, length) and length != 1:
                raise ValueError(f"letter {letter!r} of {equation!r} is {size[letter]} and {length} long")
            size[letter] = max(length, size.get(letter, 1))
    long_a = {letter for letter, length in zip(a, left, strict=True) if length > 1}
    long_b = {letter for letter, length in zip(b, right, strict=True) if length > 1}
    if (long_a ^ long_b) - set(out):
        return None
    if weights == "left":
        long_a, long_b = long_b, long_a

    def extent(letters: set[str]) -> int:
        return math.prod(size[letter] for letter in letters)

    kept, both = set(out), long_a & long_b
    if not both - kept:
        read, written = math.prod(left) + math.prod(right), extent(kept)
        return Layer(name=name, kind="mul", op=op, read_elements=read, written_elements=written, vector_ops=written)
    nest = Nest(G=extent(both & kept), N=extent(long_a - long_b), K=extent(long_b - long_a), C=extent(both - kept))
    return Layer(name=name, kind="fc" if weights else WEIGHTLESS, op=op, nest=nest)


def einsum_steps(equation: str, shapes: Sequence[Shape]) -> list[tuple[str, Shape, Shape]] | None:
    """A contraction of two or more operands, from left to right: equation and operands of each step.

    What is summed over is what neither a later operand nor the result has. None if the equation doesn't fit the shapes.

    >>> einsum_steps("ij,jk,kl->il", [(5, 7), (7, 3), (3, 2)])
    [('ij,jk->ik', (5, 7), (7, 3)), ('ik,kl->il', (5, 3), (3, 2))]
    """
    found = _letters(equation, shapes)
    if found is None or len(shapes) < 2:
        return None
    (left, *others), out = found
    shape, steps = shapes[0], []
    for index, (right, given) in enumerate(zip(others, shapes[1:], strict=True)):
        size: dict[str, int] = {}
        for letter, length in zip(left + right, (*shape, *given), strict=True):
            size[letter] = max(length, size.get(letter, 1))
        later = set(out).union(*others[index + 1 :])
        kept = out if index == len(others) - 1 else "".join(x for x in size if x in later)
        steps.append((f"{left},{right}->{kept}", shape, given))
        left, shape = kept, tuple(size.get(letter, 1) for letter in kept)
    return steps


def _letters(equation: str, shapes: Sequence[Shape]) -> tuple[list[str], str] | None:
    """The terms of the operands and of the result, ellipses written out; None if they don't fit the operands."""
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        return None
    spare = [chr(0x3B1 + i) for i in range(16)]  # Greek letters: no equation holds them
    depth = 0
    for index, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        if "..." in term:
            more = len(shape) - len(term.replace("...", ""))
            if not 0 <= more <= len(spare):
                return None
            depth = max(depth, more)
            terms[index] = term.replace("...", "".join(spare[len(spare) - more :]))
        if len(terms[index]) != len(shape) or not terms[index].isalpha() and shape:
            return None
    if not arrow:
        once = sorted(letter for letter in set("".join(terms)) if "".join(terms).count(letter) == 1)
        out = "..." * bool(depth) + "".join(letter for letter in once if letter not in spare)
    return terms, out.replace("...", "".join(spare[len(spare) - depth :]))


def attention_layers(
    name: str, *, query: Shape, key: Shape, value: Shape, mask_elements: int = 0, op: str = "Attention"
) -> tuple[Layer, ...]:
    """Scaled dot-product attention: ``name.qk``, ``name.softmax`` and ``name.av``.

    Shapes are (batch, heads, length, size). Where there are fewer heads of keys and values than of queries, the queries
    of a group are rows of one product. A causal mask saves nothing: all products count. Scaling rides along.

    Raises:
        ValueError: the shapes don't fit one another.

    >>> layers = attention_layers("attn", query=(1, 8, 10, 64), key=(1, 2, 20, 64), value=(1, 2, 20, 32))
    >>> [(layer.name, layer.macs) for layer in layers]
    [('attn.qk', 102400), ('attn.softmax', 0), ('attn.av', 51200)]
    """
    (batch, heads, rows, size), (_, groups, length, _), width = query, key, value[-1]
    fits = key == (batch, groups, length, size) and value == (batch, groups, length, width) and heads % groups == 0
    if not fits:
        raise ValueError(f"queries {list(query)}, keys {list(key)} and values {list(value)} don't fit one another")
    sizes = {"G": batch * groups, "N": heads // groups * rows}
    scores = batch * heads * rows * length
    return (
        Layer(name=f"{name}.qk", kind=WEIGHTLESS, op=op, nest=Nest(**sizes, K=length, C=size)),
        softmax_layer(f"{name}.softmax", elements=scores, mask_elements=mask_elements, op=op),
        Layer(name=f"{name}.av", kind=WEIGHTLESS, op=op, nest=Nest(**sizes, K=width, C=length)),
    )


def recurrent_layers(
    name: str,
    *,
    cell: str,
    steps: int,
    batch: int,
    inputs: int,
    hidden: int,
    projected: int = 0,
    bias: bool = False,
    peepholes: int = 0,
) -> tuple[Layer, ...]:
    """One direction of one layer of an LSTM, GRU or plain RNN over ``steps`` time steps.

    ``name.input`` multiplies the inputs of all steps at once. ``name.recurrent`` multiplies the state, once a step with
    its weights read anew. ``name.cell`` makes the new state from both. ``name.projection`` is that of an LSTM whose
    state is shorter than its cells (``projected``). Through ``peepholes``, as many weights, the gates of an LSTM see its
    cells: a product and a sum each, in every step.

    >>> [(layer.name, layer.macs) for layer in recurrent_layers(
    ...     "lstm", cell="LSTM", steps=10, batch=2, inputs=8, hidden=16)]
    [('lstm.input', 10240), ('lstm.recurrent', 20480), ('lstm.cell', 0)]
    """
    width, state = GATES[cell] * hidden, projected or hidden
    biases = width if bias else 0
    units = steps * batch * hidden
    layers = [
        Layer(name=f"{name}.input", kind="fc", op=cell, nest=Nest(N=steps * batch, K=width, C=inputs), biases=biases),
        Layer(
            name=f"{name}.recurrent",
            kind="fc",
            op=cell,
            nest=Nest(N=batch, K=width, C=state),
            repeats=steps,
            biases=biases,
        ),
        Layer(
            name=f"{name}.cell",
            kind="cell",
            op=cell,
            # Both products and, but for a plain RNN, the state before; the state after, and an LSTM's output.
            read_elements=(2 * GATES[cell] + (cell != "RNN")) * units,
            written_elements=(2 if cell == "LSTM" else 1) * units,
            vector_ops=CELL_OPERATIONS[cell] * units + 2 * peepholes * steps * batch,
            biases=peepholes,
        ),
    ]
    if projected:
        nest = Nest(N=batch, K=projected, C=hidden)
        layers.append(Layer(name=f"{name}.projection", kind="fc", op=cell, nest=nest, repeats=steps))
    return tuple(layers)
