"""Every attack with settings that do on images of 64 pixels, and a model whose sums do not round."""

import pytest
import torch
from quadrants import make_images
from torch import nn

from sleepdefense.attacks import ATTACKS, AttackSpec
from sleepdefense.attacks.build import attack_batch
from sleepdefense.attacks.starting import make_pool

AT_MOST = {"steps": 12, "repeats": 3, "directions": 10, "binary_search_steps": 2, "queries": 100}
OWN = {
    "CW": {"steps": 10},
    "CW-strong": {"steps": 25, "binary_search_steps": 3, "learning_rate": 0.2},
    "CarliniWagner": {"steps": 40, "binary_search_steps": 4, "learning_rate": 0.05, "initial_const": 0.1},
    "PGD": {"steps": 20},
    "Boundary": {"steps": 60},
    "Pointwise": {"repeats": 1, "steps": 10},
    "FMN": {"steps": 60},
    "L2:FMN": {"steps": 60},
    "HopSkipJump": {"steps": 1},
    "L2:HopSkipJump": {"steps": 1},
    "Square": {"queries": 100},
    "L2:Square": {"queries": 100, "epsilon": 2.5},
    "L1:Square": {"queries": 100, "epsilon": 16},
    "L2:PGD": {"relative_step": 0.1},
    "L1:PGD": {"relative_step": 0.2, "epsilon": 12},
}


def _small(spec):
    settings = {
        name: min(spec.settings[name], most) for name, most in AT_MOST.items() if name in spec.settings
    }
    return spec.with_settings(**{**settings, **OWN.get(spec.title, {})})


SMALL = [_small(spec) for spec in ATTACKS.values()]
COMPILED = [spec for spec in SMALL if spec.name == "BrendelBethge"]  # half a minute of compilation each
FAST = [spec for spec in SMALL if spec.name != "BrendelBethge"]
_LATER = [pytest.param(spec, marks=pytest.mark.long) for spec in COMPILED]
EVERY = [*FAST, *_LATER]
GRADIENT_ATTACKS = [*(spec for spec in FAST if spec.needs_gradient), *_LATER]
SEARCHES = [*(spec for spec in FAST if spec.minimises and spec.access != "none"), *_LATER]


class Sums(nn.Module):
    """The sum of each quarter of an 8x8 image, rounded once: alike in every batch, to the last bit."""

    def forward(self, image):
        quarters = image.double().reshape(-1, 2, 4, 2, 4).sum((2, 4))
        return quarters.flatten(1).float()


def pool_for(model):
    return make_pool(model, make_images(16, seed=9).images)


def attack(spec, model, data, *, first=0, last=None, seed=0, pool=None):
    """Attack some images of a set, from a pool where that is needed."""
    part = slice(first, last)
    pool = pool_for(model) if pool is None and spec.needs_start else pool
    index = torch.arange(len(data))[part]
    return attack_batch(spec, model, data.images[part], data.labels[part], index=index, seed=seed, pool=pool)


def attacked_images(spec, model, data, **more):
    """Return the images that an attack makes."""
    return attack(spec, model, data, **more).images


def title(spec):
    """Name a case of a test after its attack."""
    return spec.title if isinstance(spec, AttackSpec) else None
