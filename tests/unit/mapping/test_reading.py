"""Mapping files of our own: what of them is read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from picojoule.errors import MappingError
from picojoule.hardware import load_hardware
from picojoule.mapping.reading import read_mapping_file
from picojoule.workload.nest import Nest

MACHINE = load_hardware("eyeriss-normalized")
NODES = [
    {"spread": "K", "tile": 7, "count": 4, "fanout": "PE", "axis": "row"},
    {"for": "K", "tile": 2, "count": 4},
    {"for": "K", "tile": 1, "count": 2},
]
K24 = {"fc": Nest(K=24)}


def read(folder: Path, data: object) -> dict[str, object]:
    path = folder / "maps.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return read_mapping_file(path, MACHINE, K24)


@pytest.mark.parametrize("named", [False, True])
def test_counts_are_those_of_the_tiles_or_left_out(tmp_path, named):
    without = [{key: value for key, value in node.items() if key != "count"} for node in NODES]
    stated, bare = (read(tmp_path, {"fc": nodes} if named else nodes) for nodes in (NODES, without))
    assert stated == bare


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("at", "count", "right"), [(0, 3, 4), (1, 5, 4), (2, "2", 2), (2, True, 2), (2, None, 2)])
def test_a_count_that_contradicts_the_tiles_is_refused(tmp_path, named, at, count, right):
    nodes = [{**node, "count": count} if n == at else node for n, node in enumerate(NODES)]
    with pytest.raises(MappingError) as caught:
        read(tmp_path, {"fc": nodes} if named else nodes)
    assert caught.value.message == f"count is {count!r}, but with K = 24 and these tiles it is {right}"
    assert caught.value.where == f"{tmp_path / 'maps.json'}{': fc' if named else ''}[{at}]"
