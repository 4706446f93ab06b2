import dataclasses

import pytest
import torch

from sleepdefense.consolidation import MirroredSTDP, SleepConfig, load_diary, sleep
from sleepdefense.errors import CheckpointError, ConfigError, SleepError

CONFIG = SleepConfig(
    num_steps=6, batch_size=8, target_batches=8, rho=0.05, save_every=3, measure_every=2, k=3, max_images=200
)
MEASURES = {"norm": lambda network: float(network.weights["encoder.1"].norm())}


class Interrupted(KeyboardInterrupt):
    pass


def interrupt_at(batch):
    told = []

    def progress(done, total, label):
        told.append(done)
        if len(told) == batch:
            raise Interrupted

    return progress


@pytest.fixture(scope="module")
def whole(fc, images, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "sleep.h5"
    return sleep(fc, images, config=CONFIG, measures=MEASURES, checkpoint=path), path.read_bytes()


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7])
def test_an_interrupted_sleep_ends_with_the_same_bytes(fc, images, whole, tmp_path, batch):
    path = tmp_path / "sleep.h5"
    assert len(whole[0].diary.rows) > 7
    with pytest.raises(Interrupted):
        sleep(
            fc,
            images,
            config=CONFIG,
            measures=MEASURES,
            checkpoint=path,
            progress=interrupt_at(batch),
            threads=1,
        )
    with pytest.raises(CheckpointError, match="holds a sleep that is not over: resume it first"):
        load_diary(path)
    again = sleep(fc, images, config=CONFIG, measures=MEASURES, checkpoint=path, resume=True, threads=2)
    assert path.read_bytes() == whole[1]
    for name, weight in whole[0].network.weights.items():
        assert torch.equal(weight, again.network.weights[name])
    assert again.diary.facts() == whole[0].diary.facts()


@pytest.mark.parametrize("batch", [1, 2, 9, 17])
def test_an_interrupted_online_sleep_ends_with_the_same_bytes(conv, images, tmp_path, batch):
    config = dataclasses.replace(CONFIG, batch_size=1, max_images=20, rho=0.05, strength=3.0)
    paths = [tmp_path / name for name in ("whole.h5", "part.h5")]
    whole = sleep(conv, images, config=config, checkpoint=paths[0])
    assert len(whole.diary.rows) > batch
    with pytest.raises(Interrupted):
        sleep(conv, images, config=config, checkpoint=paths[1], progress=interrupt_at(batch))
    sleep(conv, images, config=config, checkpoint=paths[1], resume=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_interruptions_may_follow_each_other(fc, images, whole, tmp_path):
    path = tmp_path / "sleep.h5"
    for _ in range(3):
        with pytest.raises(Interrupted):
            sleep(
                *(fc, images),
                **{"config": CONFIG, "measures": MEASURES, "checkpoint": path},
                **{"resume": True, "progress": interrupt_at(2)},
            )
    sleep(fc, images, config=CONFIG, measures=MEASURES, checkpoint=path, resume=True)
    assert path.read_bytes() == whole[1]


def test_a_sleep_that_is_over_is_not_slept_again(fc, images, whole, tmp_path):
    path = tmp_path / "sleep.h5"
    path.write_bytes(whole[1])
    told = []
    again = sleep(
        *(fc, images),
        **{"config": CONFIG, "measures": MEASURES, "checkpoint": path, "resume": True},
        progress=lambda *state: told.append(state),
    )
    assert told == []
    assert path.read_bytes() == whole[1]
    assert torch.equal(again.network.weights["encoder.1"], whole[0].network.weights["encoder.1"])


def test_how_often_the_state_is_saved_does_not_matter(fc, images, whole, tmp_path):
    path = tmp_path / "sleep.h5"
    config = dataclasses.replace(CONFIG, save_every=1)
    sleep(fc, images, config=config, measures=MEASURES, checkpoint=path)
    assert path.read_bytes() == whole[1]


def test_the_diary_comes_back_from_the_file(whole, tmp_path):
    path = tmp_path / "sleep.h5"
    path.write_bytes(whole[1])
    diary = load_diary(path)
    assert diary.facts() == whole[0].diary.facts()
    assert diary.measured == whole[0].diary.measured
    for name, values in whole[0].diary.arrays().items():
        assert values.dtype == diary.arrays()[name].dtype
        assert values.tobytes() == diary.arrays()[name].tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": dataclasses.replace(CONFIG, rho=0.2)}, r"another config .*rho was 0.05, is 0.2"),
        ({"rule": MirroredSTDP(a_plus=0.01)}, r"another rule .*a_plus was 0.004, is 0.01"),
        ({"measures": {}}, r"another measures"),
        ({"images": 0.5}, r"another images"),
        ({"network": 2.0}, r"another network"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_sleep_is_not_resumed(fc, images, whole, tmp_path, change, message):
    path = tmp_path / "sleep.h5"
    path.write_bytes(whole[1])
    network = fc.with_weights({"mean": fc.weights["mean"] * change.get("network", 1.0)})
    options = {
        "images": images * change.get("images", 1.0),
        "rule": change.get("rule", MirroredSTDP()),
        "config": change.get("config", CONFIG),
        "measures": change.get("measures", MEASURES),
    }
    with pytest.raises(SleepError, match=rf"cannot resume '.*sleep.h5': {message}.*start anew with force"):
        sleep(network, **options, checkpoint=path, resume=True)
    assert path.read_bytes() == whole[1]
    sleep(network, **options, checkpoint=path, resume=True, force=True)
    assert path.read_bytes() != whole[1]


def test_a_file_that_is_there_is_not_overwritten_by_chance(fc, images, tmp_path):
    path = tmp_path / "sleep.h5"
    path.write_text("precious")
    with pytest.raises(ConfigError, match=r"sleep.h5' exists: go on with resume, or start anew with force"):
        sleep(fc, images, config=CONFIG, checkpoint=path)
    with pytest.raises(CheckpointError):
        sleep(fc, images, config=CONFIG, checkpoint=path, resume=True)
    assert path.read_text() == "precious"


def test_resuming_needs_a_file(fc, images):
    with pytest.raises(ConfigError, match="'resume' needs a 'checkpoint'"):
        sleep(fc, images, resume=True)


def test_resuming_before_anything_was_saved_begins(fc, images, whole, tmp_path):
    path = tmp_path / "sleep.h5"
    sleep(fc, images, config=CONFIG, measures=MEASURES, checkpoint=path, resume=True)
    assert path.read_bytes() == whole[1]
