"""Which layers and calls have a place in the graph of stages, and as what."""

import operator

import torch
import torch.nn.functional as F
from torch import nn

from sleepdefense.models.stacked import MapOfStack

LINEAR_MODULES: dict[type[nn.Module], str] = {
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.ConvTranspose2d: "conv_transpose2d",
    nn.Linear: "linear",
    MapOfStack: "linear",
}
"""Layers with weights: linear maps that become synapses."""

NORM_MODULES = (nn.BatchNorm1d, nn.BatchNorm2d)
UNIT_MODULES: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh"}
UNIT_CALLS: dict[object, str] = {
    F.relu: "relu",
    torch.relu: "relu",
    torch.relu_: "relu",
    torch.sigmoid: "sigmoid",
    F.sigmoid: "sigmoid",
    torch.tanh: "tanh",
    F.tanh: "tanh",
    "relu": "relu",
    "relu_": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
AVERAGE_MODULES = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
AVERAGE_CALLS: tuple[object, ...] = (
    F.avg_pool1d,
    F.avg_pool2d,
    F.adaptive_avg_pool1d,
    F.adaptive_avg_pool2d,
)
MAX_MODULES = (nn.MaxPool1d, nn.MaxPool2d)
MAX_CALLS: tuple[object, ...] = (F.max_pool1d, F.max_pool2d, torch.max_pool1d, torch.max_pool2d)
IDENTITY_MODULES = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)
IDENTITY_CALLS: tuple[object, ...] = (F.dropout, F.dropout1d, F.dropout2d, "contiguous", "clone")
RESHAPE_MODULES = (nn.Flatten, nn.Unflatten)
RESHAPE_CALLS: tuple[object, ...] = (
    torch.flatten,
    torch.reshape,
    torch.squeeze,
    torch.unsqueeze,
    "flatten",
    "view",
    "reshape",
    "unflatten",
    "squeeze",
    "unsqueeze",
)
ADD_CALLS: tuple[object, ...] = (operator.add, operator.iadd, torch.add, "add", "add_")
SUPPORTED = (
    "Conv1d, Conv2d, ConvTranspose2d, Linear, BatchNorm1d, BatchNorm2d, ReLU, Sigmoid, Tanh, AvgPool, "
    "MaxPool, Flatten, view, zero padding, Dropout, nearest Upsample and additions of branches"
)
