"""CIFAR-10 from lossless sheets, each checked before it is believed.

A folder holds ``sheet0.webp`` … ``sheet5.webp`` (3200 × 3200 pixels: image *i* at row *i* // 100 and column *i* % 100;
sheets 0–4 are the training images, 5 the test images, in the canonical order) and ``labels.npz`` (``y_train``,
``y_test``). Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from picojoule.errors import InputError, MissingExtraError, UsageError
from picojoule.train.images import Images, Splits

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINED_ON = 45_000
"""Training images 0–44999 fit weights, 45000–49999 choose."""

_SIDE, _ROWS = 32, 100
_SHA256 = {
    "labels.npz": "2adcb621b226054b45ea498e5151b50747ee667e75829c059844e7b78f6b5196",
    "sheet0.webp": "9a59fb62407bfdcf401f9de3ef101f4876393deb5326a3c24bbee4e0aec2d444",
    "sheet1.webp": "8a387b8185cce9d979352249d2964bfb2e534cc7dfac83fa6eec7829804749e9",
    "sheet2.webp": "af5e39c0f4f08f8293b79244b0a734670736072152517f0b773780b3d9f51ccb",
    "sheet3.webp": "4758b23a86ec7003613929ffcc0985ecd4b0991c7a768128ac755304231d93e3",
    "sheet4.webp": "e0e11361c0bbe01845208b17283db99f88a572fff373179486d9ecf1ff679418",
    "sheet5.webp": "3f168db7e8a30ca43e7cdb59fa88611e12701efabf53bff6612144a6dd8062fc",
}


def read_cifar10(folder: Path) -> Splits:
    """All 60,000 images: 45,000 that train, 5,000 that choose, 10,000 that test.

    Args:
        folder: with the sheets and the labels.

    Raises:
        UsageError: there is no such folder, or a file is missing in it.
        InputError: a file is not the one expected (its SHA-256 differs).
        MissingExtraError: Pillow is not installed.
    """
    labels = np.load(io.BytesIO(_checked(folder, "labels.npz")), allow_pickle=False)
    train = Images(
        pixels=np.concatenate([_cut(_checked(folder, f"sheet{index}.webp")) for index in range(5)]),
        labels=labels["y_train"].astype(np.int64),
    )
    test = Images(pixels=_cut(_checked(folder, "sheet5.webp")), labels=labels["y_test"].astype(np.int64))
    return Splits(train=train.part(0, TRAINED_ON), choose=train.part(TRAINED_ON, len(train)), test=test, names=CLASSES)


def _checked(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise UsageError(f"there is no {name}", where=str(folder), hint=f"The folder holds {', '.join(_SHA256)}.")
    raw = path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != _SHA256[name]:
        raise InputError(
            f"its SHA-256 is {found[:16]}…, not {_SHA256[name][:16]}…: it is damaged or another file",
            where=str(path),
            hint="Copy it anew from where it came.",
        )
    return raw


def _cut(raw: bytes) -> np.ndarray:
    """The 10,000 images of a sheet: uint8, images × rows × columns × channels."""
    try:
        import PIL.Image
    except ImportError:
        raise MissingExtraError("reading images needs Pillow", hint="pip install 'picojoule[runtime]'") from None
    with PIL.Image.open(io.BytesIO(raw)) as image:
        sheet = np.asarray(image.convert("RGB"))
    tiles = sheet.reshape(_ROWS, _SIDE, _ROWS, _SIDE, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(_ROWS * _ROWS, _SIDE, _SIDE, 3))
