"""A certificate holds, and nothing in it can be changed unnoticed, with the hash made anew or not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.certificates import certificate_of, in_any_factors, resealed, with_parts
from support.verified_results import FC, network

from picojoule.certificate import Certificate, spread_factors, write_certificate
from picojoule.cost.floor import floor
from picojoule.errors import CertificateError, UsageError
from picojoule.estimation import estimate
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Axis, FanOut
from picojoule.result import Estimate, content_hash
from picojoule.search.layer import _Search
from picojoule.search.policy import Exact
from picojoule.verification import Verification, chains, verify
from picojoule.verification.layers import bits_of, nest_of
from picojoule.verification.least import least
from picojoule.verification.parts import Parts
from picojoule.verification.space import level_choices
from picojoule.workload.nest import Nest
from picojoule.workload.network import Layer, Network

EYERISS = load_hardware("eyeriss-normalized")
SMALL = replace(
    EYERISS,
    hierarchy=tuple(
        replace(entry, capacity_bits=1200) if entry.name == "GLB" else entry for entry in EYERISS.hierarchy
    ),
)
"""Eyeriss with a global buffer that inputs and outputs have to share."""


EXACT = Exact(factors="exact")


@pytest.fixture(scope="module")
def proved() -> tuple[Estimate, Certificate]:
    result = estimate(network(), hardware=SMALL, cache=False, search=EXACT)
    return result, certificate_of(result, SMALL)


def failed(verification: Verification) -> dict[str, str]:
    """The message of every check that fails, by name."""
    return {check.name: check.message for check in verification.failed}


def caught(result: Estimate, certificate: Certificate) -> dict[str, str]:
    """The checks that fail with every part checked."""
    return failed(verify(result, certificate=certificate, sample=None))


def test_a_certificate_holds(proved):
    result, certificate = proved
    verification = verify(result, certificate=certificate, sample=None)
    assert verification.failed == ()
    names = {check.name for check in verification.checks}
    assert not any(name.startswith("bound: order only") for name in names)
    assert {"conv1", "fc"} == {
        check.where for check in verification.checks if check.name.startswith("certificate: par")
    }
    messages = {
        check.where: check.message for check in verification.checks if check.name == "certificate: bounds of the parts"
    }
    assert all(f"{len(cover.choices[0].parts)} parts: " in messages[cover.name] for cover in certificate.layers)
    # Both kinds of derivation are at work.
    assert " 0 by the simple bound" not in messages["conv1"]
    assert "the other 0 solved" not in messages["conv1"]


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_certificates_of_other_objectives_hold(objective):
    """On a machine with few processing elements and a narrow port, which takes longer than compute and floor."""
    pair = FanOut(name="PE", axes=(Axis(name="x", size=2, dims=("K", "C", "P")),))
    changes = {
        "shared_glb": {"read_bits_per_cycle": 4.0},
        "ifmap_spad": {"capacity_bits": 48},
        "psum_spad": {"capacity_bits": 32},
    }
    eyeriss = load_hardware("eyeriss-like-45nm")
    entries = [pair if x.name == "PE" else replace(x, **changes.get(x.name, {})) for x in eyeriss.hierarchy]
    machine = replace(eyeriss, hierarchy=tuple(entries))
    nest = Nest(K=4, C=3, P=4, R=3)
    layers = (Layer(name="conv", kind="conv", op="Conv", nest=nest),)
    result = estimate(
        Network(name="one", layers=layers, input_shape=(1, 3, 8, 5)), hardware=machine, objective=objective, cache=False,
        search=Exact(factors="exact"),
    )  # fmt: skip
    certificate = certificate_of(result, machine)
    assert result.layers[0].latency_cycles > floor(nest, machine, machine.bits).cycles * 1.01
    assert result.layers[0].bound > result.layers[0].floor * 1.01
    assert caught(result, certificate) == {}
    lowest = min(
        range(len(certificate.layers[0].choices[0].parts)), key=lambda i: certificate.layers[0].choices[0].parts[i][1]
    )

    def raise_lowest(parts):
        parts[lowest] = parts[lowest][0], parts[lowest][1] * 1.001

    assert "certificate: bounds of the parts" in caught(result, with_parts(certificate, 0, raise_lowest))


def test_a_certificate_of_any_factors_holds(proved):
    result, _ = proved
    result, certificate = in_any_factors(result, certificate_of(result, SMALL, exact=False))
    assert caught(result, certificate) == {}
    assert certificate.parts > proved[1].parts
    # What is proved for exact factors is not proved for any.
    assert "certificate: belongs to the result" in caught(result, proved[1])
    assert "certificate: parts cover the map space" in caught(result, resealed(proved[1], factors="any"))


def test_all_is_everything_and_no_other_word_is(proved):
    result, certificate = proved
    everything = [verify(result, certificate=certificate, sample=size).checks[-1] for size in ("all", None)]
    assert everything[0] == everything[1]
    for wrong in ("some", "3", -1, 2.5, True):
        with pytest.raises(UsageError, match="a number of parts or 'all'"):
            verify(result, certificate=certificate, sample=wrong)


def test_a_sample_is_drawn_by_its_seed_and_says_so(proved):
    result, certificate = proved
    names = [
        [c.name for c in verify(result, certificate=certificate, sample=n).checks if c.name.startswith("bound: ")]
        for n in (0, 3, 3, None)
    ]
    assert [len(one) for one in names] == [1, 1, 1, 1]
    assert ", 0 of the other " in names[0][0]
    assert ", 3 of the other " in names[1][0] and "(sample, seed 0)" in names[1][0]
    assert names[1] == names[2]
    assert names[3][0].endswith(" solved again") and "sample" not in names[3][0]
    with pytest.raises(UsageError, match="-1"):
        verify(result, certificate=certificate, sample=-1)


def lowest(certificate: Certificate, layer: int) -> int:
    """The part that the layer's bound comes from."""
    parts = certificate.layers[layer].choices[0].parts
    return min(range(len(parts)), key=lambda i: parts[i][1])


