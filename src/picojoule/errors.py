"""Every exception that picojoule raises on purpose.

    PicojouleError                 root: carries code, where, message, hint
    ├── UsageError                 the command line or the call is wrong          exit 2
    │   ├── UnknownNameError       a model, machine or layer nobody knows
    │   ├── OutputExistsError      the output is there and force was not given
    │   └── MissingExtraError      an optional dependency is not installed
    ├── InputError                 the contents of an input file are wrong        exit 3
    │   ├── ModelError             a model (ONNX, PyTorch)
    │   ├── LayerTableError        a layer table (YAML, JSON)
    │   ├── HardwareError          a machine description or an energy table
    │   ├── MappingError           a mapping that is malformed or not legal
    │   ├── ResultFileError        a result file
    │   ├── CertificateError       a search certificate
    │   ├── BundleError            a bundle: its manifest, or a file in it
    │   ├── RequirementsError      requirements that a result is checked against
    │   ├── StudyError             a study: its file, or what its storage holds
    │   ├── DatasheetError         what a datasheet is told about a network or chip
    │   └── NotCostedError         strict was asked for and something is not costed
    └── SystemFailure              a full disk, a file that can't be read         exit 4

A search that was interrupted is no error: it comes back as a value with status
``INTERRUPTED`` (exit 130 on the command line).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PicojouleError(Exception):
    """Something went wrong that the user can understand and mend.

    Args:
        message: what was wrong, with the value got and the values allowed.
        where: file, line, field or layer; empty when there is no place to name.
        hint: what to do about it.
    """

    code = "error"
    exit_code = 4

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"

    def to_dict(self) -> dict[str, str]:
        """The error as it stands in JSON output."""
        return {"code": self.code, "where": self.where, "message": self.message, "hint": self.hint}


class UsageError(PicojouleError):
    code = "usage"
    exit_code = 2


class UnknownNameError(UsageError):
    code = "unknown_name"


class OutputExistsError(UsageError):
    code = "output_exists"


class MissingExtraError(UsageError):
    code = "missing_extra"


class InputError(PicojouleError):
    code = "input"
    exit_code = 3


class ModelError(InputError):
    code = "model"


class LayerTableError(InputError):
    code = "layer_table"


class HardwareError(InputError):
    code = "hardware"


class MappingError(InputError):
    code = "mapping"


class ResultFileError(InputError):
    code = "result_file"


class CertificateError(InputError):
    code = "certificate"


class BundleError(InputError):
    code = "bundle"


class RequirementsError(InputError):
    code = "requirements"


class StudyError(InputError):
    code = "study"


class DatasheetError(InputError):
    code = "datasheet"


class NotCostedError(InputError):
    code = "not_costed"


class SystemFailure(PicojouleError):
    code = "system"
    exit_code = 4


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A sentence that names the nearest spelling and what is allowed; for the hint of an error."""
    names = sorted(allowed)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return f"{guess}Allowed: {', '.join(names)}."
