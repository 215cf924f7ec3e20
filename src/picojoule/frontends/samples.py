"""Real inputs for a network: images in a folder, or arrays in a file."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import InputError, MissingExtraError, UsageError
from picojoule.frontends.graph import Shape

if TYPE_CHECKING:
    import numpy as np

IMAGES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
_PREPARE = "Arrays in an .npz file are fed as they are: numpy.savez(FILE, input=array), samples along the first axis."


def check_request(sparsity: str | None, data: object) -> None:
    """Raises UsageError unless ``sparsity`` and ``data`` go together."""
    if sparsity == "measured" and data is None:
        raise UsageError(
            "measuring zeros needs inputs to run",
            where="data",
            hint="Give a folder of images or an .npz file (--data PATH).",
        )
    if data is not None and sparsity != "measured":
        raise UsageError("data are for measuring zeros", where="data", hint="Say so: --sparsity measured.")


def read_samples(
    path: Path, inputs: Mapping[str, Shape], *, whole: Collection[str] = ()
) -> Iterator[dict[str, np.ndarray]]:
    """What the network is run on, a batch of its own size at a time.

    Args:
        path: an ``.npz`` file with an array for each input (or ``.npy`` for a single one), samples along the first
            axis; or a folder of images for a network with one input of batch × channels × rows × columns. Images must
            have that size; they are fed as pixels from 0 to 255, red, green and blue (or grey).
        inputs: shapes by name, batch first.
        whole: names of the inputs that take whole numbers.

    Raises:
        UsageError: there is no such file or folder.
        InputError: its contents don't fit the inputs.
    """
    if path.is_dir():
        return _images(path, inputs)
    if not path.is_file():
        raise UsageError(f"there is no file or folder {str(path)!r}", where="data", hint=_PREPARE)
    if path.suffix.lower() not in (".npz", ".npy"):
        raise InputError(
            f"data come as a folder of images or as an .npz file, not as {path.suffix!r}",
            where=str(path),
            hint=_PREPARE,
        )
    arrays, titles = _arrays(path, inputs)
    for name in whole:
        array = arrays[name]
        if array.dtype.kind == "f" and not (array == array.round()).all():
            raise InputError(
                f"array{titles[name]} holds fractions; the network takes whole numbers there",
                where=str(path),
                hint=_PREPARE,
            )
    return _batches(path, arrays, inputs, titles)


def _arrays(path: Path, inputs: Mapping[str, Shape]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays by the names of the inputs, and what the file calls them: a single one may have any name."""
    import numpy as np

    try:
        loaded: Any = np.load(path, allow_pickle=False)
        found = {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else {"": loaded}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as problem:
        # What numpy says of pickles is advice to load them.
        reason = "it holds none, or pickled objects, which are never loaded" if "pickle" in str(problem) else problem
        raise InputError(f"its arrays can't be read: {reason}", where=str(path), hint=_PREPARE) from None
    if len(inputs) == len(found) == 1:
        ((own, array),) = found.items()
        return {name: array for name in inputs}, {name: f" {own!r}" if own else "" for name in inputs}
    missing = [name for name in inputs if name not in found]
    if missing:
        raise InputError(
            f"it has no array {missing[0]!r}; it has {', '.join(found) or 'none'}", where=str(path), hint=_PREPARE
        )
    return {name: found[name] for name in inputs}, {name: f" {name!r}" for name in inputs}


def _batches(
    path: Path, arrays: dict[str, np.ndarray], inputs: Mapping[str, Shape], titles: Mapping[str, str]
) -> Iterator[dict[str, np.ndarray]]:
    def of(name: str) -> str:
        return f" of{titles[name]}" if titles[name] else ""

    counts = set()
    for name, array in arrays.items():
        wanted = inputs[name]
        if array.dtype.kind not in "biuf":
            raise InputError(f"array{titles[name]} holds {array.dtype}; numbers are allowed", where=str(path))
        if array.ndim != len(wanted) or array.shape[1:] != wanted[1:]:
            shown = ", ".join(["samples", *map(str, wanted[1:])])
            raise InputError(
                f"array{titles[name]} has the shape {list(array.shape)}; the network takes [{shown}]",
                where=str(path),
                hint=_PREPARE,
            )
        counts.add(len(array) / (wanted[0] if wanted else 1))
    if len(counts) != 1 or not (runs := counts.pop()) or runs != int(runs):
        raise InputError(
            f"{', '.join(f'{len(a)} samples{of(n)}' for n, a in arrays.items())} don't fill batches of"
            f" {', '.join(str(inputs[n][0]) for n in arrays)}",
            where=str(path),
        )
    return (
        {name: array[run * inputs[name][0] : (run + 1) * inputs[name][0]] for name, array in arrays.items()}
        for run in range(int(runs))
    )


def _images(folder: Path, inputs: Mapping[str, Shape]) -> Iterator[dict[str, np.ndarray]]:
    try:
        import PIL.Image
    except ImportError:
        raise MissingExtraError("reading images needs Pillow", hint="pip install 'picojoule[runtime]'") from None
    import numpy as np

    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGES)
    if not files:
        raise InputError(
            f"there is no image in this folder ({', '.join(sorted(IMAGES))})", where=str(folder), hint=_PREPARE
        )
    ((name, shape),) = inputs.items() if len(inputs) == 1 else [("", ())]
    if len(shape) != 4 or shape[1] not in (1, 3):
        shown = ", ".join(f"{key} {list(value)}" for key, value in inputs.items())
        raise InputError(
            "images are for a network with one input of batch × 1 or 3 channels × rows × columns;"
            f" this one takes {shown}",
            where=str(folder),
            hint=_PREPARE,
        )
    pixels = []
    for file in files:
        try:
            with PIL.Image.open(file) as image:
                if image.size != (shape[3], shape[2]):
                    raise InputError(
                        f"the image has {image.size[0]} × {image.size[1]} pixels;"
                        f" the network takes {shape[3]} × {shape[2]}",
                        where=str(file),
                        hint=f"Scale or cut it first. {_PREPARE}",
                    )
                plain = np.asarray(image.convert("RGB" if shape[1] == 3 else "L"), dtype=np.float32)
        except (OSError, SyntaxError, PIL.Image.DecompressionBombError) as problem:
            raise InputError(f"not a readable image: {problem}", where=str(file)) from None
        pixels.append(plain.transpose(2, 0, 1) if plain.ndim == 3 else plain[None])
    return _batches(folder, {name: np.stack(pixels)}, inputs, {name: ""})
