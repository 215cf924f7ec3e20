"""PyTorch's products of matrices, attention and recurrent layers in the words of ONNX; see `torch_operators`."""

from __future__ import annotations

import math

from picojoule.frontends.graph import Shape
from picojoule.frontends.torch_calls import Call
from picojoule.frontends.torch_operators import EVAL, Translator
from picojoule.frontends.torch_scribe import Scribe


def linear(call: Call, to: Scribe) -> None:
    """A fully connected layer: Gemm on matrices, else MatMul and the addition of the bias."""
    data, weight, bias = (to.tensor(call, name) for name in ("input", "weight", "bias"))
    shape = to.shape(call, "input")
    if len(shape) == 2:
        to.write("Gemm", [data, weight, bias], transB=1)
        return
    turned = to.side("Transpose", [weight], to.shape(call, "weight")[::-1], perm=(1, 0))
    _product_and_bias(to, [data, turned], bias)


def product(left: str, right: str, bias: str = "") -> Translator:
    """Matrix products by the names of their arguments, with what is added to them."""

    def translate(call: Call, to: Scribe) -> None:
        operands = [to.tensor(call, left), to.tensor(call, right)]
        _product_and_bias(to, operands, to.tensor(call, bias) if bias else "")

    return translate


def add_product(call: Call, to: Scribe) -> None:
    """addmm: a bias plus the product of two matrices."""
    to.write("Gemm", [to.tensor(call, name) for name in ("mat1", "mat2", "self")])


def _product_and_bias(to: Scribe, operands: list[str], bias: str) -> None:
    if not bias:
        to.write("MatMul", operands)
        return
    to.write("Add", [to.side("MatMul", operands, to.made_shape(), main=True), bias], suffix="/bias")


def einsum(call: Call, to: Scribe) -> None:
    to.write("Einsum", to.tensors(call, "tensors"), equation=str(call.arguments["equation"]))


def bilinear(call: Call, to: Scribe) -> None:
    """Two inputs through one weight tensor, and a bias."""
    operands = [to.tensor(call, name) for name in ("input1", "weight", "input2")]
    lead = "".join(chr(97 + axis) for axis in range(len(to.shape(call, "input1")) - 1))
    equation, bias = f"{lead}x,zxy,{lead}y->{lead}z", to.tensor(call, "bias")
    if not bias:
        to.write("Einsum", operands, equation=equation)
        return
    result = to.side("Einsum", operands, to.made_shape(), main=True, equation=equation)
    to.write("Add", [result, bias], suffix="/bias")


def tensordot(call: Call, to: Scribe) -> None:
    """A contraction over given axes, as einsum writes it."""
    left, right = to.shape(call, "self"), to.shape(call, "other")
    a = [chr(97 + i) for i in range(len(left))]
    b = [chr(97 + len(left) + i) for i in range(len(right))]
    for mine, theirs in zip(call.arguments["dims_self"], call.arguments["dims_other"], strict=True):
        b[theirs] = a[mine]
    out = [letter for letter in (*a, *b) if (letter in a) != (letter in b)]
    operands = [to.tensor(call, "self"), to.tensor(call, "other")]
    to.write("Einsum", operands, equation=f"{''.join(a)},{''.join(b)}->{''.join(out)}")


def inner(call: Call, to: Scribe) -> None:
    """Every row of the one with every row of the other: a contraction of their last axes."""
    left, right = to.shape(call, "self"), to.shape(call, "other")
    operands = [to.tensor(call, "self"), to.tensor(call, "other")]
    if not left or not right:  # one of them is a number
        to.write("Mul", operands)
        return
    letters = [chr(97 + axis) for axis in range(len(left) + len(right) - 2)]
    a, b = letters[: len(left) - 1], letters[len(left) - 1 :]
    to.write("Einsum", operands, equation=f"{''.join(a)}z,{''.join(b)}z->{''.join(letters)}")


