"""The threat models: what each attacker knows, in words."""

from collections.abc import Iterable
from dataclasses import dataclass

OBLIVIOUS, WHITE_BOX, ADAPTIVE = "oblivious", "white-box", "adaptive"
SUBSTITUTE, QUERY, NO_MODEL = "black-box-substitute", "black-box-query", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """One threat model.

    Attributes:
        key: As a row of a table names it.
        short: Heading of a column.
        condition: Ends a sentence on what is left.
        meaning: What the attacker knows.
    """

    key: str
    short: str
    condition: str
    meaning: str


_KNOWN = {
    threat.key: threat
    for threat in (
        Threat(
            key=OBLIVIOUS,
            short="oblivious",
            condition="if the attacker ignores it",
            meaning="The attacker knows the classifier and differentiates through it alone; the defence "
            "stands in front of it unseen. The papers on purifiers call this white-box.",
        ),
        Threat(
            key=WHITE_BOX,
            short="white-box",
            condition="if the attack goes through it",
            meaning="The attacker knows everything and differentiates through defence and classifier "
            "together.",
        ),
        Threat(
            key=ADAPTIVE,
            short="adaptive",
            condition="if the attack is adapted to it",
            meaning="The attacker knows everything, and the attack was changed to suit: stand-ins where "
            "something has no gradient, a mean over draws where something is random, another loss.",
        ),
        Threat(
            key=SUBSTITUTE,
            short="substitute",
            condition="if the attack is made on a substitute",
            meaning="The attacker differentiates through another network, trained on the answers of this "
            "one, and shows the images to this one.",
        ),
        Threat(
            key=QUERY,
            short="queries only",
            condition="if the attacker only asks for its answers",
            meaning="The attacker shows images to the whole system and sees what it answers; no gradient is "
            "used.",
        ),
        Threat(
            key=NO_MODEL,
            short="blind",
            condition="if the attacker does not look at it",
            meaning="The attacker changes images without looking at any network: noise, contrast, blur.",
        ),
    )
}
KEYS = tuple(_KNOWN)
GRADIENT = (OBLIVIOUS, WHITE_BOX, ADAPTIVE, SUBSTITUTE)
"""Threat models in which gradients are followed."""


def threat_of(key: str) -> Threat:
    """Return a threat model; one that a system has named by itself explains nothing."""
    return _KNOWN.get(key) or Threat(
        key=key, short=key, condition=f"in '{key}'", meaning="Named so by the system that was attacked."
    )


def in_order(keys: Iterable[str]) -> tuple[str, ...]:
    """Return threat models, each once: those with gradients first, by what is known."""
    found = dict.fromkeys(keys)
    return tuple(sorted(found, key=lambda key: KEYS.index(key) if key in _KNOWN else len(KEYS)))
