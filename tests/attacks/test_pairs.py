import numpy as np
import pytest
import torch
from quadrants import Quadrants, make_images
from torch.testing import assert_close

from sleepdefense.attacks import PAPER_TRAINING, QUICK_TRAINING, adversarial_pairs, parse_attack, perturb
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.checkpoint import load_checkpoint, save_checkpoint
from sleepdefense.errors import CheckpointError, ConfigError, DataError, EvaluationError

ATTACKS = "FGSM:0.1,RAND+FGSM:0.2,GaussianNoise"


class InterruptError(Exception):
    """Stands for a process that is killed."""


def test_each_variant_is_its_attack_rounded_to_8_bits(classifier, data):
    pairs = adversarial_pairs(data, classifier, ATTACKS, seed=3)
    assert pairs.variants == ("FGSM:0.1", "RAND+FGSM:0.2", "GaussianNoise:0.3")
    assert torch.equal(pairs.clean, data.images)
    assert torch.equal(pairs.labels, data.labels)
    for number, text in enumerate(pairs.variants):
        exact = perturb(
            parse_attack(text),
            classifier,
            data.images,
            data.labels,
            index=torch.arange(12),
            seed=derive_seed(3, "pairs"),
        )
        assert_close(pairs.noisy[number] / 255.0, exact, atol=1 / 510 + 1e-6, rtol=0)


def test_the_batch_size_changes_nothing(classifier, data):
    one = adversarial_pairs(data, classifier, ATTACKS, batch_size=12)
    other = adversarial_pairs(data, classifier, ATTACKS, batch_size=5)
    # a value half-way between two intensities may fall to either side
    assert int((one.noisy.int() - other.noisy.int()).abs().max()) <= 1


@pytest.mark.parametrize("attacks", [PAPER_TRAINING, QUICK_TRAINING], ids=["paper", "quick"])
def test_the_sets_for_training_can_be_made(attacks, classifier):
    pairs = adversarial_pairs(make_images(4), classifier, attacks)
    assert pairs.noisy.shape == (len(attacks), 4, 1, 8, 8)
    assert pairs.variants == tuple(map(str, attacks))


def test_a_finished_cache_is_read(classifier, data, tmp_path):
    cache = tmp_path / "deep" / "pairs.h5"
    made = adversarial_pairs(data, classifier, ATTACKS, cache=cache)
    content = cache.read_bytes()
    calls = []
    kept = adversarial_pairs(
        data, classifier, ATTACKS, cache=cache, progress=lambda *call: calls.append(call)
    )
    assert kept.digest == made.digest
    assert calls == []
    assert list(cache.parent.iterdir()) == [cache]
    cache.unlink()
    adversarial_pairs(data, classifier, ATTACKS, cache=cache)
    assert cache.read_bytes() == content


def test_an_interrupted_run_goes_on_after_the_last_variant(classifier, data, tmp_path):
    cache = tmp_path / "pairs.h5"
    plain = adversarial_pairs(data, classifier, ATTACKS, batch_size=5)

    def interrupt(done, total, label):
        if done == 4:
            raise InterruptError

    with pytest.raises(InterruptError):
        adversarial_pairs(data, classifier, ATTACKS, batch_size=5, cache=cache, progress=interrupt)
    assert not cache.exists()
    calls = []
    resumed = adversarial_pairs(
        data, classifier, ATTACKS, batch_size=5, cache=cache, progress=lambda *call: calls.append(call)
    )
    assert calls[0] == (3, 9, "FGSM 0.1 (kept)")
    assert [call[0] for call in calls] == [3, 4, 5, 6, 7, 8, 9]
    assert resumed.digest == plain.digest


def test_a_cache_of_other_work_is_refused(classifier, data, tmp_path):
    cache = tmp_path / "pairs.h5"
    adversarial_pairs(data, classifier, ATTACKS, cache=cache)
    other = Quadrants()
    with torch.no_grad():
        other.sums.weight += 0.01
    with pytest.raises(
        DataError, match=r"other work \(seed 0 instead of 1\)\. Give another cache, or delete it"
    ):
        adversarial_pairs(data, classifier, ATTACKS, cache=cache, seed=1)
    with pytest.raises(DataError, match="other classifier"):
        adversarial_pairs(data, other, ATTACKS, cache=cache)
    with pytest.raises(DataError, match="other images"):
        adversarial_pairs(data.take(5), classifier, ATTACKS, cache=cache)
    with pytest.raises(DataError, match="other attacks"):
        adversarial_pairs(data, classifier, "FGSM", cache=cache)


def test_a_damaged_cache_is_an_error(classifier, data, tmp_path):
    cache = tmp_path / "pairs.h5"
    adversarial_pairs(data, classifier, ATTACKS, cache=cache)
    cache.write_bytes(cache.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match="truncated"):
        adversarial_pairs(data, classifier, ATTACKS, cache=cache)


def test_a_forged_cache_is_an_error(classifier, data, tmp_path):
    cache = tmp_path / "pairs.h5"
    adversarial_pairs(data, classifier, ATTACKS, cache=cache)
    checkpoint = load_checkpoint(cache)
    checkpoint.arrays["noisy"] = np.zeros((3, 12, 1, 8, 7), np.uint8)
    save_checkpoint(cache, checkpoint)
    with pytest.raises(DataError, match="has the shape"):
        adversarial_pairs(data, classifier, ATTACKS, cache=cache)


def test_wrong_arguments_and_failures(data, classifier):
    with pytest.raises(ConfigError, match="batch_size must be >= 1, got 0"):
        adversarial_pairs(data, classifier, ATTACKS, batch_size=0)
    with pytest.raises(EvaluationError, match="logits have no gradient"):
        adversarial_pairs(data, classifier.requires_grad_(False).apply(_cut), "FGSM")


def _cut(module):
    """Cut the gradient behind a linear layer."""
    if isinstance(module, torch.nn.Linear):
        module.register_forward_hook(lambda _module, _inputs, output: output.detach())


def test_an_attack_that_needs_a_start_takes_it_from_the_training_images(classifier, data):
    pairs = adversarial_pairs(data, classifier, "L2:Boundary(steps=5,epsilon=9)", batch_size=5)
    assert int((pairs.noisy[0].float() - 255 * data.images).abs().max()) > 1
    with torch.no_grad():
        predicted = classifier(pairs.noisy[0] / 255.0).argmax(1)
    assert int((predicted != data.labels).sum()) >= 10
