"""What a reading of results is given: a result at hand, or the file of one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from picojoule.result import Estimate, content_hash
from picojoule.result_file import estimate_from_data, read_document, usable

_RESULT = re.compile(r'\s*\{\s*"schema"\s*:\s*"picojoule/estimate/')
_HEAD_BYTES = 4096


def is_result_file(path: object) -> bool:
    """Whether ``path`` names a file that begins as a result does; it may be cut off or of another version."""
    if not isinstance(path, str | os.PathLike) or not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    # What a program has written anew may have its keys in another order.
    return bool(_RESULT.match(head)) or (head.lstrip().startswith("{") and '"picojoule/estimate/' in head)


def read_subject(result: Estimate | str | os.PathLike[str]) -> tuple[Estimate, bool]:
    """The result, and whether its file was changed after it was written.

    Raises:
        ResultFileError, SystemFailure: a file that can't be read, or of which no figures can be made.
    """
    if isinstance(result, Estimate):
        return result, False
    document = read_document(Path(result))
    altered = document["provenance"].get("content_hash") != content_hash(document)
    return usable(estimate_from_data(document, where=str(result)), where=str(result)), altered
