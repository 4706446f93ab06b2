import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sleepdefense.checkpoint import file_digest, load_checkpoint
from sleepdefense.consolidation import MirroredSTDP, SleepConfig, sleep
from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.data import PairSet, load_data, to_8_bit
from sleepdefense.errors import CheckpointError, ConfigError
from sleepdefense.models import AbstractClassifier, Purified, build_model, model_from_checkpoint
from sleepdefense.models.vae import AbstractVAE
from sleepdefense.training import (
    EndToEndConfig,
    EndToEndResult,
    TrainConfig,
    save_end_to_end,
    train,
    train_end_to_end,
)
from sleepdefense.training.joint_loss import EndToEnd


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    """64 digits of 8x8 pixels under two kinds of noise."""
    data, _ = load_data("digits", native=True)
    clean = data.images[:64]
    noise = 0.2 * torch.randn(2, *clean.shape, generator=torch.Generator().manual_seed(0))
    return PairSet(
        variants=("a", "b"),
        noisy=to_8_bit((clean + noise).clamp(0, 1)),
        clean=clean,
        labels=data.labels[:64],
    )


def _vae(**settings: Any) -> AbstractVAE:
    defaults = {"hidden": 24, "size": 8, "latent": 6, "kl_weight": 0.1}
    model = build_model("fc-vae", {**defaults, **settings}, seed=1)
    assert isinstance(model, AbstractVAE)
    return model


def _convolutional() -> AbstractVAE:
    model = build_model("defense-vae", {"width": 3, "size": 8, "latent": 4}, seed=1)
    assert isinstance(model, AbstractVAE)
    return model


def _classifier() -> AbstractClassifier:
    model = build_model("c3", {"hidden": 24, "size": 8}, seed=2)  # with dropout
    assert isinstance(model, AbstractClassifier)
    return model


def _config(**changes: Any) -> TrainConfig:
    return dataclasses.replace(TrainConfig(epochs=2, batch_size=16, device="cpu", seed=5), **changes)


@pytest.fixture(scope="module")
def few(pairs: PairSet) -> PairSet:
    return dataclasses.replace(
        pairs, noisy=pairs.noisy[:, :24], clean=pairs.clean[:24], labels=pairs.labels[:24]
    )


OPTIONS = EndToEndConfig(num_steps=3, calibration_images=32)


def _state(*models: torch.nn.Module) -> list[bytes]:
    return [value.contiguous().numpy().tobytes() for m in models for value in m.state_dict().values()]


def _states(result: EndToEndResult) -> list[bytes]:
    return _state(result.purifier, result.classifier)


def _stop_after(epochs: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, text: str) -> None:
        if done > epochs * 24:
            raise KeyboardInterrupt

    return progress


@pytest.mark.slow
def test_all_three_losses_fall_on_digits(pairs: PairSet) -> None:
    """The classifier learns once the purifier's images differ from one digit to the next."""
    config = _config(epochs=15, learning_rate=1e-2, pairing="all")
    purifier, classifier = _vae(kl_weight=0.0), build_model("c4", {"hidden": 48, "size": 8}, seed=2)
    assert isinstance(classifier, AbstractClassifier)
    result = train_end_to_end(purifier, classifier, pairs, config, options=OPTIONS)
    assert len(result.losses) == 15
    assert result.losses[-1] < 0.7 * result.losses[0]
    before = _terms(purifier, classifier, pairs)
    after = _terms(result.purifier, result.classifier, pairs)
    for name, first, last in zip(before._fields, before, after, strict=True):
        assert float(last) < 0.8 * float(first), name


