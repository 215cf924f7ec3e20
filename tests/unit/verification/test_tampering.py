"""Nothing in a result can be changed unnoticed: what can be derived is derived, the rest is under the hash."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.verified_results import KINDS, network, put, rehashed

from picojoule.errors import ResultFileError
from picojoule.estimation import estimate
from picojoule.result import content_hash
from picojoule.search.policy import Exact
from picojoule.verification import Verification, verify, verify_document
from picojoule.workload.nest import TENSORS

ONLY_HASHED = {
    "words for people": r"model|space|hardware\.(name|description)",
    "names of layers, the shape of the input": r"layers\[\d+\]\.(name|kind|op)|input_shape\[\d+\]",
    "the widths asked for: every layer has its own": r"(hardware\.)?bits\.\w+",
    "how the run went": r"provenance\.(version|command|seed|samples|wall_s|cpu_s|search\.from_cache)",
    "operators that no layer stands for": r"coverage\.(bytes|not_costed\[\d+\]\.(op|where\[\d+\]))",
    "arithmetic without a price": r"layers\[2\]\.moved\.vector_ops",
    "a held tensor that nobody reads": r"data_flow\.given\[1\]\.name",
    "widths of tensors that don't move": r"layers\[2\]\.bits\.(weights|psums)",
    "steps of a window of one": r"layers\[3\]\.(stride|dilation)\[\d\]",
    "room that the mappings don't use up": r"hardware\.hierarchy\[\d\]\.(capacity|buffering|block_words)",
    "speed that the mappings don't use up": r"hardware\.hierarchy\[\d\]\.bandwidth\.\w+",
    "prices of what never happens": r"hardware\.hierarchy\[\d\]\.energy\.(write|update)",
    "how fast an optimum may be where that is open: a certificate proves it": r"layers\[2\]\.latency_bound_cycles",
    "abilities of an array that the mappings don't use": r"hardware\.hierarchy\[2\]\.(multicast|reduction)",
}
"""Keys that can be changed with the hash made anew and nothing contradicts: no other figure depends on them."""


def leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every number, text and null of a document with its place."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(data, list):
        for i, value in enumerate(data):
            yield from leaves(value, f"{path}[{i}]")
    else:
        yield path, data


def others(path: str, value: Any) -> list[Any]:
    """What a leaf is changed to."""
    key = path.rpartition(".")[2]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, float):
        return [value * (1 + 1e-6)] if value else [1e-3]
    if value is None:
        return [0.5]
    if key == "status":
        return [s for s in ("PROVED", "GAP_OPEN", "GIVEN", "INTERRUPTED") if s != value]
    words = {
        "tensor": TENSORS,
        "keep": TENSORS,
        "level": ("DRAM", "GLB", "mac"),
        "at": ("DRAM", "GLB"),
        "for": "KP",
        "spread": "KP",
    }
    if key in words:
        return [word for word in words[key] if word != value]
    if re.fullmatch(r"\d+(\.\d+)? .*", value):
        number, unit = value.split(" ", 1)
        return [f"{float(number) * 2!r} {unit}" if "." in number else f"{int(number) * 2} {unit}"]
    return [value + "x"]


def caught(document: dict[str, Any], check: Callable[[dict[str, Any]], Verification]) -> bool:
    """Whether a document is refused, or read and not verified."""
    try:
        return not check(document).ok
    except ResultFileError:
        return True


def changes(original: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document with one leaf changed, for every leaf in turn; it is the same table each time, so don't keep it."""
    document = copy.deepcopy(original)
    for path, value in leaves(original):
        for other in others(path, value):
            put(document, path, other)
            yield path, document
        put(document, path, value)


def escapes(original: dict[str, Any], check: Callable[[dict[str, Any]], Verification] = verify_document) -> set[str]:
    """The leaves of which some change goes unnoticed when the hash is made anew."""
    return {
        path
        for path, document in changes(original)
        if path != "provenance.content_hash" and not caught(rehashed(document), check)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_changed_breaks_the_hash(results, kind):
    original = results[kind].to_data()
    stated = original["provenance"]["content_hash"]
    intact = [
        path for path, document in changes(original) if document["provenance"]["content_hash"] == content_hash(document)
    ]
    assert content_hash(original) == stated
    assert intact == []
    assert sum(1 for _ in leaves(original)) > 500


def test_a_broken_hash_alone_is_enough_to_fail(results):
    document = results["energy"].to_data()
    put(document, "provenance.wall_s", 12345.0)
    assert [check.name for check in verify_document(document).failed] == ["content hash"]


@pytest.fixture(scope="module")
def unnoticed(results) -> dict[str, set[str]]:
    return {kind: escapes(results[kind].to_data()) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_also_mends_the_hash_is_caught_by_derivation(unnoticed, kind):
    known = re.compile("|".join(f"(?:{pattern})" for pattern in ONLY_HASHED.values()))
    # Timeloop counts in words of any width, whatever the array can do.
    counted_in_words = re.compile(r"hardware\.hierarchy\[\d\]\.word_bits" if kind == "timeloop" else "(?!)")
    assert [
        path for path in sorted(unnoticed[kind]) if not known.fullmatch(path) and not counted_in_words.fullmatch(path)
    ] == []


@pytest.mark.parametrize("reason", ONLY_HASHED)
def test_nothing_is_left_to_the_hash_without_need(unnoticed, reason):
    assert any(re.fullmatch(ONLY_HASHED[reason], path) for path in set().union(*unnoticed.values()))


@pytest.mark.parametrize(
    ("blind_to", "escaping"),
    [
        ("access counts and energy", "layers[3].by[5].writes"),
        ("latency", "layers[3].utilization"),
        ("floor", "layers[3].compulsory_pj"),
        ("reuse", "layers[3].reuse.weights"),
        ("totals", "dram_bytes"),
        ("machine and table", "table.node_nm"),
        ("status and gap", "layers[3].gap"),
        ("bound by", "layers[3].bound_by"),
        ("activations in memory", "layers[3].memory_bytes"),
    ],
)
def test_a_check_that_is_left_out_shows(results, blind_to, escaping):
    """The test above can fail: without any one of the checks something escapes."""

    def blind(changed: dict[str, Any]) -> Verification:
        checks = tuple(check for check in verify_document(changed).checks if check.name != blind_to)
        return Verification(ok=all(check.ok for check in checks), checks=checks)

    document = results["energy"].to_data()
    value = dict(leaves(document))[escaping]
    put(document, escaping, others(escaping, value)[0])
    assert caught(rehashed(document), verify_document)
    assert not caught(rehashed(document), blind)


def test_a_bound_raised_in_step_is_left_to_the_hash():
    """The limit of a re-check without the search tree: nothing but the hash holds the bound of an open layer."""
    result = estimate(network(), hardware="eyeriss-like-45nm", search=Exact(node_limit=1))
    row = next(row for row in result.layers if row.status == "GAP_OPEN" and row.same_as is None)
    halfway = (row.bound + row.value) / 2
    changed = {"bound": halfway, "bound_pj": halfway, "gap": (row.value - halfway) / row.value}
    rows = [replace(x, **changed) if row.name in (x.name, x.same_as) else x for x in result.layers]
    bound = math.fsum(x.bound for x in rows)
    forged = replace(result, layers=tuple(rows), bound=bound, bound_pj=bound, gap=(result.value - bound) / result.value)
    assert [check.name for check in verify(forged).failed] == ["content hash"]
