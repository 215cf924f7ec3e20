"""What becomes of single keys of Timeloop's designs, and how designs that are no machine of ours are refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.timeloop_designs import ERT, V3, V4, write_design

from picojoule.errors import HardwareError, UsageError
from picojoule.hardware.accelerator import Accelerator
from picojoule.hardware.repricing import reprice
from picojoule.hardware.tables import load_table
from picojoule.hardware.timeloop import Imported, import_timeloop
from picojoule.hardware.timeloop.expressions import arithmetic
from picojoule.workload.nest import DIMS, Bits


def constraints(*targets: str) -> str:
    return "architecture_constraints:\n  targets:\n" + "".join(f"    - {{{target}}}\n" for target in targets)


@pytest.fixture
def load(tmp_path: Path):
    """Imports the small design, ``V3`` unless told otherwise, with constraints and other files."""

    def run(*targets: str, architecture: str = V3, ert: str = ERT, **more: str) -> Imported:
        if targets:
            more["constraints"] = constraints(*targets)
        return import_timeloop(write_design(tmp_path, architecture, ert, **more))

    return run


@pytest.fixture
def refused(load):
    def run(*targets: str, **given: str) -> HardwareError:
        with pytest.raises(HardwareError) as caught:
            load(*targets, **given)
        assert caught.value.exit_code == 3
        return caught.value

    return run


def rules(machine: Accelerator, level: str) -> set[str]:
    return {f"{rule.tensor} {rule}" for rule in machine.level(level).tiles}


@pytest.mark.parametrize("architecture", [V3, V4], ids=["v0.3", "v0.4"])
def test_both_versions_say_the_same_machine(load, architecture):
    machine = load(architecture=architecture).machine
    assert machine.name == "arch"
    assert (machine.node_nm, machine.area_mm2) == (28, None)
    assert machine.bits == Bits(weights=8, inputs=8, outputs=8, psums=8)
    dram, buffer, registers = machine.levels
    assert (dram.keeps, dram.capacity_bits) == (("weights", "inputs", "outputs"), None)
    assert (buffer.keeps, buffer.may_keep) == ((), ("weights", "inputs", "outputs"))
    assert (buffer.capacity_bits, buffer.word_bits, buffer.block_words) == (1024 * 32, 8, 4)
    energies = dict(buffer.energy_per_word)
    assert [energies[d, "outputs"] for d in ("read", "write", "update")] == [1, 1.5, 2]
    assert (registers.capacity_bits, registers.block_words) == (128, 1)
    assert set(dict(registers.energy_per_word).values()) == {0.25}
    (array,) = machine.fanouts
    assert (array.name, [(axis.name, axis.size, axis.dims) for axis in array.axes]) == (
        "PE",
        [("x", 4, DIMS), ("y", 2, DIMS)],
    )
    assert machine.mac.at(machine.bits) == 0.5


def test_everything_left_out_is_listed(load):
    lines = load().left_out
    assert [line for line in lines if "n_banks 2" in line] == [
        "arch.yaml:14: buffer, n_banks 2: no part of our model"
    ]
    assert any(line.startswith("ERT.yaml:13: registers, leak: ") for line in lines)
    assert any("dearest" in line for line in lines)
    assert len(lines) == 4  # and how a MAC is split


@pytest.mark.parametrize("architecture", [V3, V4], ids=["v0.3", "v0.4"])
def test_classes_are_kinds_of_memory_and_tables_price_them(load, architecture):
    deep = architecture.replace("depth: 1024", "depth: 32768").replace("depth: 16", "depth: 128")
    one = load(architecture=deep)
    assert [level.kind for level in one.machine.levels] == ["dram", "sram", "regfile"]
    assert not any("so no table can price" in line for line in one.left_out)
    table = load_table("accelergy-45nm")
    priced = reprice(one.machine, table)
    assert priced.level("DRAM").energy_per_bit("read", "weights") == 8
    assert priced.mac.at(Bits(weights=8, inputs=8, outputs=8, psums=8)) == pytest.approx(0.5608)


def test_a_class_that_is_unknown_is_listed(load):
    one = load(architecture=V3.replace("class: SRAM", "class: magic").replace("class: intmac", "class: fpmac"))
    assert [level.kind for level in one.machine.levels] == ["dram", None, "regfile"]
    assert "arch.yaml:12: buffer, class magic: an unknown class, so no table can price this memory (kind)" in one.left_out
    assert any("mac, class fpmac: the table doesn't say which part" in line for line in one.left_out)


@pytest.mark.parametrize(("mac_class", "add"), [("intmac", 0.021425), ("fpmac", 0)])
def test_the_price_of_an_integer_mac_is_split_where_it_is_that_of_the_law(load, mac_class, add):
    architecture = V3.replace("class: intmac", f"class: {mac_class}")
    one = load(architecture=architecture, ert=ERT.replace("energy: 0.5}", "energy: 0.5608}"))
    assert (one.machine.mac.multiply, one.machine.mac.add) == pytest.approx((0.5608 - add, add), rel=1e-12)
    assert any("class intmac: the table has one price" in line for line in one.left_out) == bool(add)


def test_a_larger_memory_that_is_cheaper_has_no_kind(load):
    """A description of ours can't say both: what the table says stays, and the kind goes, listed."""
    architecture = V3.replace("class: SRAM", "class: regfile")
    one = load(architecture=architecture, ert=ERT.replace("energy: 0.25}", "energy: 1.25}"))
    assert [level.kind for level in one.machine.levels] == ["dram", None, "regfile"]
    (line,) = [line for line in one.left_out if "buffer, kind regfile" in line]
    assert "larger than registers, and a bit costs less (read)" in line


