"""Training: images split by what they may be used for, a deterministic loop, checkpoints. Needs PyTorch."""

from __future__ import annotations

from picojoule.train.checkpoint import load_tensors, save_tensors
from picojoule.train.cifar10 import read_cifar10
from picojoule.train.images import Images, Splits
from picojoule.train.loop import accuracies, fit, predict
from picojoule.train.recipe import Recipe

__all__ = ["Images", "Recipe", "Splits", "accuracies", "fit", "load_tensors", "predict", "read_cifar10", "save_tensors"]
