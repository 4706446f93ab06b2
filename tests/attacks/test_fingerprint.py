import copy

import torch
from quadrants import Quadrants
from torch import nn

from sleepdefense.attacks.fingerprint import difference, module_digest, versions


def test_equal_modules_have_equal_digests():
    model = Quadrants()
    assert module_digest(model) == module_digest(copy.deepcopy(model).train())
    assert len(module_digest(model)) == 64


def test_weights_buffers_and_settings_count():
    models = [Quadrants() for _ in range(4)]
    with torch.no_grad():
        models[1].sums.weight[0, 0] += 1e-7
        models[2].norm.num_batches_tracked += 1
    models[3].drop = nn.Dropout(0.25)
    assert len({module_digest(model) for model in models}) == 4


def test_differences_in_words():
    assert difference({"seed": 1, "images": "ab"}, {"seed": 1, "images": "ab"}) is None
    words = difference({"seed": 0, "images": "ab"}, {"seed": 1, "images": "cd", "attacks": []})
    assert words == "other attacks; other images; seed 0 instead of 1"


def test_versions_name_what_takes_part():
    assert set(versions()) == {"sleepdefense", "torch", "foolbox", "numpy"}
