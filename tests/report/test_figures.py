"""Figures of ordinary and of degenerate data."""

import math
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from report_samples import (
    LAYERS,
    attacked,
    clean,
    judged,
    paper_table,
    small_diary,
    small_rasters,
    small_report,
    table_of,
)

from sleepdefense.consolidation.guard import Verdict
from sleepdefense.conversion.report import ConversionReport
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.report.canvas import as_rgb, image_png, png_bytes
from sleepdefense.report.conversion_figures import (
    conversion_distance,
    conversion_error,
    raster,
    sampled_neurons,
)
from sleepdefense.report.record import Training, WeightChange
from sleepdefense.report.robustness_figures import accuracy_bars, shown_in
from sleepdefense.report.roles import find_roles
from sleepdefense.report.sleep_figures import (
    QUANTITIES,
    diary_curve,
    guard_curve,
    loss_curve,
    measure_curve,
    stage_curve,
    weight_histogram,
)
from sleepdefense.report.threats import ADAPTIVE, NO_MODEL, OBLIVIOUS, WHITE_BOX
from sleepdefense.report.views import attack_views

PNG = b"\x89PNG\r\n\x1a\n"


def draws(drawing: Figure) -> None:
    assert png_bytes(drawing, dpi=40).startswith(PNG)


def bars(table: RobustnessTable, threat_model: str) -> Figure:
    return accuracy_bars(attack_views(table), find_roles(table), threat_model, title="bars")


def test_bars_show_each_system_once_and_name_a_failure() -> None:
    drawing = bars(paper_table(), WHITE_BOX)
    axes = drawing.axes[0]
    assert axes.get_legend_handles_labels()[1] == list(find_roles(paper_table()).order)
    assert [text.get_text() for text in axes.texts].count("failed") == 3
    draws(drawing)


@pytest.mark.parametrize(
    "rows",
    [
        [judged("x", "clean", "none", 0)],
        [judged("x", "clean", "none", 40, status="error: broken")],
        [judged(f"system {number}", "clean", "none", number) for number in range(12)],
    ],
    ids=["one row", "only an error", "many systems"],
)
def test_bars_of_odd_tables(rows: list) -> None:
    draws(bars(table_of(*rows), OBLIVIOUS))
    draws(bars(table_of(*rows), WHITE_BOX))


@pytest.mark.parametrize("draw", [conversion_error, conversion_distance])
@pytest.mark.parametrize("error", [0.1, 0.0, math.nan])
def test_conversion_of_any_error(draw: object, error: float) -> None:
    assert callable(draw)
    draws(draw(small_report(error=error)))


@pytest.mark.parametrize("draw", [conversion_error, conversion_distance])
def test_conversion_of_one_layer_and_of_none(draw: object) -> None:
    assert callable(draw)
    report = small_report()
    one = ConversionReport(layers=report.layers[1:2], removed=(), num_steps=(4,), num_images=1)
    draws(draw(one))
    draws(draw(replace(one, layers=())))


def test_raster_draws_both_sides_with_the_same_neurons() -> None:
    trains = {when: layers[LAYERS[0]] for when, layers in small_rasters().items()}
    drawing = raster(LAYERS[0], trains)
    assert len(drawing.axes) == 2
    drawn = [axes.collections[0].get_offsets() for axes in drawing.axes]
    neurons = sampled_neurons(list(trains.values()))
    for points, when in zip(drawn, ("before", "after"), strict=True):
        assert len(points) == trains[when][:, neurons].sum() == trains[when].sum()
    draws(drawing)


@pytest.mark.parametrize("shape", [(1, 1), (5, 0), (0, 3), (4, 200)])
def test_raster_of_odd_shapes(shape: tuple[int, int]) -> None:
    silent, busy = np.zeros(shape, np.uint8), np.ones(shape, np.uint8)
    draws(raster("layer", {"before": silent, "after": busy}))
    draws(raster("layer", {"after": silent}))
    assert len(sampled_neurons([busy])) <= 64


