"""Layer tables: what is read, and every refusal by its text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.errors import LayerTableError, PicojouleError, SystemFailure, UnknownNameError
from picojoule.workload import Bits, DataFlow, Given, Nest, Zeros, builtin_names, builtin_network, load_layer_table
from picojoule.workload.layer_table import layer_table, yaml_text
from picojoule.workload.marked_yaml import SIZE_LIMIT_BYTES

FULL = """\
name: tiny
layers:
  - name: conv1
    K: 16
    C: 3
    P: 16
    Q: 16
    R: 3
    S: 3
    stride: [2, 2]
    pad: [1, 1, 0, 0]
    biases: 16
  - {name: dw, G: 16, P: 16, Q: 16, R: 3, S: 3, pad: [2, 2, 2, 2], dilation: [2, 2]}
  - {name: fc, N: 4, C: 4096, K: 10, bits: {weights: 4, inputs: 8, outputs: 8, psums: 20}}
"""


@pytest.fixture
def load(tmp_path):
    def load(text, name="table.yaml"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_layer_table(file)

    return load


@pytest.fixture
def refusal(load, tmp_path):
    def refusal(text, name="table.yaml"):
        with pytest.raises(LayerTableError) as caught:
            load(text, name)
        assert caught.value.exit_code == 3
        where = caught.value.where.replace(str(tmp_path / name), "FILE")
        return where, caught.value.message, caught.value.hint

    return refusal


def test_a_table_in_yaml(load):
    network = load(FULL)
    conv, depthwise, fc = network.layers
    assert network.name == "tiny"
    assert conv.nest == Nest(K=16, C=3, P=16, Q=16, R=3, S=3, stride=(2, 2), pad=(1, 1, 0, 0))
    assert (conv.kind, conv.op, conv.biases, conv.bits) == ("conv", "Conv", 16, None)
    assert depthwise.nest == Nest(G=16, P=16, Q=16, R=3, S=3, dilation=(2, 2), pad=(2, 2, 2, 2))
    assert depthwise.kind == "depthwise"
    assert (fc.kind, fc.op, fc.nest) == ("fc", "Gemm", Nest(N=4, C=4096, K=10))
    assert fc.bits == Bits(weights=4, inputs=8, outputs=8, psums=20)
    assert network.macs == 16 * 3 * 256 * 9 + 16 * 256 * 9 + 4 * 4096 * 10


@pytest.mark.parametrize("layout", [{}, {"indent": 2}, {"indent": "\t"}, {"separators": (",", ":")}])
def test_the_same_table_in_json(load, layout):
    table = layer_table(load(FULL))
    assert load(json.dumps(table, **layout), "other.json") == load(FULL)


def test_names_left_out(load):
    network = load("layers: [{K: 2}, {name: mine}, {K: 3}]", "stem.yaml")
    assert network.name == "stem"
    assert [layer.name for layer in network.layers] == ["layer0", "mine", "layer2"]


def test_an_anchor_may_be_used_again(load):
    network = load("layers:\n  - {P: 8, R: 3, Q: 8, S: 3, pad: &all [1, 1, 1, 1]}\n  - {R: 3, S: 3, pad: *all}\n")
    assert network.layers[1].nest.pad == (1, 1, 1, 1)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(load):
    assert load(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode()) == load(FULL)


WHOLE = "must be a whole number from 1 to 2147483648, got "
KEYS = (
    "Allowed: C, G, K, N, P, Q, R, S, biases, bits, dilation, kind, name, op, pad, read, read_weights, reads, repeats,"
    " shared, stride, vector_ops, written, zeros."
)


@pytest.mark.parametrize(
    ("row", "field", "message", "hint"),
    [
        ("{name: x, K: -4}", ".K", WHOLE + "-4", ""),
        ("{K: 0}", ".K", WHOLE + "0", ""),
        ("{K: 3.0}", ".K", WHOLE + "3.0", ""),
        ("{K: 1e3}", ".K", WHOLE + "1e3", ""),
        ("{K: true}", ".K", WHOLE + "true", ""),
        ("{K: ~}", ".K", WHOLE + "~", ""),
        ("{K: }", ".K", WHOLE + "nothing", ""),
        ("{K: .nan}", ".K", WHOLE + "the text '.nan'", ""),
        ("{K: [4]}", ".K", WHOLE + "a list", ""),
        ("{K: '64'}", ".K", WHOLE + "the text '64'", "Leave the quotes away."),
        ("{K: 0x10}", ".K", WHOLE + "the text '0x10'", "Write plain decimal digits."),
        ("{K: 1_000}", ".K", WHOLE + "the text '1_000'", "Write plain decimal digits."),
        ("{K: 010}", ".K", WHOLE + "the text '010'", "Write plain decimal digits."),
        ("{K: 2147483649}", ".K", WHOLE + "2147483649", ""),
        ("{K: 1" + "0" * 60 + "}", ".K", WHOLE + "1" + "0" * 36 + "…", ""),
        ("{PP: 8}", ".PP", "unknown key 'PP'", "Did you mean 'P'? " + KEYS),
        ("{k: 8}", ".k", "unknown key 'k'", "Did you mean 'K'? " + KEYS),
        ("{padding: 1}", ".padding", "unknown key 'padding'", "Did you mean 'pad'? " + KEYS),
        ("{<<: {K: 3}}", ".<<", "unknown key '<<'", KEYS),
        ("{stride: 2}", ".stride", "must be a list of 2 whole numbers [h, w], got 2", ""),
        ("{stride: [1, 1, 1]}", ".stride", "must be a list of 2 whole numbers [h, w], got a list of 3", ""),
        ("{stride: [1, 0]}", ".stride[1]", WHOLE + "0", ""),
        ("{dilation: [0, 1]}", ".dilation[0]", WHOLE + "0", ""),
        ("{pad: [1, 1]}", ".pad", "must be a list of 4 whole numbers [t, l, b, r], got a list of 2", ""),
        ("{pad: [0, 0, 0, -1]}", ".pad[3]", "must be a whole number from 0 to 2147483648, got -1", ""),
        (
            "{R: 3, pad: [2, 0, 2, 0]}",
            ".pad",
            "pad [2, 0, 2, 0] leaves an input of -1 × 1",
            "The input is (outputs − 1)·stride + (taps − 1)·dilation + 1 − padding; it must be at least 1.",
        ),
        ("{biases: -1}", ".biases", "must be a whole number from 0 to 2147483648, got -1", ""),
        ("{bits: 8}", ".bits", "must be a mapping such as {weights: 8, inputs: 8, outputs: 8, psums: 24}, got 8", ""),
        (
            "{bits: {psums: 8}}",
            ".bits",
            "missing: weights, inputs, outputs",
            "Give all of weights, inputs, outputs, psums.",
        ),
        (
            "{bits: {weight: 8}}",
            ".bits.weight",
            "unknown key 'weight'",
            "Did you mean 'weights'? Allowed: inputs, outputs, psums, weights.",
        ),
        (
            "{bits: {weights: 65, inputs: 8, outputs: 8, psums: 8}}",
            ".bits.weights",
            "must be a whole number from 1 to 64, got 65",
            "",
        ),
        ("{name: 3}", ".name", "must be text, got 3", "Put it in quotes."),
        ("{name: ''}", ".name", "must be 1 to 500 printable characters, got ''", ""),
        ('{name: "\\e[31m"}', ".name", "must be 1 to 500 printable characters, got '\\x1b[31m'", ""),
        ('{name: "\\ud800"}', ".name", "must be 1 to 500 printable characters, got '\\ud800'", ""),
        ("{name: " + "x" * 501 + "}", ".name", "must be 1 to 500 printable characters, got '" + "x" * 37 + "…'", ""),
        ("5", "", "must be a mapping such as {name: conv1, K: 64, C: 3}, got 5", ""),
        (
            "{N: 2147483648, K: 2147483648, C: 2}",
            "",
            "9223372036854775808 MACs are more than 2^62",
            "Check the sizes.",
        ),
        (
            "{P: 4194305}",
            "",
            "P × R is 4194305, at most 4194304 is allowed",
            "The rows of a matrix product belong on N, not on P or Q.",
        ),
        (
            "{Q: 2147483648, S: 3}",
            "",
            "Q × S is 6442450944, at most 4194304 is allowed",
            "The rows of a matrix product belong on N, not on P or Q.",
        ),
    ],
)
def test_a_wrong_row_is_refused(refusal, row, field, message, hint):
    text = f"name: net\nlayers:\n  - {{name: first, K: 2}}\n  - {row}\n"
    assert refusal(text) == (f"FILE:4: layers[1]{field}", message, hint)


def test_the_line_is_that_of_the_field(refusal):
    assert refusal(FULL.replace("R: 3\n", "R: three\n"))[:2] == ("FILE:8: layers[0].R", WHOLE + "the text 'three'")


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "FILE", "the file is empty"),
        ("# nothing\n", "FILE", "the file is empty"),
        ("- 1\n- 2\n", "FILE:1", "a layer table must be a mapping with the key `layers`, got a list"),
        ("just text", "FILE:1", "a layer table must be a mapping with the key `layers`, got the text 'just text'"),
        ("name: x\n", "FILE:1: layers", "the list of layers is missing"),
        ("name: x\nlayers: []\n", "FILE:2: layers", "the list is empty"),
        ("layers: {name: x}\n", "FILE:1: layers", "must be a list, got a mapping"),
        ("name: x\nlayer: []\n", "FILE:2: layer", "unknown key 'layer'"),
        ("layers: [{K: 1, K: 2}]\n", "FILE:1", "the key 'K' is given twice, first on line 1"),
        ("layers: [{1: 2}]\n", "FILE:1", "a key must be text, got 1"),
        ("layers: [{? [a] : 1}]\n", "FILE:1", "a key must be text, got a list"),
        (
            "layers:\n  - {name: a}\n  - {name: a}\n",
            "FILE:3: layers[1].name",
            "the name 'a' was given to an earlier layer, on line 2",
        ),
        (
            "layers:\n  - {name: layer1}\n  - {K: 3}\n",
            "FILE:3: layers[1].name",
            "the name 'layer1' was given to an earlier layer, on line 2",
        ),
        ("layers: [\n", "FILE:2", "this is not YAML or JSON: expected the node content, but found '<stream end>'"),
        ("layers: [{K: 1}]\n---\na: 1\n", "FILE:2", "this is not YAML or JSON: but found another document"),
        ("layers: *x\n", "FILE:1", "this is not YAML or JSON: found undefined alias 'x'"),
        ("layers: &a [*a]\n", "FILE:1", "the file is nested too deeply"),
        ("[" * 5000, "FILE", "the file is nested too deeply"),
        ("layers: " + "[" * 60 + "]" * 60, "FILE:1", "the file is nested too deeply"),
        (b"layers:\n  - {name: \xff}\n", "FILE:2", "the file is not UTF-8 text"),
        (b"\x00\x01\x02", "FILE", "this is not YAML or JSON: special characters are not allowed"),
        ("layers:\n- {K: !!python/name:os.system x}\n", "FILE:2", "the tag !!python/name:os.system is not allowed"),
        ("layers: !!set {a, b}\n", "FILE:1", "the tag !!set is not allowed"),
        ("!mine {layers: []}\n", "FILE:1", "the tag !mine is not allowed"),
        ("layers: [{K: 2}]\nnot_costed: 3\n", "FILE:2: not_costed", "must be a list, got 3"),
        ("layers: [{K: 2}]\nnot_costed: [{op: LRN}]\n", "FILE:2: not_costed[0].where", "is missing"),
    ],
)
def test_a_wrong_file_is_refused(refusal, text, where, message):
    assert refusal(text)[:2] == (where, message)


def test_python_tags_run_nothing(refusal, tmp_path):
    trace = tmp_path / "trace"
    text = f"layers: !!python/object/apply:os.system ['touch {trace}']\n"
    assert refusal(text)[1] == "the tag !!python/object/apply:os.system is not allowed"
    assert not trace.exists()


def test_the_sum_of_macs_is_limited_too(refusal):
    rows = "\n".join("  - {N: 2147483648, K: 2147483648}" for _ in range(2))
    assert refusal(f"layers:\n{rows}\n")[:2] == ("FILE:1: layers", "9223372036854775808 MACs in all are more than 2^62")


def test_a_file_that_is_too_large_is_refused(refusal):
    where, message, hint = refusal(b" " * (SIZE_LIMIT_BYTES + 1))
    assert (where, message) == ("FILE", "the file is larger than 16 MB")
    assert hint == "A layer table needs about 100 bytes per layer. Is this another kind of file?"


def test_a_file_that_is_missing_or_a_folder(tmp_path):
    with pytest.raises(UnknownNameError, match="there is no file '.*nowhere.yaml'") as caught:
        load_layer_table(tmp_path / "nowhere.yaml")
    assert caught.value.exit_code == 2
    with pytest.raises(SystemFailure, match="can't be read: "):
        load_layer_table(tmp_path)


@given(text=st.text(alphabet="layers:[]{}-,&*!#'\"|>?%@ \n\tKCPbits0123456789.~", max_size=60))
def test_no_text_leads_to_anything_but_a_network_or_an_error_of_ours(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("random") / "t.yaml"
    file.write_text(text)
    try:
        assert load_layer_table(file).layers
    except PicojouleError as error:
        assert error.exit_code == 3


@pytest.mark.parametrize(
    "name", [name for name in builtin_names() if ":" not in name or "-" not in name] + ["llm:1b-decode"]
)
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_built_in_networks_survive_the_way_out_and_back(load, name, form):
    network = builtin_network(name)
    table = layer_table(network)
    assert load(yaml_text(table) if form == "yaml" else json.dumps(table), f"t.{form}") == network


def test_a_row_without_loops(load):
    text = """\