@pytest.mark.parametrize("what", ["ERT", "constraints"])
def test_other_versions_are_refused(refused, what):
    old = {"ert": ERT.replace("version: 0.3", "version: 0.9")} if what == "ERT" else {}
    new = {} if old else {"constraints": "architecture_constraints:\n  version: 0.9\n  targets: []\n"}
    error = refused(**old, **new)
    assert error.message == "the version must be 0.3 or 0.4, got 0.9"
    assert error.where.endswith(f"{what}.yaml:2: {'ERT' if old else 'architecture_constraints'}.version")


@pytest.mark.parametrize("architecture", [V3, V4], ids=["v0.3", "v0.4"])
def test_a_second_unit_of_arithmetic_is_refused(refused, architecture):
    begin = "    - !Component" if architecture is V4 else "                - name: mac"
    last = architecture[architecture.rindex(begin) :]
    error = refused(architecture=architecture + last.replace("mac", "mac2", 1))
    assert error.message == "mac has no depth, and is no DRAM"
    assert "units of arithmetic besides mac2 are not read" in error.hint


def test_partial_sums_have_the_word_of_the_innermost_memory_that_holds_outputs(load):
    one = load(architecture=V3.replace("{depth: 16, meshX: 4}", "{depth: 16, word-bits: 24, meshX: 4}"))
    assert one.machine.bits == Bits(weights=8, inputs=8, outputs=8, psums=24)
    assert any("registers, word" in line and "weights, inputs as one word of 24 bits" in line for line in one.left_out)


def test_keep_and_bypass(load):
    machine = load(
        "target: buffer, type: bypass, keep: [Inputs], bypass: [Weights]",
        "target: registers, type: datatype, bypass: [Inputs, Outputs, Weights]",
    ).machine
    assert (machine.level("buffer").keeps, machine.level("buffer").may_keep) == (("inputs",), ("outputs",))
    assert [level.name for level in machine.levels] == ["DRAM", "buffer"]


def test_without_a_mesh_all_lies_along_x(load):
    (array,) = load(architecture=V3.replace(", meshX: 4", "")).machine.fanouts
    assert [(axis.name, axis.size) for axis in array.axes] == [("x", 8)]


def test_spatial_factors_and_split_say_what_lies_where(load):
    machine = load(
        "target: buffer, type: spatial, factors: N=1 P=1 R=1 S=1, permutation: NPRQ SCM, split: 4"
    ).machine
    assert [axis.dims for axis in machine.fanouts[0].axes] == [("Q",), ("G", "K", "C")]


def test_a_fixed_amount_along_an_axis_is_listed(load):
    one = load("target: buffer, type: spatial, factors: C=4 N=1")
    assert any("buffer, C=4: an axis can't be told" in line for line in one.left_out)
    assert [axis.dims for axis in one.machine.fanouts[0].axes] == [tuple(d for d in DIMS if d != "N")] * 2


