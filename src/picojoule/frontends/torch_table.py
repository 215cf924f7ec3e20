"""Which translator each of PyTorch's operators has; `torch_operators` and `torch_products` hold them.

What is in none of these tables is listed as not costed, under its own name.
"""

from __future__ import annotations

from picojoule.frontends import torch_operators as translate
from picojoule.frontends import torch_products as products
from picojoule.frontends.torch_operators import Translator

_WINDOWS: dict[str, Translator] = {
    **dict.fromkeys(
        "conv1d conv2d conv3d convolution _convolution conv_transpose1d conv_transpose2d conv_transpose3d".split(),
        translate.convolution,
    ),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), translate.pool("MaxPool")),
    **dict.fromkeys(
        ("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"), translate.pool("MaxPool")
    ),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), translate.pool("AveragePool")),
    **dict.fromkeys(
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d".split(),
        translate.adaptive_pool("Average"),
    ),
    **dict.fromkeys(
        ("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"), translate.adaptive_pool("Max")
    ),
}

_PRODUCTS: dict[str, Translator] = {
    "linear": products.linear,
    **dict.fromkeys(("matmul", "linalg_matmul"), products.product("self", "other")),
    **dict.fromkeys(("mm", "bmm", "_int_mm"), products.product("self", "mat2")),
    "_scaled_mm": products.product("self", "mat2", "bias"),
    "mv": products.product("self", "vec"),
    "dot": products.product("self", "tensor"),
    "addmm": products.add_product,
    "baddbmm": products.product("batch1", "batch2", "self"),
    "einsum": products.einsum,
    "bilinear": products.bilinear,
    "tensordot": products.tensordot,
    "inner": products.inner,
    **dict.fromkeys(
        (
            "scaled_dot_product_attention",
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_flash_attention",
        ),
        products.attention,
    ),
    "lstm": products.recurrent("LSTM"),
    "gru": products.recurrent("GRU"),
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), products.recurrent("RNN")),
    "lstm_cell": products.recurrent_cell("LSTM"),
    "gru_cell": products.recurrent_cell("GRU"),
    **dict.fromkeys(("rnn_tanh_cell", "rnn_relu_cell"), products.recurrent_cell("RNN")),
}

_UNARY = {
    "abs": "Abs", "acos": "Acos", "asin": "Asin", "atan": "Atan", "bitwise_not": "BitwiseNot", "ceil": "Ceil",
    "celu": "Celu", "clamp": "Clip", "clamp_max": "Clip", "clamp_min": "Clip", "clip": "Clip", "cos": "Cos",
    "cosh": "Cosh", "elu": "Elu", "erf": "Erf", "exp": "Exp", "floor": "Floor", "gelu": "Gelu", "hardshrink": "Shrink",
    "hardsigmoid": "HardSigmoid", "hardswish": "HardSwish", "hardtanh": "Clip", "isinf": "IsInf", "isnan": "IsNaN",
    "leaky_relu": "LeakyRelu", "log": "Log", "logical_not": "Not", "mish": "Mish", "neg": "Neg",
    "reciprocal": "Reciprocal", "relu": "Relu", "relu6": "Clip", "round": "Round", "selu": "Selu",
    "sigmoid": "Sigmoid", "sign": "Sign", "silu": "Swish", "sin": "Sin", "sinh": "Sinh", "softplus": "Softplus",
    "softshrink": "Shrink", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
    "threshold": "ThresholdedRelu", "tril": "Trilu", "triu": "Trilu",
}  # fmt: skip

_LIKE_UNARY = (
    "erfc exp2 expm1 frac isfinite log10 log1p log2 log_sigmoid logit nan_to_num positive rsqrt sgn sinc square"
    " trunc acosh asinh atanh deg2rad erfinv lgamma rad2deg signbit"
).split()

_BINARY = {
    "add": "Add", "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor", "div": "Div",
    "divide": "Div", "eq": "Equal", "fmod": "Mod", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "lt": "Less", "maximum": "Max", "minimum": "Min",
    "mul": "Mul", "multiply": "Mul", "pow": "Pow", "prelu": "PRelu", "_prelu_kernel": "PRelu", "remainder": "Mod",
    "rsub": "Sub", "sub": "Sub", "subtract": "Sub", "where": "Where",
}  # fmt: skip

_LIKE_BINARY = (
    "addcdiv addcmul atan2 copysign floor_divide fmax fmin heaviside hypot isclose lerp logaddexp masked_fill ne outer"
    " ger true_divide xlogy"
).split()

_REDUCTIONS = {
    "amax": "ReduceMax", "amin": "ReduceMin", "argmax": "ArgMax", "argmin": "ArgMin", "logsumexp": "ReduceLogSumExp",
    "max": "ReduceMax", "mean": "ReduceMean", "min": "ReduceMin", "prod": "ReduceProd", "sum": "ReduceSum",
    "linalg_vector_norm": "ReduceL2", "norm": "ReduceL2",
}  # fmt: skip

_LIKE_REDUCTION = "all any count_nonzero std std_mean var var_mean median nanmean nansum".split()

