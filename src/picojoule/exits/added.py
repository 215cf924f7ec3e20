"""What adding exits to a network came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from picojoule.exits.deciding import Measured
from picojoule.exits.places import Probe

SCHEMA = "picojoule/added-exits/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedExit:
    """An exit of the network that results.

    Attributes:
        name: of the layer or block that it is behind; of the last exit, ``last``.
        head: its classifier in words; of the last exit, empty.
        energy: of a sample that leaves there when all exits before it were asked, in the unit of the result.
        head_energy: of it, what its own classifier takes.
        accuracy_choosing: were all images to leave there, on the choosing images.
        accuracy: the same on the test images.
    """

    name: str
    head: str
    energy: float
    head_energy: float
    accuracy_choosing: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFitted:
    """How a setting did on the images that chose it, each scored by a fit to the others.

    Attributes:
        images: how many.
        accuracy: share of right answers.
        energy: mean of an image, in the unit of the result.
    """

    images: int
    accuracy: float
    energy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A network with exits, and what they save.

    Attributes:
        model: its name.
        hardware: the machine that energies are of.
        unit: of energies.
        alone: energy of the network as it came, per inference.
        accuracy_alone: of it, on the test images.
        exits: all, the last among them.
        probes: places that were tried; none where places were named.
        lose: points of accuracy that may be lost.
        asked: names of the exits that are worth asking at that accuracy.
        combined: whether exits that were passed have a say in the answers there.
        target_accuracy: that of the last exit on the choosing images, less what may be lost.
        choosing: what thresholds chosen for it do on the images that chose them: no less accurate than it.
        test: what they do on the test images, scored by a fit to all choosing images.
        decision: that chose them, as ``picojoule exits decide --format json`` writes it: a report draws it.
        folder: where the files lie.
        files: by what they are.
        notes: what else to know.
    """

    model: str
    hardware: str
    unit: str
    alone: float
    accuracy_alone: float
    exits: tuple[AddedExit, ...]
    probes: tuple[Probe, ...]
    lose: float
    asked: tuple[str, ...]
    combined: bool
    target_accuracy: float
    choosing: CrossFitted
    test: Measured
    decision: dict[str, Any]
    folder: str
    files: dict[str, str]
    notes: tuple[str, ...]

    @property
    def saved(self) -> float:
        """Share of the energy of the network as it came, on the test images."""
        return 1 - self.test.energy / self.alone

    def to_data(self) -> dict[str, Any]:
        """As JSON can say it."""
        return {"schema": SCHEMA, **asdict(self), "saved": self.saved}
