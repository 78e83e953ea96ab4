"""The algorithms by name: the type of their settings, and their update function."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from . import a2c, npg, ppo, ppo_penalty, reinforce, trpo
from .settings import Settings

#: Name -> (type of its settings, its update).
ALGORITHMS: dict[str, tuple[type[Settings], Callable[..., dict[str, float]]]] = {
    "reinforce": (reinforce.ReinforceSettings, reinforce.update),
    "a2c": (a2c.A2CSettings, a2c.update),
    "npg": (npg.NPGSettings, npg.update),
    "trpo": (trpo.TRPOSettings, trpo.update),
    "ppo_penalty": (ppo_penalty.PPOPenaltySettings, ppo_penalty.update),
    "ppo": (ppo.PPOSettings, ppo.update),
}


def algorithm_of(settings: Settings) -> str:
    """The name of the algorithm that settings belong to.

    Raises
    ------
    ValueError
        If they belong to none.
    """
    for name, (kind, _) in ALGORITHMS.items():
        if type(settings) is kind:
            return name
    known = ", ".join(kind.__name__ for kind, _ in ALGORITHMS.values())
    raise ValueError(f"settings must be one of {known}, not {type(settings).__name__}")


def completed(algorithm: str, recorded: dict[str, Any]) -> dict[str, Any]:
    """Recorded settings, and the defaults of those that did not exist when they were recorded."""
    kind, _ = ALGORITHMS[algorithm]
    return {**asdict(kind()), **recorded}


def settings_from(algorithm: str, values: dict[str, Any]) -> Settings:
    """Settings of an algorithm from plain values, such as `dataclasses.asdict` and JSON give.

    Raises
    ------
    ValueError
        If the algorithm is unknown, a setting is, or a value is out of range.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, not {algorithm!r}")
    kind, _ = ALGORITHMS[algorithm]
    unknown = values.keys() - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"{algorithm} has no setting {', '.join(sorted(unknown))}")
    hidden = {"hidden": tuple(values["hidden"])} if "hidden" in values else {}
    return kind(**{**values, **hidden})