_NORMS: dict[str, Translator] = {
    **dict.fromkeys(
        "batch_norm cudnn_batch_norm native_batch_norm _native_batch_norm_legit _batch_norm_impl_index".split(),
        translate.batch_norm,
    ),
    "_native_batch_norm_legit_no_training": translate.first_only("BatchNormalization"),
    "instance_norm": translate.instance_norm,
    **dict.fromkeys(("layer_norm", "native_layer_norm"), translate.norm("LayerNormalization")),
    **dict.fromkeys(("group_norm", "native_group_norm"), translate.norm("GroupNormalization")),
    **dict.fromkeys(("rms_norm", "_fused_rms_norm"), translate.norm("RMSNormalization")),
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax"), translate.softmax("Softmax")),
    **dict.fromkeys(("log_softmax", "_log_softmax"), translate.softmax("LogSoftmax")),
    **dict.fromkeys(
        "alpha_dropout dropout feature_alpha_dropout feature_dropout native_dropout".split(), translate.dropout
    ),
}

_SAME = (
    "alias clone contiguous detach lift_fresh lift_fresh_copy to _to_copy type_as resolve_conj"
    " resolve_neg requires_grad pin_memory real"
).split()

_RESHAPED = (
    "flatten ravel reshape reshape_as squeeze unflatten unsqueeze view view_as _unsafe_view _reshape_alias atleast_1d"
    " atleast_2d atleast_3d"
).split()

_PARTS = (
    "select slice narrow split split_with_sizes chunk unbind tensor_split unsafe_chunk unsafe_split hsplit vsplit"
    " dsplit diagonal unfold expand expand_as broadcast_to"
).split()

_TURNED = "permute transpose swapaxes swapdims movedim moveaxis t mT mH adjoint numpy_T".split()

_REARRANGED = "channel_shuffle pixel_shuffle pixel_unshuffle flip fliplr flipud roll rot90 im2col".split()

_COPIED = (
    "repeat tile repeat_interleave masked_scatter slice_scatter select_scatter diagonal_scatter one_hot hstack vstack"
    " dstack column_stack"
).split()

_PLACED = "index_put index_copy index_add index_fill scatter scatter_add scatter_reduce".split()

_MOVEMENT: dict[str, Translator] = {
    **dict.fromkeys(_SAME, translate.first_only("Identity")),
    **dict.fromkeys(_RESHAPED, translate.first_only("Reshape")),
    **dict.fromkeys(_PARTS, translate.first_only("Slice")),
    **dict.fromkeys(_TURNED, translate.transpose),
    **dict.fromkeys(_REARRANGED, translate.like("DepthToSpace")),
    **dict.fromkeys(_COPIED, translate.like("Tile")),
    **dict.fromkeys(_PLACED, translate.write_at),
    **dict.fromkeys(("copy", "fill", "zero"), translate.overwrite),
    **dict.fromkeys(("cat", "concat", "stack"), translate.concat),
    "embedding": translate.embedding,
    **dict.fromkeys(("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"), translate.embedding_bag),
    "index_select": translate.index_select,
    "index": translate.index,
    **dict.fromkeys(("gather", "take_along_dim", "take"), translate.gather),
    **dict.fromkeys(
        (
            "pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d"
            " replication_pad3d"
        ).split(),
        translate.pad,
    ),
    **dict.fromkeys(
        (
            "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d"
            " _upsample_nearest_exact2d _upsample_nearest_exact3d"
        ).split(),
        translate.resize("nearest"),
    ),
    **dict.fromkeys(
        "upsample_linear1d upsample_bilinear2d upsample_trilinear3d _upsample_bilinear2d_aa".split(),
        translate.resize("linear"),
    ),
    **dict.fromkeys(("upsample_bicubic2d", "_upsample_bicubic2d_aa"), translate.resize("cubic")),
    **dict.fromkeys(("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"), translate.grid_sample),
    "col2im": translate.first_only("Col2Im"),
}

_MADE = (
    "zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty zeros"
    " ones full empty arange linspace eye scalar_tensor tril_indices triu_indices hann_window hamming_window"
).split()

ATEN: dict[str, Translator] = {
    **_WINDOWS,
    **_PRODUCTS,
    **{name: translate.first_only(op) for name, op in _UNARY.items()},
    **dict.fromkeys(_LIKE_UNARY, translate.like("Sqrt")),
    **{name: translate.plain(op) for name, op in _BINARY.items()},
    **dict.fromkeys(_LIKE_BINARY, translate.like("Where")),
    **{name: translate.reduce(op) for name, op in _REDUCTIONS.items()},
    **dict.fromkeys(_LIKE_REDUCTION, translate.like("ReduceSum")),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"), translate.like("CumSum")),
    "glu": translate.gated,
    **_NORMS,
    **_MOVEMENT,
    **dict.fromkeys(("rrelu",), translate.first_only("LeakyRelu")),
    **dict.fromkeys(("quantize_per_tensor", "quantize_per_channel", "quantize_per_token"), translate.quantize),
    **dict.fromkeys(("dequantize_per_tensor", "dequantize_per_channel", "dequantize_per_token"), translate.dequantize),
}
"""By the name without namespace, overload and the underscore of operators that write in place."""

CONSTANT = frozenset(_MADE)
"""Operators whose result depends on no data, only on shapes."""

NAMESPACES = frozenset(("aten", "prims", "quantized_decomposed"))

NOTHING = frozenset(
    (
        "_assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async sym_constrain_range"
        " sym_constrain_range_for_size sym_size sym_stride sym_numel sym_storage_offset item _local_scalar_dense"
    ).split()
)
"""Operators that make no tensor: sizes, single numbers and checks."""

INLINED = frozenset(("wrap_with_set_grad_enabled", "wrap_with_autocast", "hints_wrapper", "wrap"))
"""Higher-order operators that run their part of the program once, as it stands."""
