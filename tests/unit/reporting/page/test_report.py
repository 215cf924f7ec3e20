"""The page, from results found in a moment: what it says is what the result holds."""

from __future__ import annotations

import copy
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

import picojoule
from picojoule.analysis import outline
from picojoule.errors import MappingError, ResultFileError, UsageError
from picojoule.reporting import explanation_data
from picojoule.reporting.page.figures import figures
from picojoule.reporting.page.reading import DRAWN, read
from picojoule.reporting.palette import colours
from picojoule.result import content_hash
from picojoule.result_file import estimate_from_data

SEARCH = picojoule.Exact(time_limit_s=None, factors="exact")
ALWAYS = {"speed-of-light", "energy", "traffic", "latency-roofline", "energy-roofline", "ladder", "eyexam", "mappings", "provenance"}
VOID = {"meta", "link", "input", "br"}


@pytest.fixture(scope="module")
def lenet():
    return picojoule.estimate("merkel:L2", hardware="eyeriss-like-45nm", search=SEARCH)


@pytest.fixture(scope="module")
def narrower():
    return picojoule.estimate("merkel:L2", hardware="eyeriss-like-45nm", bits=8, search=SEARCH)


@pytest.fixture(scope="module")
def small():
    return picojoule.estimate("merkel:L1", hardware="eyeriss-like-45nm", search=SEARCH)


@pytest.fixture(scope="module")
def explained(small):
    return picojoule.explain(small, search=picojoule.Exact(time_limit_s=None, node_limit=20))


def altered(estimate, change):
    """The result with its document changed, hash and all."""
    document = copy.deepcopy(estimate.to_data())
    change(document)
    document["provenance"]["content_hash"] = content_hash(document)
    return document


def saved(document, folder, name="r.json"):
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def shown(*results, explanation=None):
    return {figure.name: figure for figure in figures(read(results, explanation))}


