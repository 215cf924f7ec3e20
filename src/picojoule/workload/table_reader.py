"""The native layer table, checked field by field. The format is described in docs/reference/layer-table.md."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from picojoule.errors import LayerTableError, nearest
from picojoule.workload.data_flow import DataFlow, Given
from picojoule.workload.marked_yaml import Marked
from picojoule.workload.nest import DIMS, Bits, Nest
from picojoule.workload.network import WEIGHTLESS, Layer, ModelBits, Network, NotCosted
from picojoule.workload.table_limits import MACS_LIMIT, SIZE_LIMIT, TEXT_LIMIT, too_large
from picojoule.workload.zeros import Zeros

PAIR_KEYS = ("stride", "dilation")
NEST_KEYS = (*DIMS, *PAIR_KEYS, "pad")
MOVED_KEYS = ("read", "written", "vector_ops", "read_weights")
LAYER_KEYS = (
    *("name", "kind", "op", *NEST_KEYS, *MOVED_KEYS),
    *("bits", "zeros", "biases", "repeats", "shared", "reads"),
)
BITS_KEYS = tuple(field.name for field in fields(Bits))
ZEROS_KEYS = tuple(field.name for field in fields(Zeros))
TABLE_KEYS = ("name", "variant", "source", "input_shape", "layers", "not_costed", "given", "outputs")
NOT_COSTED_KEYS = ("op", "where", "elements")
GIVEN_KEYS = ("name", "elements", "held")
NEST_KINDS = ("conv", "depthwise", "fc", WEIGHTLESS)


def derived_kind(nest: Nest) -> str:
    """The kind of a layer that doesn't state its own."""
    if nest.G > 1 and nest.K == nest.C == 1:
        return "depthwise"
    return "fc" if nest.P == nest.Q == nest.R == nest.S == 1 else "conv"


def derived_op(kind: str) -> str:
    """The operator of a layer that doesn't state its own."""
    return {"fc": "Gemm", WEIGHTLESS: "MatMul"}.get(kind, "Conv")


