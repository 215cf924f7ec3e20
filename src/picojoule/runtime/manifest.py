"""What a bundle says about itself: its stages, what flows between them, and how inputs become tensors.

A tensor has one name throughout a bundle: a stage reads what bears the name among the inputs of the network and the
outputs of earlier stages.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from picojoule.errors import BundleError
from picojoule.runtime.operation import Operation
from picojoule.runtime.quantization import Quantization

SCHEMA = "picojoule/bundle/1"
SCHEMA_WITH_POINTS = "picojoule/bundle/2"
"""Of bundles with operating points or stages of 8 bits, which a reader of the first version would not mind."""
SCHEMAS = (SCHEMA, SCHEMA_WITH_POINTS)
MANIFEST = "manifest.json"

DTYPES = (
    "float32",
    "float16",
    "float64",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
COLOURS = {"RGB": 3, "BGR": 3, "grey": 1}
"""Orders of colours, with the number of channels."""

LAYOUTS = ("NCHW", "NHWC")
RESAMPLES = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
SCORES = ("logits", "probabilities")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor that flows into the network or between stages.

    Attributes:
        name: as the ONNX files have it.
        shape: without the batch, which is the first axis.
        dtype: one of ``DTYPES``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if not self.name:
            raise BundleError("a tensor needs a name")
        if any(size < 1 for size in self.shape):
            raise BundleError(f"sizes of a tensor are at least 1, got {list(self.shape)}", where=self.name)
        _one_of(self.dtype, DTYPES, f"{self.name}.dtype")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How an image becomes the input: resized, cut, then (pixel × scale − mean) ÷ std by channel.

    Attributes:
        colour: order of the channels, see ``COLOURS``.
        layout: NCHW or NHWC.
        resize: rows and columns, or the length of the shorter side; None leaves the size.
        crop: rows and columns that are cut out of the middle; None cuts nothing.
        resample: how Pillow resizes, one of ``RESAMPLES``.
        scale: times pixels from 0 to 255.
        mean: by channel, after the scale.
        std: by channel, above 0.
    """

    colour: str = "RGB"
    layout: str = "NCHW"
    resize: tuple[int, int] | int | None = None
    crop: tuple[int, int] | None = None
    resample: str = "bilinear"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        _one_of(self.colour, COLOURS, "colour")
        _one_of(self.layout, LAYOUTS, "layout")
        _one_of(self.resample, RESAMPLES, "resample")
        channels = COLOURS[self.colour]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != channels:
                raise BundleError(f"{self.colour} has {channels} channels, got {len(values)} numbers", where=name)
            if not all(math.isfinite(value) for value in values):
                raise BundleError(f"numbers are finite, got {list(values)}", where=name)
        if not all(value > 0 for value in self.std):
            raise BundleError(f"standard deviations are above 0, got {list(self.std)}", where="std")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise BundleError(f"a scale is above 0, got {self.scale}", where="scale")
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            sides = () if size is None else (size,) if isinstance(size, int) else size
            if any(side < 1 for side in sides):
                raise BundleError(f"sides are at least 1 pixel, got {list(sides)}", where=name)

    def sides(self, tensor: Tensor) -> tuple[int, int]:
        """Rows and columns of the images that ``tensor`` takes.

        Raises:
            BundleError: it takes no such images.
        """
        channels, wanted = COLOURS[self.colour], tensor.shape
        place = 0 if self.layout == "NCHW" else -1
        if len(wanted) != 3 or wanted[place] != channels:
            shown = f"{channels} × rows × columns" if place == 0 else f"rows × columns × {channels}"
            raise BundleError(
                f"images in {self.colour} and {self.layout} are {shown};"
                f" the input {tensor.name!r} takes {list(wanted)}",
                where="preprocessing",
            )
        rows, columns = wanted[1:] if place == 0 else wanted[:2]
        made = self.crop or (self.resize if isinstance(self.resize, tuple) else None)
        if made is not None and made != (rows, columns):
            raise BundleError(
                f"it makes images of {made[0]} × {made[1]}; the input {tensor.name!r} takes {rows} × {columns}",
                where="preprocessing",
            )
        return rows, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """What a stage answers.

    Attributes:
        outputs: names of the outputs that are the answer.
        scores: whether the first of them is a class's ``logits`` or ``probabilities``, batch × classes; None if it is
            something else.
        temperature: logits are divided by it before the softmax; above 0.
        threshold: confidence from which on samples leave here; None keeps all on the way. 0 … 1.
    """

    outputs: tuple[str, ...]
    scores: str | None = None
    temperature: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not self.outputs:
            raise BundleError("an exit needs an output", where="exit.outputs")
        if self.scores is not None:
            _one_of(self.scores, SCORES, "exit.scores")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise BundleError(f"a temperature is above 0, got {self.temperature}", where="exit.temperature")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise BundleError(f"a threshold lies in 0 … 1, got {self.threshold}", where="exit.threshold")
        if self.threshold is not None and self.scores is None:
            raise BundleError("a threshold needs scores of classes", where="exit.threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One ONNX file: what of the network runs before samples may leave, or to its end.

    Attributes:
        name: for people.
        file: in the bundle's folder.
        inputs: names of the tensors that it reads.
        outputs: what it makes; later stages or its exit take them.
        exit: None where nobody leaves.
        energy_pj: of one inference's share in this stage, its head included; None where it isn't known.
    """

    name: str
    file: str
    inputs: tuple[str, ...]
    outputs: tuple[Tensor, ...]
    exit: Exit | None = None
    energy_pj: float | None = None

    def __post_init__(self) -> None:
        if self.energy_pj is not None and not (math.isfinite(self.energy_pj) and self.energy_pj >= 0):
            raise BundleError(f"an energy is a number from 0, got {self.energy_pj}", where="energy_pj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far ONNX Runtime on the bundle's files is from what they were made of.

    Attributes:
        reference: what it was compared with, for example ``torch 2.13.0``.
        runtime: what ran the bundle.
        inputs: how many random inputs.
        max_abs_difference: by exit.
        max_abs_reference: the largest absolute value of the reference, by exit.
        tolerance: of the difference over the larger of 1 and the largest value.
    """

    reference: str
    runtime: str
    inputs: int
    max_abs_difference: tuple[float, ...]
    max_abs_reference: tuple[float, ...]
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether every exit is within the tolerance."""
        pairs = zip(self.max_abs_difference, self.max_abs_reference, strict=True)
        return all(difference <= self.tolerance * max(1.0, largest) for difference, largest in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file of the bundle must be: its SHA-256 (hexadecimal) and its size."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that a bundle says about itself, without contradictions.

    Attributes:
        name: of the network.
        inputs: of the network.
        batch: samples that every run takes; None for any number.
        stages: in the order in which they run; the last one has an exit.
        files: by name: the stages' files.
        labels: names of the classes, or None.
        preprocessing: None where inputs are fed as they are.
        parity: None where it wasn't checked.
        provenance: which tools made it of what, for people.
        seed: of the random inputs of the parity check.
        operation: operating points to choose from; None without.
        quantization: what INT8 changed; None where stages are as they were exported.
    """

    name: str
    inputs: tuple[Tensor, ...]
    stages: tuple[Stage, ...]
    files: dict[str, FileFacts]
    batch: int | None = None
    labels: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    parity: Parity | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    operation: Operation | None = None
    quantization: Quantization | None = None

    def __post_init__(self) -> None:
        if not self.inputs:
            raise BundleError("a network needs an input", where="inputs")
        if self.batch is not None and self.batch < 1:
            raise BundleError(f"a batch has at least 1 sample, got {self.batch}", where="batch")
        if not self.stages:
            raise BundleError("there is no stage", where="stages")
        _check_flow(self)
        _check_exits(self)
        _check_operation(self)
        if self.preprocessing is not None:
            if len(self.inputs) != 1:
                raise BundleError(f"images are one input; this network has {len(self.inputs)}", where="preprocessing")
            self.preprocessing.sides(self.inputs[0])

    @property
    def exits(self) -> tuple[Exit, ...]:
        """The exits in order."""
        return tuple(stage.exit for stage in self.stages if stage.exit is not None)

    @property
    def classes(self) -> int | None:
        """How many classes it tells apart; None if it doesn't classify."""
        last = self.stages[-1]
        assert last.exit is not None
        if last.exit.scores is None:
            return None
        return next(tensor.shape[0] for tensor in last.outputs if tensor.name == last.exit.outputs[0])

    def readers(self, tensor: str) -> tuple[int, ...]:
        """Numbers of the stages that read ``tensor``."""
        return tuple(number for number, stage in enumerate(self.stages) if tensor in stage.inputs)


def _check_flow(manifest: Manifest) -> None:
    """Raises BundleError where a stage reads what nobody has made, or two tensors bear one name."""
    made: dict[str, str] = {}
    for tensor in manifest.inputs:
        _add(made, tensor.name, "the input", "inputs")
    for number, stage in enumerate(manifest.stages):
        place = f"stages[{number}] ({stage.name})"
        if stage.file not in manifest.files:
            raise BundleError(f"its file {stage.file!r} is not among files", where=f"{place}.file")
        if not stage.inputs:
            raise BundleError("a stage reads something", where=f"{place}.inputs")
        for name in stage.inputs:
            if name not in made:
                known = ", ".join(map(repr, made))
                raise BundleError(
                    f"it reads {name!r}, which no earlier stage makes; there are {known}", where=f"{place}.inputs"
                )
        for tensor in stage.outputs:
            _add(made, tensor.name, f"stage {number}", f"{place}.outputs")
        for name in stage.exit.outputs if stage.exit else ():
            if name not in {tensor.name for tensor in stage.outputs}:
                raise BundleError(f"its exit answers {name!r}, which it doesn't make", where=f"{place}.exit.outputs")
        if not stage.outputs:
            raise BundleError("a stage makes something", where=f"{place}.outputs")
    unused = set(manifest.files) - {stage.file for stage in manifest.stages}
    if unused:
        raise BundleError(f"no stage runs the file {min(unused)!r}", where="files")


def _add(made: dict[str, str], name: str, maker: str, where: str) -> None:
    if name in made:
        raise BundleError(f"{name!r} is made twice: by {made[name]} and by {maker}", where=where)
    made[name] = maker


def _check_exits(manifest: Manifest) -> None:
    """Raises BundleError unless all exits answer alike and the last stage has one."""
    last = manifest.stages[-1]
    if last.exit is None:
        raise BundleError("the last stage needs an exit", where=f"stages[{len(manifest.stages) - 1}].exit")
    kinds = []
    for number, stage in enumerate(manifest.stages):
        if stage.exit is None:
            continue
        made = {tensor.name: tensor for tensor in stage.outputs}
        answer = [made[name] for name in stage.exit.outputs]
        kinds.append((number, [(tensor.shape, tensor.dtype) for tensor in answer]))
        if stage.exit.scores is not None and (len(answer[0].shape) != 1 or not answer[0].dtype.startswith("float")):
            raise BundleError(
                f"scores are floats of batch × classes; {answer[0].name!r} is {answer[0].dtype} of"
                f" batch × {list(answer[0].shape)}",
                where=f"stages[{number}].exit.scores",
            )
    for number, kind in kinds:
        if kind != kinds[-1][1] or (manifest.stages[number].exit.scores is None) != (last.exit.scores is None):
            raise BundleError(
                f"it answers {_shown(kind)}, the last exit {_shown(kinds[-1][1])}", where=f"stages[{number}].exit"
            )
    classes = manifest.classes
    if manifest.labels is not None and len(manifest.labels) != classes:
        told = "doesn't classify" if classes is None else f"has {classes} classes"
        raise BundleError(f"there are {len(manifest.labels)} labels; the network {told}", where="labels")


def _check_operation(manifest: Manifest) -> None:
    """Raises BundleError where operating points or facts of INT8 are of another number of exits than there are."""
    exits = len(manifest.exits)
    if manifest.operation is not None:
        if len(manifest.operation.energies_j) != exits:
            raise BundleError(
                f"its points are of {len(manifest.operation.energies_j)} exits, the stages have {exits}",
                where="operation.energies_j",
            )
        if manifest.classes is None:
            raise BundleError("operating points need exits that classify", where="operation")
    if manifest.quantization is not None:
        counts = {len(manifest.quantization.agreement), len(manifest.quantization.max_abs_difference)}
        if counts != {exits}:
            raise BundleError(f"it tells of {max(counts)} exits, the stages have {exits}", where="quantization")


def _shown(kind: list[tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(f"{dtype} of batch × {list(shape)}" for shape, dtype in kind)


def _one_of(value: str, allowed: Any, where: str) -> None:
    if value not in allowed:
        raise BundleError(f"{value!r} is not known; allowed are {', '.join(allowed)}", where=where)


def content_hash(document: dict[str, Any]) -> str:
    """SHA-256 over everything in a manifest but the hash itself."""
    body = {key: value for key, value in document.items() if key != "content_hash"}
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
