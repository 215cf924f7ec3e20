"""SCALE-Sim's topologies and the text of MIT's energy tool: read, refused by place, written and read again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.errors import LayerTableError, UsageError
from picojoule.frontends import load_model
from picojoule.workload import (
    Bits,
    DataFlow,
    Layer,
    Nest,
    Network,
    Zeros,
    builtin_network,
    load_layer_table,
    mit_table,
    scalesim,
)
from picojoule.workload.mit_table import COLUMNS

TOPOLOGY = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,

Conv1, 227, 227, 11, 11, 3, 96, 4,
\tConv2, 31, 31, 5, 5, 96, 256, 1,#grouped in the paper
Dw_DP, 8, 7, 3, 3, 32, 1, 2,
FC, 1, 1, 1, 1, 1024, 1000, 1
"""
PRODUCTS = "Layer,M,N,K\nQKT,1024,512,64\n"
# AlexNet's second layer: 48 of 96 channels for each of two groups, padding 2; 30 % zero weights.
CONV2 = [2, 27, 27, 96, 4, 100000, 16, 5, 5, 48, 256, 92160, 8, 27, 27, 256, 4, 0, 12, 1, 1, 2, 2, 2, 2]


@pytest.fixture
def load(tmp_path):
    def load(text, name="table.csv"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return load_layer_table(file)

    return load


@pytest.fixture
def refusal(load, tmp_path):
    def refusal(text, name="table.csv"):
        with pytest.raises(LayerTableError) as caught:
            load(text, name)
        assert caught.value.exit_code == 3
        return caught.value.where.replace(str(tmp_path / name), "FILE"), caught.value.message, caught.value.hint

    return refusal


def row(**changes):
    values = dict(zip(COLUMNS, CONV2, strict=True)) | changes
    return ",".join(map(str, values.values())) + "\n"


def test_a_topology_of_convolutions(load):
    network = load(TOPOLOGY)
    conv1, conv2, depthwise, fc = network.layers
    assert conv1.nest == Nest(K=96, C=3, P=55, Q=55, R=11, S=11, stride=(4, 4))
    assert conv2.nest == Nest(K=256, C=96, P=27, Q=27, R=5, S=5)
    # Every channel has a filter of its own; a last window that sticks out at the bottom counts, as SCALE-Sim does.
    assert depthwise.nest == Nest(G=32, P=4, Q=3, R=3, S=3, stride=(2, 2), pad=(0, 0, 1, 0))
    assert (depthwise.kind, fc.kind, fc.nest) == ("depthwise", "fc", Nest(K=1000, C=1024))
    assert (network.name, network.flow) == ("table", DataFlow(chain=True))


def test_the_counts_of_scale_sim_itself(load):
    """ofmap = ceil((ifmap − filter + stride) ÷ stride), MACs = ofmap² · filter² · channels · filters."""
    for size, taps, stride in ((224, 7, 2), (56, 1, 2), (13, 3, 3), (14, 3, 5)):
        (layer,) = load(
            f"Layer name, IFMAP Height, x, y, z, c, f, s,\nc,{size},{size},{taps},{taps},3,64,{stride},\n"
        ).layers
        outputs = -(-(size - taps + stride) // stride)
        assert layer.macs == outputs**2 * taps**2 * 3 * 64
        assert layer.nest.input_rows == size


def test_a_topology_of_products_and_of_two_strides(load):
    assert load(PRODUCTS).layers[0].nest == Nest(N=1024, K=512, C=64)
    wide = TOPOLOGY.splitlines()[0] + "\nc, 9, 9, 3, 3, 1, 1, 2, 3,\n"
    assert load(wide).layers[0].nest.stride == (2, 3)


@pytest.mark.parametrize("name", ["t.txt", "t.yaml", "t.json", "t.csv"])
def test_the_format_is_recognised_by_content_whatever_the_ending(load, name):
    assert load(TOPOLOGY, name).layers[0].name == "Conv1"
    assert load(row(), name).layers[0].name == "layer2"
    assert load(row().replace(",", "\t"), name).layers[0].name == "layer2"
    native = "layers: [{name: conv1, K: 16, C: 3}]"
    if name.endswith(("yaml", "json")):
        assert load(native, name).layers[0].name == "conv1"


def test_the_text_of_the_mit_tool(load):
    (layer,) = load(row()).layers
    assert layer.nest == Nest(N=4, G=2, K=128, C=48, P=27, Q=27, R=5, S=5, pad=(2, 2, 2, 2))
    assert layer.bits == Bits(weights=8, inputs=16, outputs=12, psums=12)
    assert layer.zeros == Zeros(weights=92160 / 307200, inputs=100000 / (27 * 27 * 96 * 4), outputs=0)
    assert layer.macs == 4 * 223_948_800  # a batch of 4


@pytest.mark.parametrize(
    ("cells", "where", "message", "hint"),
    [
        (
            "c, 0, 9, 3, 3, 1, 1, 1",
            "IFMAP Height (column 2)",
            "must be a whole number from 1 to 2147483648, got '0'",
            "",
        ),
        (
            "c, 9, 9, 3, 3, 1.5, 1, 1",
            "Channels (column 6)",
            "must be a whole number from 1 to 2147483648, got '1.5'",
            "Write",
        ),
        (
            "c, 9, 9, 3, 3, 1, , 1",
            "Num Filter (column 7)",
            "must be a whole number from 1 to 2147483648, got nothing",
            "",
        ),
        (
            "c, 2, 9, 3, 3, 1, 1, 1",
            "Filter Height (column 4)",
            "a filter of 3 doesn't fit in a map of 2",
            "Count the pad",
        ),
        ("c, 9, 9, 3, 3, 1, 1", "row", "has 7 cells, 8 or 9 are allowed", "Columns are Layer name, IFMAP Height, "),
        ("c, 9, 9, 3, 3, 1, 1, 1, 1, 1", "row", "has 10 cells, 8 or 9 are allowed", "Columns are "),
        (", 9, 9, 3, 3, 1, 1, 1", "Layer name (column 1)", "must be 1 to 500 printable characters, got nothing", ""),
        (
            "Conv1, 9, 9, 3, 3, 1, 1, 1",
            "name (column 1)",
            "the name 'Conv1' was given to an earlier layer, on line 3",
            "N",
        ),
        ("c, 9000000, 9, 1, 1, 1, 1, 1", "", "P × R is 9000000, at most 4194304 is allowed", "The rows of"),
    ],
)
def test_a_wrong_line_of_a_topology_is_refused(refusal, cells, where, message, hint):
    place, said, advice = refusal(TOPOLOGY + cells + ",\n")
    assert (place, said) == (f"FILE:7{': ' if where else ''}{where}", message)
    assert advice.startswith(hint)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (
            "a,b,c\n",
            "FILE:1",
            "the first line is neither the head of a SCALE-Sim topology nor a row of numbers of MIT's ",
        ),
        ("", "FILE:1", "the first line is neither "),
        (TOPOLOGY.splitlines()[0] + "\n", "FILE:1", "there is no layer below the head"),
        (
            "Layer name, IFMAP Height, a, b, c, d, e, Strides, Stride Width, Sparsity,\n",
            "FILE:1: Sparsity (column 10)",
            "this",
        ),
        ("Layer, M, N, K,\nqk, 3, 4\n", "FILE:2: row", "has 3 cells, 4 are allowed"),
        (
            "Layer, M, N, K,\nqk, 3, x, 4,\n",
            "FILE:2: N (column 3)",
            "must be a whole number from 1 to 2147483648, got 'x'",
        ),
    ],
)
def test_a_wrong_topology_is_refused(refusal, text, where, message):
    place, said, _ = refusal(text)
    assert place == where
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"ifmap_height": -3}, "ifmap_height (column 2)", "must be a whole number from 1 to 2147483648, got '-3'"),
        ({"filter_bitwidth": 65}, "filter_bitwidth (column 13)", "must be a whole number from 1 to 64, got '65'"),
        (
            {"filter_num_zero_entries": 307201},
            "filter_num_zero_entries (column 12)",
            "307201 zeros are more than the 307200 ",
        ),
        (
            {"ofmap_height": 28},
            "ofmap_height (column 14)",
            "is 28; a filter of 5 over 27 with padding 2 and 2 and stride 1 gives 27",
        ),
        (
            {"filter_width": 99},
            "ofmap_width (column 15)",
            "is 27; a filter of 99 over 27 with padding 2 and 2 and stride 1 has no",
        ),
        (
            {"filter_channels": 40},
            "filter_channels (column 10)",
            "256 filters of 40 channels make no whole groups over 96 ",
        ),
        ({"ofmap_channels": 255}, "ofmap_channels (column 16)", "is 255, but filter_num is 256"),
        ({"ofmap_num": 3}, "ofmap_num (column 17)", "is 3, but ifmap_num is 4"),
        ({"pad_top": "1.0"}, "pad_top (column 22)", "must be a whole number from 0 to 2147483648, got '1.0'"),
    ],
)
def test_a_wrong_line_of_the_mit_tool_is_refused(refusal, changes, where, message):
    place, said, _ = refusal(row(layer_index=1) + row(**changes))
    assert place == f"FILE:2: {where}"
    assert said.startswith(message)


