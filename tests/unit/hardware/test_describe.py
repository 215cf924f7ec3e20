"""What a description may say and what it becomes; each thing that can be wrong has its message."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.errors import HardwareError
from picojoule.hardware import (
    Accelerator,
    Axis,
    FanOut,
    Level,
    MacEnergy,
    accelerator_from_data,
    accelerator_to_data,
    catalogue_names,
    load_hardware,
)
from picojoule.hardware.accelerator import DIRECTIONS, Port, TileRule, operand_latch
from picojoule.hardware.describe import accelerator_from_text
from picojoule.workload.nest import DIMS, TENSORS, Bits

GOOD = """\
name: toy
unit: pJ
clock: 200 MHz
word_bits: 16
bits: 16
table: {name: toy, source: invented}
mac: {bits: 16, multiply: 1, add: 0}
hierarchy:
  - level: DRAM
    keeps: [weights, inputs, outputs]
    energy: 200
  - level: GLB
    keeps: [inputs, outputs]
    capacity: 108 KiB
    energy: {read: 6, write: 7}
  - fanout: PE
    axes: {x: 14, y: 12}
    multicast: true
    reduction: true
  - level: spad
    keeps: [weights]
    capacity: 224 words
    energy: 1
"""


def _load(text: str) -> Accelerator:
    return accelerator_from_text(text, "toy.yaml")


def _changed(old: str, new: str) -> Accelerator:
    assert old in GOOD
    return _load(GOOD.replace(old, new, 1))


def _refused(old: str, new: str) -> HardwareError:
    with pytest.raises(HardwareError) as caught:
        _changed(old, new)
    return caught.value


# What a description becomes


def test_a_sound_description():
    machine = _load(GOOD)
    assert [level.name for level in machine.levels] == ["DRAM", "GLB", "spad"]
    assert [level.capacity_bits for level in machine.levels] == [None, 108 * 1024 * 8, 224 * 16]
    glb = machine.level("GLB")
    assert dict(glb.energy_per_word) == {
        (direction, tensor): energy
        for tensor in ("inputs", "outputs")
        for direction, energy in (("read", 6.0), ("write", 7.0), ("update", 7.0))
    }
    assert machine.clock_hz == 200e6
    assert machine.vector_energy is None
    assert machine.fanouts_outside("spad") == {"PE"}
    assert json.loads(machine.resolved) == accelerator_to_data(machine)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("108 KiB", 884736), ("1 kB", 8192), ("96 bit", 96), ("12 words", 192), ("1 word", 16), ("0.5 KiB", 4096)],
)
def test_capacities(text, bits):
    assert _changed("108 KiB", text).level("GLB").capacity_bits == bits


@pytest.mark.parametrize(
    ("text", "read", "write"),
    [
        ("16 words/cycle", 256, 256),
        ("{read: 256 bit/cycle}", 256, None),
        ("{read: 32 B/cycle, write: 0.5 bit/cycle}", 256, 0.5),
        ("6.4 GB/s", 256, 256),
        ("{write: 3.2 Gbit / s}", None, 16),
    ],
)
def test_bandwidths(text, read, write):
    glb = _changed("capacity: 108 KiB", f"bandwidth: {text}").level("GLB")
    assert (glb.read_bits_per_cycle, glb.write_bits_per_cycle) == (read, write)


def test_ports_of_single_tensors():
    """What a tensor's own port passes doesn't burden the one that the others share."""
    glb = _changed(
        "capacity: 108 KiB", "bandwidth: {read: 256 bit/cycle, inputs: {read: 1 word/cycle}, outputs: 64 bit/cycle}"
    ).level("GLB")
    own = {"inputs": ["read"], "outputs": ["read", "write"]}
    assert [(port.tensors, port.direction) for port in glb.own_ports] == [((t,), d) for t in own for d in own[t]]
    assert [port.bits_per_cycle for port in glb.own_ports] == [16, 64, 64]
    assert (glb.read_bits_per_cycle, glb.write_bits_per_cycle) == (256, None)
    labels = {port.label: port.tensors for port in glb.ports}
    assert labels == {
        "reads of inputs": ("inputs",), "reads of outputs": ("outputs",), "writes of outputs": ("outputs",)
    }  # fmt: skip


def test_a_level_with_a_clock_of_its_own():
    """A port of 64 bits at 50 MHz passes 16 bits in a cycle of 200 MHz; what is per second needs no clock."""
    glb = _changed("capacity: 108 KiB", "clock: 50 MHz\n    bandwidth: {read: 64 bit/cycle, write: 400 MB/s}").level("GLB")
    assert (glb.read_bits_per_cycle, glb.write_bits_per_cycle) == (16, 16)


def test_energies_of_single_tensors():
    energy = "energy: {read: 6, write: 7, outputs: {read: 1, write: 2, update: 3}}"
    glb = _changed("energy: {read: 6, write: 7}", energy).level("GLB")
    assert glb.energy_per_bit("update", "outputs") == 3 / 16
    assert glb.energy_per_bit("update", "inputs") == 7 / 16
    assert glb.energy_per_bit("read", "outputs") == 1 / 16


def test_a_word_of_its_own_and_its_buffering():
    glb = _changed(
        "capacity: 108 KiB", "capacity: 4 words\n    word_bits: 64\n    block_words: 2\n    buffering: 2"
    ).level("GLB")
    assert (glb.capacity_bits, glb.usable_bits, glb.block_words) == (256, 128, 2)
    assert glb.energy_per_bit("read", "inputs") == 6 / 64


def test_an_energy_of_zero_counts_if_it_is_said_to_be_meant():
    spad = _changed("energy: 1", "energy: 0\n    free: true").level("spad")
    assert spad.free
    assert spad.energy_per_bit("read", "weights") == 0.0


def test_an_axis_with_some_dimensions():
    array = _changed("x: 14", "x: {size: 3, dims: [K, N]}").fanout("PE")
    assert array.axes == (Axis(name="x", size=3, dims=("K", "N")), Axis(name="y", size=12, dims=DIMS))


def test_y_and_n_are_names_not_truth_values():
    """In YAML 1.1 they would be true and false."""
    machine = _changed("axes: {x: 14, y: 12}", "axes: {y: {size: 2, dims: [N]}, n: 3}")
    assert [axis.name for axis in machine.fanout("PE").axes] == ["y", "n"]


def test_a_tensor_that_may_pass_by():
    assert _changed("keeps: [inputs, outputs]", "keeps: [inputs]\n    may_keep: [outputs, weights]").level(
        "GLB"
    ).may_keep == (
        "weights",
        "outputs",
    )


LATCH = "  - latch: operands\n    keeps: [inputs, weights]\n"


def test_a_latch():
    machine = _load(GOOD + LATCH)
    latch = machine.level("operands")
    assert latch == operand_latch("operands", ("weights", "inputs"))
    assert (latch.latch, latch.usable_bits, latch.may_keep) == (True, None, ())
    assert {latch.energy_per_bit(d, t) for d in DIRECTIONS for t in latch.keeps} == {0.0}
    assert [level.latch for level in machine.levels] == [False, False, False, True]
    assert machine.fanouts_outside("operands") == {"PE"}
    assert json.loads(machine.resolved)["hierarchy"][-1] == {"latch": "operands", "keeps": ["weights", "inputs"]}
    assert accelerator_from_data(json.loads(machine.resolved), "r.json") == machine


def test_a_latch_needs_no_word():
    text = GOOD.replace("word_bits: 16\n", "").replace("energy: ", "word_bits: 16\n    energy: ")
    assert _load(text + LATCH).level("operands").latch


def test_levels_and_latches_of_other_tensors_may_lie_inside_a_latch():
    sums = "  - latch: sums\n    keeps: [outputs]\n"
    machine = _load(GOOD.replace("  - level: spad", sums + "  - level: spad") + LATCH)
    assert [level.name for level in machine.levels] == ["DRAM", "GLB", "sums", "spad", "operands"]


def _ruled(text: str) -> tuple[TileRule, ...]:
    return _changed("capacity: 224 words", f"capacity: 224 words\n    tiles: {text}").level("spad").tiles


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("4", {"least": 4, "most": 4}),
        ("all", {"all": True}),
        ('"<= 16"', {"most": 16}),
        ('">=4"', {"least": 4}),
        ("' >=  4 '", {"least": 4}),
        ("<= 16", {"most": 16}),
    ],
)
def test_a_rule_for_a_tile(text, limits):
    assert _ruled(f"{{weights: {{K: {text}}}}}") == (TileRule(tensor="weights", dim="K", **limits),)


def test_rules_for_tiles():
    rules = _ruled('{weights: {S: [1, all], K: [">= 2", "<= 16"], P: 1}}')
    assert [str(rule) for rule in rules] == ["K >= 2", "K <= 16", "P = 1", "S = 1", "S all"]
    machine = _changed("capacity: 224 words", 'capacity: 1 KiB\n    tiles: {weights: {K: [">= 2", "<= 16"], P: 1}}')
    data = json.loads(machine.resolved)
    assert data["hierarchy"][-1]["tiles"] == {"weights": {"K": [">= 2", "<= 16"], "P": 1}}
    assert accelerator_from_data(data, "r.json") == machine
    assert "tiles" not in json.loads(_load(GOOD).resolved)["hierarchy"][-1]
    assert (_ruled("{}"), _ruled("{weights: {}}")) == ((), ())


# There and back


@pytest.mark.parametrize("name", catalogue_names())
def test_a_machine_comes_back_from_its_data(name):
    machine = load_hardware(name)
    assert accelerator_from_data(json.loads(machine.resolved), "r.json") == machine
    assert accelerator_from_data(accelerator_to_data(machine), "r.json") == machine


_energies = st.floats(min_value=0, max_value=1e9)
_rates = st.none() | st.floats(min_value=1e-3, max_value=1e9)


@st.composite
def _levels(draw, name: str, outermost: bool) -> Level:
    kinds = (
        dict.fromkeys(TENSORS, "keeps")
        if outermost
        else {t: draw(st.sampled_from(["keeps", "may", "no"])) for t in TENSORS}
    )
    if "keeps" not in kinds.values():
        kinds["inputs"] = "keeps"
    held = [t for t in TENSORS if kinds[t] != "no"]
    limits = st.integers(1, 2**32)
    rules = () if outermost else draw(st.lists(st.tuples(st.sampled_from(held), st.sampled_from(DIMS)), unique=True))
    kinds_of_rule = [
        limits.map(lambda n: {"least": n, "most": n}),
        limits.map(lambda n: {"least": n}),
        limits.map(lambda n: {"most": n}),
        st.just({"all": True}),
    ]
    prices = tuple(sorted(((d, t), draw(_energies)) for d in ("read", "write", "update") for t in held))
    return Level(
        name=name,
        kind=draw(st.sampled_from([None, {"L0": "dram", "L1": "regfile", "L2": "sram"}.get(name)])),
        free=draw(st.booleans()) or 0 in [price for _, price in prices],
        extrapolate=draw(st.booleans()),
        tiles=tuple(
            TileRule(tensor=t, dim=d, **one)
            for t, d in sorted(rules, key=lambda pair: (TENSORS.index(pair[0]), DIMS.index(pair[1])))
            for one in draw(st.lists(st.one_of(kinds_of_rule), min_size=1, max_size=2))
        ),
        keeps=tuple(t for t in TENSORS if kinds[t] == "keeps"),
        may_keep=tuple(t for t in TENSORS if kinds[t] == "may"),
        capacity_bits=None if outermost else draw(st.integers(1, 2**50)),
        word_bits=draw(st.integers(1, 512)),
        energy_per_word=prices,
        read_bits_per_cycle=draw(_rates),
        write_bits_per_cycle=draw(_rates),
        own_ports=tuple(
            Port(direction=d, tensors=(t,), bits_per_cycle=draw(st.floats(min_value=1e-3, max_value=1e6)), own=True)
            for t in held
            for d in draw(st.sampled_from([(), ("read",), ("write",), ("read", "write")]))
        ),
        block_words=draw(st.integers(1, 16)),
        buffering=draw(st.sampled_from([1, 2])),
    )


@st.composite
def _machines(draw) -> Accelerator:
    hierarchy: list[Level | FanOut] = [draw(_levels("L0", True))]
    for i in range(1, draw(st.integers(1, 4))):
        if draw(st.booleans()):
            dims = st.lists(st.sampled_from(DIMS), min_size=1, unique=True).map(tuple)
            axes = tuple(Axis(name=a, size=draw(st.integers(1, 99)), dims=draw(dims)) for a in "xy")
            hierarchy.append(
                FanOut(name=f"F{i}", axes=axes, multicast=draw(st.booleans()), reduction=draw(st.booleans()))
            )
        else:
            hierarchy.append(draw(_levels(f"L{i}", False)))
    latched = draw(st.lists(st.sampled_from(TENSORS), unique=True))
    if latched:
        hierarchy.append(operand_latch("latch", tuple(t for t in TENSORS if t in latched)))
    widths = st.integers(1, 64)
    return Accelerator(
        name="drawn",
        hierarchy=tuple(hierarchy),
        unit=draw(st.sampled_from(["pJ", "mac16"])),
        bits=Bits(weights=draw(widths), inputs=draw(widths), outputs=draw(widths), psums=draw(widths)),
        mac=MacEnergy(
            bits=draw(widths),
            multiply=draw(st.floats(min_value=1e-6, max_value=1e9)),
            add=draw(_energies),
            widths=draw(st.none() | st.tuples(st.integers(1, 8), st.integers(8, 64))),
        ),
        vector_energy=draw(st.none() | _energies),
        clock_hz=draw(st.none() | st.floats(min_value=1, max_value=1e12)),
        node_nm=draw(st.none() | st.floats(min_value=1, max_value=500)),
        voltage_v=draw(st.none() | st.floats(min_value=0.1, max_value=5)),
        area_mm2=draw(st.none() | st.floats(min_value=0.01, max_value=1e3)),
        extrapolate=draw(st.booleans()),
        table_name="drawn",
        table_source="Hypothesis",
        description=draw(st.sampled_from(["", "one sentence"])),
    )


@given(_machines())
def test_any_machine_comes_back_exactly(machine):
    text = json.dumps(accelerator_to_data(machine))
    back = accelerator_from_data(json.loads(text), "r.json")
    assert dataclasses.replace(back, resolved="") == machine
    assert json.loads(back.resolved) == json.loads(text)


def test_data_from_a_result_file_is_checked_like_a_file():
    data = accelerator_to_data(_load(GOOD))
    data["hierarchy"][1]["energy"]["read"] = -6
    with pytest.raises(HardwareError) as caught:
        accelerator_from_data(data, "r.json: hardware")
    assert caught.value.where == "r.json: hardware: hierarchy[1].energy.read"
    assert caught.value.message == "must be greater than or equal to 0, got -6"


# What is refused: (text, what to write instead) → where, message, a piece of the hint

REFUSED = {
    "a key misspelt in a level": (
        ("capacity: 108 KiB", "capcity: 108 KiB"),
        ":14: hierarchy[1].capcity",
        "unknown key 'capcity'",
        "Did you mean 'capacity'? Allowed: bandwidth, block_words,",
    ),
    "a key misspelt that was required": (
        ("energy: {read", "enregy: {read"),
        ":15: hierarchy[1].enregy",
        "unknown key 'enregy'",
        "Did you mean 'energy'?",
    ),
    "a key misspelt at the top": (("unit: pJ", "unti: pJ"), ":2: unti", "unknown key 'unti'", "Did you mean 'unit'?"),
    "a key misspelt in energy": (
        ("read: 6", "raed: 6"),
        ":15: hierarchy[1].energy.raed",
        "unknown key 'raed'",
        "Did you mean 'read'?",
    ),
    "neither level nor fanout": (
        ("- level: GLB", "- levle: GLB"),
        ":12: hierarchy[1]",
        "an entry of the hierarchy is a level, a latch or a fanout; got one with the keys levle, keeps, capacity, energy",
        "Did you mean 'level'?",
    ),
    "level and fanout at once": (
        ("- level: GLB", "- level: GLB\n    fanout: PE"),
        ":12: hierarchy[1]",
        "is a level, a latch or a fanout; got one with the keys level, fanout, keeps, capacity, energy",
        "'- level: GLB' for a memory",
    ),
    "no energy": (
        ("    energy: {read: 6, write: 7}\n", ""),
        ":12: hierarchy[1]",
        "the key 'energy' is missing: what reading and writing one word costs",
        "Add energy:",
    ),
    "an empty energy": (
        ("energy: {read: 6, write: 7}", "energy:"),
        ":15: hierarchy[1].energy",
        "expected a table with the keys read, write, update, weights, inputs, outputs; got nothing",
        "",
    ),
    "an energy of 0 that nobody meant": (
        ("energy: 1\n", "energy: 0\n"),
        ":23: hierarchy[3].energy",
        "the level 'spad' has an energy of 0 for read of weights",
        "Write free: true beside it",
    ),
    "an energy of 0 in one direction": (
        ("write: 7", "write: 0"),
        ":15: hierarchy[1].energy",
        "the level 'GLB' has an energy of 0 for update of inputs",
        "declare a latch",
    ),
    "widths of a MAC that run downwards": (
        ("add: 0}", "add: 0, widths: [16, 4]}"),
        ":7: mac.widths",
        "widths that end below their beginning: 16 to 4 bits",
        "Write the least width first",
    ),
    "a MAC that costs nothing": (
        ("multiply: 1,", "multiply: 0,"),
        ":7: mac",
        "a MAC that costs nothing",
        "No multiplication is free",
    ),
    "a larger memory of a kind that is cheaper": (
        (
            "energy: 1\n",
            "kind: sram\n    energy: 8\n"
            "  - level: more\n    kind: sram\n    keeps: [inputs]\n    capacity: 300 words\n    energy: 7\n",
        ),
        ":29: hierarchy[4].energy",
        "'more' is larger than 'spad', and its read costs less: 0.4375 a bit against 0.5",
        "Of two memories of a kind (sram) the larger one is the dearer per bit",
    ),
    "a larger memory of a kind that is cheaper for one tensor": (
        (
            "energy: 1\n",
            "kind: sram\n    energy: 8\n  - level: more\n    kind: sram\n    keeps: [inputs, weights]\n"
            "    capacity: 300 words\n    energy: {read: 50, write: 50, weights: {read: 7, write: 50}}\n",
        ),
        ":29: hierarchy[4].energy",
        "'more' is larger than 'spad', and its read of weights costs less: 0.4375 a bit against 0.5",
        "Of two memories of a kind (sram) the larger one is the dearer per bit",
    ),
    "a kind of memory nobody knows": (
        ("energy: 1\n", "kind: srma\n    energy: 1\n"),
        ":23: hierarchy[3].kind",
        "unknown kind of memory 'srma'",
        "Did you mean 'sram'? Allowed: dram, regfile, sram.",
    ),
    "a table nobody knows": (
        ("table: {name: toy, source: invented}", "table: horowitz"),
        ":6: table",
        "no energy table is called 'horowitz'",
        "Did you mean 'horowitz-45nm'?",
    ),
    "a table in another unit": (
        ("table: {name: toy, source: invented}", "table: eyeriss-normalized-65nm"),
        ":2: unit",
        "the unit is pJ, and the table eyeriss-normalized-65nm is in mac16",
        "Write unit: mac16.",
    ),
    "neither mac nor a table that has one": (
        ("mac: {bits: 16, multiply: 1, add: 0}\n", ""),
        ":1",
        "the key 'mac' is missing",
        "name a built-in table",
    ),
    "no energy of writing": (
        ("energy: {read: 6, write: 7}", "energy: {read: 6}"),
        ":15: hierarchy[1].energy",
        "the level 'GLB' has no write energy for inputs",
        "where it is, write 0, and free: true beside it",
    ),
    "no energy for one tensor": (
        ("energy: {read: 6, write: 7}", "energy: {inputs: {read: 6, write: 7}}"),
        ":15: hierarchy[1].energy",
        "the level 'GLB' has no read energy for outputs",
        "Add read: …",
    ),
    "an energy for a tensor that isn't there": (
        ("energy: {read: 6, write: 7}", "energy: {read: 6, write: 7, weights: {read: 1, write: 1}}"),
        ":15: hierarchy[1].energy.weights",
        "an energy for weights, which the level 'GLB' does not hold",
        "It holds inputs, outputs.",
    ),
    "a negative energy": (
        ("read: 6", "read: -6"),
        ":15: hierarchy[1].energy.read",
        "must be greater than or equal to 0, got -6",
        "",
    ),
    "an energy that is no number": (
        ("read: 6", "read: .nan"),
        ":15: hierarchy[1].energy.read",
        "must be a finite number, got nan",
        "",
    ),
    "an infinite energy": (
        ("energy: 1\n", "energy: .inf\n"),
        ":23: hierarchy[3].energy.read",
        "must be a finite number, got inf",
        "",
    ),
    "an energy as text": (
        ("read: 6", "read: 6 pJ"),
        ":15: hierarchy[1].energy.read",
        "must be a valid number, got '6 pJ'",
        "",
    ),
    "no MAC energy": (
        ("multiply: 1, ", ""),
        ":7: mac",
        "the key 'multiply' is missing: energy of one multiplication",
        "Add multiply:",
    ),
    "a capacity of 0": (
        ("108 KiB", "0"),
        ":14: hierarchy[1].capacity",
        "a capacity must be more than 0, got 0",
        '"108 KiB", "512 B", "96 bit" or "224 words"; leave the key out for unlimited',
    ),
    "a capacity of 0 KiB": (
        ("108 KiB", "0 KiB"),
        ":14: hierarchy[1].capacity",
        "a capacity must be more than 0 and at most 128 TiB, got '0 KiB'",
        "108 KiB",
    ),
    "a negative capacity": (
        ("108 KiB", "-108 KiB"),
        ":14: hierarchy[1].capacity",
        "a capacity must be more than 0 and at most 128 TiB, got '-108 KiB'",
        "108 KiB",
    ),
    "a capacity that is no number": (
        ("108 KiB", ".nan"),
        ":14: hierarchy[1].capacity",
        "a capacity must be more than 0, got nan",
        "KiB",
    ),
    "a capacity without unit": (("108 KiB", "108"), ":14: hierarchy[1].capacity", "108 has no unit", "KiB"),
    "an unknown unit of capacity": (
        ("108 KiB", "108 KiBi"),
        ":14: hierarchy[1].capacity",
        "'108 KiBi' is not a memory size",
        "KiB",
    ),
    "half a word": (
        ("224 words", "0.5 words"),
        ":22: hierarchy[3].capacity",
        "a capacity must be a whole number of words, got '0.5 words'",
        "",
    ),
    "half a bit": (
        ("224 words", "0.5 bit"),
        ":22: hierarchy[3].capacity",
        "'0.5 bit' is not a whole number of bits",
        "",
    ),
    "an endless capacity": (
        ("224 words", "1e400 words"),
        ":22: hierarchy[3].capacity",
        "a capacity must be a whole number",
        "",
    ),
    "an empty capacity": (
        ("108 KiB", ""),
        ":14: hierarchy[1].capacity",
        "nothing is not a memory size",
        "leave the key out",
    ),
    "a list as capacity": (("108 KiB", "[1, 2]"), ":14: hierarchy[1].capacity", "a list of 2 is not a memory size", ""),
    "the outermost level lets weights pass": (
        ("keeps: [weights, inputs, outputs]", "keeps: [inputs, outputs]"),
        ":10: hierarchy[0].keeps",
        "are stranded: the outermost level 'DRAM' does not keep them, and of the levels only spad can hold them",
        "Add weights to keeps of 'DRAM'",
    ),
    "no level holds a tensor": (
        ("keeps: [weights, inputs, outputs]", "keeps: [weights, outputs]"),
        ":10: hierarchy[0].keeps",
        "inputs are stranded: the outermost level 'DRAM' does not keep them, and of the levels only GLB can hold them",
        "Add inputs to keeps of 'DRAM'",
    ),
    "the outermost level may keep only": (
        ("keeps: [weights, inputs, outputs]", "keeps: [weights, inputs]\n    may_keep: [outputs]"),
        ":10: hierarchy[0].keeps",
        "outputs are stranded: the outermost level 'DRAM' does not keep them",
        "outputs end there",
    ),
    "a level that keeps nothing": (
        ("keeps: [inputs, outputs]", "keeps: []"),
        ":13: hierarchy[1].keeps",
        "the level 'GLB' keeps no tensor",
        "or remove the level",
    ),
    "kept and perhaps kept": (
        ("keeps: [inputs, outputs]", "keeps: [inputs, outputs]\n    may_keep: [inputs]"),
        ":14: hierarchy[1].may_keep",
        "the level 'GLB' lists inputs twice",
        "either always kept",
    ),
    "an unknown tensor": (
        ("keeps: [inputs, outputs]", "keeps: [inputs, ouputs]"),
        ":13: hierarchy[1].keeps[1]",
        "unknown tensor 'ouputs'",
        "Did you mean 'outputs'?",
    ),
    "a fan-out first": (
        (
            "  - level: DRAM\n    keeps: [weights, inputs, outputs]\n    energy: 200\n  - level: GLB",
            "  - fanout: A\n    axes: {x: 1}\n    multicast: true\n    reduction: true\n  - level: GLB",
        ),
        ":9: hierarchy[0]",
        "the fan-out 'A' has no memory outside it",
        "Put a level before it",
    ),
    "a latch first": (
        ("  - level: DRAM", "  - latch: A\n    keeps: [weights]\n  - level: DRAM"),
        ":9: hierarchy[0]",
        "the latch 'A' has no memory outside it",
        "Put a level before it",
    ),
    "a latch and a level at once": (
        ("- level: spad", "- latch: A\n    level: spad"),
        ":20: hierarchy[3]",
        "is a level, a latch or a fanout; got one with the keys latch, level, keeps, capacity, energy",
        "'- latch: operands' for a latch",
    ),
    "a latch misspelt": (
        ("- level: spad", "- lacth: A\n    keeps: [weights]\n  - level: spad"),
        ":20: hierarchy[3]",
        "is a level, a latch or a fanout; got one with the keys lacth, keeps",
        "Did you mean 'latch'?",
    ),
    "a latch with a size": (
        ("- level: spad", "- latch: A"),
        ":22: hierarchy[3].capacity",
        "unknown key 'capacity'",
        "Allowed: keeps, latch.",
    ),
    "a latch that doesn't say what it keeps": (
        ("- level: spad", "- latch: A\n  - level: spad"),
        ":20: hierarchy[3]",
        "the key 'keeps' is missing",
        "Add keeps:",
    ),
    "a latch that keeps nothing": (
        ("- level: spad", "- latch: A\n    keeps: []\n  - level: spad"),
        ":21: hierarchy[3].keeps",
        "the latch 'A' keeps no tensor",
        "or remove the latch",
    ),
    "a latch that keeps a tensor twice": (
        ("- level: spad", "- latch: A\n    keeps: [inputs, inputs]\n  - level: spad"),
        ":21: hierarchy[3].keeps",
        "the latch 'A' lists inputs twice",
        "one element of each",
    ),
    "a latch outside a level that keeps its tensor": (
        ("- level: spad", "- latch: A\n    keeps: [inputs, weights]\n  - level: spad"),
        ":21: hierarchy[3].keeps",
        "the latch 'A' keeps weights, and so does 'spad' inside it",
        "put it inside 'spad', or take weights out",
    ),
    "two latches of a tensor": (
        ("- level: spad", "- latch: A\n    keeps: [inputs]\n  - latch: B\n    keeps: [inputs]\n  - level: spad"),
        ":21: hierarchy[3].keeps",
        "the latch 'A' keeps inputs, and so does 'B' inside it",
        "A latch feeds the MACs",
    ),
    "a latch named like a level": (
        ("- level: spad", "- latch: GLB\n    keeps: [inputs]\n  - level: spad"),
        ":20: hierarchy[3].latch",
        "the name 'GLB' is taken by hierarchy[1]",
        "another name",
    ),
    "a rule for a tensor misspelt": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {wieghts: {K: 1}}"),
        ":23: hierarchy[3].tiles.wieghts",
        "unknown key 'wieghts'",
        "Did you mean 'weights'?",
    ),
    "a rule for a dimension that isn't there": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {weights: {M: 1}}"),
        ":23: hierarchy[3].tiles.weights.M",
        "unknown key 'M'",
        "Allowed: C, G, K, N, P, Q, R, S.",
    ),
    "a rule for a tensor that passes by": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {inputs: {K: 1}}"),
        ":23: hierarchy[3].tiles.inputs",
        "rules for tiles of inputs, which the level 'spad' does not hold",
        "It holds weights.",
    ),
    "a rule at a home": (
        ("energy: 200", "energy: 200\n    tiles: {inputs: {K: 1}}"),
        ":12: hierarchy[0].tiles.inputs",
        "rules for tiles of inputs at their home 'DRAM', where a tile is all there is",
        "a level further in",
    ),
    "a rule that is a word": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {weights: {K: most}}"),
        ":23: hierarchy[3].tiles.weights.K",
        "'most' is no rule for a tile",
        '"<= 16", ">= 4", all',
    ),
    "a rule that can't be met": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {weights: {K: 0}}"),
        ":23: hierarchy[3].tiles.weights.K",
        "0 is no rule for a tile",
        "exactly so many",
    ),
    "a rule that is no whole number": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {weights: {K: 1.5}}"),
        ":23: hierarchy[3].tiles.weights.K",
        "1.5 is no rule for a tile",
        "",
    ),
    "a rule that is true": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {weights: {K: true}}"),
        ":23: hierarchy[3].tiles.weights.K",
        "True is no rule for a tile",
        "",
    ),
    "a rule of less than nothing": (
        ("capacity: 224 words", 'capacity: 224 words\n    tiles: {weights: {K: "<= 0"}}'),
        ":23: hierarchy[3].tiles.weights.K",
        "'<= 0' is no rule for a tile",
        "",
    ),
    "a rule beyond all dimensions": (
        ("capacity: 224 words", 'capacity: 224 words\n    tiles: {weights: {K: ">= 9999999999"}}'),
        ":23: hierarchy[3].tiles.weights.K",
        "'>= 9999999999' is no rule for a tile",
        "",
    ),
    "a rule left empty": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {weights: {K: }}"),
        ":23: hierarchy[3].tiles.weights.K",
        "nothing is no rule for a tile",
        "",
    ),
    "no rule in a list": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {weights: {K: []}}"),
        ":23: hierarchy[3].tiles.weights.K",
        "a list of 0 is no rule for a tile",
        "",
    ),
    "a list with a rule that is none": (
        ("capacity: 224 words", 'capacity: 224 words\n    tiles: {weights: {K: [1, "< 3"]}}'),
        ":23: hierarchy[3].tiles.weights.K",
        "'< 3' is no rule for a tile",
        "",
    ),
    "rules without a tensor": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: {K: 1}"),
        ":23: hierarchy[3].tiles.K",
        "unknown key 'K'",
        "Allowed: inputs, outputs, weights.",
    ),
    "rules as a list": (
        ("capacity: 224 words", "capacity: 224 words\n    tiles: [K]"),
        ":23: hierarchy[3].tiles",
        "expected a table with the keys weights, inputs, outputs; got a list of 1",
        "",
    ),
    "an empty hierarchy": (
        (GOOD[GOOD.index("hierarchy:") :], "hierarchy: []\n"),
        ":8: hierarchy",
        "must have at least 1 item",
        "",
    ),
    "no hierarchy": (
        (GOOD[GOOD.index("hierarchy:") :], ""),
        ":1",
        "the key 'hierarchy' is missing: levels, latches and fan-outs, outermost first",
        "",
    ),
    "a hierarchy that is a table": (
        (GOOD[GOOD.index("hierarchy:") :], "hierarchy: {}\n"),
        ":8: hierarchy",
        "must be a valid list, got a table of 0",
        "",
    ),
    "two levels of one name": (
        ("- level: spad", "- level: GLB"),
        ":20: hierarchy[3].level",
        "the name 'GLB' is taken by hierarchy[1]",
        "another name",
    ),
    "a level named like a fan-out": (
        ("- level: spad", "- level: PE"),
        ":20: hierarchy[3].level",
        "the name 'PE' is taken by hierarchy[2]",
        "",
    ),
    "an unknown dimension": (
        ("x: 14", "x: {size: 14, dims: [K, M]}"),
        ":17: hierarchy[2].axes.x.dims[1]",
        "unknown dimension 'M'",
        "Allowed: C, G, K, N, P, Q, R, S.",
    ),
    "an axis without dimensions": (
        ("x: 14", "x: {size: 14, dims: []}"),
        ":17: hierarchy[2].axes.x.dims",
        "must have at least 1 item",
        "",
    ),
    "an axis of size 0": (
        ("x: 14", "x: 0"),
        ":17: hierarchy[2].axes.x.size",
        "must be greater than or equal to 1, got 0",
        "",
    ),
    "an axis of half a size": (
        ("x: 14", "x: 1.5"),
        ":17: hierarchy[2].axes.x",
        "expected a table with the keys size, dims; got 1.5",
        "",
    ),
    "an axis of true": (("x: 14", "x: true"), ":17: hierarchy[2].axes.x.size", "must be a valid integer, got True", ""),
    "no axes": (("{x: 14, y: 12}", "{}"), ":17: hierarchy[2].axes", "must have at least 1 item", ""),
    "multicast left out": (
        ("    multicast: true\n", ""),
        ":16: hierarchy[2]",
        "the key 'multicast' is missing: whether one read",
        "",
    ),
    "an unknown unit": (
        ("unit: pJ", "unit: pj"),
        ":2: unit",
        "unknown unit 'pj'",
        "Did you mean 'pJ'? Allowed: mac16, pJ.",
    ),
    "an unknown unit of clock": (
        ("200 MHz", "200 Mhz"),
        ":3: clock",
        "'200 Mhz' is not a frequency",
        "Did you mean 'MHz'?",
    ),
    "a clock without unit": (("200 MHz", "'200'"), ":3: clock", "'200' is not a frequency", 'such as "200 MHz"'),
    "a clock that is a number": (("200 MHz", "0"), ":3: clock", "0 is not a frequency", 'such as "200 MHz"'),
    "a clock that stands still": (("200 MHz", "0 Hz"), ":3: clock", "a clock must be more than 0 Hz, got '0 Hz'", ""),
    "a bandwidth of 0": (
        ("capacity: 108 KiB", "bandwidth: 0 bit/cycle"),
        ":14: hierarchy[1].bandwidth.read",
        "a bandwidth must be more than 0, got '0 bit/cycle'",
        "leave the key out for unlimited",
    ),
    "an unknown unit of bandwidth": (
        ("capacity: 108 KiB", "bandwidth: {write: 3 bits/min}"),
        ":14: hierarchy[1].bandwidth.write",
        "'3 bits/min' is not a bandwidth",
        "16 words/cycle",
    ),
    "a port for a tensor that isn't there": (
        ("capacity: 108 KiB", "bandwidth: {weights: 64 bit/cycle}"),
        ":14: hierarchy[1].bandwidth.weights",
        "a bandwidth for weights, which the level 'GLB' does not hold",
        "It holds inputs, outputs.",
    ),
    "a port of its own of 0": (
        ("capacity: 108 KiB", "bandwidth: {inputs: {read: 0 bit/cycle}}"),
        ":14: hierarchy[1].bandwidth.inputs.read",
        "a bandwidth must be more than 0, got '0 bit/cycle'",
        "leave the key out for unlimited",
    ),
    "bits of 0": (("\nbits: 16\n", "\nbits: 0\n"), ":5: bits.weights", "must be greater than or equal to 1, got 0", ""),
    "bits of 65": (
        ("\nbits: 16\n", "\nbits: {weights: 65, inputs: 8, outputs: 8, psums: 8}\n"),
        ":5: bits.weights",
        "must be less than or equal to 64, got 65",
        "",
    ),
    "bits without psums": (
        ("\nbits: 16\n", "\nbits: {weights: 8, inputs: 8, outputs: 8}\n"),
        ":5: bits",
        "the key 'psums' is missing: bits of a partial sum",
        "",
    ),
    "no word": (("word_bits: 16\n", ""), ":8: hierarchy[0]", "the level 'DRAM' has no word_bits", "once at the top"),
    "a name with a slash": (("name: toy", "name: ../toy"), ":1: name", "'../toy' can't be a name", "letters, digits"),
    "a name that is a number": (("name: toy", "name: 7"), ":1: name", "must be a valid string, got 7", ""),
    "characters for the terminal": (
        ("invented", '"\\e[31m"'),
        ":6: table.source",
        "holds characters that can't be printed",
        "plain text",
    ),
    "buffering of 3": (
        ("capacity: 108 KiB", "buffering: 3"),
        ":14: hierarchy[1].buffering",
        "must be less than or equal to 2, got 3",
        "",
    ),
    "an entry that is text": (
        ("- fanout: PE", "- PE\n  - fanout: PE"),
        ":16: hierarchy[2]",
        "is a level, a latch or a fanout; got 'PE'",
        "",
    ),
    "an energy beyond all numbers": (
        ("read: 6", "read: 1" + "0" * 400),
        ":15: hierarchy[1].energy.read",
        "must be",
        "",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refused(case):
    change, where, message, hint = case
    error = _refused(*change)
    assert error.exit_code == 3
    assert error.where == "toy.yaml" + where
    assert message in error.message
    assert hint in error.hint
    assert len(error.message) < 250


@pytest.mark.parametrize("name", ["mac", "vector", "leakage", "none", "MAC"])
@pytest.mark.parametrize("entry", ["level: spad", "fanout: PE"])
def test_reserved_names(name, entry):
    error = _refused(entry, f"{entry.split(':')[0]}: {name}")
    assert error.message == f"the name {name!r} is reserved"
    assert "mac, vector, leakage, none" in error.hint


def test_a_bandwidth_per_second_needs_a_clock():
    with pytest.raises(HardwareError) as caught:
        _load(GOOD.replace("clock: 200 MHz\n", "").replace("capacity: 108 KiB", "bandwidth: 6.4 GB/s"))
    assert caught.value.where == "toy.yaml:13: hierarchy[1].bandwidth.read"
    assert caught.value.message == "'6.4 GB/s' is per second, and the machine has no clock"


def test_a_clock_of_a_level_needs_that_of_the_machine():
    with pytest.raises(HardwareError) as caught:
        _load(GOOD.replace("clock: 200 MHz\n", "").replace("capacity: 108 KiB", "clock: 60 MHz"))
    assert caught.value.where == "toy.yaml:13: hierarchy[1].clock"
    assert caught.value.message == "the level 'GLB' has a clock of its own, and the machine has none"


def test_a_tensor_that_no_level_holds():
    text = GOOD.replace("keeps: [weights, inputs, outputs]", "keeps: [weights, outputs]").replace(
        "keeps: [inputs, outputs]", "keeps: [outputs]"
    )
    with pytest.raises(HardwareError, match="inputs are stranded: .* and no level holds them"):
        _load(text)


def test_of_two_errors_the_upper_one_is_reported():
    text = GOOD.replace("unit: pJ", "unit: pj").replace("add: 0", "add: -1")
    with pytest.raises(HardwareError) as caught:
        _load(text)
    assert caught.value.where == "toy.yaml:2: unit"