class Tags(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.loads = [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.loads += [given[key] for key in ("src", "href") if key in given and not given[key].startswith(("#", "data:"))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_loads_nothing(lenet):
    page = picojoule.report(lenet)
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and tags.loads == []
    assert len(tags.ids) == len(set(tags.ids))
    assert ALWAYS <= set(tags.ids)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", re.sub(r"<pre.*?</pre>|<table.*?</table>", "", page, flags=re.DOTALL))
    assert picojoule.report(lenet) == page


def test_every_figure_has_a_finding_and_a_table(lenet, narrower):
    found = shown(lenet, narrower)
    assert set(found) == ALWAYS | {"before-after"}
    for figure in found.values():
        assert figure.finding and all(sentence[-1] == "." for sentence in figure.finding)
        assert figure.table is not None and figure.table.rows
        assert all(len(row) == len(figure.table.head) for row in figure.table.rows)


def test_tables_hold_the_energies_of_the_result(lenet):
    found = shown(lenet)
    table = found["energy"].table
    at = [i for i, name in enumerate(table.head) if name.startswith("energy")][0]
    assert [row[at].value for row in table.rows] == [layer.energy_pj for layer in lenet.layers]
    levels = [table.head.index(level) for level in lenet.by_level()]
    for row, layer in zip(table.rows, lenet.layers, strict=True):
        assert math.isclose(sum(row[i].value for i in levels), layer.energy_pj, rel_tol=1e-12)
    moved = found["traffic"].table
    assert math.isclose(sum(row[2].value for row in moved.rows if row[0].text == "DRAM"), lenet.dram_bytes, rel_tol=1e-9)
    rungs = found["ladder"].table
    assert [tuple(cell.value for cell in row[2:5]) for row in rungs.rows] == [(x.floor_pj, x.bound_pj, x.energy_pj) for x in lenet.layers]


def test_the_share_of_the_peak_is_that_of_the_layers(lenet):
    reading = read([lenet], None)
    layers = [layer for layer in lenet.layers if layer.utilization]
    whole = sum(layer.latency_cycles for layer in layers)
    assert math.isclose(reading.busy, sum(layer.utilization * layer.latency_cycles for layer in layers) / whole, rel_tol=1e-9)


def test_a_level_has_the_colour_of_the_terminal(lenet):
    page, palette = picojoule.report(lenet), colours(lenet.hardware)
    for level in lenet.by_level():
        assert f'--c:{palette[level]}"></i>{level}' in page


def test_links_have_colours_of_their_own():
    machine = {"hierarchy": [{"level": "DRAM"}, {"fanout": "PE", "link": {"name": "mesh"}}, {"level": "spad"}]}
    found = colours(machine)
    assert len({found[name] for name in ("DRAM", "mesh", "spad", "mac")}) == 4


def test_of_many_layers_the_largest_are_drawn_and_all_are_in_the_table(lenet):
    def grow(document):
        rows = document["layers"]
        document["layers"] = [{**row, "name": f"{row['name']}.{i}", "same_as": None} for i in range(40) for row in rows]
        for key in ("energy_pj", "bound_pj", "floor_pj", "value", "bound", "floor", "latency_cycles"):
            document[key] *= 40

    many = estimate_from_data(altered(lenet, grow))
    found = shown(many)["energy"]
    count = len(many.layers)
    assert count > DRAWN and len(found.table.rows) == count
    assert f">{count - DRAWN + 1} others<" in found.drawing
    rows = found.drawing.split("bars of-level")[1].split("bars of-tensor")[0].count('class="row"')
    assert rows == DRAWN
    assert f"{count - DRAWN + 1} layers of least energy are drawn together" in found.note
    assert len(picojoule.report(many)) < 2_500_000


def test_before_and_after_of_one_network(lenet, narrower):
    figure = shown(lenet, narrower)["before-after"]
    less = 1 - narrower.energy_pj / lenet.energy_pj
    assert figure.finding[0].startswith(f"After the change an inference takes {less * 100:.1f} % less energy than before: ")
    assert [cell.value for cell in figure.table.rows[0][1:]] == [lenet.energy_pj, narrower.energy_pj]
    back = shown(narrower, lenet)["before-after"]
    assert "more energy than before" in back.finding[0]


def test_two_networks_are_not_before_and_after(lenet, small):
    with pytest.raises(UsageError, match="the network merkel:L1 cannot be compared with merkel:L2"):
        picojoule.report([lenet, small])


def test_no_result_is_no_report():
    with pytest.raises(UsageError, match="a report needs a result"):
        picojoule.report([])


def test_units_of_the_machine_are_its_own():
    relative = picojoule.estimate("merkel:L1", hardware="eyeriss-normalized", search=SEARCH)
    page = picojoule.report(relative)
    assert "mac16" in page and " pJ" not in re.sub(r"<style.*?</style>|<script.*?</script>", "", page, flags=re.DOTALL)


def test_an_outline_says_no_more_than_an_explanation(small, explained):
    rough, known = outline(small), explained
    for mine, theirs in zip(rough.layers, known.layers, strict=True):
        for step, exact in zip(mine.steps, theirs.steps, strict=True):
            assert step.macs_per_cycle >= exact.macs_per_cycle * (1 - 1e-9)
            if step.exact:
                assert math.isclose(step.macs_per_cycle, exact.macs_per_cycle, rel_tol=1e-9)
    assert any(not step.exact for layer in rough.layers for step in layer.steps)


def test_a_saved_explanation_takes_the_place_of_bounds(small, explained, lenet, tmp_path):
    path = saved(explanation_data(explained), tmp_path)
    for given in (explained, path):
        assert read([small], given).explanation.layers == explained.layers
    with pytest.raises(UsageError, match="it explains the network merkel:L1, the result is of merkel:L2"):
        picojoule.report(lenet, explanation=path)
    with pytest.raises(UsageError, match="its layer .* is not that of the result"):
        picojoule.report(picojoule.estimate("merkel:L1", hardware="eyeriss-like-45nm", bits=8, search=SEARCH), explanation=path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON, or cut off"),
        ('{"schema": "picojoule/estimate/1"}', "not an explanation: its schema is 'picojoule/estimate/1'"),
        ('{"schema": "picojoule/explanation/1"}', "the key 'model' is missing"),
    ],
)
def test_what_is_no_explanation_is_refused(lenet, tmp_path, text, message):
    path = tmp_path / "e.json"
    path.write_text(text)
    with pytest.raises(ResultFileError, match=message):
        picojoule.report(lenet, explanation=path)


def test_fused_groups_are_shown(lenet, tmp_path):
    def fuse(document):
        names = [row["name"] for row in document["layers"][:2]]
        document["groups"] = [
            {"name": "a", "layers": names, "at": "shared_glb", "tile": {"rows": 4, "columns": 8}, "tiles": 7, "halo": "kept",
             "weights": "resident", "energy_pj": 5e6, "floor_pj": 4e6, "latency_cycles": 10.0, "status": "PROVED"}
        ]  # fmt: skip

    figure = shown(saved(altered(lenet, fuse), tmp_path))["groups"]
    assert figure.finding[0].startswith("2 layers run fused in 1 group")
    assert "7 tiles of 4 × 8 · rows that tiles share are kept · weights resident · 1.25× its floor" in figure.drawing
    broken = saved(altered(lenet, lambda d: d.update(groups=[{"layers": ["x"]}])), tmp_path)
    with pytest.raises(ResultFileError, match="energy_pj of a group is a number, got None"):
        picojoule.report(broken)


def test_the_nests_of_a_fused_layer_are_shown_and_it_is_said_what_leaves_it_out(lenet, tmp_path):
    def fuse(document):
        row = document["layers"][0]
        row["tiles"] = [{"count": 2, "dims": row["dims"], "mapping": row["mapping"]}]
        row |= {"mapping": None, "group": "g1"}
        document["fusion"] = {"unfused": 2 * document["value"]}
        document["groups"] = [{"layers": [row["name"]], "energy_pj": row["energy_pj"]}]

    found = shown(saved(altered(lenet, fuse), tmp_path))
    assert "fused in g1: a tile of" in found["mappings"].drawing and "run 2 times" in found["mappings"].drawing
    assert "1 fused layer is not in it." in found["eyexam"].note and "1 fused layer is not in it." in found["latency-roofline"].note
    assert found["groups"].finding[-1] == "It takes 50.0 % less than without fusion."

    def broken(document):
        fuse(document)
        document["layers"][0]["tiles"][0]["mapping"] = [{"keep": "nothing", "at": "DRAM"}]

    with pytest.raises(MappingError, match="unknown tensor 'nothing'"):
        picojoule.report(saved(altered(lenet, broken), tmp_path))


def test_exits_and_fronts_are_shown_where_a_result_has_them(lenet, tmp_path):
    def exits(document):
        document["exits"] = [{"name": "early", "share": 0.75, "accuracy": 0.9, "energy_pj": 1e6}, {"name": "last", "share": 0.25, "energy_pj": 5e6}]
        document["front"] = [{"accuracy": 0.8, "energy_pj": 1e6}, {"accuracy": 0.9, "energy_pj": 3e6}]

    found = shown(saved(altered(lenet, exits), tmp_path))
    assert found["exits"].finding == ["75.0 % of the samples leave before the last exit.", "A sample takes 2.000 µJ on average, 40.0 % of what the whole network takes."]
    assert found["front"].title == "Energy against accuracy" and "200.0 % more energy" in found["front"].finding[0]
    timed = picojoule.estimate("merkel:L1", hardware="eyeriss-like-45nm", search=SEARCH, front=True)
    assert shown(timed)["front"].table.rows[0][0].value == timed.front[0]["latency_cycles"]
    for wrong, message in (([{"name": "a", "share": 2}], "share of an exit is a number from 0 to 1, got 2"), ([3], "an exit is a table")):
        with pytest.raises(ResultFileError, match=message):
            picojoule.report(saved(altered(lenet, lambda d, wrong=wrong: d.update(exits=wrong)), tmp_path))


def test_a_front_of_nonsense_is_refused(lenet):
    with pytest.raises(ResultFileError, match="a point of the front has no latency_cycles"):
        picojoule.report(replace(lenet, front=[{"energy": 3}]))


def test_a_result_that_was_changed_by_hand_says_so(lenet, tmp_path):
    document = lenet.to_data()
    assert "not what was written" not in picojoule.report(saved(document, tmp_path))
    document["energy_pj"] *= 2
    assert "This result file is not what was written" in picojoule.report(saved(document, tmp_path))


def test_a_network_without_loops_or_energy_has_a_page(lenet):
    def empty(document):
        document["layers"] = [row | {"dims": None, "mapping": None, "energy_pj": 0.0, "by": [], "latency_cycles": None} for row in document["layers"]]
        document |= {"energy_pj": 0.0, "floor_pj": 0.0, "bound_pj": 0.0, "energy_pj_per_inference": 0.0}

    page = picojoule.report(estimate_from_data(altered(lenet, empty)))
    assert "No layer takes any energy" in page


def test_layers_of_names_that_are_tags_stay_text(lenet, tmp_path):
    evil = '<script>alert("x")</script>'

    def rename(document):
        document["layers"][0]["name"] = evil
        document["hardware"]["description"] = evil
        document["table"]["source"] = "</script><b>" + evil

    page = picojoule.report(saved(altered(lenet, rename), tmp_path))
    assert evil not in page and "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in page


def what_if(what, step, pays, at_most=None, kind="buffer"):
    """As the explanation of what-ifs has them."""
    return SimpleNamespace(
        kind=kind, what=what, step=step, before="1", after="2", price="", value=1.0, bound=1.0, energy_pj=4e6, latency_cycles=1e3,
        pays=pays, pays_at_most=pays if at_most is None else at_most, energy_saved=pays, latency_saved=0.0, status="PROVED",
        layers_better=1, most_in="conv0", most_share=0.5,
    )  # fmt: skip


def test_what_pays_is_ranked_and_says_what_is_open(small):
    reading = read([small], None)
    found = (what_if("glb", "×2", 0.03, 0.05), what_if("weights", "−1 bit", 0.2, kind="bits"), what_if("array x", "×2", -0.1, kind="array"), what_if("spad", "×2", 0.0))
    explanation = SimpleNamespace(layers=reading.explanation.layers, what_ifs=found, not_asked=(SimpleNamespace(what="next DRAM", why="none known"),))
    figure = next(f for f in figures(replace(reading, explanation=explanation)) if f.name == "pays")
    assert figure.finding[0] == "weights −1 bit (1 → 2) pays most: 20.0 % less energy."
    assert figure.finding[2] == "Of another kind the best is glb ×2 with 3.0 %."
    assert [row[3].value for row in figure.table.rows] == [0.2, 0.03, 0.0, -0.1]
    assert "no mapping saves more" in figure.note and "next DRAM: none known" in figure.note
    assert "1 that change less are not drawn" in figure.note
    assert figure.drawing.count("maybe") == 1 and figure.drawing.count('"costs"') == 1
    assert "pays" not in shown(small)