@torch.no_grad()
def _terms(purifier: AbstractVAE, classifier: AbstractClassifier, pairs: PairSet) -> Any:
    whole = EndToEnd(purifier, classifier, EndToEndConfig(num_steps=3)).eval()
    index = torch.arange(len(pairs.clean))
    noisy = pairs.noisy_batch(torch.zeros_like(index), index)
    whole.prepare_(noisy)
    return whole.terms(noisy, pairs.clean, pairs.labels, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_the_weighted_sum_of_its_terms(pairs: PairSet) -> None:
    noisy = pairs.noisy_batch(torch.zeros(64, dtype=torch.int64), torch.arange(64))
    options = EndToEndConfig(num_steps=3, awake_weight=0.5, spiking_weight=2.0, classifier_weight=7.0)
    whole = EndToEnd(_vae(), _classifier(), options).eval()
    whole.prepare_(noisy)
    arguments = (noisy, pairs.clean, pairs.labels)
    with torch.no_grad():
        terms = whole.terms(*arguments, generator=torch.Generator().manual_seed(0))
        loss = whole.loss(*arguments, generator=torch.Generator().manual_seed(0))
    assert all(float(term) > 0 for term in terms)
    torch.testing.assert_close(loss, 0.5 * terms.awake + 2 * terms.spiking + 7 * terms.cross_entropy)


@pytest.mark.parametrize("kl_weight", [0.0, 1.0])
def test_the_awake_term_is_the_purifiers_own_loss_and_the_spiking_one_its_bound(
    pairs: PairSet, kl_weight: float
) -> None:
    """At many steps the twin is the awake network, and so are the losses, up to the sample of z."""
    purifier = _vae(kl_weight=kl_weight).eval()
    torch.nn.init.constant_(purifier.log_variance.bias, -40.0)
    torch.nn.init.zeros_(purifier.log_variance.weight)  # a sure latent: z is the mean
    noisy = pairs.noisy_batch(torch.zeros(64, dtype=torch.int64), torch.arange(64))
    whole = EndToEnd(purifier, _classifier(), EndToEndConfig(num_steps=300, percentile=100)).eval()
    whole.prepare_(noisy)
    with torch.no_grad():
        terms = whole.terms(noisy, pairs.clean, pairs.labels, generator=torch.Generator().manual_seed(0))
        expected = purifier.loss(noisy, pairs.clean, pairs.labels, generator=torch.Generator().manual_seed(0))
    assert torch.equal(terms.awake, expected)
    assert float(terms.spiking) == pytest.approx(float(expected), rel=2e-3)


@pytest.mark.parametrize("build", [_vae, _convolutional])
def test_the_spiking_loss_alone_moves_encoder_and_decoder(
    pairs: PairSet, build: Callable[[], AbstractVAE]
) -> None:
    options = dataclasses.replace(OPTIONS, num_steps=8, awake_weight=0.0, classifier_weight=0.0)
    start, classifier = build(), _classifier()
    result = train_end_to_end(start, classifier, pairs, _config(epochs=1), options=options)
    after = dict(result.purifier.named_parameters())
    for name, weight in start.named_parameters():
        assert not torch.equal(weight, after[name]), name
    assert _state(result.classifier) == _state(classifier)


def test_the_spiking_loss_falls_when_it_is_trained_alone(pairs: PairSet) -> None:
    options = dataclasses.replace(OPTIONS, awake_weight=0.0, classifier_weight=0.0)
    config = _config(epochs=4, learning_rate=5e-3, pairing="all")
    result = train_end_to_end(_vae(), _classifier(), pairs, config, options=options)
    assert result.losses[-1] < 0.85 * result.losses[0]


def test_the_cross_entropy_reaches_the_purifier(pairs: PairSet) -> None:
    options = dataclasses.replace(OPTIONS, awake_weight=0.0, spiking_weight=0.0)
    result = train_end_to_end(_vae(), _classifier(), pairs, _config(epochs=1), options=options)
    after = dict(result.purifier.named_parameters())
    assert not torch.equal(after["encoder.1.weight"], _vae().encoder[1].weight)
    assert torch.equal(after["log_variance.bias"], _vae().log_variance.bias) is False  # through the sample


def test_without_its_twin_and_classifier_it_is_the_awake_training(pairs: PairSet) -> None:
    options = dataclasses.replace(OPTIONS, spiking_weight=0.0, classifier_weight=0.0)
    alone = train(_vae(), pairs, _config())
    result = train_end_to_end(_vae(), _classifier(), pairs, _config(), options=options)
    assert _state(result.purifier) == _state(alone.model)
    assert result.losses == pytest.approx(alone.losses)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "epochs"), [("current", 0), pytest.param("bernoulli", 1, marks=pytest.mark.long)]
)
def test_resuming_gives_the_same_bytes(few: PairSet, tmp_path: Path, encoder: str, epochs: int) -> None:
    """Convolutions, batch norms, dropout, spike trains and scales that are measured anew."""
    options = dataclasses.replace(OPTIONS, encoder=encoder)
    arguments = (_convolutional(), _classifier(), few, _config())
    whole = train_end_to_end(*arguments, options=options, checkpoint=tmp_path / "whole.h5")
    with pytest.raises(KeyboardInterrupt):
        train_end_to_end(
            *arguments, options=options, checkpoint=tmp_path / "parts.h5", progress=_stop_after(epochs)
        )
    parts = train_end_to_end(*arguments, options=options, checkpoint=tmp_path / "parts.h5", resume=True)
    assert parts.losses == whole.losses
    assert _states(parts) == _states(whole)
    assert file_digest(tmp_path / "parts.h5") == file_digest(tmp_path / "whole.h5")