def test_a_line_of_another_length_and_a_layer_twice(refusal):
    assert refusal(row().replace(",2,2\n", "\n"))[:2] == ("FILE:1: row", "has 23 numbers, 25 are needed")
    assert refusal(row() + row())[1] == "the name 'layer2' was given to an earlier layer, on line 1"


@st.composite
def nests(draw):
    """Nests as a format without dilation can say them: padding reached, the map at least as large as the filter."""
    size = st.integers(1, 9)
    taps = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    pad = tuple(draw(st.integers(0, tap - 1)) for tap in (*taps, *taps))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    outputs = draw(st.integers(3, 9)), draw(st.integers(3, 9))
    groups, inner, filters = draw(size), draw(size), draw(size)
    return Nest(
        N=draw(size),
        G=groups,
        K=filters,
        C=inner,
        P=outputs[0],
        Q=outputs[1],
        R=taps[0],
        S=taps[1],
        stride=stride,
        pad=pad,
    )


@given(nest=nests(), counts=st.tuples(*[st.integers(0, 5)] * 3), bits=st.tuples(*[st.integers(1, 64)] * 3))
def test_what_the_mit_tool_is_given_reads_back(tmp_path_factory, nest, counts, bits):
    weights, inputs, outputs = bits
    elements = {
        "weights": nest.elements("weights"),
        "inputs": nest.N * nest.G * nest.C * nest.input_rows * nest.input_columns,
        "outputs": nest.elements("outputs"),
    }
    zeros = Zeros(**{t: min(n, elements[t]) / elements[t] for t, n in zip(elements, counts, strict=True)})
    widths = Bits(weights=weights, inputs=inputs, outputs=outputs, psums=outputs)
    layer = Layer(name="layer1", kind="conv", op="Conv", nest=nest, bits=widths, zeros=zeros)
    file = tmp_path_factory.mktemp("mit") / "t.txt"
    file.write_text(mit_table.text(Network(name="t", layers=(layer,))))
    (back,) = load_layer_table(file).layers
    assert (back.nest, back.bits, back.zeros) == (nest, widths, zeros)


