import math

import pytest

from sleepdefense.attacks import ATTACKS, PROFILES
from sleepdefense.errors import ConfigError
from sleepdefense.papers import printed_column, printed_columns

SUMMARIES = {"all", "median", "minimal"}


@pytest.mark.parametrize("system", printed_columns("dim2022"))
def test_rows_are_attacks_of_the_catalogue(system):
    column = printed_column(f"dim2022:{system}")
    rows = [row for row in column.cells if row.partition(":")[2] not in SUMMARIES]
    assert set(rows) <= set(ATTACKS)
    theirs = {f"{spec.norm}:{spec.name}" for spec in PROFILES["dim42"]}
    # 41 of the 42 are in the table: the last one is a guess at what the text counts
    assert theirs - set(rows) == {"L2:LinearSearchBlendedUniformNoise"}
    assert len(rows) == 41


def test_all_attacks_of_a_norm_are_no_better_than_the_best_of_them():
    """A check of the numbers: the worst case is at most each single attack, as far as they can be read."""
    for system in printed_columns("dim2022"):
        cells = printed_column(f"dim2022:{system}").cells
        for norm in ("L2", "Linf", "L0", "L1"):
            single = [
                cell.value
                for row, cell in cells.items()
                if row.startswith(norm + ":") and row.partition(":")[2] not in SUMMARIES
            ]
            least = min(value for value in single if not math.isnan(value))
            assert cells[f"{norm}:all"].value <= least
        summaries = [cells[f"{norm}:all"].value for norm in ("L2", "Linf", "L0", "L1")]
        if "all:minimal" in cells:  # not printed in the ablation study
            assert cells["all:minimal"].value == min(summaries)


def test_damaged_numbers_are_marked():
    column = printed_column("dim2022:Madry")
    unreadable = column.cells["L0:SaltAndPepperNoise"]
    assert math.isnan(unreadable.value)
    assert unreadable.is_damaged
    assert str(unreadable) == "? ('3%')"
    mended = printed_column("dim2022:DIM").cells["L2:BrendelBethge"]
    assert (mended.value, mended.as_printed, str(mended)) == (71.0, "1%", "71 % (?)")
    assert not column.cells["L2:DDN"].is_damaged


def test_unknown_names_are_told():
    with pytest.raises(ConfigError, match="unknown paper 'dim'"):
        printed_column("dim:CNN")
    with pytest.raises(ConfigError, match=r"prints nothing for 'cnn'.*CNN, biCNN"):
        printed_column("dim2022:cnn")
    with pytest.raises(ConfigError, match="prints nothing for ''"):
        printed_column("dim2022")


def test_averages_of_the_sleep_paper_that_fit_their_rows():
    """Which averages cannot be those of their rows is a fact worth keeping in sight."""
    wrong = set()
    for system in printed_columns("talafha2023"):
        cells = printed_column(f"talafha2023:{system}").cells
        for row, cell in cells.items():
            if not row.endswith(" average"):
                continue
            start = row.removesuffix("average")
            parts = [each.value for name, each in cells.items() if name.startswith(start) and name != row]
            if (
                not any(math.isnan(part) for part in parts)
                and abs(sum(parts) / len(parts) - cell.value) > 0.05
            ):
                wrong.add((row, system))
    assert ("4 mnist average", "No defense") in wrong
    assert ("5 fashion-mnist average", "No attack") in wrong
    assert ("4 mnist average", "Defense-VAE") not in wrong