def test_the_seed_decides_and_nothing_given_moves(few: PairSet) -> None:
    purifier, classifier = _convolutional().eval(), _classifier()
    before, random = _state(purifier, classifier), torch.random.get_rng_state()
    results = [
        train_end_to_end(purifier, classifier, few, _config(epochs=1, seed=seed), options=OPTIONS)
        for seed in (5, 5, 6)
    ]
    assert _states(results[0]) == _states(results[1]) != _states(results[2])
    assert _state(purifier, classifier) == before
    assert not purifier.training
    assert not results[0].purifier.training
    assert not results[0].classifier.training
    assert torch.equal(torch.random.get_rng_state(), random)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_steps": 4}, r"end_to_end was .*'num_steps': 3.*, now .*'num_steps': 4"),
        ({"calibration_images": 31}, "calibration was .{8}"),
    ],
)
def test_resuming_with_other_options_names_them(
    pairs: PairSet, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "both.h5"
    train_end_to_end(_vae(), _classifier(), pairs, _config(epochs=1), options=OPTIONS, checkpoint=path)
    other = dataclasses.replace(OPTIONS, **change)
    with pytest.raises(CheckpointError, match=f"both.h5' holds another training: .*{message}"):
        train_end_to_end(_vae(), _classifier(), pairs, _config(), options=other, checkpoint=path, resume=True)


def test_both_networks_come_back_from_their_checkpoints(pairs: PairSet, tmp_path: Path) -> None:
    result = train_end_to_end(_vae(), _classifier(), pairs, _config(epochs=1), options=OPTIONS)
    paths = tmp_path / "purifier.h5", tmp_path / "classifier.h5"
    save_end_to_end(result, *paths, provenance={"seed": 5})
    purifier, classifier = (model_from_checkpoint(load_checkpoint(path, kind="awake")) for path in paths)
    assert load_checkpoint(paths[0]).provenance == {"seed": 5}
    with torch.no_grad():
        logits = result.system(pairs.clean)
        assert torch.equal(Purified(purifier, classifier)(pairs.clean), logits)
    assert logits.shape == (64, 10)


@pytest.mark.slow
def test_what_was_trained_end_to_end_can_sleep(pairs: PairSet) -> None:
    result = train_end_to_end(_vae(), _classifier(), pairs, _config(epochs=1), options=OPTIONS)
    spiking = to_spiking(result.purifier, pairs.clean)
    slept = sleep(
        spiking, pairs.clean, MirroredSTDP(), config=SleepConfig(seed=0, num_steps=8, batch_size=16)
    )
    woken = to_awake(slept)
    assert _state(woken) != _state(result.purifier)
    with torch.no_grad():
        assert bool(Purified(woken, result.classifier)(pairs.clean).isfinite().all())


def test_the_twin_in_training_folds_the_batch_in(pairs: PairSet) -> None:
    """Stale running statistics must not reach the spiking loss of a network in training."""
    noisy = pairs.noisy_batch(torch.zeros(64, dtype=torch.int64), torch.arange(64))
    found = []
    for stale in (False, True):
        whole = EndToEnd(_convolutional(), _classifier(), OPTIONS)
        whole.prepare_(noisy)
        if stale:
            for module in whole.purifier.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_var.fill_(100.0)
        whole.train()
        with torch.no_grad():
            arguments = (noisy, pairs.clean, pairs.labels)
            found.append(whole.terms(*arguments, generator=torch.Generator().manual_seed(0)).spiking)
    assert torch.equal(*found)


def test_half_precision_leaves_the_spikes_alone(pairs: PairSet) -> None:
    noisy = pairs.noisy_batch(torch.zeros(64, dtype=torch.int64), torch.arange(64))
    whole = EndToEnd(_convolutional(), _classifier(), OPTIONS).eval()
    whole.prepare_(noisy)
    found = []
    for enabled in (False, True):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            arguments = (noisy, pairs.clean, pairs.labels)
            found.append(whole.terms(*arguments, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(found[0].spiking, found[1].spiking)
    assert not torch.equal(found[0].awake, found[1].awake)


def test_fresh_batch_norms_take_the_statistics_of_the_calibration(pairs: PairSet) -> None:
    noisy = pairs.noisy_batch(torch.zeros(64, dtype=torch.int64), torch.arange(64))
    whole = EndToEnd(_convolutional(), _classifier(), OPTIONS).train()
    modes = [module.training for module in whole.modules()]
    whole.prepare_(noisy)
    first = whole.purifier.encoder[1]
    mean = whole.purifier.encoder[0](noisy).mean((0, 2, 3)).detach()
    torch.testing.assert_close(first.running_mean, mean, rtol=1e-4, atol=1e-6)
    assert first.momentum == 0.1
    assert [module.training for module in whole.modules()] == modes
    settled = first.running_var.clone()
    whole.prepare_(noisy * 0.5)
    assert torch.equal(first.running_var, settled)  # no longer fresh


def test_a_twin_without_scales_is_an_error(pairs: PairSet) -> None:
    whole = EndToEnd(_vae(), _classifier(), OPTIONS)
    with pytest.raises(ConfigError, match="the spiking twin has no scales yet: call 'prepare_'"):
        whole.loss(pairs.clean, pairs.clean, pairs.labels, generator=torch.Generator())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": 0}, "end_to_end.num_steps must be >= 1, got 0"),
        ({"calibration_images": 0}, "end_to_end.calibration_images must be >= 1, got 0"),
        ({"spiking_weight": -1.0}, "end_to_end.spiking_weight must be >= 0, got -1.0"),
        ({"awake_weight": float("nan")}, "end_to_end.awake_weight must be >= 0, got nan"),
        ({"classifier_weight": float("inf")}, "end_to_end.classifier_weight must be >= 0, got inf"),
        ({"encoder": "poisson"}, "end_to_end.encoder must be one of current, bernoulli, got 'poisson'"),
        ({"slope": 0.0}, "end_to_end.slope must be > 0, got 0.0"),
        ({"percentile": 101.0}, r"end_to_end.percentile must be in \(0, 100\], got 101.0"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EndToEndConfig(**changes)
