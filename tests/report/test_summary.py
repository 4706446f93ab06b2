"""The words follow from the numbers."""

from report_samples import attacked, clean, evaluation_table, judged, paper_table, table_of

from sleepdefense.report.summary import summary_paragraphs


def test_summary_gives_level_change_and_controls() -> None:
    level, change, controls = summary_paragraphs(paper_table())
    assert level == (
        "On 40 images of 'digits', the undefended network is right on 95.0 % without an attack, and on 90.0"
        " % behind the defence. Under FGSM 0.3 (Linf) the undefended network keeps 5.0 %, behind the "
        "defence 75.0 % are right if the attacker ignores it, and 7.5 % if the attack goes through it. All "
        "2 attacks in Linf together (oblivious and white-box), image by image, leave 7.5 % before sleep and"
        " 7.5 % after it; without PGD 0.3 (white-box), which failed. No attack was adapted to 'defence "
        "before sleep' or 'defence after sleep'."
    )
    assert change.startswith("Sleep changed clean accuracy by +2.5 points (")
    assert "white-box accuracy under FGSM 0.3 by 0.0 points (" in change
    assert "within chance; 0 images won, 0 lost" in change
    assert controls.startswith("Sleep against 'control: anti': clean accuracy +7.5 points")


def test_run_without_controls_says_what_it_cannot_say() -> None:
    rows = [judged(name, "clean", "none", 30) for name in ("before sleep", "after sleep")]
    assert "No control was run" in summary_paragraphs(table_of(*rows))[-1]


def test_classifier_that_sleeps_has_its_own_words() -> None:
    rows = [
        judged(name, attack, model, right)
        for name, right in (("before sleep", 20), ("after sleep", 10))
        for attack, model in (("clean", "none"), ("FGSM 0.3", "white-box"))
    ]
    level, change, _ = summary_paragraphs(table_of(*rows))
    assert "the network before sleep is right on 50.0 % without an attack." in level
    assert "Under FGSM 0.3 (Linf) 50.0 % are right before sleep and 25.0 % after it." in level
    assert "accuracy under FGSM 0.3 by -25.0 points" in change


def test_run_without_sleep_says_so() -> None:
    rows = [judged("no defence", "clean", "none", 30), judged("defence", "clean", "none", 20)]
    rows.append(judged("defence", "FGSM 0.3", "oblivious", 10))
    last = summary_paragraphs(table_of(*rows))[-1]
    assert last == "There is no network after sleep to compare with."


def test_evaluation_of_one_network_speaks_of_no_sleep() -> None:
    assert summary_paragraphs(table_of(judged("model", "clean", "none", 30))) == [
        "On 40 images of 'digits', 'model' is right on 75.0 % without an attack. No attack was run on "
        "'model': nothing here tells how robust it is."
    ]


def test_worst_case_of_several_attacks_is_told() -> None:
    rows = []
    for name, right in (("before sleep", 20), ("after sleep", 10)):
        rows += [judged(name, "clean", "none", 30), judged(name, "FGSM 0.3", "white-box", right)]
        rows += [judged(name, "PGD 0.3", "white-box", right - 4)]
    assert (
        "All 2 white-box attacks in Linf together, image by image, leave 40.0 % before sleep and 15.0 % "
        "after it." in summary_paragraphs(table_of(*rows))[0]
    )


def test_every_threat_model_of_the_headline_attack_is_told() -> None:
    models = ("oblivious", "white-box", "adaptive", "black-box-substitute")
    rows = [clean("x"), *(row for model in models for row in attacked("x", "FGSM", model))]
    words = summary_paragraphs(table_of(*rows))[0]
    assert (
        "Under FGSM 0.3 (Linf) behind the defence 45.0 % are right if the attacker ignores it, 45.0 % if "
        "the attack goes through it, 45.0 % if the attack is adapted to it, and 45.0 % if the attack is "
        "made on a "
        "substitute." in words
    )


def test_worst_cases_of_several_norms_are_one_sentence() -> None:
    assert summary_paragraphs(evaluation_table()) == [
        "On 40 images of 'digits', 'cnn' is right on 90.0 % without an attack. Under FGSM 0.3 (Linf) 45.0 %"
        " are right. All attacks of a norm together, image by image, leave 0.0 % in L2 (2 attacks) and 45.0"
        " % in Linf (3 attacks); 0.0 % stand against all attacks of all norms."
    ]


def test_different_budgets_are_told() -> None:
    rows = [clean("x"), *attacked("x", "FGSM:0.1,PGD:0.3", "white-box")]
    words = summary_paragraphs(table_of(*rows))[0]
    assert "leave 45.0 %; budgets 0.1 or 0.3." in words


def test_networks_that_are_compared_are_named() -> None:
    rows = [row for name in ("CNN", "DIM") for row in (clean(name), *attacked(name, "FGSM,PGD", "white-box"))]
    assert summary_paragraphs(table_of(*rows)) == [
        "On 40 images of 'digits', 'CNN' is right on 90.0 % and 'DIM' is right on 90.0 % without an attack."
        " Under FGSM 0.3 (Linf) 45.0 % are right for 'CNN' and 45.0 % for 'DIM'. All 2 white-box attacks in"
        " Linf together, image by image, leave 45.0 % for 'CNN' and 45.0 % for 'DIM'."
    ]
