import json

import pytest
from torch import nn

from sleepdefense.attacks import parse_attacks
from sleepdefense.evaluation import evaluate, load_results
from sleepdefense.evaluation.checking import choose_checks, merged
from sleepdefense.evaluation.checks import CHECKS, CheckConfig, Finding

SMALL = CheckConfig(epsilon=0.1, num_random_points=50, num_queries=10, steps=4, num_planted=4)


class Scaled(nn.Module):
    def __init__(self, model, factor):
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, image):
        return self.factor * self.model(image)


@pytest.mark.slow
def test_what_the_checks_found_stands_in_the_table_and_the_file(purified, data, tmp_path):
    path, again = tmp_path / "results.h5", tmp_path / "again.h5"
    table = evaluate(purified, data, "FGSM:0.1", checks=SMALL, resume=path)
    checks = {finding.check for finding in table.findings}
    assert checks == set(CHECKS)
    assert load_results(path).findings == table.findings
    summary = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(summary["findings"]) == len(table.findings)
    assert str(table).splitlines()[-1].startswith(f"{len(table.findings)} checks: ")
    assert f"{len(table.findings)} checks: " in table.markdown()
    evaluate(purified, data, "FGSM:0.1", checks=SMALL, resume=again, batch_size=500)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_masked_gradient_is_flagged_in_the_table(classifier, data):
    table = evaluate(Scaled(classifier, 1e5), data, "FGSM:0.1", checks=SMALL, name="masked")
    assert table.row("masked", "FGSM 0.1").accuracy == 1.0  # what it would have us believe
    flagged = {finding.check for finding in table.findings if finding.status == "failed"}
    assert {"G1", "G3"} <= flagged
    assert "failed" in str(table)


def test_checks_take_the_budget_of_the_evaluation():
    def chosen(attacks, checks=True):
        return choose_checks(checks, parse_attacks(attacks))

    assert chosen("FGSM:0.1,FGSM:0.2,L2:PGD") == CheckConfig(norm="Linf", epsilon=0.2)
    assert chosen("L2:PGD,L2:DDN,CW") == CheckConfig(norm="L2", epsilon=1.5)
    assert chosen("L0:Pointwise") == CheckConfig()
    assert chosen("FGSM", SMALL) is SMALL
    assert chosen("FGSM", False) is None


def found(check, status, *, threat_model="white-box", sentence=""):
    return Finding(
        check=check,
        system="s",
        threat_model=threat_model,
        norm="Linf",
        status=status,
        value=None,
        limit=None,
        sentence=sentence,
        advice="",
    )


def test_each_check_is_told_once_for_what_it_is_about():
    own = [found("T1", "warned", sentence="few"), found("S1", "passed"), found("S4", "skipped")]
    own += [found("T1", "passed", threat_model="oblivious")]
    read = [found("T1", "warned", sentence="many"), found("S1", "skipped"), found("S4", "skipped")]
    kept = [(each.check, each.status, each.sentence, each.threat_model) for each in merged(own, read)]
    assert kept == [
        ("S1", "passed", "", "white-box"),
        ("S4", "skipped", "", "white-box"),
        ("T1", "passed", "", "oblivious"),
        ("T1", "warned", "many", "white-box"),
    ]
