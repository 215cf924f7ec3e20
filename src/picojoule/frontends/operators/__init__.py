"""What each operator comes to: one function per operator, found by its ONNX name in `OPERATORS`.

To support one more operator, add one function and its name. What is in neither table is not costed, as what is in
`LISTED`
is: named in the result with its place. `docs/reference/operators.md` says it for people.
"""

from __future__ import annotations

from picojoule.frontends.graph import Graph, Node
from picojoule.frontends.operators import elementwise, movement, products, windows
from picojoule.frontends.operators.meaning import Meaning, Operator, not_costed

_UNARY = (
    "Abs Acos Acosh Asin Asinh Atan Atanh BitCast BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh Elu Erf Exp Floor"
    " Gelu HardSigmoid HardSwish IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign"
    " Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu"
).split()

_BINARY = (
    "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min"
    " Mod Mul Or PRelu Pow Sub Sum SwiGLU Where Xor"
).split()

_REDUCTIONS = (
    "ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum"
    " ReduceSumSquare"
).split()

OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv"), windows.convolution),
    "ConvTranspose": windows.transposed_convolution,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), windows.pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), windows.global_pool),
    **dict.fromkeys(("torch.AdaptiveAveragePool", "torch.AdaptiveMaxPool"), windows.adaptive_pool),
    "Gemm": products.gemm,
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), products.matmul),
    "com.microsoft.MatMulNBits": products.matmul_few_bits,
    "Einsum": products.einsum,
    "Attention": products.attention,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), products.recurrent),
    **dict.fromkeys(_UNARY, elementwise.unary),
    **dict.fromkeys(_BINARY, elementwise.elementwise),
    "BatchNormalization": elementwise.batch_normalization,
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), elementwise.softmax),
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization"), elementwise.norm
    ),
    **dict.fromkeys(("MeanVarianceNormalization", "LpNormalization"), elementwise.plain_norm),
    "LRN": elementwise.neighbour_norm,
    **dict.fromkeys(_REDUCTIONS, elementwise.reduce),
    **dict.fromkeys(("CumSum", "CumProd"), elementwise.scan),
    "RotaryEmbedding": elementwise.rotary,
    "DynamicQuantizeLinear": elementwise.dynamic_quantize,
    "Concat": movement.concat,
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), movement.reshape),
    **dict.fromkeys(("Identity", "QuantizeLinear", "DequantizeLinear"), movement.same),
    **dict.fromkeys(("Slice", "Split", "Expand"), movement.part),
    "Dropout": movement.dropout,
    "Transpose": movement.transpose,
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth", "ReverseSequence"), movement.rearrange),
    "Pad": movement.pad,
    **dict.fromkeys(("Gather", "GatherElements", "GatherND"), movement.gather),
    "torch.EmbeddingBag": movement.embedding_bag,
    **dict.fromkeys(
        ("CenterCropPad", "OneHot", "Scatter", "ScatterElements", "ScatterND", "TensorScatter", "Tile"), movement.move
    ),
    **dict.fromkeys(("Resize", "Upsample"), movement.resize),
    "GridSample": movement.grid_sample,
    "torch.Write": movement.write,
    "torch.Written": movement.written,
    "Col2Im": movement.columns_to_image,
}

CONSTANT = frozenset(("Constant", "Shape", "Size"))
"""Operators whose output never depends on what the network is given, all shapes being known."""

LISTED: dict[str, str] = {
    **dict.fromkeys(
        ("If", "Loop", "Scan", "SequenceMap"), "holds graphs that may run any number of times; nobody looks inside"
    ),
    **dict.fromkeys(
        ("LinearAttention", "CausalConvWithState", "DeformConv", "FlexAttention"), "no nest is known for it"
    ),
    **dict.fromkeys(
        ("Compress", "NonMaxSuppression", "NonZero", "Unique", "MaxRoiPool", "RoiAlign", "MaxUnpool"),
        "what it reads and writes depends on data",
    ),
    **dict.fromkeys(("TopK", "Det", "DFT", "STFT"), "how much it computes depends on the algorithm"),
    **dict.fromkeys(
        ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        "random numbers",
    ),
    **dict.fromkeys(
        (
            "AffineGrid",
            "BlackmanWindow",
            "ConstantOfShape",
            "EyeLike",
            "HammingWindow",
            "HannWindow",
            "MelWeightMatrix",
            "Range",
        ),
        "makes a tensor out of a few numbers; free where these are constants",
    ),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), "training"),
    **dict.fromkeys(
        (
            "ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct"
            " SequenceEmpty SequenceErase SequenceInsert SequenceLength SplitToSequence"
        ).split(),
        "sequences and optional values, whose sizes are not known beforehand",
    ),
    **dict.fromkeys(
        "ImageDecoder RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer".split(), "no arithmetic"
    ),
}
"""Operators of ONNX that are named in the result instead of counted, and why; so is all that stands nowhere."""


def meaning(node: Node, graph: Graph) -> Meaning:
    """What ``node`` comes to.

    Raises:
        ModelError: its shapes or settings make no sense.
    """
    return OPERATORS.get(node.like or node.op, not_costed)(node, graph)
