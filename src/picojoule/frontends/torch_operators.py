"""PyTorch's operators in the words of ONNX: one function or one entry per operator.

A translator takes the call and a `Scribe`, which writes nodes of the common graph. What it writes goes through the same
`operators` as an ONNX file does. An operator without a counterpart keeps its own name, beside the one that it is like.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import zip_longest

from picojoule.errors import ModelError
from picojoule.frontends.graph import Shape
from picojoule.frontends.torch_calls import Call
from picojoule.frontends.torch_scribe import Scribe
from picojoule.frontends.torch_views import kind_of, turned, written_by

Translator = Callable[[Call, Scribe], None]

EVAL = "Call module.eval() first: inference is what runs on an accelerator."


def convolution(call: Call, to: Scribe) -> None:
    """conv1d, conv2d, conv3d, convolution and their transposed forms; strings as padding, inputs without a batch."""
    filters = to.shape(call, "weight")
    axes = len(filters) - 2
    transposed = "transpose" in call.target or bool(call.arguments.get("transposed"))
    stride, dilation = (to.several(call, name, axes, 1) for name in ("stride", "dilation"))
    padding = call.arguments.get("padding", 0)
    if isinstance(padding, str):
        # As torch does: of an odd sum, the larger half goes to the end.
        sums = [dilation[i] * (filters[i + 2] - 1) if padding == "same" else 0 for i in range(axes)]
        pads = (*(total // 2 for total in sums), *(total - total // 2 for total in sums))
    else:
        pads = to.several(call, "padding", axes, 0) * 2
    data, batched = to.batched(call, "input", axes + 2)
    to.write(
        "ConvTranspose" if transposed else "Conv",
        [data, to.tensor(call, "weight"), to.tensor(call, "bias")],
        batched=batched,
        kernel_shape=filters[2:],
        strides=stride,
        dilations=dilation,
        pads=pads,
        group=to.number(call, "groups", 1),
    )


def pool(op: str) -> Translator:
    """Max and average pools."""

    def translate(call: Call, to: Scribe) -> None:
        axes = int(next(digit for digit in call.target if digit.isdigit()))
        taps = to.several(call, "kernel_size", axes, 1)
        data, batched = to.batched(call, "self", axes + 2)
        to.write(
            op,
            [data],
            batched=batched,
            kernel_shape=taps,
            strides=to.several(call, "stride", axes, taps),
            dilations=to.several(call, "dilation", axes, 1),
            pads=to.several(call, "padding", axes, 0) * 2,
            ceil_mode=int(bool(call.arguments.get("ceil_mode"))),
        )

    return translate


def adaptive_pool(kind: str) -> Translator:
    """Adaptive pools: to one place a global pool, to the size that is there already nothing."""

    def translate(call: Call, to: Scribe) -> None:
        axes = int(next(digit for digit in call.target if digit.isdigit()))
        before, after = to.shape(call, "self")[-axes:], to.made_shape()[-axes:]
        data, batched = to.batched(call, "self", axes + 2)
        plain = math.prod(after) == 1 and axes < 3
        op = "Identity" if before == after else f"Global{kind}Pool" if plain else f"torch.Adaptive{kind}Pool"
        to.write(op, [data], batched=batched)

    return translate


def batch_norm(call: Call, to: Scribe) -> None:
    """Folds in inference; in training mode it is refused."""
    to.refuse_training(call, "training", EVAL)
    to.write("BatchNormalization", [to.tensor(call, "input")])


def instance_norm(call: Call, to: Scribe) -> None:
    kept = not call.arguments.get("use_input_stats", True)
    names = [to.tensor(call, name) for name in ("input", "weight", "bias")]
    to.write("BatchNormalization" if kept else "InstanceNormalization", names[:1] if kept else names)


def norm(op: str) -> Translator:
    """Norms whose scale and shift are called weight and bias."""

    def translate(call: Call, to: Scribe) -> None:
        to.write(op, [to.tensor(call, name) for name in ("input", "weight", "bias")])

    return translate


def dropout(call: Call, to: Scribe) -> None:
    """Nothing in inference; in training mode it is refused."""
    rate = call.arguments.get("p", 0.5)
    if not isinstance(rate, int | float) or rate > 0:
        to.refuse_training(call, "train", EVAL)
    to.write("Identity", [to.first(call)])


def softmax(op: str) -> Translator:
    def translate(call: Call, to: Scribe) -> None:
        to.write(op, [to.first(call)])

    return translate


def embedding(call: Call, to: Scribe) -> None:
    to.write("Gather", [to.tensor(call, "weight"), to.tensor(call, "indices")], axis=0)


def embedding_bag(call: Call, to: Scribe) -> None:
    """Rows of a table, summed up by bags; weights of the samples multiply them."""
    names = [to.tensor(call, name) for name in ("weight", "indices", "per_sample_weights")]
    to.write("torch.EmbeddingBag", names)


def index_select(call: Call, to: Scribe) -> None:
    axis = to.number(call, "dim", 0) % max(1, len(to.shape(call, "self")))
    to.write("Gather", [to.tensor(call, "self"), to.tensor(call, "index")], axis=axis)


def index(call: Call, to: Scribe) -> None:
    """x[indices]: gathered, from the first tensor among the indices."""
    indices = [name for name in to.tensors(call, "indices") if name]
    to.write("GatherND", [to.tensor(call, "self"), *indices[:1]])


def gather(call: Call, to: Scribe) -> None:
    to.write("GatherElements", [to.tensor(call, "self"), to.tensor(call, "index")])


def transpose(call: Call, to: Scribe) -> None:
    """permute, transpose, t, movedim, …: the order of the axes."""
    order = turned(kind_of(call), call.arguments, len(to.shape(call, "self")))
    to.write("Transpose", [to.first(call)], perm=tuple(order or ()))


def overwrite(call: Call, to: Scribe) -> None:
    """copy, fill, zero: other elements in the place of what was there, which is not read."""
    source = to.tensor(call, "src") or to.tensor(call, "value") or to.number_tensor()
    to.write(to.own_name(call), [source, *to.beside], like="torch.Write")


def write_at(call: Call, to: Scribe) -> None:
    """index_put, index_copy, scatter and their like: in place they touch the elements that are written alone, those
    that add read them before; else, and where a mask says which, they copy all."""
    indices = [name for name in (*to.tensors(call, "indices"), to.tensor(call, "index")) if name]
    source = next(filter(None, (to.tensor(call, name) for name in ("source", "src", "values", "value"))), "")
    in_place = call.target.split(".")[1].endswith("_")
    target = next(iter(written_by(call)), "") if in_place else ""
    old = to.tensor_of(target)
    unknown = any(name not in to.shapes for name in (old, *indices, *filter(None, [source])))
    if not target or unknown or any(to.types.get(name) in ("bool", "uint8") for name in indices):
        to.write(to.own_name(call), to.all_tensors(call), like="Tile")
        return
    kind, sizes, places = kind_of(call), to.known(old), [to.known(name) for name in indices]
    written = _broadcast(places)
    if kind == "index_put":
        by_axis = zip_longest(sizes, to.tensors(call, "indices"), fillvalue="")
        written += tuple(size for size, name in by_axis if not name)
    elif not kind.startswith("scatter"):
        axis = to.number(call, "dim", 0) % max(1, len(sizes))
        written += tuple(size for place, size in enumerate(sizes) if place != axis)
    elif source and to.known(source) != written:
        source = to.side("Slice", [source], written)
    adds = "add" in kind or bool(call.arguments.get("accumulate") or call.arguments.get("reduce"))
    before = [to.side("Slice", [old], written)] if adds else []
    to.write_part(to.own_name(call), [source or to.number_tensor(), old, *indices, *before], written)


def _broadcast(shapes: list[Shape]) -> Shape:
    """The shape that tensors of these shapes have together."""
    return tuple(max(sizes) for sizes in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1))[::-1]


def concat(call: Call, to: Scribe) -> None:
    to.write("Concat", [name for name in to.tensors(call, "tensors") if math.prod(to.known(name))], axis=0)


def pad(call: Call, to: Scribe) -> None:
    """Zeros may be part of the window that reads them; whatever else is put around a tensor moves data."""
    given = [value for value in call.arguments["pad" if "pad" in call.arguments else "padding"]]
    value = call.arguments.get("value") or 0
    mode = call.arguments.get("mode", "constant" if "constant" in call.target or "pad." in call.target else "edge")
    rank = len(to.shape(call, "self"))
    if mode != "constant" or value or any(not isinstance(size, int) for size in given):
        to.write(to.own_name(call), [to.tensor(call, "self")], like="Tile")
        return
    before, after = [0] * rank, [0] * rank
    for place in range(len(given) // 2):
        before[rank - 1 - place], after[rank - 1 - place] = given[2 * place], given[2 * place + 1]
    to.write("Pad", [to.tensor(call, "self")], pads=(*before, *after))


def resize(mode: str) -> Translator:
    def translate(call: Call, to: Scribe) -> None:
        to.write("Resize", [to.first(call)], mode=mode)

    return translate


def grid_sample(call: Call, to: Scribe) -> None:
    mode = {0: "linear", 1: "nearest", 2: "cubic"}.get(call.arguments.get("interpolation_mode", 0), "linear")
    to.write("GridSample", [to.tensor(call, "input"), to.tensor(call, "grid")], mode=mode)


def reduce(op: str) -> Translator:
    """Reductions over the axes ``dim``, all of them if there is none."""

    def translate(call: Call, to: Scribe) -> None:
        rank = len(to.shape(call, "self"))
        dims = call.arguments.get("dim")
        axes = tuple(range(rank)) if dims is None or dims == [] else tuple(dims) if isinstance(dims, list) else (dims,)
        if "other" in call.arguments:  # max(a, b) is no reduction
            to.write(op.removeprefix("Reduce"), [to.tensor(call, "self"), to.tensor(call, "other")])
            return
        to.write(op, [to.tensor(call, "self")], axes=tuple(axis % max(1, rank) for axis in axes))

    return translate


def gated(call: Call, to: Scribe) -> None:
    """glu: one half of the tensor times the sigmoid of the other."""
    halves = [to.side("Slice", [to.first(call)], to.made_shape()) for _ in range(2)]
    to.write("Mul", halves)


def quantize(call: Call, to: Scribe) -> None:
    lowest, highest = (call.arguments.get(name) for name in ("quant_min", "quant_max"))
    kept = isinstance(lowest, int) and isinstance(highest, int) and highest > lowest
    to.write("QuantizeLinear", [to.first(call)], width=(highest - lowest).bit_length() if kept else 8)


def dequantize(call: Call, to: Scribe) -> None:
    lowest, highest = (call.arguments.get(name) for name in ("quant_min", "quant_max"))
    kept = isinstance(lowest, int) and isinstance(highest, int) and highest > lowest
    to.stored(to.first(call), (highest - lowest).bit_length() if kept else 8)
    to.write("DequantizeLinear", [to.first(call)])


def plain(op: str) -> Translator:
    """An operator that goes by the tensors among its arguments alone."""

    def translate(call: Call, to: Scribe) -> None:
        to.write(op, to.all_tensors(call))

    return translate


def like(op: str) -> Translator:
    """An operator without a name in ONNX that costs what ``op`` costs."""

    def translate(call: Call, to: Scribe) -> None:
        to.write(to.own_name(call), to.all_tensors(call), like=op)

    return translate


def first_only(op: str) -> Translator:
    """As `plain`, of the first tensor: the others only say what it shall look like."""

    def translate(call: Call, to: Scribe) -> None:
        to.write(op, [to.first(call)])

    return translate


def refuse(what: str) -> Translator:
    def translate(call: Call, to: Scribe) -> None:
        raise ModelError(what, where=to.place(call), hint=EVAL)

    return translate
