"""What is in memory while a layer runs: by hand on small graphs, by a simulated allocator on random ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.workload import Bits, DataFlow, Given, Layer, Nest, Network, builtin_network
from picojoule.workload.data_flow import live_bits

EIGHT = Bits(weights=8, inputs=8, outputs=8, psums=24)


def row(name, written, read=1):
    return Layer(name=name, kind="pool", read_elements=read, written_elements=written)


def bytes_at(network, bits=EIGHT):
    live = live_bits(network.layers, [bits] * len(network.layers), network.flow)
    return None if live is None else {layer.name: b / 8 for layer, b in zip(network.layers, live, strict=True)}


def graph(sizes, reads, *, image=100, **more):
    layers = tuple(row(name, size) for name, size in sizes.items())
    flow = DataFlow(reads=tuple(reads), given=(Given(name="image", elements=image),), **more)
    return Network(name="graph", layers=layers, flow=flow)


def test_a_residual_block_by_hand():
    """The entry stays until the sum; nothing is added in place."""
    network = graph(
        {"entry": 40, "conv1": 10, "conv2": 40, "sum": 40, "next": 5},
        [("image",), ("entry",), ("conv1",), ("conv2", "entry"), ("sum",)],
    )
    assert bytes_at(network) == {"entry": 140, "conv1": 50, "conv2": 90, "sum": 120, "next": 45}


def test_a_concatenation_by_hand():
    """Three branches from one entry; each result waits for the concatenation, which makes a tensor of its own."""
    network = graph(
        {"entry": 30, "a": 7, "b": 8, "c": 9, "joined": 24},
        [("image",), ("entry",), ("entry",), ("entry",), ("a", "b", "c")],
    )
    assert bytes_at(network) == {"entry": 130, "a": 37, "b": 45, "c": 54, "joined": 48}


def test_a_layer_of_many_steps_makes_the_results_of_all():
    """A projection's 4 elements a step, over 1000 steps, are what the layer behind it reads."""
    rows = [row("cell", 6000), row("fc", 4000)]
    projection = Layer(name="projection", kind="fc", nest=Nest(K=4, C=6), repeats=1000)
    flow = DataFlow(reads=((), ("cell",), ("projection",)))
    network = Network(name="lstm", layers=(rows[0], projection, rows[1]), flow=flow)
    assert bytes_at(network) == {"cell": 6000, "projection": 10000, "fc": 8000}


def test_what_is_handed_back_stays_to_the_end():
    sizes, reads = {"a": 10, "b": 20, "c": 3}, [("image",), ("a",), ("b",)]
    assert bytes_at(graph(sizes, reads)) == {"a": 110, "b": 30, "c": 23}
    assert bytes_at(graph(sizes, reads, outputs=("a",))) == {"a": 110, "b": 30, "c": 33}
    # Nobody reads the first of two heads.
    assert bytes_at(graph(sizes, [("image",), ("image",), ("b",)])) == {"a": 110, "b": 130, "c": 33}


def test_what_is_held_is_there_before_its_first_reader_and_after_its_last():
    network = graph({"a": 10, "b": 20}, [("image",), ("a",)], image=5)
    given_ = (*network.flow.given, Given(name="cache", elements=1000, held=True))
    flow = replace(network.flow, given=given_, reads=(("image",), ("a", "cache")))
    assert bytes_at(replace(network, flow=flow)) == {"a": 1015, "b": 1030}
    unread = replace(flow, reads=(("image",), ("a",)))
    assert bytes_at(replace(network, flow=unread)) == {"a": 1015, "b": 1030}
    assert bytes_at(replace(network, flow=unread).with_batch(3)) == {"a": 3045, "b": 3090}


def test_a_tensor_is_as_wide_as_its_widest_reader_asks():
    network = graph({"a": 8, "b": 8, "c": 8}, [("image",), ("a",), ("a",)], image=8)
    widths = [replace(EIGHT, inputs=inputs, outputs=outputs) for inputs, outputs in ((16, 32), (4, 2), (6, 12))]
    assert live_bits(network.layers, widths, network.flow) == [8 * 16 + 8 * 6, 8 * 6 + 8 * 2, 8 * 6 + 8 * 2 + 8 * 12]