@pytest.mark.parametrize("layer", [0, 1])
def test_a_part_that_is_missing_is_named(proved, layer):
    result, certificate = proved
    for gone in (0, lowest(certificate, layer), len(certificate.layers[layer].choices[0].parts) // 2):
        name = certificate.layers[layer].choices[0].parts[gone][0]
        message = caught(result, with_parts(certificate, layer, lambda parts, gone=gone: parts.pop(gone)))
        assert f"1 part is missing, such as {name!r}" in message["certificate: parts cover the map space"]


def test_a_part_that_stands_there_twice_is_named(proved):
    result, certificate = proved
    name = certificate.layers[0].choices[0].parts[2][0]
    message = caught(result, with_parts(certificate, 0, lambda parts: parts.append(parts[2])))
    assert f"1 part is in it twice, such as {name!r}" in message["certificate: parts cover the map space"]


@pytest.mark.parametrize(
    "name", ["PE K5", "PE K1", "PE C3 K4", "PE  K4", "GLB K2", "nonsense", "PE K4;PE C3", "PE K2 K2"]
)
def test_a_foreign_part_is_named(proved, name):
    result, certificate = proved
    message = caught(result, with_parts(certificate, 0, lambda parts: parts.append((name, 1e9))))
    assert f"1 part is none of the space, such as {name!r}" in message["certificate: parts cover the map space"]


def all_parts(certificate: Certificate) -> Iterator[tuple[int, int, str, float]]:
    """(layer, place, name, bound) of every part."""
    for layer, cover in enumerate(certificate.layers):
        for i, (name, bound) in enumerate(cover.choices[0].parts):
            yield layer, i, name, bound


def test_the_bound_of_the_best_part_raised_by_a_thousandth_is_caught(proved):
    result, certificate = proved
    named = set()
    for layer, i, name, bound in all_parts(certificate):
        if bound > certificate.layers[layer].value * (1 + 1e-9):
            continue
        raised = with_parts(
            certificate, layer, lambda parts, i=i: parts.__setitem__(i, (parts[i][0], parts[i][1] * 1.001))
        )
        # A simple bound may happen to be the value, and its part dearer.
        message = caught(result, raised).get("certificate: bounds of the parts", "")
        if f"{name!r} has the bound {bound * 1.001!r}, re-derived " in message:
            named.add(layer)
    assert named == {0, 1}


def test_a_bound_above_the_least_of_its_part_is_caught_in_any_part(proved):
    result, certificate = proved
    tried = 0
    for layer, i, name, bound in all_parts(certificate):
        if i % 9:
            continue
        nest, bits = nest_of(result.layers[(0, 3)[layer]]), bits_of(result.layers[0].bits)
        paths = next(level_choices(SMALL))
        parts = Parts(nest, SMALL, bits, paths, "energy", exact=True, bottom=least(nest, SMALL, bits))
        right = parts.least(spread_factors(name, ["PE"]), math.inf)
        assert bound <= right * (1 + 1e-9)
        if right == math.inf:  # nothing fits: every bound holds
            continue
        tried += 1
        for factor, ok in ((1 - 1e-6, True), (1 + 1e-6, False)):
            changed = with_parts(
                certificate, layer, lambda parts, i=i, new=right * factor: parts.__setitem__(i, (parts[i][0], new))
            )
            assert ("certificate: bounds of the parts" not in caught(result, changed)) == ok
    assert tried >= 10


def test_a_bound_that_is_lowered_no_longer_makes_the_layers(proved):
    result, certificate = proved
    i = lowest(certificate, 0)

    def lowered(parts):
        parts[i] = parts[i][0], parts[i][1] * 0.999

    assert "bound is" in caught(result, with_parts(certificate, 0, lowered))["certificate: layer and its figures"]


def test_a_layer_bound_raised_in_step_in_both_files_is_caught():
    """What without a certificate is left to the hash."""
    result = estimate(network(), hardware=SMALL, search=replace(EXACT, node_limit=1), cache=False)
    row = next(row for row in result.layers if row.status == "GAP_OPEN" and row.same_as is None)
    rows = [
        replace(x, bound=x.value, bound_pj=x.value, gap=0.0, status="PROVED") if row.name in (x.name, x.same_as) else x
        for x in result.layers
    ]
    bound = math.fsum(x.bound for x in rows)
    status = "GAP_OPEN" if any(x.status == "GAP_OPEN" for x in rows) else "PROVED"
    forged = replace(
        result,
        layers=tuple(rows),
        bound=bound,
        bound_pj=bound,
        gap=(result.value - bound) / result.value,
        status=status,
    )
    forged = replace(forged, provenance={**forged.provenance, "content_hash": content_hash(forged.to_data())})
    assert verify(forged).ok
    certificate = certificate_of(forged, SMALL)
    covers = [
        replace(
            cover,
            choices=tuple(replace(c, parts=tuple((n, max(b, cover.bound)) for n, b in c.parts)) for c in cover.choices),
        )
        for cover in certificate.layers
    ]
    assert "certificate: bounds of the parts" in caught(forged, resealed(certificate, layers=covers))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nest": "other"}, "the nest is"),
        ({"bits": {"weights": 8, "inputs": 16, "outputs": 16, "psums": 16}}, "the widths are"),
        ({"value": 1.0}, "value is 1.0, the result's is"),
        ({"bound": 1.0}, "bound is 1.0, the result's is"),
        ({"floor": 1.0}, "floor is 1.0, the result's is"),
        ({"choices": ()}, "there are no parts"),
    ],
)
def test_a_cover_of_something_else_is_refused(proved, change, words):
    result, certificate = proved
    if change.get("nest"):
        change = {"nest": certificate.layers[1].nest}
    layers = [replace(certificate.layers[0], **change), *certificate.layers[1:]]
    assert words in caught(result, resealed(certificate, layers=layers))["certificate: layer and its figures"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "other"}, "model is 'other', the result's is 'tiny'"),
        ({"hardware": "other"}, "hardware is 'other'"),
        ({"objective": "edp"}, "objective is 'edp'"),
        ({"factors": "any"}, "factors is 'any', the result's is 'exact'"),
    ],
)
def test_a_certificate_of_another_result_is_refused(proved, change, words):
    result, certificate = proved
    assert words in caught(result, resealed(certificate, **change))["certificate: belongs to the result"]