def test_temporal_factors_are_rules_where_all_within_are_known(load):
    one = load(
        "target: registers, type: temporal, factors: R=3 P=1 C<=4",
        "target: buffer, type: spatial, factors: R=1 P=1 N=1 Q=1 M=1 S=1",
        "target: buffer, type: temporal, factors: R=2 P=5 C=2 Q=1",
        "target: buffer, type: bypass, keep: [Inputs], bypass: [Weights, Outputs]",
        "target: registers, type: bypass, keep: [Weights], bypass: [Inputs, Outputs]",
    )
    assert rules(one.machine, "registers") == {"weights R = 3", "weights P = 1", "weights C <= 4"}
    assert rules(one.machine, "buffer") == {"inputs R = 6", "inputs P = 5"}
    assert any("buffer, temporal C=2: factors further in are free" in line for line in one.left_out)
    assert any("buffer, temporal Q=1: factors further in are free" in line for line in one.left_out)


def test_all_of_a_dimension_leaves_one_elsewhere(load):
    one = load(
        "target: buffer, type: spatial, factors: S=0",
        "target: registers, type: temporal, factors: R=0",
        "target: buffer, type: temporal, factors: R=1",
        "target: buffer, type: bypass, keep: [Inputs], bypass: [Weights, Outputs]",
        "target: registers, type: bypass, keep: [Weights], bypass: [Inputs, Outputs]",
    )
    assert rules(one.machine, "registers") == {"weights R all", "weights S = 1", "weights S all"}
    assert rules(one.machine, "buffer") == {"inputs R all"}
    assert all("R" not in axis.dims and "S" in axis.dims for axis in one.machine.fanouts[0].axes)


def test_no_loop_further_out_is_all_of_it_within(load):
    one = load(
        "target: DRAM, type: temporal, factors: R=1 S=1 P=2",
        "target: buffer, type: temporal, factors: S=1",
        "target: buffer, type: bypass, keep: [Inputs], bypass: [Weights, Outputs]",
        "target: registers, type: bypass, keep: [Weights], bypass: [Inputs, Outputs]",
    )
    assert rules(one.machine, "buffer") == {"inputs R all", "inputs S all"}
    assert rules(one.machine, "registers") == {"weights S all"}
    assert any("DRAM, temporal P=2" in line for line in one.left_out)
    assert not any("temporal R=1" in line or "temporal S=1" in line for line in one.left_out)


def test_what_a_branch_keeps_passes_by_the_others(load):
    parallel = V4.replace(
        """    - !Component
      name: registers
      class: regfile
      attributes: {depth: 16}
""",
        """    - !Parallel
      nodes:
        - !Component
          name: registers
          class: regfile
          attributes: {depth: 16}
          constraints: {dataspace: {keep: [Weights]}}
        - !Nothing {constraints: {dataspace: {keep: [Inputs, Outputs]}}}
""",
    )
    assert load(architecture=parallel).machine.level("registers").keeps == ("weights",)
    assert load(architecture=parallel).machine.level("registers").may_keep == ()
    with pytest.raises(HardwareError, match="no branch keeps outputs"):
        load(architecture=parallel.replace("[Inputs, Outputs]", "[Inputs]"))
    with pytest.raises(HardwareError, match="two branches keep weights"):
        load(architecture=parallel.replace("[Inputs, Outputs]", "[Inputs, Outputs, Weights]"))


def test_expressions_name_attributes_and_variables(load):
    text = V4.replace("depth: 1024, width: 32", 'depth: "rows / n_banks * 2", width: "4 * datawidth"')
    one = load(architecture=text, variables="variables: {version: 0.4, rows: kilo, kilo: 1024}\n")
    assert one.machine.level("buffer").capacity_bits == 1024 * 32


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("2 * (depth + 1)", 8), ("-depth + 4.5", 1.5), ("7 // 2", 3), ("1e3 / 4", 250)],
)
def test_arithmetic(text, number):
    assert arithmetic(text, {"depth": 3}.__getitem__) == number


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "open(depth)", "depth.real", "[1][0]", "2 ** 99999999", "9 ** 9", "1 if depth else 2",
        "lambda: 1", "True", "'3'", "1 / 0", "1e19", "1e400", "", "3 4", "(" * 150, "1; 2", "x := 1", "depth == 3",
        "9" * 100, "1" * 201, "0x", "1_", "\\d",
    ],
)  # fmt: skip
def test_what_is_no_arithmetic(text):
    with pytest.raises(ValueError, match=r".+"):
        arithmetic(text, {"depth": 3}.get)