def attention(call: Call, to: Scribe) -> None:
    """scaled_dot_product_attention: whatever stands before heads, length and size is one batch.

    Operands may be spread over the batch or the heads of the others, which moves nothing. Keys and values that several
    heads of queries share stay as they are.
    """
    to.refuse_training(call, "dropout_p", EVAL)
    operands = ("query", "key", "value")
    shapes = [to.shape(call, name) for name in operands]
    depth = max(map(len, shapes)) - 2
    leads = [(1,) * (depth - len(shape) + 2) + shape[:-2] for shape in shapes]
    common = tuple(max(sizes) for sizes in zip(*leads, strict=True))
    shared = depth and leads[1][-1] == leads[2][-1] and common[-1] % leads[1][-1] == 0
    names = []
    for name, shape, lead in zip(operands, shapes, leads, strict=True):
        tensor = to.tensor(call, name)
        wide = (*common[:-1], *(lead[-1:] if shared and name != "query" else common[-1:]))
        if lead != wide:
            tensor, shape, lead = to.side("Expand", [tensor], (*wide, *shape[-2:])), (*wide, *shape[-2:]), wide
        four = (math.prod(lead[:-1]), *(lead[-1:] or (1,)), *shape[-2:])
        names.append(tensor if shape == four else to.side("Reshape", [tensor], four))
    result = to.made_shape()
    four = (math.prod(result[:-3]), *(result[-3:-2] or (1,)), *result[-2:])
    to.write("Attention", [*names, to.tensor(call, "attn_mask")], batched=four if four != result else None)


def recurrent(cell: str) -> Translator:
    """LSTM, GRU, RNN over padded sequences: every layer and direction is a node."""

    def translate(call: Call, to: Scribe) -> None:
        if float(call.arguments.get("dropout", 0)) > 0:
            to.refuse_training(call, "train", EVAL)
        data, shape, before = to.tensor(call, "input"), to.shape(call, "input"), _states(call, to)
        parameters = to.tensors(call, "params")
        layers = to.number(call, "num_layers", 1)
        directions = 2 if call.arguments.get("bidirectional") else 1
        first = bool(call.arguments.get("batch_first"))
        each = len(parameters) // (layers * directions)
        biased = bool(call.arguments.get("has_biases"))
        for layer in range(layers):
            ends = []
            for direction in range(directions):
                own = parameters[(layer * directions + direction) * each :][:each]
                state = to.known(own[1])[1] if each % 2 == 0 or not biased else to.known(own[-1])[0]
                name = f".l{layer}{'_reverse' * direction}" if layers * directions > 1 else ""
                made = (*shape[:2], state)
                ends.append(_cell(to, cell, data, own, biased, before, made, name, batch_first=first))
            shape = (*shape[:2], sum(to.known(end)[2] for end in ends))
            data = ends[0] if len(ends) == 1 else to.part_of(ends, shape)
        to.finish(data)

    return translate


def recurrent_cell(cell: str) -> Translator:
    """LSTMCell, GRUCell, RNNCell: one step."""

    def translate(call: Call, to: Scribe) -> None:
        data, shape = to.tensor(call, "input"), to.shape(call, "input")
        own = [to.tensor(call, name) for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
        steps = (1, *((1,) * (2 - len(shape))), *shape)
        step = to.side("Reshape", [data], steps)
        made = (*steps[:2], to.known(own[1])[1])
        to.finish(_cell(to, cell, step, own, bool(own[2]), _states(call, to), made, "", batch_first=False))

    return translate


def _states(call: Call, to: Scribe) -> list[str]:
    """The states to begin with: those of all layers and directions in one tensor."""
    return to.tensors(call, "hx") if isinstance(call.arguments.get("hx"), list) else [to.tensor(call, "hx")]


def _cell(
    to: Scribe,
    cell: str,
    data: str,
    own: list[str],
    biased: bool,
    before: list[str],
    made: Shape,
    name: str,
    *,
    batch_first: bool,
) -> str:
    """One layer and direction; its weights get the leading axis of directions that ONNX gives them."""
    weights = [to.side("Unsqueeze", [tensor], (1, *to.known(tensor))) for tensor in own[:2]]
    bias = to.side("Concat", own[2:4], (1, 2 * to.known(own[2])[0]), axis=0) if biased else ""
    shorter = own[-1] if len(own) % 2 else ""  # an LSTM's projection, which ONNX doesn't know: a ninth input here
    states = (*before, "")[:2]
    given = [data, *weights, bias, "", *states, *(["", shorter] if shorter else [])]
    return to.side(cell, given, made, main=True, suffix=name, layout=int(batch_first))
