"""Networks made smaller until they meet a budget: fewer bits, more zeros, fewer channels. Needs PyTorch.

``prune``, ``quantize`` and ``adapt`` are the ways in; all work in a folder, stage by stage, and go on there if they were broken off; ``reload`` reads what lies there.
``quantize_bundle`` makes the stages of a bundle INT8, without PyTorch.
"""

from __future__ import annotations

from picojoule.compress.adapting import adapt
from picojoule.compress.int8_bundle import quantize_bundle
from picojoule.compress.lottery import Lottery
from picojoule.compress.pruning import prune
from picojoule.compress.quantizing import quantize
from picojoule.compress.reload import reload
from picojoule.compress.result import Compression

__all__ = ["Compression", "Lottery", "adapt", "prune", "quantize", "quantize_bundle", "reload"]
