"""A network as an ordered list of layers, and what of it is not costed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from picojoule.workload.data_flow import DataFlow
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.zeros import Zeros

WEIGHTLESS = "matmul"
"""Kind of a nest whose both operands are activations: what stands in the place of the weights is no parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBits:
    """Widths that a quantized model gives to a layer, in bits; None leaves one to the machine, as partial sums always are.

    Attributes:
        weights: 1 … 64.
        inputs: 1 … 64.
        outputs: 1 … 64.
    """

    weights: int | None = None
    inputs: int | None = None
    outputs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator of the user's network.

    A convolution or fully connected layer has a ``nest``. What is no nest (pool, add, concat) has
    none, and moves ``read_elements`` in and ``written_elements`` out, with ``vector_ops`` element-wise
    operations between. Counts are for the batch as given, and of one of the ``repeats``.

    Attributes:
        name: the user's own name for it.
        kind: ``conv``, ``depthwise``, ``fc``, ``matmul`` (of two activations, as in attention; one product a group), or
            the family of a layer without nest: ``pool``, ``add``, ``concat``, ``mul``, ``norm``, ``softmax``, …
        op: the operator as the model file calls it.
        biases: bias elements, which ride along on write-back; of a layer without nest, what it has learned (the scales
            of a norm, the table of an embedding); parameters out of which its operands were worked out beforehand. They
            count as parameters.
        bits: the model's own widths, or None where the machine decides.
        zeros: shares of zeros that the model states, or None.
        repeats: times that the layer runs, one after the other, its weights read anew each time.
        shared: its weights are no parameters of its own: an earlier layer counts them, or ``biases`` does.
        read_weights: what a layer without nest reads of its parameters: the rows that an embedding gathers.
    """

    name: str
    kind: str
    op: str = ""
    nest: Nest | None = None
    biases: int = 0
    bits: Bits | ModelBits | None = None
    read_elements: int = 0
    written_elements: int = 0
    vector_ops: int = 0
    repeats: int = 1
    shared: bool = False
    read_weights: int = 0
    zeros: Zeros | None = None

    @property
    def macs(self) -> int:
        return self.nest.macs * self.repeats if self.nest else 0

    @property
    def weights(self) -> int:
        """Weight elements that are parameters of this layer, biases left out."""
        return self.nest.elements("weights") if self.nest and self.kind != WEIGHTLESS and not self.shared else 0

    @property
    def params(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases

    @property
    def output_elements(self) -> int:
        """Elements of the tensor that the layer makes, in all of its repeats."""
        return (self.nest.elements("outputs") if self.nest else self.written_elements) * self.repeats

    def with_batch(self, batch: int) -> Layer:
        """The same layer over ``batch`` times as many inputs."""
        if batch == 1:
            return self
        # Weights serve every input; the second operand of a product of activations belongs to one of them.
        many = "G" if self.kind == WEIGHTLESS else "N"
        nest = replace(self.nest, **{many: getattr(self.nest, many) * batch}) if self.nest else None
        return replace(
            self,
            nest=nest,
            # An embedding gathers rows for every input; other parameters are read once.
            read_weights=self.read_weights * (batch if self.kind == "embedding" else 1),
            read_elements=self.read_elements * batch,
            written_elements=self.written_elements * batch,
            vector_ops=self.vector_ops * batch,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCosted:
    """An operator that is listed instead of costed.

    Attributes:
        op: what the model calls it.
        where: its name in the model.
        elements: that it reads and writes, if known.
    """

    op: str
    where: str
    elements: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Layers in the order in which they run.

    Attributes:
        name: what the report calls the network.
        layers: in the order in which they run.
        input_shape: of the first input with its batch, for display; empty when unknown.
        variant: which of the circulating variants this is, in words.
        source: where the shapes come from.
        not_costed: operators that no layer stands for.
        flow: which layer reads what of which, or None where that is not known.
    """

    name: str
    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...] = ()
    variant: str = ""
    source: str = ""
    not_costed: tuple[NotCosted, ...] = field(default=())
    flow: DataFlow | None = None

    def __post_init__(self) -> None:
        if self.flow is not None:
            self.flow.check([layer.name for layer in self.layers])

    @property
    def macs(self) -> int:
        """Multiplies of all convolutions, fully connected layers and products of matrices."""
        return sum(layer.macs for layer in self.layers)

    @property
    def params(self) -> int:
        """Parameters of all layers, before any folding; those of a BatchNorm, which is no layer, are not among them."""
        return sum(layer.params for layer in self.layers)

    def with_batch(self, batch: int) -> Network:
        """The network over ``batch`` inputs at once."""
        shape = (self.input_shape[0] * batch, *self.input_shape[1:]) if self.input_shape else ()
        flow = self.flow.with_batch(batch) if self.flow else None
        return replace(self, layers=tuple(x.with_batch(batch) for x in self.layers), input_shape=shape, flow=flow)
