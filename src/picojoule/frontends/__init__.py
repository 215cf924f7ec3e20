"""Readers of model files: a file, a name or a layer table becomes a `Network`."""

from picojoule.frontends.resolve import load_model, load_zeros, parse_shape

__all__ = ["load_model", "load_zeros", "parse_shape"]
