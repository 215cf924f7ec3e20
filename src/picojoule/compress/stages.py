"""A long job as stages whose answers lie in a folder: begun again, it goes on behind the last one that is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.atomic_file import is_unfinished, replace_file
from picojoule.errors import InputError, SystemFailure, UsageError
from picojoule.train.checkpoint import load_tensors, save_tensors

if TYPE_CHECKING:
    import torch

REQUEST = "request.json"


class Stages:
    """The folder of one job.

    Args:
        folder: made if it is not there.
        request: all that decides the answers, as JSON can say it.
        kept: names of files that a request that was refused may have left there.

    Raises:
        UsageError: the folder holds a job with another request.
        InputError: what lies in it can't be read.
        SystemFailure: it can't be written.
    """

    def __init__(self, folder: Path, request: Mapping[str, Any], *, kept: Collection[str] = ()) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise SystemFailure(f"can't make the folder: {failure.strerror}", where=str(folder)) from failure
        path = folder / REQUEST
        # As it will be read: tuples become lists.
        asked = json.loads(json.dumps(request))
        if not path.exists():
            # A process that was killed while it wrote its request leaves a part of it.
            if not all(one.name in kept or is_unfinished(one, REQUEST) for one in folder.iterdir()):
                raise UsageError("the folder holds other files", where=str(folder), hint="Name a new folder (--folder).")
            replace_file(path, json.dumps(asked, indent=1) + "\n")
            return
        there = _json(path)
        changed = sorted(key for key in {*there, *asked} if there.get(key) != asked.get(key))
        if changed:
            raise UsageError(
                f"another job lies here; it differs in {', '.join(changed)}",
                where=str(folder),
                hint="Name another folder (--folder).",
            )

    def figures(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` answered, now or in an earlier run; as JSON can say it."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            replace_file(path, json.dumps(make(), indent=1) + "\n")
        return _json(path)

    def weights(self, name: str, module: torch.nn.Module, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
        """The network that ``make`` gave, now or in an earlier run: its weights in ``module``'s place, if of the same shapes."""
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            save_tensors(path, make().state_dict(), {})
        tensors, _ = load_tensors(path)
        module.load_state_dict(tensors)
        return module


def digest(module: torch.nn.Module) -> str:
    """SHA-256 of all weights and buffers, by name."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InputError(
            f"can't be read: {problem}", where=str(path), hint="Remove the file; it is made anew."
        ) from None
