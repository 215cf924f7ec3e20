"""Timeloop's mapping text and the file of ``estimate --mapping``: what is read, and what a bad one is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from picojoule.errors import MappingError, UsageError
from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, operand_latch, uniform_energies
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Loop, Mapping, Spread
from picojoule.mapping.reading import read_mapping_file
from picojoule.mapping.timeloop import parse_timeloop_mapping
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

TEXT = """
main [ Weights:96 (96) Inputs:60 (60) Outputs:48 (48) ]
-------------------------------------------------------
| for P in [0:3)
|   for M in [0:2)

buffer [ Inputs:20 (20) Outputs:8 (8) ]
---------------------------------------
|     for Q in [0:4)
|       for M in [0:2) (Spatial-X)

nothing [ ]
-----------
|         for Q in [0:1)
|           for C in [0:2) (Spatial-Y)

pad [ Weights:3 (3) ]
---------------------
|             for S in [0:3)

"""

NODES = (
    Keep("main", "weights"), Keep("main", "inputs"), Keep("main", "outputs"),
    Loop("P", 1), Loop("K", 2),
    Keep("buffer", "inputs"), Keep("buffer", "outputs"),
    Loop("Q", 1), Spread("K", 1, "PE", "x"), Spread("C", 1, "PE", "y"),
    Keep("pad", "weights"),
    Loop("S", 1),
)  # fmt: skip
NEST = Nest(K=4, C=2, P=3, Q=4, S=3)


def level(name: str, *keeps: str) -> Level:
    return Level(name=name, keeps=keeps, word_bits=8, energy_per_word=uniform_energies(read=1, write=1, update=1))


def axes(**sizes: int) -> tuple[Axis, ...]:
    return tuple(Axis(name=name, size=size, dims=DIMS) for name, size in sizes.items())


def machine(*hierarchy: Level | FanOut) -> Accelerator:
    bits = Bits(weights=8, inputs=8, outputs=8, psums=8)
    return Accelerator(name="toy", hierarchy=hierarchy, unit="pJ", bits=bits, mac=MacEnergy(bits=8, multiply=1.0))


TOY = machine(
    level("main", *TENSORS), level("buffer", "inputs", "outputs"),
    FanOut(name="PE", axes=axes(x=4, y=4)), level("pad", "weights"),
)  # fmt: skip


def test_levels_loops_and_spreads() -> None:
    mapping, dims = parse_timeloop_mapping(TEXT, TOY)
    assert mapping.nodes == NODES
    assert dims == NEST.dims


def test_levels_that_share_loops_and_the_word_compute() -> None:
    """Spec v0.4 prints consecutive levels without loops between, and ends in << Compute >>."""
    text = (
        "main [ Weights:3 (3) Inputs:3 (3) Outputs:1 (1) ]\nbuffer [ Inputs:3 (3) Outputs:1 (1) ]\n"
        "pad [ Weights:1 (1) ]\n---\n| for S in [0:3)\n|   << Compute >>\n"
    )
    mapping, dims = parse_timeloop_mapping(text, TOY)
    inner = (Keep("buffer", "inputs"), Keep("buffer", "outputs"), Keep("pad", "weights"), Loop("S", 1))
    assert mapping.nodes[-4:] == inner
    assert dims["S"] == 3


def test_names_of_levels_may_differ() -> None:
    text = TEXT.replace("main [", "DRAM [").replace("pad [", "weights_spad [")
    mapping, _ = parse_timeloop_mapping(text, TOY, level_names={"DRAM": "main", "weights_spad": "pad"})
    assert mapping.nodes == NODES


@pytest.mark.parametrize("letter", ["M", "C"])
def test_depthwise_channels_are_groups(letter: str) -> None:
    text = (
        "main [ Weights:6 (6) Inputs:6 (6) Outputs:6 (6) ]\n"
        f"| for {letter} in [0:3)\n| for {letter} in [0:2) (Spatial-X)\npad [ Weights:1 (1) ]"
    )
    mapping, dims = parse_timeloop_mapping(text, TOY, depthwise=True)
    assert dims == Nest(G=6).dims
    assert mapping.nodes[3:] == (Loop("G", 2), Spread("G", 1, "PE", "x"), Keep("pad", "weights"))


def test_each_spatial_loop_goes_to_the_fanout_between_its_levels() -> None:
    two = machine(
        level("main", *TENSORS), FanOut(name="PE", axes=axes(x=4)), level("buffer", "inputs", "outputs"),
        FanOut(name="lane", axes=axes(y=4)), level("pad", "weights"), FanOut(name="mac", axes=axes(y=2)),
    )  # fmt: skip
    text = (
        "main [ Weights:8 (8) Inputs:8 (8) Outputs:8 (8) ]\n"
        "| for M in [0:2) (Spatial-X)\n| for C in [0:2) (Spatial-Y)\n"
        "buffer [ Inputs:1 (1) Outputs:1 (1) ]\n| for M in [0:3) (Spatial-X)\n"
        "pad [ Weights:1 (1) ]\n| for R in [0:2) (Spatial-Y)\n"
    )
    mapping, _ = parse_timeloop_mapping(text, two)
    spreads = [(n.dim, n.fanout, n.axis) for n in mapping.nodes if isinstance(n, Spread)]
    # An array with one side takes loops of both directions.
    assert spreads == [("K", "PE", "x"), ("C", "PE", "x"), ("K", "lane", "y"), ("R", "mac", "y")]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("for P in [0:3)", "for P in [0;3)", 4, "is neither a level nor a loop"),
        ("for P in [0:3)", "for P in [1:3)", 4, "is neither a level nor a loop"),
        ("for P in [0:3)", "for P in [0:-3)", 4, "is neither a level nor a loop"),
        ("for P in [0:3)", "for P in [0:3) (Spatial-Z)", 4, "is neither a level nor a loop"),
        ("for P in [0:3)", "for P in [0:3,2)", 4, "ends in a remainder"),
        ("for P in [0:3)", "for P in [0:0)", 4, "never runs"),
        ("for P in [0:3)", "for X in [0:3)", 4, "unknown dimension 'X'"),
        ("Inputs:60 (60)", "Input:60 (60)", 2, "unknown tensor 'Input'"),
        ("Inputs:60 (60)", "Inputs=60", 2, "can't read the tensors"),
        ("buffer [", "bufer [", 7, "no level 'bufer' in toy"),
        ("Inputs:20 (20)", "Weights:20 (20)", 7, "buffer of toy does not hold weights"),
        ("for P in [0:3)", "for P in [0:3) (Spatial-X)", 4, "no fan-out between main and buffer"),
    ],
)
def test_malformed_text_names_the_line(old: str, new: str, line: int, message: str) -> None:
    with pytest.raises(MappingError, match=rf"line {line}: ") as caught:
        parse_timeloop_mapping(TEXT.replace(old, new, 1), TOY, where="map.txt")
    assert caught.value.where == f"map.txt, line {line}"
    assert message in caught.value.message


def test_a_misspelt_level_gets_the_nearest_spelling() -> None:
    with pytest.raises(MappingError) as caught:
        parse_timeloop_mapping(TEXT.replace("buffer [", "bufer ["), TOY)
    assert "Did you mean 'buffer'?" in caught.value.hint


def test_loops_above_the_first_level_and_empty_text() -> None:
    with pytest.raises(MappingError, match="stands above the first level"):
        parse_timeloop_mapping("| for P in [0:3)\n" + TEXT, TOY)
    with pytest.raises(MappingError, match="empty"):
        parse_timeloop_mapping("\n---\n", TOY)


def test_depthwise_with_channels_on_both() -> None:
    with pytest.raises(MappingError, match="M 4 and C 2"):
        parse_timeloop_mapping(TEXT, TOY, depthwise=True)


# The file of ``estimate --mapping``.


def written(folder: Path, content: str) -> Path:
    path = folder / "mapping.txt"
    path.write_text(content, encoding="utf-8")
    return path


def test_file_with_timeloops_text(tmp_path: Path) -> None:
    nests = {"conv1": NEST, "conv2": Nest(K=7), "conv3": NEST}
    assert read_mapping_file(written(tmp_path, TEXT), TOY, nests) == {"conv1": Mapping(NODES), "conv3": Mapping(NODES)}


def test_file_with_timeloops_text_of_a_depthwise_layer(tmp_path: Path) -> None:
    text = "main [ Weights:6 (6) Inputs:6 (6) Outputs:6 (6) ]\n| for M in [0:6)\n"
    found = read_mapping_file(written(tmp_path, text), TOY, {"dw": Nest(G=6)})
    assert found["dw"].nodes[-1] == Loop("G", 1)


def test_file_with_nodes_by_layer_or_a_result_file(tmp_path: Path) -> None:
    nodes = Mapping(NODES).to_data(NEST.dims)
    nests = {"conv1": NEST, "conv2": NEST}
    expected = Mapping(NODES)
    assert read_mapping_file(written(tmp_path, json.dumps(nodes)), TOY, nests) == {"conv1": expected, "conv2": expected}
    assert read_mapping_file(written(tmp_path, json.dumps({"conv2": nodes})), TOY, nests) == {"conv2": expected}
    result = {
        "schema": "picojoule/estimate/1",
        "layers": [
            {"name": "conv1", "mapping": nodes, "same_as": None},
            {"name": "pool1", "mapping": None, "same_as": None},
            {"name": "conv2", "mapping": None, "same_as": "conv1"},
        ],
    }
    found = read_mapping_file(written(tmp_path, json.dumps(result)), TOY, nests)
    assert found == {"conv1": expected, "conv2": expected}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "neither JSON nor a mapping"),
        ("hello", "neither JSON nor a mapping"),
        ("[", "not JSON"),
        ("[" * 100_000, "not JSON|too deeply"),
        ("{}", "no mapping in this file"),
        ('{"layers": 3}', "layers is a list"),
        ('{"layers": [3]}', "a table with a name"),
        ('{"layers": [{"name": "conv1", "mapping": null}]}', "no mapping in this file"),
        ('{"conv9": []}', "no layer 'conv9'"),
        ('{"conv1": 3}', "a mapping is a list of nodes, got int"),
        ("[]", "one mapping is given, the model has 2 layers"),
        ('[{"for": "P"}]', "'tile' is missing"),
        ("main [ Weights:8 (8) Inputs:8 (8) Outputs:8 (8) ]\n| for M in [0:5)", "add up to K5, which is no layer"),
    ],
)
def test_what_a_bad_file_is_told(tmp_path: Path, content: str, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(MappingError, match=message) as caught:
        read_mapping_file(path, TOY, {"conv1": NEST, "conv2": Nest(K=7)})
    assert caught.value.where.startswith(str(path))


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such mapping file"):
        read_mapping_file(tmp_path / "none.json", TOY, {"conv1": NEST})
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(MappingError, match="not text"):
        read_mapping_file(binary, TOY, {"conv1": NEST})


def test_a_latch_that_timeloop_does_not_know_is_kept_innermost():
    """Below it no loop is left, so that its tile is one element; named in the text, it stands where the text has it."""
    latched = replace(TOY, hierarchy=(*TOY.hierarchy, operand_latch("operands", ("weights", "inputs"))))
    mapping, dims = parse_timeloop_mapping(TEXT, latched)
    assert mapping.nodes == (*NODES, Keep("operands", "weights"), Keep("operands", "inputs"))
    check_legal(NEST, latched, mapping)
    named = TEXT + "operands [ Weights:1 (1) Inputs:1 (1) ]\n"
    assert parse_timeloop_mapping(named, latched)[0].nodes == mapping.nodes
