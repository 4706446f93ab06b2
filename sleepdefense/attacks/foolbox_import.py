"""Foolbox, made importable: the only file that imports it."""

import sys
import warnings
from types import ModuleType
from typing import Any

import scipy.ndimage

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import scipy.ndimage.filters
except ImportError:
    # foolbox 3.3.4 imports a name from a place that SciPy 2 no longer has
    filters = ModuleType("scipy.ndimage.filters")
    filters.__dict__["gaussian_filter"] = scipy.ndimage.gaussian_filter
    sys.modules["scipy.ndimage.filters"] = filters

import foolbox

fb: Any = foolbox
"""The package, as one object: it does not say which of its names are public."""
