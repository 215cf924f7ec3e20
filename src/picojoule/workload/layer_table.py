"""Layer tables: a network as a YAML or JSON list of loop nests.

The format is described in docs/reference/layer-table.md:
``{name, layers: [{name, N, G, K, C, P, Q, R, S, stride, dilation, pad, bits, biases}]}``; sizes left
out are 1, padding 0.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from picojoule.errors import LayerTableError, nearest
from picojoule.workload.marked_yaml import Marked, read_marked
from picojoule.workload.nest import DIMS, Bits, Nest
from picojoule.workload.network import Layer, Network, NotCosted

SIZE_LIMIT = 2**31
MACS_LIMIT = 2**62
WINDOW_LIMIT = 2**22
"""Most outputs × taps along one axis: what is touched there is listed index by index."""
TEXT_LIMIT = 500

TABLE_KEYS = ("name", "variant", "source", "layers", "not_costed")
PAIR_KEYS = ("stride", "dilation")
LAYER_KEYS = ("name", *DIMS, *PAIR_KEYS, "pad", "bits", "biases")
BITS_KEYS = tuple(field.name for field in fields(Bits))
NOT_COSTED_KEYS = ("op", "where", "elements")


def load_layer_table(path: str | Path) -> Network:
    """The network that a layer table describes.

    Args:
        path: a YAML or JSON file of at most 16 MB.

    Raises:
        UnknownNameError: there is no such file.
        SystemFailure: the file can't be read.
        LayerTableError: its contents are wrong; ``where`` names file, line and field.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.yaml"
    >>> _ = file.write_text("layers: [{name: conv1, K: 16, C: 3, P: 30, Q: 30, R: 3, S: 3}]")
    >>> load_layer_table(file).macs
    388800
    """
    path = Path(path)
    return _Reader(path).network(read_marked(path))


def layer_table(network: Network) -> dict[str, Any]:
    """The table that gives this network again, as values for YAML or JSON.

    Layers without a nest (pool, add, concat) have no row; they are named under ``not_costed``, so that
    coverage tells of them. A layer's ``op`` is not kept, and its kind is derived from its sizes.

    >>> from picojoule.workload.builtin import builtin_network
    >>> layer_table(builtin_network("merkel:L1"))["layers"]
    [{'name': 'fc', 'K': 10, 'C': 3072, 'biases': 10}]
    """
    table: dict[str, Any] = {"name": network.name}
    table |= {key: getattr(network, key) for key in ("variant", "source") if getattr(network, key)}
    table["layers"] = [_row(layer) for layer in network.layers if layer.nest]
    left_out = [
        NotCosted(op=layer.op or layer.kind, where=layer.name, elements=layer.read_elements + layer.written_elements)
        for layer in network.layers
        if not layer.nest
    ]
    entries = [_entry(item) for item in (*left_out, *network.not_costed)]
    return table | ({"not_costed": entries} if entries else {})


def _row(layer: Layer) -> dict[str, Any]:
    nest = layer.nest
    row: dict[str, Any] = {"name": layer.name}
    row |= {dim: size for dim, size in nest.dims.items() if size != 1}
    row |= {key: list(getattr(nest, key)) for key in PAIR_KEYS if getattr(nest, key) != (1, 1)}
    if any(nest.pad):
        row["pad"] = list(nest.pad)
    if layer.bits:
        row["bits"] = {key: getattr(layer.bits, key) for key in BITS_KEYS}
    if layer.biases:
        row["biases"] = layer.biases
    return row


def _entry(item: NotCosted) -> dict[str, Any]:
    entry: dict[str, Any] = {"op": item.op, "where": item.where}
    return entry if item.elements is None else entry | {"elements": item.elements}


class _Reader:
    """Checks a parsed table field by field; ``place`` names the field in messages, as in ``layers[3].K``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def network(self, document: Marked) -> Network:
        table = self._mapping(document, "", TABLE_KEYS, "a layer table must be a mapping with the key `layers`")
        if "layers" not in table:
            self._fail(document, "layers", "the list of layers is missing", "Write `layers:` and a list of layers.")
        texts = {key: self._text(table[key], key) for key in ("name", "variant", "source") if key in table}
        rows = self._list(table["layers"], "layers")
        if not rows:
            self._fail(table["layers"], "layers", "the list is empty", "A network needs at least one layer.")
        layers = []
        first_line: dict[str, int] = {}
        for index, row in enumerate(rows):
            layer = self._layer(row, f"layers[{index}]", default_name=f"layer{index}")
            if layer.name in first_line:
                self._fail(
                    row,
                    f"layers[{index}].name",
                    f"the name {layer.name!r} was given to an earlier layer, on line {first_line[layer.name]}",
                    "Names must be unique.",
                )
            first_line[layer.name] = row.line
            layers.append(layer)
        network = Network(
            name=texts.get("name", self._path.stem),
            layers=tuple(layers),
            variant=texts.get("variant", ""),
            source=texts.get("source", ""),
            not_costed=self._not_costed(table.get("not_costed")),
        )
        if network.macs > MACS_LIMIT:
            self._fail(table["layers"], "layers", f"{network.macs} MACs in all are more than 2^62", "Check the sizes.")
        return network

    def _layer(self, row: Marked, place: str, default_name: str) -> Layer:
        values = self._mapping(row, place, LAYER_KEYS, "must be a mapping such as {name: conv1, K: 64, C: 3}")
        sizes = {d: self._whole(values[d], f"{place}.{d}", 1, SIZE_LIMIT) for d in DIMS if d in values}
        pairs = {k: self._wholes(values[k], f"{place}.{k}", "[h, w]", 1) for k in PAIR_KEYS if k in values}
        pad = self._wholes(values["pad"], f"{place}.pad", "[t, l, b, r]", 0) if "pad" in values else (0, 0, 0, 0)
        self._refuse_huge(row, place, sizes)
        try:
            nest = Nest(**sizes, **pairs, pad=pad)
        except ValueError as error:
            self._fail(
                values.get("pad", row),
                f"{place}.pad",
                str(error),
                "The input is (outputs − 1)·stride + (taps − 1)·dilation + 1 − padding; it must be at least 1.",
            )
        kind = _kind(nest)
        return Layer(
            name=self._text(values["name"], f"{place}.name") if "name" in values else default_name,
            kind=kind,
            op="Gemm" if kind == "fc" else "Conv",
            nest=nest,
            biases=self._whole(values["biases"], f"{place}.biases", 0, SIZE_LIMIT) if "biases" in values else 0,
            bits=self._bits(values["bits"], f"{place}.bits") if "bits" in values else None,
        )

    def _refuse_huge(self, row: Marked, place: str, sizes: dict[str, int]) -> None:
        macs = 1
        for size in sizes.values():
            macs *= size
        if macs > MACS_LIMIT:
            self._fail(row, place, f"{macs} MACs are more than 2^62", "Check the sizes.")
        for outputs, taps in (("P", "R"), ("Q", "S")):
            steps = sizes.get(outputs, 1) * sizes.get(taps, 1)
            if steps > WINDOW_LIMIT:
                self._fail(
                    row,
                    place,
                    f"{outputs} × {taps} is {steps}, at most {WINDOW_LIMIT} is allowed",
                    "The rows of a matrix product belong on N, not on P or Q.",
                )

    def _bits(self, marked: Marked, place: str) -> Bits:
        form = "must be a mapping such as {weights: 8, inputs: 8, outputs: 8, psums: 24}"
        values = self._mapping(marked, place, BITS_KEYS, form)
        missing = [key for key in BITS_KEYS if key not in values]
        if missing:
            self._fail(marked, place, f"missing: {', '.join(missing)}", f"Give all of {', '.join(BITS_KEYS)}.")
        return Bits(**{key: self._whole(values[key], f"{place}.{key}", 1, 64) for key in BITS_KEYS})

    def _not_costed(self, marked: Marked | None) -> tuple[NotCosted, ...]:
        items = self._list(marked, "not_costed") if marked else []
        result = []
        for index, item in enumerate(items):
            place = f"not_costed[{index}]"
            values = self._mapping(item, place, NOT_COSTED_KEYS, "must be a mapping such as {op: Softmax, where: prob}")
            for key in ("op", "where"):
                if key not in values:
                    self._fail(item, f"{place}.{key}", "is missing", "Write {op: Softmax, where: prob}.")
            elements = values.get("elements")
            result.append(
                NotCosted(
                    op=self._text(values["op"], f"{place}.op"),
                    where=self._text(values["where"], f"{place}.where"),
                    elements=self._whole(elements, f"{place}.elements", 0, MACS_LIMIT) if elements else None,
                )
            )
        return tuple(result)

    def _mapping(self, marked: Marked, place: str, allowed: tuple[str, ...], expected: str) -> dict[str, Marked]:
        if not isinstance(marked.value, dict):
            self._fail(marked, place, f"{expected}, got {_shown(marked)}")
        for key, value in marked.value.items():
            if key not in allowed:
                same_but_for_case = next((a for a in allowed if a.lower() == key.lower()), key)
                field = f"{place}.{_short(key)}".lstrip(".") if key.isprintable() else place
                self._fail(value, field, f"unknown key {_short(key)!r}", nearest(same_but_for_case, allowed))
        return marked.value

    def _list(self, marked: Marked, place: str) -> list[Marked]:
        if not isinstance(marked.value, list):
            self._fail(marked, place, f"must be a list, got {_shown(marked)}")
        return marked.value

    def _whole(self, marked: Marked, place: str, least: int, most: int) -> int:
        value = marked.value
        expected = f"must be a whole number from {least} to {most}"
        if not isinstance(value, int) or isinstance(value, bool):
            self._fail(marked, place, f"{expected}, got {_shown(marked)}", _digits_hint(value))
        if not least <= value <= most:
            self._fail(marked, place, f"{expected}, got {_short(marked.text)}")
        return value

    def _wholes(self, marked: Marked, place: str, form: str, least: int) -> tuple[int, ...]:
        count = form.count(",") + 1
        if not isinstance(marked.value, list) or len(marked.value) != count:
            got = f"a list of {len(marked.value)}" if isinstance(marked.value, list) else _shown(marked)
            self._fail(marked, place, f"must be a list of {count} whole numbers {form}, got {got}")
        return tuple(self._whole(v, f"{place}[{i}]", least, SIZE_LIMIT) for i, v in enumerate(marked.value))

    def _text(self, marked: Marked, place: str) -> str:
        value = marked.value
        if not isinstance(value, str):
            hint = "Put it in quotes." if isinstance(value, (int, float)) else ""
            self._fail(marked, place, f"must be text, got {_shown(marked)}", hint)
        if not value or len(value) > TEXT_LIMIT or not value.isprintable():
            self._fail(marked, place, f"must be 1 to {TEXT_LIMIT} printable characters, got {_short(value)!r}")
        return value

    def _fail(self, marked: Marked, place: str, message: str, hint: str = "") -> NoReturn:
        where = f"{self._path}:{marked.line}" + (f": {place}" if place else "")
        raise LayerTableError(message, where=where, hint=hint)


def _kind(nest: Nest) -> str:
    if nest.G > 1 and nest.K == nest.C == 1:
        return "depthwise"
    return "fc" if nest.P == nest.Q == nest.R == nest.S == 1 else "conv"


def _shown(marked: Marked) -> str:
    """A value of the wrong type; text is named as such, since quotes are easily overlooked."""
    return f"the text {_short(marked.text)!r}" if isinstance(marked.value, str) else _short(marked.text)


def _digits_hint(value: object) -> str:
    if isinstance(value, str) and value[:1].isdigit():
        quoted = value.isdecimal() and value[0] != "0"
        return "Leave the quotes away." if quoted else "Write plain decimal digits."
    return ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"
