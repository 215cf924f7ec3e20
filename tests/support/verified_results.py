"""Results on a tiny network, searched and given, and how to change them behind their back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from picojoule.estimation import estimate
from picojoule.hardware import load_hardware
from picojoule.result import Estimate, content_hash
from picojoule.workload.data_flow import DataFlow, Given
from picojoule.workload.nest import Nest
from picojoule.workload.network import Layer, Network, NotCosted

KINDS = ("energy", "widths", "given", "timeloop")


def results_by_kind(folder: Path) -> dict[str, Estimate]:
    """One result of every kind; ``folder`` is for the mapping files."""
    return {
        "energy": searched_energy(),
        "widths": searched_widths(),
        "given": given(folder, "exact"),
        "timeloop": given(folder, "timeloop"),
    }


def network(*, whole: bool = True) -> Network:
    """Two different nests, one of them twice and later read again, and a pooling.

    Unless ``whole``, something isn't costed, and a layer runs three times and passes on what others read.
    """
    conv = Nest(K=4, C=3, P=4, Q=3, R=3, S=3, stride=(2, 1), pad=(1, 1, 0, 1))
    layers = (
        Layer(name="conv1", kind="conv", op="Conv", nest=conv, biases=4),
        Layer(name="conv2", kind="conv", op="Conv", nest=conv),
        Layer(name="pool", kind="pool", op="MaxPool", read_elements=48, written_elements=12, vector_ops=36),
        Layer(name="fc", kind="fc", op="Gemm", nest=Nest(K=10, C=12), biases=10),
    )
    flow = DataFlow(
        reads=(("image",), ("conv1",), ("conv2",), ("pool", "conv1")),
        given=(Given(name="image", elements=120), Given(name="state", elements=7, held=True)),
        outputs=() if whole else ("conv2",),
    )
    not_costed = () if whole else (NotCosted(op="Softmax", where="probabilities", elements=10),)
    if not whole:
        layers = (*layers[:2], replace(layers[2], repeats=3), replace(layers[3], repeats=3))
    return Network(name="tiny", layers=layers, input_shape=(1, 3, 8, 5), not_costed=not_costed, flow=flow)


def searched_energy() -> Estimate:
    return estimate(network(), hardware="eyeriss-normalized")


def searched_widths() -> Estimate:
    """Every tensor has a width of its own, arithmetic of layers without nest has a price, and there is a clock."""
    machine = replace(load_hardware("eyeriss-like-45nm"), vector_energy=0.25, clock_hz=2e8, area_mm2=12.25)
    widths = {"weights": 4, "inputs": 8, "outputs": 9, "psums": 20}
    return estimate(network(whole=False), hardware=machine, bits=widths, batch=2, objective="edp")


def given(folder: Path, counting: str) -> Estimate:
    """Mappings handed in: with our own counting conv1 and conv2 have chunks that don't divide."""
    conv = CLIPPED if counting == "exact" else DIVIDED
    path = folder / f"{counting}.json"
    path.write_text(json.dumps({"conv1": conv, "conv2": conv, "fc": FC}), encoding="utf-8")
    return estimate(network(), hardware="eyeriss-normalized", mapping=path, counting=counting)


def nodes(text: str) -> list[dict[str, Any]]:
    """A mapping in short: ``inputs@GLB``, ``P2*3`` for 3 chunks of 2, ``K1*3:x`` spread along x."""
    result: list[dict[str, Any]] = []
    for word in text.split():
        if "@" in word:
            tensor, level = word.split("@")
            result.append({"keep": tensor, "at": level})
            continue
        dim, tile, count, axis = re.fullmatch(r"([A-Z])(\d+)\*(\d+)(?::(\w))?", word).groups()  # type: ignore[union-attr]
        place = {"fanout": "PE", "axis": axis} if axis else {}
        result.append({"spread" if axis else "for": dim, "tile": int(tile), "count": int(count), **place})
    return result


HOMES = "weights@DRAM inputs@DRAM outputs@DRAM"
CLIPPED = nodes(
    f"{HOMES} P3*2 inputs@GLB outputs@GLB K3*2:x P2*2:y C2*2 weights@weights_spad Q2*2 K1*3 outputs@psum_spad"
    " C1*2 R1*3 inputs@ifmap_spad S1*3 P1*2 Q1*2"
)
DIVIDED = nodes(
    f"{HOMES} P2*2 inputs@GLB outputs@GLB K2*2:x P1*2:y C1*3 weights@weights_spad K1*2 outputs@psum_spad"
    " R1*3 inputs@ifmap_spad S1*3 Q1*3"
)
FC = nodes(f"{HOMES} inputs@GLB outputs@GLB K1*10:x weights@weights_spad outputs@psum_spad C1*12 inputs@ifmap_spad")


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Sets one leaf, in place."""
    *outer, last = re.findall(r"[^.\[\]]+", path)
    for key in outer:
        document = document[int(key) if isinstance(document, list) else key]
    document[int(last) if isinstance(document, list) else last] = value


def rehashed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a content hash that fits what it holds now."""
    provenance = {**document["provenance"], "content_hash": content_hash(document)}
    return {**document, "provenance": provenance}
