"""The layer factory: sizes, the padding that is really reached, and what pools touch."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from picojoule.workload.convolution import (
    add_layer,
    concat_layer,
    conv_layer,
    effective_pad,
    fc_layer,
    global_pool_layer,
    pool_layer,
    same_pad,
    touched,
    window_outputs,
)
from picojoule.workload.nest import Bits


@pytest.mark.parametrize(
    ("input_size", "outputs", "taps", "stride", "leading", "trailing"),
    [
        (224, 112, 7, 2, 3, 2),  # declared 3 on both sides; the last row of padding is never reached
        (224, 112, 3, 2, 0, 1),  # TensorFlow's SAME at stride 2
        (32, 16, 3, 2, 1, 0),  # declared 1 on both sides
        (13, 13, 3, 1, 1, 1),
        (227, 55, 11, 4, 0, 0),
        (56, 28, 1, 2, 0, 0),  # the last row of the input is not reached either
    ],
)
def test_effective_pad_of_known_layers(input_size, outputs, taps, stride, leading, trailing):
    assert effective_pad(input_size, outputs, taps, stride, 1, leading) == trailing


@given(
    size=st.integers(1, 12),
    taps=st.integers(1, 4),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 3),
    leading=st.integers(0, 4),
    trailing=st.integers(0, 4),
)
def test_nest_touches_what_the_declared_convolution_touches(size, taps, stride, dilation, leading, trailing):
    """Against a list of positions written out from the declared padding, which the nest doesn't keep."""
    padded = list(range(-leading, size + trailing))
    starts = [i for i in range(0, len(padded), stride) if i + (taps - 1) * dilation < len(padded)]
    reads = {padded[i + t * dilation] for i, t in itertools.product(starts, range(taps))}
    real = {i for i in reads if 0 <= i < size}
    assume(starts and real)
    layer = conv_layer(
        "c",
        input_size=(size, 1),
        in_channels=2,
        out_channels=3,
        kernel=(taps, 1),
        stride=(stride, 1),
        pad=(leading, 0, trailing, 0),
        dilation=(dilation, 1),
    )
    assert layer.nest.P == len(starts)
    assert layer.nest.touched("rows") == real
    assert layer.nest.input_rows <= size
    assert layer.nest.elements("inputs") == 2 * len(real)
    assert touched(size, len(starts), taps, stride, dilation, leading) == len(real)


def test_trailing_padding_that_is_not_reached_makes_no_difference():
    plain = {"input_size": (8, 8), "in_channels": 1, "out_channels": 1, "kernel": (3, 3), "stride": (2, 2)}
    tight, loose = conv_layer("c", **plain, pad=(1, 1, 0, 0)), conv_layer("c", **plain, pad=(1, 1, 1, 1))
    assert tight == loose
    assert tight.nest.pad == (1, 1, 0, 0)


def test_conv_layer_keeps_rows_and_columns_apart():
    layer = conv_layer(
        "c",
        input_size=(10, 40),
        in_channels=4,
        out_channels=6,
        kernel=(3, 5),
        stride=(1, 2),
        pad=(1, 2, 1, 2),
        groups=2,
        batch=3,
        bias=True,
        bits=Bits(weights=4, inputs=8, outputs=8, psums=20),
    )
    assert layer.nest.dims == {"N": 3, "G": 2, "K": 3, "C": 2, "P": 10, "Q": 20, "R": 3, "S": 5}
    assert layer.nest.pad == (1, 2, 1, 1)
    assert (layer.kind, layer.op, layer.biases, layer.bits.weights) == ("conv", "Conv", 6, 4)


def test_one_dimensional_convolution_lies_on_the_columns():
    nest = conv_layer("c", input_size=(1, 100), in_channels=8, out_channels=8, kernel=(1, 5)).nest
    assert (nest.P, nest.R, nest.Q, nest.S) == (1, 1, 96, 5)


