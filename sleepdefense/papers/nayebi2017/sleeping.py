"""What a sleep does to saturated networks and to their vanilla twins, beside what is no sleep."""

from dataclasses import replace

import torch
from torch import nn

from sleepdefense.config import ConversionConfig, SleepSection
from sleepdefense.consolidation.controls import CONTROLS
from sleepdefense.conversion import to_awake
from sleepdefense.errors import SleepError
from sleepdefense.evaluation import evaluate_systems
from sleepdefense.evaluation.spiking_system import SpikingSystem
from sleepdefense.models import awake_from_file
from sleepdefense.papers.nayebi2017.networks import images_of, network_file, plan_of
from sleepdefense.papers.nayebi2017.plan import EPSILON, NETWORKS
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.pipeline import convert_step, sleep_step, wake_step

_ATTACKS = (
    f"Linf:FGSM(epsilon={EPSILON}),Linf:FGSM(epsilon=0.1),Linf:PGD(epsilon=0.1,loss=margin),L2:DDN(steps=50)"
)
_STEPS = 64
_CONTROLS = ("shuffled", "anti")


def sleep_table(job: Job, seed: int) -> SideBySide:
    """Convert, sleep and reconvert the vanilla and the saturated networks, and attack them before and after.

    The controls move each layer exactly as far as the sleep moved it. The spiking network is measured on
    clean images only.
    """
    rows: list[str] = []
    columns: list[str] = []
    cells: dict[tuple[str, str], Measured] = {}
    for network in NETWORKS:
        for training in ("vanilla", "saturated"):
            _one(job, f"{network}, {training}", seed, rows, columns, cells)
    return SideBySide(
        name="table1-sleep",
        title=f"Before and after one sleep (mirrored STDP, guarded), and its controls; {job.scale} scale",
        rows=tuple(rows),
        columns=tuple(columns),
        measured=cells,
        corner="network",
    )


def _one(
    job: Job,
    name: str,
    seed: int,
    rows: list[str],
    columns: list[str],
    cells: dict[tuple[str, str], Measured],
) -> None:
    plan, images = plan_of(job), images_of(job)
    kind, training = name.split(", ")
    awake = network_file(job, kind, training, seed)
    context = replace(job.context, resume=True, force=False)
    spiking = awake.with_name(f"{awake.stem}-spiking.h5")
    calibration = images.train.take(plan.sleep_images)
    before = convert_step(awake, calibration, spiking, context, config=ConversionConfig(), seed=seed)
    systems: dict[str, nn.Module] = {f"{name}: before": awake_from_file(awake)}
    why = ""
    try:
        slept = spiking.with_name(f"{awake.stem}-slept.h5")
        after = sleep_step(
            spiking, calibration, slept, context, section=SleepSection(), seed=seed, held_out=images.held_out
        ).network
        woken = wake_step(slept, slept.with_name(f"{awake.stem}-woken.h5"), context)
        systems[f"{name}: after"] = woken
        for control in _CONTROLS:
            systems[f"{name}: control {control}"] = to_awake(CONTROLS[control](before, after, seed))
    except SleepError as error:
        why = f"cannot sleep: {error}"
    few = images.test.take(plan.sleep_test)
    table = evaluate_systems(
        systems,
        few,
        _ATTACKS,
        seed=seed,
        checks=False,
        resume=job.folder / f"table1-sleep-{awake.stem}.h5",
        batch_size=250,
    )
    for row in table.rows:
        if row.system not in rows:
            rows.append(row.system)
        if row.attack not in columns:
            columns.append(row.attack)
        status = row.status if row.status != "ok" else ""
        values = () if row.is_error else (100 * row.accuracy,)
        cells[row.system, row.attack] = Measured(values=values, n=row.n, status=status)
    rows.append(f"{name}: spiking, {_STEPS} steps")
    system = SpikingSystem(before, None, num_steps=_STEPS)
    with torch.no_grad():
        predicted = torch.cat([system(part).argmax(1) for part in few.images.split(100)])
    share = 100 * float((predicted == few.labels).double().mean())
    cells[rows[-1], "clean"] = Measured(values=(share,), n=len(few))
    if why:
        rows.append(f"{name}: after")
        cells[rows[-1], "clean"] = Measured(status=why)