def test_names_for_names_without_end(refused):
    text = V4.replace("depth: 1024", "depth: a")
    error = refused(architecture=text, variables="variables: {a: b + b, b: a * a}\n")
    assert "comes to more than 64 names" in error.message
    doubling = ", ".join(f"a{i}: a{i + 1} + a{i + 1}" for i in range(40))
    assert "64 names" in refused(architecture=text, variables=f"variables: {{a: a0, {doubling}, a40: 1}}\n").message


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("version: 0.3", "version: 0.2", "arch.yaml:2", "the version must be 0.3 or 0.4, got 0.2"),
        ("class: SRAM", "klass: SRAM", "arch.yaml:13", "unknown key 'klass'"),
        ("depth: 1024", "dept: 1024", "arch.yaml:12", "buffer has no depth"),
        ("depth: 1024", "depth: -1", "arch.yaml:14", "must be a whole number above 0, got -1"),
        ("depth: 1024", "depth: .nan", "arch.yaml:14", "must be a number up to 1e+18, got nan"),
        ("width: 32", "width: 33", "arch.yaml:12", "rows of 33 bits"),
        ("width: 32", "width: 32, block-size: 2", "arch.yaml:12", "which are not 2 words of 8 bits"),
        ("depth: 16", "entries: 16", "arch.yaml:20", "'entries' is not read"),
        ("PE[0..7]", "PE[7..0]", "arch.yaml:16", "has no instance"),
        ("PE[0..7]", "PE[0..6]", "arch.yaml:18", "7 instances, which are no mesh of 4 × 1"),
        ("name: registers", "name: buffer", "arch.yaml:12", "the name 'buffer' is there twice"),
        ("name: registers", "name: vector", "arch.yaml:18", "vector has no energies in"),
        ("28nm", "small", "arch.yaml:5", "'small' is no technology node"),
        ("word-bits: 8", "bits: 8", "arch.yaml:7", "DRAM has no word-bits"),
        ("    - name: system", "    - {name: other}\n    - name: system", "arch.yaml:5", "a second branch"),
        ("name: DRAM", "name: 'DRAM[0..1]'", "arch.yaml:7", "the outermost component has several instances"),
    ],
)  # fmt: skip
def test_a_design_that_is_refused(refused, tmp_path, old, new, where, message):
    assert old in V3
    error = refused(architecture=V3.replace(old, new, 1))
    assert message in error.message
    assert error.where.startswith(str(tmp_path / where)), error.where


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("!Container\n      name: PE", "!Box\n      name: PE", "the tag '!Box' is not allowed"),
        ("- !Component\n      name: DRAM", "-\n      name: DRAM", "a node without a tag"),
        ("attributes: {depth: 16}", "attributes: {depth: 16, meshX: 2}", "meshX among attributes"),
        ("- !Component\n      name: mac", "- !Nothing\n    - !Component\n      name: mac", "!Nothing outside"),
        ("spatial: {meshX: 4, meshY: 2}", "spatial: {meshZ: 4}", "unknown key 'meshZ'"),
        ("{depth: 16}", "{depth: 16, <<: {a: 1}}", "merging tables with '<<'"),
        ("class: DRAM", "class: !!python/name:os.system", "is not allowed"),
        ("{depth: 16}", "{depth: 16}\n      enabled: false", "a component that is not enabled"),
    ],
)
def test_a_design_of_version_0_4_that_is_refused(refused, old, new, message):
    assert old in V4
    error = refused(architecture=V4.replace(old, new, 1))
    assert message in error.message
    assert "arch.yaml:" in error.where


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("target: cache, type: temporal, factors: N=1", "a temporal constraint on 'cache', which is no memory here"),
        ("target: buffer, type: loops, factors: N=1", "unknown kind of constraint 'loops'"),
        ("target: buffer, type: temporal, factors: X=1", "unknown dimension 'X'"),
        ("target: buffer, type: temporal, factors: N=1 N=2", "N is there twice"),
        ("target: buffer, type: temporal, factors: N>=1", "is no list of factors"),
        ("target: buffer, type: temporal, keep: [Weights]", "'keep' can't be said of a temporal constraint"),
        ("target: buffer, type: bypass, keep: [Biases]", "unknown tensor 'Biases'"),
        ("target: buffer, type: bypass, keep: [Inputs], bypass: [Inputs]", "must both keep inputs and let them pass"),
        ("target: DRAM, type: bypass, bypass: [Inputs]", "the outermost memory DRAM must let inputs pass"),
        ("target: buffer, type: spatial, factors: N=1 M=1 C=1 P=1 Q=1 R=1 S=1", "no dimension may lie along x of PE"),
        ("target: buffer, type: temporal, permutation: NN", "names a dimension twice"),
        ("target: buffer, factor: N=1", "unknown key 'factor'"),
    ],
)
def test_a_constraint_that_is_refused(refused, tmp_path, target, message):
    error = refused(target)
    assert message in error.message
    assert error.where.startswith(f"{tmp_path / 'constraints.yaml'}:3"), error.where


