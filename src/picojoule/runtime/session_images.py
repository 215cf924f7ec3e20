"""Images become the input of a network, as the manifest says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.errors import InputError, MissingExtraError, UsageError
from picojoule.runtime.manifest import COLOURS, Preprocessing, Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def images_in(folder: Path) -> list[Path]:
    """The images in a folder, by name.

    Raises:
        InputError: there is none.
    """
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if not found:
        raise InputError(
            "there is no image in this folder", where=str(folder), hint=f"Endings: {', '.join(IMAGE_SUFFIXES)}."
        )
    return found


def read_image(path: Path, how: Preprocessing, tensor: Tensor) -> np.ndarray:
    """One image as the network takes it, without a batch axis.

    Raises:
        InputError: it can't be read, or its size doesn't fit and the bundle doesn't resize.
        MissingExtraError: Pillow is not installed.
    """
    pillow = _pillow()
    try:
        with pillow.open(path) as image:
            return _tensor_of(_pixels(image, how, tensor, str(path)), how, tensor)
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as problem:
        raise InputError(f"not a readable image: {problem}", where=str(path)) from None


def prepare(pixels: np.ndarray, how: Preprocessing, tensor: Tensor) -> np.ndarray:
    """A batch of images as the network takes it.

    Args:
        pixels: uint8, images × rows × columns × channels (red, green, blue; or one grey), 0 to 255.
        how: the bundle's preprocessing.
        tensor: the network's input.

    Raises:
        InputError: the pixels are none, or their size doesn't fit and the bundle doesn't resize.
        MissingExtraError: they must be resized, and Pillow is not installed.
    """
    channels = COLOURS[how.colour]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != channels:
        raise InputError(
            f"pixels are uint8 of images × rows × columns × {channels}, got {pixels.dtype} of {list(pixels.shape)}",
            where="pixels",
        )
    if how.resize is None and how.crop is None or pixels.shape[1:3] == how.sides(tensor) and _keeps(how, pixels):
        if pixels.shape[1:3] != how.sides(tensor):
            raise _wrong_size("pixels", pixels.shape[1:3], how, tensor)
        return _tensor_of(pixels[..., ::-1] if how.colour == "BGR" else pixels, how, tensor)
    pillow = _pillow()
    made = []
    for picture in pixels:
        image = pillow.fromarray(picture[..., 0] if channels == 1 else picture)
        made.append(_tensor_of(_pixels(image, how, tensor, "pixels"), how, tensor))
    return np.stack(made)


def _keeps(how: Preprocessing, pixels: np.ndarray) -> bool:
    """Whether resizing and cutting leave images of this size as they are."""
    rows, columns = pixels.shape[1:3]
    size = how.resize
    return (size is None or size in ((rows, columns), min(rows, columns))) and how.crop in (None, (rows, columns))


def _pixels(image: Image, how: Preprocessing, tensor: Tensor, where: str) -> np.ndarray:
    """Rows × columns × channels, uint8, resized and cut."""
    image = image.convert("L" if how.colour == "grey" else "RGB")
    filters = _pillow().Resampling
    if how.resize is not None:
        columns, rows = image.size
        if isinstance(how.resize, int):
            short = min(rows, columns)
            rows, columns = (max(1, round(side * how.resize / short)) for side in (rows, columns))
        else:
            rows, columns = how.resize
        if image.size != (columns, rows):
            image = image.resize((columns, rows), filters[how.resample.upper()])
    if how.crop is not None:
        rows, columns = how.crop
        left, top = (image.size[0] - columns) // 2, (image.size[1] - rows) // 2
        if left < 0 or top < 0:
            raise _wrong_size(where, image.size[::-1], how, tensor)
        image = image.crop((left, top, left + columns, top + rows))
    if image.size[::-1] != how.sides(tensor):
        raise _wrong_size(where, image.size[::-1], how, tensor)
    found = np.asarray(image)
    found = found[..., None] if found.ndim == 2 else found
    return found[..., ::-1] if how.colour == "BGR" else found


def _tensor_of(pixels: np.ndarray, how: Preprocessing, tensor: Tensor) -> np.ndarray:
    """(… ×) rows × columns × channels as numbers in the layout and the type of the input."""
    plain = how.scale == 1 and set(how.mean) == {0.0} and set(how.std) == {1.0}
    if plain:
        found = pixels
    else:
        found = pixels.astype(np.float32)
        found *= np.float32(how.scale)
        found -= np.asarray(how.mean, dtype=np.float32)
        found /= np.asarray(how.std, dtype=np.float32)
    if how.layout == "NCHW":
        found = np.moveaxis(found, -1, -3)
    return np.ascontiguousarray(found, dtype=tensor.dtype)


def _wrong_size(where: str, size: Sequence[int], how: Preprocessing, tensor: Tensor) -> InputError:
    rows, columns = how.sides(tensor)
    return InputError(
        f"the image has {size[0]} × {size[1]} pixels (rows × columns); the network takes {rows} × {columns}",
        where=where,
        hint="Scale it first, or export the bundle with a preprocessing that resizes.",
    )


def require_preprocessing(how: Preprocessing | None) -> Preprocessing:
    """Raises UsageError where the bundle doesn't say how images become its input."""
    if how is None:
        raise UsageError(
            "this bundle doesn't say how images become its input",
            where="preprocessing",
            hint="Export it with --preprocess, or feed arrays: an .npz file.",
        )
    return how


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError:
        raise MissingExtraError("reading images needs Pillow", hint="pip install 'picojoule[runtime]'") from None
    return PIL.Image
