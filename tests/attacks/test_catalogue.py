import dataclasses
import pickle
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.attacks import ATTACKS, PAPER_TRAINING, PROFILES, AttackSpec, find_attack, parse_attack
from sleepdefense.attacks.catalogue import SETTING_RULES
from sleepdefense.errors import ConfigError

EVERY_SPEC = (*ATTACKS.values(), *(spec for profile in PROFILES.values() for spec in profile))


def test_the_purifiers_attacks_come_first_and_keep_their_bare_names():
    assert list(ATTACKS)[:8] == [
        "Linf:FGSM",
        "Linf:RAND+FGSM",
        "Linf:PGD",
        "L2:CW",
        "L2:CW-strong",
        "none:GaussianNoise",
        "none:GaussianBlur",
        "none:SaltAndPepper",
    ]
    assert all(f"{spec.norm}:{spec.title}" == name for name, spec in list(ATTACKS.items())[:8])


def test_a_bare_name_means_the_first_attack_of_that_name():
    for name, spec in ATTACKS.items():
        assert find_attack(name) is find_attack(name.upper()) is find_attack(spec.title) is spec
        first = next(other for other in ATTACKS.values() if other.name == spec.name)
        assert find_attack(spec.name) is first
        assert spec.title == (spec.name if spec is first else name)


def test_titles_and_labels_tell_attacks_apart():
    for read in (lambda spec: spec.title, lambda spec: spec.label, str):
        assert len({read(spec) for spec in ATTACKS.values()}) == len(ATTACKS)


def test_the_paper_counts_42_attacks():
    norms = [spec.norm for spec in PROFILES["dim42"]]
    assert [norms.count(norm) for norm in ("L2", "Linf", "L0", "L1")] == [22, 12, 2, 6]
    assert len({spec.key for spec in PROFILES["dim42"]}) == 42
    unnamed = [spec.title for spec in PROFILES["dim42"] if not spec.paper_name]
    assert unnamed == ["L2:LinearSearchBlendedUniformNoise"]
    named = {spec.key for spec in ATTACKS.values() if spec.paper_name}
    assert named == {spec.key for spec in PROFILES["dim42"]} - {find_attack(unnamed[0]).key}
    strength = {"L2": 1.5, "Linf": 0.3, "L0": 12, "L1": 8}
    assert all(spec.epsilon == strength[spec.norm] for spec in PROFILES["dim42"])


def test_the_papers_version_of_the_42_differs_in_ddn():
    pairs = zip(PROFILES["dim42"], PROFILES["dim42-paper"], strict=True)
    assert [str(paper) for usual, paper in pairs if usual != paper] == ["DDN(epsilon=1.5,steps=10)"]


@pytest.mark.parametrize(
    ("text", "label", "key"),
    [
        ("FGSM", "FGSM 0.3", "Linf-FGSM-0.3"),
        ("RAND+FGSM:0.25", "RAND+FGSM 0.25", "Linf-RAND-FGSM-0.25"),
        ("PGD(steps=100)", "PGD 0.3 (steps=100)", "Linf-PGD-0.3-steps_100"),
        ("PGD(random_start=false)", "PGD 0.3 (random_start=false)", "Linf-PGD-0.3-random_start_false"),
        ("CW", "CW", "L2-CW"),
        ("CW:1.5", "CW 1.5", "L2-CW-1.5"),
        ("CW(learning_rate=6)", "CW (learning_rate=6)", "L2-CW-learning_rate_6"),
        ("GaussianBlur:2", "GaussianBlur 2", "none-GaussianBlur-2"),
        ("L2:PGD", "L2:PGD 1.5", "L2-PGD-1.5"),
        ("L2:DDN(steps=20)", "DDN 1.5 (steps=20)", "L2-DDN-1.5-steps_20"),
        ("L1:PGD(loss=margin)", "L1:PGD 8 (loss=margin)", "L1-PGD-8-loss_margin"),
    ],
)
def test_label_and_key(text, label, key):
    spec = parse_attack(text)
    assert (spec.label, spec.key) == (label, key)


def test_keys_are_file_names_and_unique():
    by_key = {}
    for spec in EVERY_SPEC:
        assert re.fullmatch(r"[A-Za-z0-9._-]+", spec.key)
        assert by_key.setdefault(spec.key, spec) == spec


@pytest.mark.parametrize("spec", EVERY_SPEC, ids=str)
def test_every_spec_can_be_written_and_read_back(spec):
    assert parse_attack(str(spec)) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.description
    assert spec.source


@given(
    epsilon=st.floats(1e-300, 1e300),
    steps=st.integers(1, 10**6),
    step=st.floats(1e-9, 1000),
    start=st.booleans(),
)
def test_text_keeps_every_digit(epsilon, steps, step, start):
    pgd = find_attack("PGD")
    spec = pgd.with_settings(epsilon=epsilon, steps=steps, relative_step=step, random_start=start)
    assert parse_attack(str(spec)) == spec


