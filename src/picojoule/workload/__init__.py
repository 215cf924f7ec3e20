"""A network as loop nests over named tensors: the nests, built-in networks and layer tables."""

from picojoule.workload.builtin import builtin_names, builtin_network
from picojoule.workload.data_flow import DataFlow, Given
from picojoule.workload.layer_table import load_layer_table
from picojoule.workload.nest import DIMS, RELEVANT, TENSORS, Bits, Nest
from picojoule.workload.network import Layer, ModelBits, Network, NotCosted
from picojoule.workload.zeros import Zeros

__all__ = [
    "Bits",
    "DIMS",
    "DataFlow",
    "Given",
    "Layer",
    "ModelBits",
    "Nest",
    "Network",
    "NotCosted",
    "RELEVANT",
    "TENSORS",
    "Zeros",
    "builtin_names",
    "builtin_network",
    "load_layer_table",
]