@given(nest=nests())
def test_what_scale_sim_is_given_has_the_same_macs_and_weights(tmp_path_factory, nest):
    file = tmp_path_factory.mktemp("scalesim") / "t.csv"
    network = Network(name="t", layers=(Layer(name="conv", kind="conv", op="Conv", nest=nest),))
    file.write_text(scalesim.text(network))
    back = load_layer_table(file)
    lines = nest.N * (1 if nest.C == 1 < nest.G else nest.G)
    assert back.macs == network.macs
    assert len(back.layers) == lines
    assert sum(layer.weights for layer in back.layers) == nest.N * network.params
    first = back.layers[0].nest
    assert (first.K, first.P, first.Q, first.R, first.S, first.stride) == (
        nest.K,
        nest.P,
        nest.Q,
        nest.R,
        nest.S,
        nest.stride,
    )
    # The padding has become part of the map.
    assert first.input_rows == nest.input_rows + nest.pad[0] + nest.pad[2]


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "mobilenet_v1", "vit_b16", "yolov3"])
@pytest.mark.parametrize("form", [scalesim, mit_table])
def test_built_in_networks_keep_their_macs(load, name, form):
    network = builtin_network(name)
    back = load(form.text(network))
    assert back.macs == network.macs
    if form is mit_table:
        assert [layer.nest for layer in back.layers] == [layer.nest for layer in network.layers if layer.nest]


def test_a_second_round_changes_nothing(load):
    for form, text in ((scalesim, TOPOLOGY), (mit_table, row())):
        once = form.text(load(text))
        assert form.text(load(once)) == once


def test_names_that_scale_sim_would_misread_are_spelled_otherwise(load):
    layers = tuple(Layer(name=name, kind="fc", op="Gemm", nest=Nest(K=2, C=3)) for name in ("DPN.a", "b,c"))
    assert [layer.name for layer in load(scalesim.text(Network(name="n", layers=layers))).layers] == ["dpN.a", "b;c"]


@pytest.mark.parametrize("form", [scalesim, mit_table])
def test_what_a_format_cannot_say_is_refused(form):
    dilated = Layer(name="fc6", kind="conv", op="Conv", nest=Nest(P=5, R=3, dilation=(6, 6)))
    with pytest.raises(UsageError, match="no dilation, fc6 has \\[6, 6\\]"):
        form.text(Network(name="n", layers=(dilated,)))
    often = Layer(name="step", kind="fc", op="Gemm", nest=Nest(K=2), repeats=100_001)
    with pytest.raises(UsageError, match="more than 100000 lines"):
        form.text(Network(name="n", layers=(often,)))


def test_repeated_layers_take_a_line_for_each_run(load):
    network = builtin_network("lstm0")
    for form in (scalesim, mit_table):
        back = load(form.text(network))
        assert (len(back.layers), back.macs) == (24 * 16, network.macs)


def test_the_front_end_takes_them(tmp_path):
    file = tmp_path / "net.csv"
    file.write_text(PRODUCTS)
    assert load_model(str(file)).macs == 1024 * 512 * 64
    assert json.dumps(load_model(str(file)).name) == '"net"'