class TableReader:
    """Turns a parsed table into a network; ``place`` names the field in messages, as in ``layers[3].K``."""

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
            input_shape=self._shape(table.get("input_shape")),
            variant=texts.get("variant", ""),
            source=texts.get("source", ""),
            not_costed=self._not_costed(table.get("not_costed")),
            flow=self._flow(table, rows, [layer.name for layer in layers]),
        )
        if network.macs > MACS_LIMIT:
            self._fail(table["layers"], "layers", f"{network.macs} MACs in all are more than 2^62", "Check the sizes.")
        return network

    def _layer(self, row: Marked, place: str, default_name: str) -> Layer:
        values = self._mapping(row, place, LAYER_KEYS, "must be a mapping such as {name: conv1, K: 64, C: 3}")
        moved = [key for key in MOVED_KEYS if key in values]
        nest = None if moved else self._nest(row, values, place)
        if nest is None:
            self._refuse_half_a_row(row, values, place)
        kind = self._kind(values.get("kind"), f"{place}.kind", nest)
        return Layer(
            name=self._text(values["name"], f"{place}.name") if "name" in values else default_name,
            kind=kind,
            op=self._text(values["op"], f"{place}.op") if "op" in values else (derived_op(kind) if nest else ""),
            nest=nest,
            biases=self._whole(values["biases"], f"{place}.biases", 0, SIZE_LIMIT) if "biases" in values else 0,
            bits=self._bits(values["bits"], f"{place}.bits") if "bits" in values else None,
            **{
                f"{key}_elements" if key in ("read", "written") else key: self._whole(
                    values[key], f"{place}.{key}", 0, MACS_LIMIT
                )
                for key in moved
            },
            zeros=self._zeros(values["zeros"], f"{place}.zeros") if "zeros" in values else None,
            shared=self._yes(values["shared"], f"{place}.shared") if "shared" in values else False,
            repeats=self._whole(values["repeats"], f"{place}.repeats", 1, SIZE_LIMIT) if "repeats" in values else 1,
        )

    def _nest(self, row: Marked, values: dict[str, Marked], place: str) -> Nest:
        sizes = {d: self._whole(values[d], f"{place}.{d}", 1, SIZE_LIMIT) for d in DIMS if d in values}
        pairs = {k: self._wholes(values[k], f"{place}.{k}", "[h, w]", 1) for k in PAIR_KEYS if k in values}
        pad = self._wholes(values["pad"], f"{place}.pad", "[t, l, b, r]", 0) if "pad" in values else (0, 0, 0, 0)
        complaint = too_large(sizes)
        if complaint:
            self._fail(row, place, *complaint)
        try:
            return Nest(**sizes, **pairs, pad=pad)
        except ValueError as error:
            self._fail(
                values.get("pad", row),
                f"{place}.pad",
                str(error),
                "The input is (outputs − 1)·stride + (taps − 1)·dilation + 1 − padding; it must be at least 1.",
            )

    def _refuse_half_a_row(self, row: Marked, values: dict[str, Marked], place: str) -> None:
        for key in NEST_KEYS:
            if key in values:
                self._fail(
                    values[key],
                    f"{place}.{key}",
                    "a layer that moves elements has no loops",
                    f"Leave {', '.join(MOVED_KEYS)} away, or {key}.",
                )
        for key in ("kind", "read", "written"):
            if key not in values:
                hint = "Write {kind: pool, read: 4096, written: 1024, vector_ops: 3072}."
                self._fail(row, f"{place}.{key}", "is missing", hint)

    def _kind(self, marked: Marked | None, place: str, nest: Nest | None) -> str:
        if marked is None:
            return derived_kind(nest) if nest else ""
        kind = self._text(marked, place)
        if (kind in NEST_KINDS) != (nest is not None):
            has = "loops" if nest else "no loops"
            hint = nearest(kind, NEST_KINDS) if nest else "Write pool, add, concat or the like."
            self._fail(marked, place, f"a layer that has {has} can't be of kind {_short(kind)!r}", hint)
        return kind

    def _bits(self, marked: Marked, place: str) -> Bits | ModelBits:
        example = "{weights: 8, inputs: 8, outputs: 8, psums: 24}"
        values = self._mapping(marked, place, BITS_KEYS, f"must be a mapping such as {example}")
        if "psums" in values:
            self._whole_set(marked, place, BITS_KEYS, example)
        widths = {key: self._whole(value, f"{place}.{key}", 1, 64) for key, value in values.items()}
        return Bits(**widths) if "psums" in widths else ModelBits(**widths)

    def _zeros(self, marked: Marked, place: str) -> Zeros:
        values = self._whole_set(marked, place, ZEROS_KEYS, "{weights: 0.6, inputs: 0.4, outputs: 0.5}")
        for key in ZEROS_KEYS:
            share = values[key].value
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                got = _shown(values[key])
                self._fail(values[key], f"{place}.{key}", f"must be a share from 0 to 1, got {got}", "Half is 0.5.")
        return Zeros(**{key: values[key].value for key in ZEROS_KEYS})

    def _whole_set(self, marked: Marked, place: str, keys: tuple[str, ...], example: str) -> dict[str, Marked]:
        values = self._mapping(marked, place, keys, f"must be a mapping such as {example}")
        missing = [key for key in keys if key not in values]
        if missing:
            self._fail(marked, place, f"missing: {', '.join(missing)}", f"Give all of {', '.join(keys)}.")
        return values

    def _shape(self, marked: Marked | None) -> tuple[int, ...]:
        items = self._list(marked, "input_shape") if marked else []
        return tuple(self._whole(item, f"input_shape[{i}]", 1, SIZE_LIMIT) for i, item in enumerate(items))

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

    def _flow(self, table: dict[str, Marked], rows: list[Marked], names: list[str]) -> DataFlow:
        """Who reads what, if the table says anything of it; a layer that doesn't say reads the one before."""
        if not {"given", "outputs"} & set(table) and not any("reads" in row.value for row in rows):
            return DataFlow(chain=True)
        given = self._given(table.get("given"), names)
        before = given[0].name if given else None
        known, reads = {tensor.name for tensor in given}, []
        for index, (row, name) in enumerate(zip(rows, names, strict=True)):
            stated = row.value.get("reads")
            if stated is not None:
                reads.append(self._names(stated, f"layers[{index}].reads", known))
            else:
                reads.append(() if before is None else (before,))
            known.add(name)
            before = name
        outputs = self._names(table["outputs"], "outputs", set(names)) if "outputs" in table else ()
        return DataFlow(reads=tuple(reads), given=given, outputs=outputs)

    def _given(self, marked: Marked | None, layers: list[str]) -> tuple[Given, ...]:
        tensors: list[Given] = []
        for index, item in enumerate(self._list(marked, "given") if marked else []):
            place = f"given[{index}]"
            values = self._mapping(item, place, GIVEN_KEYS, "must be a mapping such as {name: input, elements: 3072}")
            for key in ("name", "elements"):
                if key not in values:
                    self._fail(item, f"{place}.{key}", "is missing", "Write {name: input, elements: 3072}.")
            name = self._text(values["name"], f"{place}.name")
            if name in layers or name in {tensor.name for tensor in tensors}:
                self._fail(item, f"{place}.name", f"the name {name!r} is taken", "Names must be unique.")
            held = "held" in values and self._yes(values["held"], f"{place}.held")
            elements = self._whole(values["elements"], f"{place}.elements", 0, MACS_LIMIT)
            tensors.append(Given(name=name, elements=elements, held=held))
        return tuple(tensors)

    def _names(self, marked: Marked, place: str, known: set[str]) -> tuple[str, ...]:
        names = []
        for index, item in enumerate(self._list(marked, place)):
            name = self._text(item, f"{place}[{index}]")
            if name not in known:
                hint = nearest(name, sorted(known)) if known else "Nothing is given and no layer comes before."
                self._fail(item, f"{place}[{index}]", f"neither given nor an earlier layer: {_short(name)!r}", hint)
            names.append(name)
        return tuple(names)

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

    def _yes(self, marked: Marked, place: str) -> bool:
        if not isinstance(marked.value, bool):
            self._fail(marked, place, f"must be true or false, got {_shown(marked)}")
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
