"""What is settled before the first batch: who sleeps, who competes, who mirrors whom."""

from collections.abc import Mapping
from dataclasses import dataclass

from sleepdefense.consolidation.competition import Contest, contests
from sleepdefense.consolidation.config import SleepConfig
from sleepdefense.consolidation.mirror import find_mirror
from sleepdefense.consolidation.plasticity import PlasticStage, choose_stages, find_plasticity
from sleepdefense.consolidation.rules import AbstractRule
from sleepdefense.spiking.network import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepPlan:
    """The plan of one sleep.

    Attributes:
        network: As it was before the sleep.
        plastic: All stages that can sleep, first to last.
        stages: Those that do.
        contests: Stage -> competition.
        twins: Stage -> mirror twin in the decoder, for stages that sleep; empty if the rule mirrors nothing.
        config: The settings.
        notes: What is worth knowing: layers that cannot sleep, and stages without a twin, with the reasons.
    """

    network: SpikingNetwork
    plastic: tuple[PlasticStage, ...]
    stages: tuple[PlasticStage, ...]
    contests: Mapping[str, Contest]
    twins: Mapping[str, str]
    config: SleepConfig
    notes: tuple[str, ...]


def settle(network: SpikingNetwork, rule: AbstractRule, config: SleepConfig) -> SleepPlan:
    """Return the plan.

    Raises:
        SleepError: No stage can sleep, or a chosen one cannot.
        ConfigError: A setting does not fit the number of stages.
    """
    plasticity = find_plasticity(network)
    stages = choose_stages(plasticity, config.stages)
    notes: list[str] = []
    twins: Mapping[str, str] = {}
    if rule.twin_gain() > 0:
        mirror = find_mirror(network, plasticity.stages)
        twins = {stage.name: mirror.twins[stage.name] for stage in stages if stage.name in mirror.twins}
        notes += mirror.notes
    awake = (name for name in plasticity.reasons if name not in twins.values())
    notes = [*(f"layer {name!r} does not sleep: it {plasticity.reasons[name]}" for name in awake), *notes]
    return SleepPlan(
        network=network,
        plastic=plasticity.stages,
        stages=stages,
        contests=contests(plasticity.stages, config),
        twins=twins,
        config=config,
        notes=tuple(notes),
    )