def test_a_chain_that_was_assumed_holds_what_each_layer_reads_and_writes():
    nest = Nest(K=4, C=3, P=5, Q=5, R=3, S=3, pad=(1, 1, 1, 1))
    layers = (Layer(name="conv", kind="conv", nest=nest), row("pool", 9, read=33))
    network = Network(name="table", layers=layers, flow=DataFlow(chain=True))
    assert bytes_at(network) == {"conv": 3 * 25 + 4 * 25, "pool": 42}


def test_nothing_is_said_where_the_flow_is_unknown():
    assert bytes_at(Network(name="n", layers=(row("a", 1),))) is None


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (DataFlow(reads=(("b",), ("a",))), "'a' reads 'b', which is neither given nor an earlier layer"),
        (DataFlow(reads=((),)), "the data flow has 1 entries for 2 layers"),
        (DataFlow(reads=((), ()), outputs=("c",)), "the output 'c' is no layer"),
    ],
)
def test_a_flow_that_names_nobody_is_refused(flow, message):
    with pytest.raises(ValueError, match=message):
        Network(name="n", layers=(row("a", 1), row("b", 1)), flow=flow)


@pytest.mark.parametrize(
    ("name", "peak", "where"),
    [
        # 96 channels of 112² that the depthwise convolution reads, and 56² that it writes.
        ("mobilenet_v2", 96 * 112**2 + 96 * 56**2, "b1_dw"),
        # 64 channels: the first convolution's map and its pooled form.
        ("resnet18", 64 * 112**2 + 64 * 56**2, "maxpool"),
        # A projected shortcut, the third convolution's result and their sum, of 256 channels each.
        ("resnet50", 3 * 256 * 56**2, "layer1.0.add"),
        # Keys and values of 16 blocks, the last token, and its logits.
        ("llm:1b-decode", 16 * 2 * 512 * 512 + 2048 + 128_256, "lm_head"),
    ],
)
def test_peaks_by_hand(name, peak, where):
    found = bytes_at(builtin_network(name))
    assert max(found.values()) == found[where] == peak


@st.composite
def graphs(draw):
    """Random graphs: any layer reads any earlier ones and given tensors; widths differ from layer to layer."""
    count = draw(st.integers(1, 8))
    tensors = tuple(
        Given(name=f"g{i}", elements=draw(st.integers(0, 50)), held=draw(st.booleans()))
        for i in range(draw(st.integers(0, 3)))
    )
    names = [tensor.name for tensor in tensors]
    layers, reads = [], []
    for i in range(count):
        reads.append(tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else ()))
        layers.append(row(f"l{i}", draw(st.integers(1, 50))))
        names.append(f"l{i}")
    outputs = tuple(draw(st.lists(st.sampled_from([layer.name for layer in layers]), unique=True, max_size=2)))
    flow = DataFlow(reads=tuple(reads), given=tensors, outputs=outputs)
    widths = [replace(EIGHT, inputs=draw(st.integers(1, 16)), outputs=draw(st.integers(1, 16))) for _ in layers]
    return Network(name="random", layers=tuple(layers), flow=flow), widths


@settings(max_examples=300)
@given(case=graphs())
def test_an_allocator_that_frees_after_the_last_reader_holds_as_much(case):
    network, widths = case
    flow, steps = network.flow, list(zip(network.layers, widths, network.flow.reads, strict=True))

    def width(name, otherwise):
        return max((bits.inputs for _, bits, reads in steps if name in reads), default=otherwise)

    def still_needed(name, after):
        return any(name in reads for _, _, reads in steps[after:])

    heap = {
        tensor.name: tensor.elements * width(tensor.name, widths[0].inputs)
        for tensor in flow.given
        if tensor.held or still_needed(tensor.name, 0)
    }
    forever = {tensor.name for tensor in flow.given if tensor.held} | set(flow.outputs)
    forever |= {layer.name for layer in network.layers if not still_needed(layer.name, 0)}
    seen = []
    for step, (layer, bits, reads) in enumerate(steps):
        assert set(reads) <= set(heap)
        heap[layer.name] = layer.written_elements * width(layer.name, bits.outputs)
        seen.append(sum(heap.values()))
        for name in [name for name in heap if name not in forever and not still_needed(name, step + 1)]:
            del heap[name]
    assert live_bits(network.layers, widths, flow) == seen