def test_constraints_that_contradict_each_other(refused):
    error = refused("target: registers, type: temporal, factors: R=0", "target: buffer, type: temporal, factors: R=2")
    assert error.message == "R=2 contradicts R=0 at constraints.yaml:3"
    error = refused("target: buffer, type: temporal, factors: R=1", "target: buffer, type: temporal, factors: R=2")
    assert error.message == "R=2 contradicts R=1 at constraints.yaml:3"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{name: read, energy: 64}, ", "", "DRAM has no energy for read"),
        ("energy: 64", "energy: -64", "an energy must be at least 0, got -64"),
        ("energy: 64", "energy: .inf", "must be a number up to 1e+18, got inf"),
        ("name: system.chip.buffer", "name: chip.DRAM", "a second table for DRAM"),
        ("name: compute", "name: think", "mac has no energy for compute"),
        ("energy: 6}", "energie: 6}", "unknown key 'energie'"),
    ],
)
def test_a_table_that_is_refused(refused, old, new, message):
    assert old in ERT
    assert message in refused(ert=ERT.replace(old, new, 1)).message


def test_files_that_are_no_design(tmp_path):
    architecture, energies = write_design(tmp_path)
    with pytest.raises(HardwareError, match="no file has the key 'ERT', which has the energies"):
        import_timeloop([architecture])
    with pytest.raises(HardwareError, match="no file has the key 'architecture', which describes the machine"):
        import_timeloop([energies])
    with pytest.raises(UsageError, match="named twice"):
        import_timeloop([architecture, architecture])
    with pytest.raises(HardwareError, match=r"architecture is there twice, first in arch\.yaml:1"):
        import_timeloop(write_design(tmp_path, more=V4))
    with pytest.raises(HardwareError, match="unknown key 'name'"):
        import_timeloop(write_design(tmp_path, more="name: eyeriss\n"))


def test_a_bomb_of_aliases(refused):
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for inner, outer in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{outer}: &{outer} [{', '.join([f'*{inner}'] * 9)}]")
    assert "aliases included" in refused(more="\n".join(lines)).message


def test_a_name_that_we_have_no_use_for(tmp_path):
    paths = write_design(tmp_path)
    assert import_timeloop(paths, "my-chip").machine.name == "my-chip"
    with pytest.raises(HardwareError, match="comes to no machine of ours: name: 'my chip' can't be a name"):
        import_timeloop(paths, "my chip")


def test_comments_hold_no_line_of_their_own(load):
    one = load(architecture=V3.replace("n_banks: 2", '"n\\nmac: {bits: 1}\\u2028x\\e[2J": 2'))
    assert all(line.startswith("#") for line in one.text.partition("\nname:")[0].splitlines())
    assert "\x1b" not in one.text and not any("\x1b" in line for line in one.left_out)


@given(st.data())
def test_whatever_stands_in_a_file_is_carried_or_refused_in_our_words(data):
    """Pieces of the design are cut out, doubled, or replaced by what doesn't belong there."""
    texts = {"arch": data.draw(st.sampled_from([V3, V4])), "ERT": ERT}
    limits = constraints(
        "target: buffer, type: spatial, factors: N=1 S=0, permutation: NPRQ SCM, split: 4",
        "target: registers, type: temporal, factors: R=0 P=1 C<=4, permutation: RSC",
        "target: buffer, type: bypass, keep: [Inputs], bypass: [Weights]",
    )
    texts["constraints"] = limits
    stem = data.draw(st.sampled_from(sorted(texts)))
    text = texts[stem]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    odd = ["", text[start:end] * 2, "0", "-1", "1e999", ".nan", "null", "[]", "{}", "x", "'", ": ", "\n", "!Nothing"]
    texts[stem] = text[:start] + data.draw(st.sampled_from(odd)) + text[end:]
    with tempfile.TemporaryDirectory() as folder:
        try:
            one = import_timeloop(write_design(Path(folder), texts.pop("arch"), texts.pop("ERT"), **texts))
        except HardwareError as error:
            assert error.where and "\n" not in error.message
        else:
            assert one.machine.pes >= 1