@pytest.mark.parametrize(
    "values", [np.zeros(0), np.zeros(5), np.full(3, np.nan), np.array([np.inf, 1.0]), np.arange(4.0)]
)
def test_histogram_of_odd_weights(values: np.ndarray) -> None:
    weight = values.astype(np.float32)
    draws(
        weight_histogram(
            WeightChange(name="a_layer_with_a_name_that_is_far_too_long", before=weight, after=weight)
        )
    )


@pytest.mark.parametrize("quantity", [words[0] for words in QUANTITIES])
@pytest.mark.parametrize("num_batches", [0, 1])
def test_curves_of_short_sleeps(quantity: str, num_batches: int) -> None:
    draws(diary_curve([small_diary(stages=LAYERS[:1], num_batches=num_batches)], quantity, dose=0.1))


def test_naps_follow_each_other() -> None:
    x, y = stage_curve([small_diary(), small_diary(num_batches=2)], LAYERS[1], "change")
    assert x.tolist() == [64, 128, 192, 192, 256, 320, 320]
    assert np.flatnonzero(np.isnan(y)).tolist() == [3, 6]
    draws(diary_curve([small_diary(), small_diary(num_batches=0)], "change"))


def test_measures_guard_and_losses_of_odd_values() -> None:
    draws(measure_curve([small_diary()], "ELBO"))
    draws(measure_curve([replace(small_diary(), measured=())], "ELBO"))
    draws(guard_curve(Verdict(factor=0.0, before=0.9, factors=(1.0,), scores=(0.1,))))
    draws(loss_curve(Training(name="x", losses=())))
    draws(loss_curve(Training(name="x", losses=(math.nan,))))
    draws(loss_curve(Training(name="x", losses=(1.0,))))


def test_settings_of_the_process_neither_matter_nor_change() -> None:
    expected = png_bytes(loss_curve(Training(name="x", losses=(2.0, 1.0))))
    with matplotlib.rc_context({"font.size": 30.0, "axes.grid": True, "lines.linewidth": 9.0}):
        before = dict(matplotlib.rcParams)
        assert png_bytes(loss_curve(Training(name="x", losses=(2.0, 1.0)))) == expected
        assert dict(matplotlib.rcParams) == before


def test_figures_leave_nothing_behind() -> None:
    from matplotlib import _pylab_helpers

    draws(bars(paper_table(), WHITE_BOX))
    assert not _pylab_helpers.Gcf.figs


def test_images_become_eight_bits() -> None:
    grey = np.array([[[0.0, 0.5], [1.0, 2.0]]], np.float32)
    assert as_rgb(grey)[..., 0].tolist() == [[0, 128], [255, 255]]
    colour = np.zeros((3, 1, 1), np.float32)
    colour[0] = 1
    assert as_rgb(colour).tolist() == [[[255, 0, 0]]]
    assert as_rgb(np.array([[[math.nan]]], np.float32)).max() == 0
    assert image_png(grey).startswith(PNG)


def test_bars_of_a_threat_model_show_its_attacks_and_who_met_them() -> None:
    rows = [clean("bare"), *attacked("bare", "FGSM", "white-box"), clean("guarded")]
    rows += [row for model in ("oblivious", "adaptive") for row in attacked("guarded", "FGSM", model)]
    table = table_of(*rows, *attacked("guarded", "ContrastReduction", "none"))
    views, roles = attack_views(table), find_roles(table)
    assert [view.key for view in shown_in(views, roles, ADAPTIVE)] == [views[0].key, views[1].key]
    assert [view.name for view in shown_in(views, roles, NO_MODEL)] == ["no attack", "ContrastReduction 1.5"]
    axes = accuracy_bars(shown_in(views, roles, ADAPTIVE), roles, ADAPTIVE, title="bars").axes[0]
    assert axes.get_legend_handles_labels()[1] == ["guarded"]
