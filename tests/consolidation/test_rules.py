import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from sleepdefense.consolidation import RULES, STDP, MirroredSTDP
from sleepdefense.consolidation.weight_dependence import DEPENDENCES
from sleepdefense.errors import ConfigError

WEIGHT = np.array([1.0, 0.5, -0.5, -1.0, 0.0])
ORIGIN = WEIGHT.copy()


@pytest.mark.parametrize(
    ("dependence", "expected"),
    [
        # m = |w|, s = 1: m (1 - m) = 0.25 at +-0.5, with the sign of the weight
        ("sign-magnitude", [0.0, 0.25, -0.25, 0.0, 0.0]),
        ("signed", [0.0, 0.25, 0.25, 0.0, 0.0]),
        ("positive", [0.0, 0.25, 0.0, 0.0, 0.0]),
        # u = (w + 1) / 2 = 1, 3/4, 1/4, 0, 1/2; the range is 2
        ("affine", [0.0, 0.375, 0.375, 0.0, 0.5]),
    ],
)
def test_weight_dependence_by_hand(dependence, expected):
    assert_allclose(DEPENDENCES[dependence].factor(WEIGHT, ORIGIN), expected)


def test_direction_weighs_potentiation_and_depression():
    rule = STDP(a_plus=0.004, a_minus=-0.003)
    plus, minus = np.array([0, 3, 3, 0, 9]), np.array([1, 4, 4, 0, 0])
    # 0.25 * (0.004 * 3 - 0.003 * 4) = 0
    assert_allclose(rule.direction(WEIGHT, ORIGIN, plus, minus), np.zeros(5), atol=1e-18)
    assert_allclose(rule.direction(WEIGHT, ORIGIN, plus, 0 * minus), [0, 0.003, -0.003, 0, 0])


weights = hnp.arrays(np.float64, (2, 3), elements=st.floats(-4, 4, width=32))
counts = hnp.arrays(np.int32, (2, 3), elements=st.integers(0, 1000))


@pytest.mark.parametrize("dependence", DEPENDENCES)
@settings(max_examples=20)
@given(origin=weights, plus=counts, minus=counts, strength=st.floats(0, 1000))
def test_weights_stay_in_their_bounds(dependence, origin, plus, minus, strength):
    rule = STDP(weight_dependence=dependence)
    weight = origin
    for _ in range(3):
        weight = rule.confine(weight + strength * rule.direction(weight, origin, plus, minus), origin)
    assert weight.min() >= min(origin.min(), 0.0) - (0 if dependence == "affine" else np.abs(origin).max())
    assert np.abs(weight).max() <= np.abs(origin).max()
    if dependence != "affine":
        assert (np.sign(weight) * np.sign(origin) >= 0).all(), "a sign flipped"
        assert_array_equal(weight[origin == 0], 0.0)


@given(origin=weights, plus=counts, minus=counts)
def test_the_largest_weights_are_fixed_points(origin, plus, minus):
    change = STDP().direction(origin, origin, plus, minus)
    assert_array_equal(change[np.abs(origin) == np.abs(origin).max()], 0.0)


def test_only_the_mirrored_rule_has_a_twin():
    assert STDP().twin_gain() == 0.0
    assert MirroredSTDP(kappa=0.5).twin_gain() == 0.5


@pytest.mark.parametrize("name", RULES)
def test_settings_name_the_rule_and_make_it_again(name):
    found = RULES[name](a_plus=0.1).to_json()
    assert found.pop("rule") == name
    assert RULES[name](**found) == RULES[name](a_plus=0.1)


@pytest.mark.parametrize(
    ("build", "wrong", "message"),
    [
        (STDP, {"a_plus": -1.0}, "'a_plus' of rule 'stdp' must be >= 0, got -1.0"),
        (STDP, {"a_minus": 1.0}, "'a_minus' of rule 'stdp' must be <= 0"),
        (STDP, {"a_plus": 0.0, "a_minus": 0.0}, "must be > 0 if"),
        (MirroredSTDP, {"weight_dependence": "soft"}, "one of sign-magnitude, signed"),
        (MirroredSTDP, {"kappa": 0.0}, "'kappa' of rule 'mirrored-stdp' must be > 0; without mirror"),
        (MirroredSTDP, {"a_plus": float("nan")}, "'a_plus' of rule 'mirrored-stdp'"),
    ],
)
def test_wrong_settings_are_named(build, wrong, message):
    with pytest.raises(ConfigError, match=message):
        build(**wrong)
