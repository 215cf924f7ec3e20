"""Readers of model files: a file, a name or a layer table becomes a `Network`."""

from picojoule.frontends.resolve import load_model, parse_shape

__all__ = ["load_model", "parse_shape"]