def test_paper_trains_on_twelve_sets():
    assert [str(spec) for spec in PAPER_TRAINING] == [
        *(f"{name}:{epsilon}" for name in ("FGSM", "RAND+FGSM") for epsilon in (0.2, 0.25, 0.3, 0.35)),
        "CW(learning_rate=6)",
        "CW(learning_rate=8)",
        "CW",
        "CW(learning_rate=12)",
    ]
    paper = {
        "learning_rate": 10,
        "steps": 100,
        "binary_search_steps": 1,
        "initial_const": 100,
        "confidence": 0,
        "abort_early": False,
    }
    assert find_attack("CW").settings == paper
    assert find_attack("RAND+FGSM").settings == {"alpha": 0.05}


def test_specs_are_frozen_and_do_not_share_settings():
    with pytest.raises(dataclasses.FrozenInstanceError):
        find_attack("FGSM").epsilon = 1.0
    settings = {"sigma": 1.0}
    spec = AttackSpec(name="mine", norm="none", settings=settings, strength="sigma")
    settings["sigma"] = 2.0
    assert spec.settings == {"sigma": 1.0}
    assert spec.key == "none-mine-1"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("FGSM", {"epsilon": 0}, "'epsilon'.* must be above 0, got 0"),
        ("FGSM", {"epsilon": float("nan")}, "must be a finite number, got nan"),
        ("FGSM", {"epsilon": True}, "must be a finite number, got True"),
        ("FGSM", {"steps": 3}, "'FGSM' has no setting 'steps'; it has epsilon"),
        ("PGD", {"steps": 0}, "'steps'.* must be at least 1 and at most 1e\\+06, got 0"),
        ("PGD", {"steps": 1.5}, "'steps'.* must be a whole number, got 1.5"),
        ("PGD", {"random_start": 1}, "'random_start'.* must be true or false, got 1"),
        ("RAND+FGSM", {"epsilon": 0.05}, "'alpha' \\(0.05\\) must be shorter than 'epsilon' \\(0.05\\)"),
        ("GaussianNoise", {"epsilon": 1}, "'GaussianNoise' has no setting 'epsilon'; it has sigma"),
        ("SaltAndPepper", {"share": 1.1}, "'share'.* must be above 0 and at most 1, got 1.1"),
        ("CW", {"confidence": -1}, "'confidence'.* must be at least 0"),
    ],
)
def test_impossible_settings_are_named(name, changes, message):
    with pytest.raises(ConfigError, match=message):
        find_attack(name).with_settings(**changes)


def test_attacks_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="'new' needs an 'epsilon'"):
        AttackSpec(name="new", norm="Linf")
    with pytest.raises(ConfigError, match="unknown setting 'size'"):
        AttackSpec(name="new", norm="none", settings={"size": 1})
    with pytest.raises(ConfigError, match="has no norm and takes no 'epsilon'"):
        AttackSpec(name="new", norm="none", epsilon=0.3)


def test_quick_takes_less_than_a_second_and_all_norms():
    assert sum(spec.seconds for spec in PROFILES["quick"]) < 1
    assert {spec.norm for spec in PROFILES["quick"]} == {"Linf", "L2", "L1", "L0"}


def test_standard_has_each_norm_with_and_without_gradient_cheap_ones_first():
    specs = PROFILES["standard"]
    for norm in ("Linf", "L2", "L1", "L0"):
        mine = [spec for spec in specs if spec.norm == norm]
        assert {spec.access for spec in mine} == {"gradient", "query"}
        assert [spec.seconds for spec in mine] == sorted(spec.seconds for spec in mine)
    assert [spec.norm for spec in specs] == sorted(
        (spec.norm for spec in specs), key=("Linf", "L2", "L1", "L0").index
    )


@pytest.mark.parametrize("spec", ATTACKS.values(), ids=lambda spec: spec.title)
def test_every_attack_says_what_it_costs(spec):
    assert spec.seconds > 0
    assert (spec.forward > 0) == (spec.access != "none")
    assert (spec.backward > 0) == (spec.access == "gradient")


def test_twice_the_steps_cost_twice_as_much():
    spec = AttackSpec(
        name="mine",
        norm="L2",
        epsilon=1.0,
        settings={"steps": 10, "binary_search_steps": 4, "loss": "ce"},
        forward=42,
        backward=40,
        seconds=0.5,
    )
    longer = spec.with_settings(steps=20, binary_search_steps=2, loss="dlr", epsilon=2.0)
    assert (longer.forward, longer.backward, longer.seconds) == (42, 40, 0.5)
    longer = spec.with_settings(steps=20)
    assert (longer.forward, longer.backward, longer.seconds) == (84, 80, 1.0)


def test_every_setting_has_a_rule_and_a_user():
    used = {name for spec in ATTACKS.values() for name in spec.adjustable}
    assert used == set(SETTING_RULES)


def test_the_catalogue_does_not_import_torch():
    code = "import sys, sleepdefense.attacks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