given: [{name: image, elements: 768}, {name: cache, elements: 9, held: true}]
outputs: [pool]
layers:
  - {name: conv, K: 4, C: 3, P: 16, Q: 16, zeros: {weights: 0.5, inputs: 0, outputs: 1}}
  - {name: pool, kind: pool, op: MaxPool, read: 1024, written: 256, vector_ops: 768}
  - {name: sum, kind: add, read: 2048, written: 1024, reads: [conv, pool, cache], repeats: 3, biases: 7}
"""
    network = load(text)
    conv, pool, total = network.layers
    assert conv.zeros == Zeros(weights=0.5, inputs=0, outputs=1)
    assert (pool.kind, pool.op, pool.nest, pool.vector_ops) == ("pool", "MaxPool", None, 768)
    assert (total.read_elements, total.written_elements, total.repeats, total.params, total.op) == (
        2048,
        1024,
        3,
        7,
        "",
    )
    cache = Given(name="cache", elements=9, held=True)
    assert network.flow == DataFlow(
        reads=(("image",), ("conv",), ("conv", "pool", "cache")),
        given=(Given(name="image", elements=768), cache),
        outputs=("pool",),
    )
    assert load(yaml_text(layer_table(network))) == network


def test_a_table_that_says_nothing_of_reading_is_taken_for_a_chain(load):
    assert load(FULL).flow == DataFlow(chain=True)
    assert load(FULL + "  - {name: last, reads: [dw]}\n").flow.reads == ((), ("conv1",), ("dw",), ("dw",))


@pytest.mark.parametrize(
    ("row", "field", "message", "hint"),
    [
        ("{read: 4, written: 4, K: 3, kind: add}", ".K", "a layer that moves elements has no loops", "Leave read, "),
        ("{read: 4, kind: add}", ".written", "is missing", "Write {kind: pool, "),
        ("{read: 4, written: 4}", ".kind", "is missing", "Write {kind: pool, "),
        (
            "{read: 4, written: 4, kind: conv}",
            ".kind",
            "a layer that has no loops can't be of kind 'conv'",
            "Write pool",
        ),
        ("{K: 4, kind: pool}", ".kind", "a layer that has loops can't be of kind 'pool'", "Allowed: conv, depthwise, "),
        ("{K: 4, repeats: 0}", ".repeats", WHOLE + "0", ""),
        (
            "{K: 4, zeros: {weights: 50, inputs: 0, outputs: 0}}",
            ".zeros.weights",
            "must be a share from 0 to 1, got 50",
            "Half is 0.5.",
        ),
        (
            "{K: 4, zeros: 0.5}",
            ".zeros",
            "must be a mapping such as {weights: 0.6, inputs: 0.4, outputs: 0.5}, got 0.5",
            "",
        ),
        (
            "{K: 4, zeros: {weights: 0.5}}",
            ".zeros",
            "missing: inputs, outputs",
            "Give all of weights, inputs, outputs.",
        ),
        ("{K: 4, reads: first}", ".reads", "must be a list, got the text 'first'", ""),
        ("{K: 4, reads: [fist]}", ".reads[0]", "neither given nor an earlier layer: 'fist'", "Did you mean 'first'?"),
    ],
)
def test_a_wrong_row_of_the_newer_keys_is_refused(refusal, row, field, message, hint):
    where, said, advice = refusal(f"layers:\n  - {{name: first, K: 2}}\n  - {row}\n")
    assert (where, said) == (f"FILE:3: layers[1]{field}", message)
    assert advice.startswith(hint)


@pytest.mark.parametrize(
    ("head", "field", "message"),
    [
        ("given: [{name: a, elements: 3}]", "given[0].name", "the name 'a' is taken"),
        ("given: [{name: b}]", "given[0].elements", "is missing"),
        ("given: [{name: b, elements: 3, held: 1}]", "given[0].held", "must be true or false, got 1"),
        ("outputs: [b]", "outputs[0]", "neither given nor an earlier layer: 'b'"),
        ("input_shape: [1, 0]", "input_shape[1]", WHOLE + "0"),
    ],
)
def test_a_wrong_head_is_refused(refusal, head, field, message):
    assert refusal(f"{head}\nlayers: [{{name: a}}]\n")[:2] == (f"FILE:1: {field}", message)


@pytest.mark.parametrize(
    "name", ["no", "1e3", "a: b", "x # y", "ümlaut", "-a", "0x1", "true", "a,b", "{a}", "a-1.5", '"', "~"]
)
def test_names_survive_yaml(load, name):
    assert load(yaml_text({"name": name, "layers": [{"name": name, "K": 2}]})).layers[0].name == name
