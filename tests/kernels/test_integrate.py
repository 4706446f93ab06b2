"""The fused sleep, spike by spike and winner by winner against its twin, and its laws."""

import inspect

import naive
import numpy as np
import pytest
from busy_chain import COMPETITIONS, SETTINGS, assert_same, busy_chain
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.kernels import ChainLayer, bernoulli_train, count_pairings_, select_winners, sleep_images

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
RIMS = st.tuples(st.integers(0, 2), st.integers(0, 2))


@st.composite
def layers(draw, visible, rng, *, scale):
    """One layer of small signed weights, times `scale`, that reads a layer of shape `visible`.

    Few features in most cases, and sometimes more than a block of 64.
    """
    num_features = draw(st.one_of(st.integers(1, 5), st.integers(1, 5), st.sampled_from([63, 64, 65, 130])))
    windows = [(1, 1), (1, 1), (1, 1), (2, 1), (2, 2), (1, 4)]
    pool = draw(st.sampled_from([w for w in windows if w[0] <= visible[1] and w[1] <= visible[2]]))
    visible = (visible[0], visible[1] // pool[0], visible[2] // pool[1])
    if draw(st.sampled_from([False, False, True])):
        kernel, stride, padding = visible[1:], 1, 0  # a linear layer
    else:
        padding, stride = draw(RIMS), draw(PAIRS)
        kernel = tuple(draw(st.integers(1, min(4, visible[1 + i] + 2 * padding[i]))) for i in (0, 1))
    weight = rng.integers(-2, 4, (num_features, visible[0], *kernel)) * scale
    bias = rng.integers(-1, 2, num_features) * scale * draw(st.integers(0, 1))
    threshold = draw(st.integers(1, 6)) * scale
    layer = ChainLayer(weight.astype(np.int32), bias.astype(np.int32), threshold, stride, padding, pool)
    hidden = naive.convolve(np.zeros(visible), layer).shape
    return layer, hidden


@st.composite
def sleeps(draw):
    """Images, a chain of one to three layers that reads them, and who learns. Small integers force ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sides = st.tuples(st.integers(3, 7), st.integers(3, 7))
    wide = st.tuples(st.just(1), st.integers(3, 4), st.integers(8, 19))  # rows of more than one pattern
    deep = st.tuples(st.sampled_from([65, 129]), st.integers(1, 3), st.integers(1, 3))  # no patterns at all
    shape = draw(st.one_of(*[st.builds(lambda c, s: (c, *s), st.integers(1, 3), sides)] * 3, wide, deep))
    images = rng.choice([0.0, 0.1, 0.5, 1.0], (draw(st.integers(0, 3)), *shape)).astype(np.float32)
    index = rng.integers(0, 10**9, len(images))
    scale = draw(st.sampled_from([1, 1, 1, 100_000]))  # the last one does not fit 16 bits
    chain = []
    for _ in range(draw(st.integers(1, 3))):
        layer, shape = draw(layers(shape, rng, scale=scale))
        chain.append(layer)

    def for_each(values):
        return draw(st.lists(values, min_size=len(chain), max_size=len(chain)))

    competition = draw(st.sampled_from(["image", "step", "none"]))
    settings = {
        "seed": draw(st.integers(0, 2**63 - 1)),
        "num_steps": draw(st.integers(1, 6)),
        "competition": competition,
        "k": for_each(st.integers(1, 4)),
        "radius": for_each(st.integers(0, 2)),
        "depress_outside": draw(st.booleans()),
        "as_printed": competition != "none" and draw(st.booleans()),
    }
    return images, index, chain, for_each(st.booleans()), settings


def test_a_window_stays_inhibited_in_the_steps_that_follow():
    """Feature 0 wins at the first pixel at once; feature 1, a step later, may win outside its window only."""
    images = np.zeros((1, 1, 1, 6), dtype=np.float32)
    images[0, 0, 0, [0, 1, 4]] = 1  # each pixel spikes in every step
    layer = ChainLayer(np.array([4, 2], dtype=np.int32).reshape(2, 1, 1, 1), np.zeros(2, dtype=np.int32), 3)

    def winners(radius):
        record = sleep_images(
            images, np.zeros(1, dtype=np.int64), [layer], seed=0, num_steps=4, competition="image", k=[2],
            radius=[radius], learns=[True], record=True,
        )  # fmt: skip
        return record.winners[0, 0].tolist()

    assert winners(0) == [[0, 0, 0, 0], [1, 0, 0, 1]]
    assert winners(1) == [[0, 0, 0, 0], [1, 0, 4, 1]]


@given(sleeps(), st.integers(1, 3))
def test_sleep_is_the_twins(sleep, threads):
    images, index, chain, learns, settings = sleep
    record = sleep_images(images, index, chain, learns=learns, threads=threads, record=True, **settings)
    asleep = [
        naive.sleep_image(image, number, chain, **settings)
        for image, number in zip(images, index, strict=True)
    ]
    for i, (layer, awake) in enumerate(zip(chain, learns, strict=True)):
        twins = [image[i] for image in asleep]
        for image, twin in enumerate(twins):
            np.testing.assert_array_equal(record.spikes[i][:, image], twin.train.spikes)
            np.testing.assert_array_equal(record.membrane[i][image], twin.train.membrane)
        assert record.spike_count[i] == sum(int(twin.train.spikes.sum()) for twin in twins)
        if not awake:
            assert record.potentiation[i].shape == record.depression[i].shape == (0, *layer.weight.shape[1:])
            assert not record.winner_count[i].any()
            assert (record.winners[:, i] == -1).all()
            continue
        nothing = np.zeros(layer.weight.shape, dtype=np.int32)
        np.testing.assert_array_equal(record.potentiation[i], sum((t.potentiation for t in twins), nothing))
        np.testing.assert_array_equal(record.depression[i], sum((t.depression for t in twins), nothing))
        features = [int(row[0]) for twin in twins for rows in twin.winners for row in rows]
        count = np.bincount(np.array(features, dtype=int), minlength=len(layer.weight))
        np.testing.assert_array_equal(record.winner_count[i], count)
        if settings["competition"] == "image":
            for image, twin in enumerate(twins):
                rows = record.winners[image, i]
                np.testing.assert_array_equal(rows[rows[:, 0] >= 0], twin.winners[0])
                assert (rows[len(twin.winners[0]) :] == -1).all()


@pytest.fixture(scope="module")
def busy_sleep():
    return busy_chain()


@COMPETITIONS
@pytest.mark.parametrize("threads", [2, 3, 50])
def test_threads_change_nothing(busy_sleep, competition, threads):
    alone = sleep_images(*busy_sleep, competition=competition, **SETTINGS)
    assert all(count.sum() > 0 for count in (*alone.potentiation, *alone.depression))
    assert_same(sleep_images(*busy_sleep, competition=competition, threads=threads, **SETTINGS), alone)


@COMPETITIONS
def test_batches_change_nothing(busy_sleep, competition):
    images, index, chain = busy_sleep
    whole = sleep_images(images, index, chain, competition=competition, **SETTINGS)
    parts = [
        sleep_images(images[part], index[part], chain, competition=competition, **SETTINGS)
        for part in (slice(0, 1), slice(1, 12), slice(12, 19))
    ]
    for i in range(len(chain)):
        for field in ("potentiation", "depression", "winner_count"):
            np.testing.assert_array_equal(sum(getattr(p, field)[i] for p in parts), getattr(whole, field)[i])
        np.testing.assert_array_equal(np.concatenate([p.spikes[i] for p in parts], axis=1), whole.spikes[i])
        np.testing.assert_array_equal(np.concatenate([p.membrane[i] for p in parts]), whole.membrane[i])
    np.testing.assert_array_equal(sum(p.spike_count for p in parts), whole.spike_count)
    np.testing.assert_array_equal(np.concatenate([p.winners for p in parts]), whole.winners)


@COMPETITIONS
def test_record_changes_nothing_else(busy_sleep, competition):
    full = sleep_images(*busy_sleep, competition=competition, **SETTINGS)
    short = sleep_images(*busy_sleep, competition=competition, **SETTINGS | {"record": False})
    assert short.spikes == short.membrane == ()
    assert_same(short, full._replace(spikes=(), membrane=()))


@COMPETITIONS
def test_wide_numbers_give_the_same_spikes(busy_sleep, competition):
    # A factor on weights, bias and threshold changes no spike; it pushes the weights beyond 16 bits, and
    # with num_steps the membranes beyond 32.
    images, index, chain = busy_sleep
    factor = 2**24
    wide = [
        layer._replace(
            weight=layer.weight * np.int32(factor),
            bias=layer.bias * np.int32(factor),
            threshold=layer.threshold * factor,
        )
        for layer in chain
    ]
    record = sleep_images(images, index, chain, competition=competition, **SETTINGS)
    wide_record = sleep_images(images, index, wide, competition=competition, **SETTINGS)
    membrane = tuple(values * factor for values in record.membrane)
    assert_same(wide_record, record._replace(membrane=membrane))


@COMPETITIONS
def test_layers_may_use_channels_in_any_order(busy_sleep, competition):
    images, index, chain = busy_sleep
    order = np.array([3, 0, 5, 1, 4, 2])
    shuffled = [
        chain[0]._replace(weight=chain[0].weight[order].copy(), bias=chain[0].bias[order].copy()),
        chain[1]._replace(weight=chain[1].weight[:, order].copy()),
        chain[2],
    ]
    settings = SETTINGS | {"learns": [False, True, True]}  # shuffled maps would break ties in another order
    record = sleep_images(images, index, chain, competition=competition, **settings)
    other = sleep_images(images, index, shuffled, competition=competition, **settings)
    np.testing.assert_array_equal(other.spikes[0], record.spikes[0][:, :, order])
    np.testing.assert_array_equal(other.spikes[2], record.spikes[2])
    np.testing.assert_array_equal(other.potentiation[1], record.potentiation[1][:, order])


def test_sleep_agrees_with_the_kernels_it_is_made_of(busy_sleep):
    images, index, chain = busy_sleep
    record = sleep_images(*busy_sleep, competition="image", **SETTINGS)
    pixels = bernoulli_train(images, index, seed=5, first_step=0, num_steps=6)
    layer = chain[0]
    plus, minus = np.zeros((2, *layer.weight.shape), dtype=np.int32)
    for image in range(len(images)):
        potential = np.zeros(record.spikes[0].shape[2:], dtype=np.int64)
        train = naive.fire(pixels[:, image], layer)
        first = naive.first_steps(record.spikes[0][:, image])
        for neuron in np.argwhere(first < 6):
            potential[tuple(neuron)] = train.potential[(first[tuple(neuron)], *neuron)]
        winner = select_winners(first, potential, num_steps=6, k=3, radius=2)
        np.testing.assert_array_equal(record.winners[image, 0, : len(winner)], winner)
        seen = naive.first_steps(pixels[:, image])
        count_pairings_(plus, minus, seen, winner, stride=layer.stride, padding=layer.padding)
    np.testing.assert_array_equal(record.potentiation[0], plus)
    np.testing.assert_array_equal(record.depression[0], minus)


def lone_neuron(weight, bias, threshold, num_steps):
    """Spikes and last membrane of one neuron that looks at one pixel which spikes at every step."""
    layer = ChainLayer(np.full((1, 1, 1, 1), weight, np.int32), np.array([bias], dtype=np.int32), threshold)
    image = np.ones((1, 1, 1, 1), dtype=np.float32)
    record = sleep_images(
        image, np.array([0]), [layer], seed=0, num_steps=num_steps, competition="none", k=[1], radius=[0],
        learns=[False], record=True,
    )  # fmt: skip
    return record.spikes[0].ravel().tolist(), record.membrane[0].item()


def test_neuron_fires_above_the_threshold_not_at_it():
    # V: 5, then 10 - 5 = 5, then 5 again: a spike at every step but the first.
    assert lone_neuron(5, 0, 5, 4) == ([0, 1, 1, 1], 5)


def test_neuron_fires_once_a_step_and_keeps_the_rest():
    # V: 12 - 5 = 7, 19 - 5 = 14, 26 - 5 = 21.
    assert lone_neuron(12, 0, 5, 3) == ([1, 1, 1], 21)


def test_bias_flows_at_every_step_and_membranes_may_sink():
    # V: 3 - 4 = -1 a step, no leak, no floor.
    assert lone_neuron(3, -4, 5, 6) == ([0] * 6, -6)


def test_membrane_may_leave_32_bits():
    assert lone_neuron(1, -2_000_000_000, 5, 3) == ([0] * 3, -5_999_999_997)


@pytest.mark.parametrize("patterns", [True, False])
def test_charged_neurons_fire_on_while_no_spike_comes(patterns):
    # One input spike is worth fifty spikes, many more than the steps that are run together.
    charged = ChainLayer(np.full((2, 1, 1, 1), 50, np.int32), np.zeros(2, np.int32), 1)
    chain = [charged] if patterns else [ChainLayer(charged.weight, charged.bias, 49), charged._replace(
        weight=np.full((2, 2, 1, 1), 25, np.int32))]  # fmt: skip
    images = np.full((20, 1, 1, 2), 0.02, dtype=np.float32)
    settings = {"k": [1] * len(chain), "radius": [0] * len(chain), "seed": 1, "num_steps": 60}
    record = sleep_images(
        images, np.arange(20), chain, competition="none", learns=[False] * len(chain), record=True, **settings
    )
    pixels = bernoulli_train(images, np.arange(20), seed=1, first_step=0, num_steps=60)
    assert record.spike_count[-1] > 20 * pixels.sum()
    for image in range(20):
        twin = naive.sleep_image(images[image], image, chain, competition="none", **settings)[-1].train
        np.testing.assert_array_equal(record.spikes[-1][:, image], twin.spikes)
        np.testing.assert_array_equal(record.membrane[-1][image], twin.membrane)


def test_layer_sees_the_spikes_of_the_same_step():
    passes_on = ChainLayer(np.ones((1, 1, 1, 1), np.int32) * 2, np.zeros(1, np.int32), 1)
    record = sleep_images(
        np.ones((1, 1, 1, 1), np.float32), np.array([0]), [passes_on] * 3, seed=0, num_steps=2,
        competition="image", k=[1] * 3, radius=[0] * 3, learns=[True] * 3, record=True,
    )  # fmt: skip
    assert [layer[0].item() for layer in record.spikes] == [1, 1, 1]
    # All fire at step 0, so visible and hidden spike together: potentiation in either order.
    assert record.winners[0, :, 0].tolist() == [[0, 0, 0, 0]] * 3
    assert [plus.item() for plus in record.potentiation] == [1, 1, 1]


def golden_counts(competition, **options):
    """Two pixels, one neuron: pixel 0 always spikes (weight 2), pixel 1 never (weight 7), threshold 3.

    V: 2, 4 (fires, 1), 3, 5 (fires, 2), 4 (fires, 1): spikes at steps 1, 3, 4.
    """
    layer = ChainLayer(np.array([[[[2, 7]]]], np.int32), np.zeros(1, np.int32), 3)
    record = sleep_images(
        np.array([[[[1, 0]]]], np.float32), np.array([0]), [layer], seed=0, num_steps=5,
        competition=competition, k=[2], radius=[0], learns=[True], **options,
    )  # fmt: skip
    return record.potentiation[0].ravel().tolist(), record.depression[0].ravel().tolist()


@pytest.mark.parametrize(
    ("competition", "options", "plus", "minus"),
    [
        ("image", {}, [1, 0], [0, 1]),  # one winner at step 1; pixel 0 first spiked at 0, pixel 1 never
        ("image", {"as_printed": True}, [0, 1], [1, 0]),
        ("step", {}, [3, 0], [0, 3]),
        ("step", {"as_printed": True}, [0, 3], [3, 0]),
        ("none", {}, [3, 0], [0, 3]),
    ],
)
def test_golden_counts(competition, options, plus, minus):
    assert golden_counts(competition, **options) == (plus, minus)


@pytest.mark.parametrize(("images", "steps"), [(1, 31), (2, 8), (3, 15), (40, 1)])
@pytest.mark.parametrize("as_printed", [False, True])
def test_winners_are_counted_beyond_the_digits(images, steps, as_printed):
    # Pixel 0 spikes and the neuron fires at every step; pixel 1 never spikes.
    layer = ChainLayer(np.array([[[[2, 7]]]], np.int32), np.zeros(1, np.int32), 1)
    record = sleep_images(
        np.array([[[[1, 0]]]] * images, np.float32), np.arange(images), [layer], seed=0, num_steps=steps,
        competition="step", k=[2], radius=[0], learns=[True], as_printed=as_printed,
    )  # fmt: skip
    # As printed, the other way around: in the first step, too, pixel 0 has not spiked before.
    once, wins = images * as_printed, images * steps
    assert record.potentiation[0].ravel().tolist() == ([once, wins] if as_printed else [wins, 0])
    assert record.depression[0].ravel().tolist() == ([wins - once, 0] if as_printed else [0, wins])


@COMPETITIONS
def test_no_steps_and_no_images(busy_sleep, competition):
    images, index, chain = busy_sleep
    still = sleep_images(images, index, chain, competition=competition, **SETTINGS | {"num_steps": 0})
    none = sleep_images(images[:0], index[:0], chain, competition=competition, **SETTINGS)
    for record in (still, none):
        assert record.spike_count.tolist() == [0, 0, 0]
        assert not any(counts.any() for counts in (*record.potentiation, *record.depression))
        assert (record.winners == -1).all()


@COMPETITIONS
def test_weights_stay_as_they_are(busy_sleep, competition):
    images, index, chain = busy_sleep
    before = [layer.weight.copy() for layer in chain]
    sleep_images(images, index, chain, competition=competition, **SETTINGS)
    for layer, weight in zip(chain, before, strict=True):
        np.testing.assert_array_equal(layer.weight, weight)


LAYER = ChainLayer(np.ones((2, 1, 2, 2), dtype=np.int32), np.zeros(2, dtype=np.int32), 1)
BIG = np.full((2, 1, 2, 2), 2**31 - 1, dtype=np.int32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": []}, "'layers' is empty"),
        ({"layers": [LAYER, LAYER]}, r"'layers\[1\]' reads 1 channels, but what comes before it has 2"),
        ({"layers": [LAYER._replace(threshold=0)]}, r"'layers\[0\].threshold' must be between 1 and"),
        ({"layers": [LAYER._replace(stride=0)]}, r"'layers\[0\].stride' must be between 1 and"),
        (
            {"layers": [LAYER._replace(bias=np.zeros(3, np.int32))]},
            r"'layers\[0\].bias' must have shape \(2,\)",
        ),
        ({"layers": [LAYER._replace(weight=BIG * 0.5)]}, r"'layers\[0\].weight' must be an array of int32"),
        ({"layers": [LAYER._replace(weight=BIG[:0])]}, r"'layers\[0\].weight' is empty"),
        (
            {"images": np.zeros((1, 1, 1, 3), np.float32)},
            "a kernel of 2 x 2 pixels does not fit an input of 1 x 3",
        ),
        ({"images": np.ones((1, 1, 3, 3), np.float32) * 2}, r"'images' must lie in \[0, 1\]"),
        ({"images": np.ones((1, 3, 3), np.float32)}, r"'images' must have the axes \(image, channel, "),
        ({"index": np.zeros(2, dtype=np.int64)}, "'index' must number each of the 1 images"),
        ({"competition": "nobody"}, "'competition' must be one of image, step, none, got 'nobody'"),
        ({"competition": "none", "as_printed": True}, "'as_printed' orders first spikes"),
        ({"k": [1, 1]}, "'k' must hold one value for each of the 1 layers, got 2"),
        ({"k": [0]}, r"'k\[0\]' must be between 1 and"),
        ({"radius": [-1]}, r"'radius\[0\]' must be between 0 and"),
        ({"threads": 0}, "'threads' must be between 1 and"),
        ({"seed": 2**63}, "'seed' must be between 0 and"),
        ({"competition": "none", "num_steps": 2**31 - 1}, "a synapse may be counted 8589934588 times"),
    ],
)
def test_wrong_input_is_named(changes, message):
    settings = {
        "images": np.zeros((1, 1, 3, 3), np.float32), "index": np.array([0]), "layers": [LAYER], "seed": 0,
        "num_steps": 1, "competition": "image", "k": [1], "radius": [0], "learns": [True],
    } | changes  # fmt: skip
    unchecked_types = inspect.unwrap(sleep_images)
    with pytest.raises(ValueError, match=message):
        unchecked_types(**settings)
