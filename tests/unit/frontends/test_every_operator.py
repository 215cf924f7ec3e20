"""Every operator that ONNX or PyTorch knows has a decision: costed, folded, free, or listed."""

from __future__ import annotations

import onnx
import pytest
from support.onnx_models import OnnxBuilder

from picojoule.frontends import load_model
from picojoule.frontends.operators import CONSTANT, LISTED, OPERATORS
from picojoule.frontends.torch_table import ATEN
from picojoule.frontends.torch_table import CONSTANT as MADE

SCHEMAS = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas()}
STANDARD = sorted(name for domain, name in SCHEMAS if domain == "")
OTHER_DOMAINS = {"ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"}


def undecided(names: list[str]) -> list[str]:
    """Names that stand in none of the tables, or in more than one."""
    return [name for name in names if sum(name in table for table in (OPERATORS, CONSTANT, LISTED)) != 1]


def test_every_operator_of_onnx_has_one_decision():
    assert len(STANDARD) > 180
    assert undecided(STANDARD) == []


def test_the_test_can_fail():
    assert undecided(["Conv", "NoSuchOperator"]) == ["NoSuchOperator"]


def test_the_tables_name_nothing_that_is_not_there():
    """A slip of the pen in a table would leave the real operator to the list of unknown ones."""
    known = {name for _, name in SCHEMAS}
    ours = {name for name in (*OPERATORS, *LISTED) if "." not in name}
    assert ours <= known
    assert all(reason for reason in LISTED.values())


def test_operators_of_other_domains_are_listed():
    assert {domain for domain, _ in SCHEMAS} <= OTHER_DOMAINS | {""}
    qualified = {f"{domain}.{name}" for domain, name in SCHEMAS if domain}
    assert qualified & set(OPERATORS) == set()


@pytest.mark.parametrize("op", sorted(LISTED))
def test_what_is_listed_stands_in_the_result(op, tmp_path):
    domain = "ai.onnx.preview" if op == "FlexAttention" else ""
    net = OnnxBuilder(1, 3, 8, 8, opset=onnx.defs.onnx_opset_version())
    net.conv("first", 4, 3)
    net.node(op, name="odd one", domain=domain)
    network = load_model(net.save(tmp_path / "net.onnx"))
    name = f"{domain}.{op}" if domain else op
    assert [(entry.op, entry.where) for entry in network.not_costed] == [(name, "odd one")]


CORE = """
abs acos add addmm amax amin any arange argmax argmin as_strided asin atan atan2 avg_pool1d avg_pool2d avg_pool3d
bitwise_and bitwise_not bitwise_or bitwise_xor bmm cat ceil clamp clone col2im constant_pad_nd convolution copy cos cosh
cumsum diagonal div elu embedding empty eq erf exp expand expm1 fill flip floor fmod full gather ge gelu grid_sampler_2d
gt hardtanh index index_put index_select isinf isnan le leaky_relu log log10 log1p log2 logical_and logical_not
logical_or logical_xor lt masked_scatter max max_pool2d_with_indices max_pool3d_with_indices maximum mean min minimum mm
mul native_dropout native_group_norm native_layer_norm ne neg nonzero permute pow prod rand randn randperm reciprocal
reflection_pad1d reflection_pad2d reflection_pad3d relu remainder repeat replication_pad2d replication_pad3d round rsqrt
scatter scatter_add scatter_reduce select select_scatter sigmoid sign sin sinh slice slice_scatter sort split_with_sizes
sqrt squeeze sub sum sym_numel sym_size sym_storage_offset sym_stride tan tanh topk trunc unsqueeze upsample_bilinear2d
upsample_nearest2d var view where _adaptive_avg_pool2d _adaptive_avg_pool3d _cdist_forward _embedding_bag
_local_scalar_dense _log_softmax _native_batch_norm_legit _native_batch_norm_legit_no_training _pdist_forward _softmax
_to_copy adaptive_avg_pool1d alias asinh acosh atanh
""".split()
"""The operators of PyTorch's core ATen IR, as its documentation lists them."""

LISTED_OF_CORE = {
    "_cdist_forward", "_pdist_forward", "as_strided", "nonzero", "rand", "randn", "randperm",
    "sort", "topk",
}  # fmt: skip
"""Those of the core that are only listed."""


def test_every_core_operator_of_pytorch_has_a_decision():
    from picojoule.frontends.torch_table import NOTHING

    decided = set(ATEN) | MADE | NOTHING
    assert {name for name in CORE if name not in decided} == LISTED_OF_CORE


def test_every_translator_is_of_an_operator_that_torch_has():
    torch = pytest.importorskip("torch")
    known = {
        name.split("::")[1].split(".")[0] for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")
    }
    quantized = {name for name in ATEN if "quantize_per" in name}
    known |= {name.removesuffix("_") for name in known}
    assert {name for name in ATEN if name not in known | quantized} == set()