@pytest.mark.parametrize(
    ("channels", "out_channels", "groups", "kind"),
    [(8, 8, 8, "depthwise"), (8, 16, 8, "depthwise"), (8, 8, 4, "conv"), (1, 8, 1, "conv")],
)
def test_kind_of_a_convolution(channels, out_channels, groups, kind):
    layer = conv_layer(
        "c", input_size=(4, 4), in_channels=channels, out_channels=out_channels, kernel=(3, 3), groups=groups
    )
    assert layer.kind == kind


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"groups": 3}, "3 groups don't divide 8 input and 8 output channels"),
        ({"kernel": (5, 3)}, "a window of 5 does not fit in an input of 4 with padding 0 and 0"),
        ({"kernel": (3, 3), "dilation": (1, 2)}, "a window of 5 does not fit in an input of 4 with padding 0 and 0"),
        ({"out_channels": 0}, "K must be a whole number of at least 1, got 0"),
    ],
)
def test_impossible_convolutions_are_refused(changed, message):
    plain = {"input_size": (4, 4), "in_channels": 8, "out_channels": 8, "kernel": (3, 3)}
    with pytest.raises(ValueError) as caught:
        conv_layer("c", **(plain | changed))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("size", "taps", "stride", "pad", "ceil", "outputs"),
    [
        (112, 3, 2, 0, True, 56),
        (112, 3, 2, 0, False, 55),
        (55, 3, 2, 0, True, 27),
        (14, 3, 2, 0, True, 7),
        (28, 3, 1, 1, True, 28),
        (3, 2, 2, 1, True, 2),  # a third window would start in the trailing padding
        (5, 5, 5, 0, False, 1),
    ],
)
def test_window_outputs(size, taps, stride, pad, ceil, outputs):
    assert window_outputs(size, taps, stride=stride, leading=pad, trailing=pad, ceil=ceil) == outputs


@pytest.mark.parametrize(
    ("size", "taps", "stride", "upper", "expected"),
    [
        (224, 3, 2, True, (0, 1)),
        (224, 3, 2, False, (1, 0)),
        (225, 3, 2, True, (1, 1)),
        (7, 3, 1, True, (1, 1)),
        (8, 1, 2, True, (0, 0)),
        (10, 4, 1, True, (1, 2)),
    ],
)
def test_same_pad(size, taps, stride, upper, expected):
    assert same_pad(size, taps, stride=stride, upper=upper) == expected


def test_fc_layer():
    layer = fc_layer("fc", in_features=20, out_features=10, rows=7, bias=True)
    assert layer.nest.dims == {"N": 7, "G": 1, "K": 10, "C": 20, "P": 1, "Q": 1, "R": 1, "S": 1}
    assert (layer.kind, layer.op, layer.macs, layer.params) == ("fc", "Gemm", 1400, 210)


def test_pool_reads_each_touched_element_once():
    plain = {"input_size": (7, 7), "output_size": (3, 3), "kernel": (3, 3), "stride": (2, 2)}
    overlapping = pool_layer("p", channels=4, batch=2, **plain)
    assert (overlapping.read_elements, overlapping.written_elements) == (2 * 4 * 49, 2 * 4 * 9)
    assert overlapping.vector_ops == 8 * 2 * 4 * 9
    skipping = pool_layer("p", channels=1, input_size=(7, 7), output_size=(3, 3), kernel=(1, 1), stride=(3, 3))
    assert (skipping.read_elements, skipping.vector_ops) == (9, 0)
    sticking_out = pool_layer("p", channels=1, input_size=(6, 6), output_size=(3, 3), kernel=(3, 3), stride=(2, 2))
    assert sticking_out.read_elements == 36


def test_global_pool_add_and_concat():
    pool = global_pool_layer("p", channels=512, input_size=(7, 7))
    assert (pool.kind, pool.read_elements, pool.written_elements, pool.vector_ops) == ("pool", 25088, 512, 48 * 512)
    add = add_layer("a", operands=(100, 100, 10), written=100, op="Sum")
    assert (add.kind, add.op, add.read_elements, add.written_elements, add.vector_ops) == ("add", "Sum", 210, 100, 200)
    concat = concat_layer("c", operands=[3, 4])
    assert (concat.kind, concat.read_elements, concat.written_elements, concat.vector_ops) == ("concat", 7, 7, 0)
