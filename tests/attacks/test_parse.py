import pytest

from sleepdefense.attacks import PAPER_TEST, find_attack, parse_attack, parse_attacks
from sleepdefense.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name", "changes"),
    [
        ("FGSM", "FGSM", {}),
        ("  fgsm ", "FGSM", {}),
        ("FGSM:0.3", "FGSM", {}),
        ("FGSM:.1", "FGSM", {"epsilon": 0.1}),
        ("Linf:FGSM(epsilon=0.2)", "FGSM", {"epsilon": 0.2}),
        ("linf:FGSM:1e-2", "FGSM", {"epsilon": 0.01}),
        ("PGD(epsilon=0.2,steps=40)", "PGD", {"epsilon": 0.2}),
        ("PGD( steps = 7 , random_start = False )", "PGD", {"steps": 7, "random_start": False}),
        ("PGD()", "PGD", {}),
        ("CW(confidence=0)", "CW", {}),
        ("CW-strong", "CW-strong", {}),
        ("L2:CW:1.5", "CW", {"epsilon": 1.5}),
        ("RAND+FGSM(alpha=0.1)", "RAND+FGSM", {"alpha": 0.1}),
        ("none:GaussianNoise:0.2", "GaussianNoise", {"sigma": 0.2}),
        ("SaltAndPepper(share=0.5)", "SaltAndPepper", {"share": 0.5}),
        ("PGD(loss=Margin)", "PGD", {"loss": "margin"}),
        ("l2:pgd:0.5", "L2:PGD", {"epsilon": 0.5}),
        ("L1:BrendelBethge", "L1:BrendelBethge", {}),
        ("BrendelBethge", "Linf:BrendelBethge", {}),
        ("L0:Pointwise(repeats=2)", "Pointwise", {"repeats": 2}),
        ("L2:AutoAttack(version=rand)", "L2:AutoAttack", {"version": "rand"}),
    ],
)
def test_forms_of_one_attack(text, name, changes):
    assert parse_attack(text) == find_attack(name).with_settings(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the attack ''"),
        ("FGSM(", "cannot read the attack"),
        ("FGSM:0.3:0.4", "cannot read the attack"),
        ("FGSM,PGD", "cannot read the attack"),
        ("FSGM", "unknown attack 'FSGM'; did you mean FGSM or .*`sleepdefense attacks` lists all"),
        ("Xyz", "unknown attack 'Xyz'; `sleepdefense attacks` lists all"),
        ("L2:FGSM", "'FGSM' is measured in Linf, not in L2"),
        ("L0:DeepFool", "attack 'L0:DeepFool': 'DeepFool' is measured in Linf and L2, not in L0"),
        (
            "PGD(step=3)",
            "'PGD' has no setting 'step'; it has epsilon, steps, relative_step, random_start, loss",
        ),
        ("L1:DDN:2", "'DDN' is measured in L2, not in L1"),
        ("L2:PGD(loss=hinge)", "'loss' .* must be one of ce, margin, dlr, got 'hinge'"),
        ("L2:PGD(loss=3)", "'loss' .* must be one of ce, margin, dlr, got '3'"),
        ("PGD(steps)", "expected setting=value, got 'steps'"),
        ("PGD(steps=)", "expected setting=value, got 'steps='"),
        ("PGD(steps=2,steps=3)", "setting 'steps' is given twice"),
        ("PGD(steps=many)", "expected a number, true or false, got 'many'"),
        ("FGSM:inf", "must be a finite number"),
        ("FGSM:true", "must be a finite number"),
        ("paper:0.3", "'paper' is a profile"),
    ],
)
def test_wrong_text_is_explained(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_attack(text)


def test_commas_inside_parentheses_do_not_separate():
    specs = parse_attacks("FGSM:0.1, PGD(epsilon=0.2,steps=5),CW")
    assert [str(spec) for spec in specs] == ["FGSM:0.1", "PGD(epsilon=0.2,steps=5)", "CW"]


def test_lists_take_text_attacks_and_profiles():
    assert parse_attacks("paper") == PAPER_TEST
    fgsm, pgd, cw = (find_attack(name) for name in ("FGSM", "PGD", "CW"))
    assert parse_attacks([pgd, "FGSM,CW"]) == (pgd, fgsm, cw)


@pytest.mark.parametrize("attacks", ["FGSM,FGSM:0.3", ["paper", "CW"]])
def test_an_attack_listed_twice_is_refused(attacks):
    with pytest.raises(ConfigError, match="is listed twice"):
        parse_attacks(attacks)


@pytest.mark.parametrize("attacks", ["", " , ", []])
def test_no_attack_is_refused(attacks):
    with pytest.raises(ConfigError, match=r"no attack given: name some .* a profile of quick, standard, "):
        parse_attacks(attacks)


def test_a_revision_tells_other_images_of_the_same_text_apart() -> None:
    walk, step = parse_attack("L2:Boundary"), parse_attack("FGSM:0.1")
    assert (walk.identity, step.identity) == ("Boundary:1.5 (revision 2)", "FGSM:0.1")
    assert parse_attack(str(walk)) == walk
