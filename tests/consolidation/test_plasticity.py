import pytest
from sleepers import SIZE, make_images, seeded, spiking
from torch import nn

from sleepdefense.consolidation.plasticity import choose_stages, find_plasticity
from sleepdefense.conversion import to_spiking
from sleepdefense.errors import SleepError


def test_the_encoder_of_the_paper_sleeps_and_nothing_else(conv):
    plasticity = find_plasticity(conv)
    assert [stage.name for stage in plasticity.stages] == ["encoder.0", "encoder.3", "encoder.6", "encoder.9"]
    assert set(plasticity.reasons) == {
        *("mean", "log_variance", "expand.0"),
        *("decoder.0", "decoder.3", "decoder.6", "decoder.9"),
    }
    first = plasticity.stages[0]
    assert (first.kernel, first.visible, first.hidden) == ((3, 1, 5, 5), (1, 8, 8), (3, 8, 8))
    assert (first.stride, first.padding) == ((1, 1), (2, 2))


def test_a_linear_map_is_a_convolution_over_one_pixel(fc):
    (stage,) = find_plasticity(fc).stages
    assert (stage.kernel, stage.visible, stage.hidden) == ((12, 64, 1, 1), (64, 1, 1), (12, 1, 1))


def test_a_map_sleeps_through_a_sum(residual):
    stages = find_plasticity(residual).stages
    assert [stage.name for stage in stages] == ["first", "second"]
    assert stages[1].source == stages[0].unit


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (lambda: [nn.Conv2d(2, 4, 3, groups=2), nn.ReLU()], "in 2 groups"),
        (lambda: [nn.Conv2d(2, 4, 3, dilation=2), nn.ReLU()], r"with dilation \(2, 2\)"),
        (lambda: [nn.Conv2d(2, 4, 2, padding="same"), nn.ReLU()], "pads by 'same' around an even kernel"),
        (lambda: [nn.ConvTranspose2d(2, 4, 3), nn.ReLU()], "is of kind 'conv_transpose2d'"),
        (lambda: [nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.ReLU()], "feeds '1', not one layer of neurons"),
        (lambda: [nn.Conv2d(2, 4, 3), nn.Sigmoid()], "feeds '1', not one layer"),
        (lambda: [nn.Tanh(), nn.Conv2d(2, 4, 3), nn.ReLU()], "graded or signed values from '0'"),
        (lambda: [nn.Linear(SIZE, 4), nn.ReLU()], "acts along one axis of an input of shape"),
        (lambda: [nn.Conv2d(2, 4, 3)], "feeds a result of the network"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_a_network_that_cannot_sleep_is_named_with_the_reasons(layers, reason):
    network = spiking(seeded(lambda: nn.Sequential(*layers())), channels=2)
    with pytest.raises(
        SleepError, match=r"network 'Sequential' has nothing that can sleep: '\d' .*" + reason
    ):
        find_plasticity(network)


@pytest.mark.parametrize(("padding", "expected"), [("same", (1, 1)), ("valid", (0, 0))])
def test_padding_by_name_is_understood(padding, expected):
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=padding), nn.ReLU()))
    network = spiking(model)
    assert find_plasticity(network).stages[0].padding == expected


def test_a_network_without_weights_is_refused():
    network = to_spiking(nn.Sequential(nn.Flatten()), make_images(4))
    with pytest.raises(SleepError, match="it has no weights"):
        find_plasticity(network)


def test_stages_can_be_chosen_and_are_sorted(conv):
    chosen = choose_stages(find_plasticity(conv), ("encoder.6", "encoder.0"))
    assert [stage.name for stage in chosen] == ["encoder.0", "encoder.6"]


@pytest.mark.parametrize(
    ("name", "reason"), [("mean", "it feeds"), ("decoder.0", "behind values"), ("typo", "is no layer")]
)
def test_a_chosen_stage_that_cannot_sleep_is_named(conv, name, reason):
    with pytest.raises(SleepError, match=f"stage '{name}' cannot sleep: it .*{reason[3:]}.*encoder.0"):
        choose_stages(find_plasticity(conv), (name,))


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
def test_spikes_pass_pooling_and_reshaping(pool):
    def layers() -> list[nn.Module]:
        first = [nn.Conv2d(1, 2, 3), nn.ReLU(), pool(2)]
        return [*first, nn.Flatten(), nn.Linear(18, 4), nn.ReLU()]

    network = spiking(seeded(lambda: nn.Sequential(*layers())))
    assert [stage.name for stage in find_plasticity(network).stages] == ["0", "4"]