def test_layers_missing_foreign_or_twice_are_named(proved):
    result, certificate = proved
    first, second = certificate.layers
    for layers, words in (
        ([first], "no cover of 'fc'"),
        ([first, second, second], "two covers of 'fc'"),
        ([first, second, replace(second, name="pool")], "a cover of 'pool', which the result has no search for"),
        ([first, replace(second, name="conv2")], "a cover of 'conv2'"),
    ):
        message = caught(result, resealed(certificate, layers=layers))["certificate: belongs to the result"]
        assert words in message


def test_rows_that_were_not_searched_need_no_cover(proved, tmp_path):
    """Given mappings; and a layer that the search never came to, as long as it claims no more than the floor."""
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps({"fc": FC}), encoding="utf-8")
    result = estimate(network(), hardware=SMALL, mapping=path, cache=False, search=EXACT)
    certificate = resealed(proved[1], layers=proved[1].layers[:1])
    assert caught(result, certificate) == {}
    assert "which the result has no search for" in caught(result, proved[1])["certificate: belongs to the result"]

    def interrupted(bound: float) -> Estimate:
        conv = replace(proved[0].layers[0], status="INTERRUPTED", bound=bound, bound_pj=bound)
        return replace(proved[0], layers=(conv, *proved[0].layers[1:]))

    only_fc = resealed(proved[1], layers=proved[1].layers[1:])
    conv = proved[0].layers[0]
    assert conv.floor < conv.value
    assert "certificate: belongs to the result" not in caught(interrupted(conv.floor), only_fc)
    message = caught(interrupted(conv.value), only_fc)["certificate: belongs to the result"]
    assert "no cover of 'conv1'" in message


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
@pytest.mark.parametrize("place", ["_check_room", "_take_parts", "_solve", "_offer"])
@pytest.mark.parametrize("times", [1, 2])
def test_what_ctrl_c_leaves_verifies_with_its_certificate(monkeypatch, tmp_path, objective, place, times):
    """Layers never begun, a layer of which nothing is proved yet, and one in the midst of its search."""
    calls, own = [], getattr(_Search, place)

    def interrupted(*given):
        calls.append(given)
        if len(calls) == times:
            raise KeyboardInterrupt
        return own(*given)

    monkeypatch.setattr(_Search, place, interrupted)
    path = tmp_path / "certificate.json"
    result = estimate(network(), hardware=SMALL, objective=objective, certificate=path, search=EXACT)
    assert result.status == "INTERRUPTED"
    covers = {cover["name"] for cover in json.loads(path.read_text(encoding="utf-8"))["layers"]}
    assert covers == {row.name for row in result.layers if row.has_search}
    verification = verify(result, certificate=path, sample=None)
    assert not verification.failed


def test_two_rows_of_one_name_are_refused(proved):
    result, certificate = proved
    twice = replace(
        result, layers=tuple(replace(row, name="fc") if row.name == "conv1" else row for row in result.layers)
    )
    assert "two rows of the result are called 'fc'" in caught(twice, certificate)["certificate: belongs to the result"]


def test_a_part_that_is_too_large_to_derive_is_said_to_be(proved, monkeypatch):
    monkeypatch.setattr(chains, "MAX_ENTRIES", 1000)
    result, certificate = proved
    assert (
        "larger than a derivation takes on (1,000)" in caught(result, certificate)["certificate: bounds of the parts"]
    )


def test_levels_missing_foreign_or_twice_are_named():
    machine = replace(
        SMALL,
        hierarchy=tuple(
            replace(x, keeps=("outputs",), may_keep=("inputs",)) if x.name == "GLB" else x for x in SMALL.hierarchy
        ),
    )
    result = estimate(network(), hardware=machine, cache=False, search=EXACT)
    certificate = certificate_of(result, machine)
    assert caught(result, certificate) == {}
    with_glb, without = certificate.layers[1].choices
    wrong = replace(without, levels={**without.levels, "outputs": ("DRAM",)})
    for choices, words in (
        ([with_glb], "are missing"),
        ([with_glb, without, without], "stand there twice"),
        ([with_glb, without, wrong], "are none of the machine's choices"),
    ):
        layers = [certificate.layers[0], replace(certificate.layers[1], choices=tuple(choices))]
        message = caught(result, resealed(certificate, layers=layers))["certificate: parts cover the map space"]
        assert words in message


def test_a_wrong_hash_is_caught(proved):
    result, certificate = proved
    wrong = replace(certificate, content_hash="0" * 64)
    assert list(caught(result, wrong)) == ["certificate: content hash"]


def test_a_result_that_names_its_certificate_takes_no_other(proved):
    result, certificate = proved

    def naming(reference: object) -> Estimate:
        named = replace(result, provenance={**result.provenance, "certificate": reference})
        return replace(named, provenance={**named.provenance, "content_hash": content_hash(named.to_data())})

    assert caught(naming(certificate.reference()), certificate) == {}
    # Every bound as it was, and one below it: true, but not the one that was written.
    other = with_parts(certificate, 0, lambda parts: parts.__setitem__(0, (parts[0][0], parts[0][1] * (1 - 1e-12))))
    assert caught(result, other) == {}
    assert "another certificate" in caught(naming(certificate.reference()), other)["certificate: content hash"]


@pytest.mark.parametrize("name", ["proof.json", "proof.json.gz"])
def test_the_file_and_the_certificate_are_checked_alike(proved, tmp_path, name):
    result, certificate = proved
    write_certificate(certificate, tmp_path / name)
    checked = verify(result, certificate=tmp_path / name)
    assert checked == verify(result, certificate=str(tmp_path / name)) == verify(result, certificate=certificate)
    assert checked.ok


def test_a_missing_certificate_is_an_error_and_no_verification(proved, tmp_path):
    with pytest.raises(CertificateError, match="there is no such file"):
        verify(proved[0], certificate=tmp_path / "nothing.json")
