"""Environments by id, by specification or by a function that makes them, as a checkpoint knows them."""

import json
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from ..experience.envs import EnvLike, name_of


def describe(env: EnvLike, env_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """An environment as plain values, for a checkpoint.

    Raises
    ------
    ValueError
        If env_kwargs hold what JSON does not.
    """
    arguments = _json(env_kwargs or {}, "env_kwargs")
    if isinstance(env, str):
        return {"name": env, "kind": "id", "arguments": arguments}
    if isinstance(env, EnvSpec):
        try:
            return {"name": env.id, "kind": "spec", "spec": env.to_json(), "arguments": arguments}
        except (ValueError, TypeError):  # its entry point is a function
            pass
    return {"name": name_of(env), "kind": "function", "arguments": arguments}


def restored(
    described: dict[str, Any], env: EnvLike | None = None
) -> tuple[EnvLike, dict[str, Any]]:
    """The environment of a checkpoint and its arguments; ``env`` takes its place if given.

    Raises
    ------
    ValueError
        If it was made by a function, which no checkpoint keeps, and none is given.
    """
    arguments = json.loads(described["arguments"])
    if env is not None:
        return env, arguments
    if described["kind"] == "id":
        return described["name"], arguments
    if described["kind"] == "spec":
        return EnvSpec.from_json(described["spec"]), arguments
    raise ValueError(
        f"the environment of this run, {described['name']}, was made by a function, which no "
        "checkpoint keeps: give it again, as env=..."
    )


def _json(value: Any, name: str) -> str:
    try:
        return json.dumps(value, default=_number)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be saved to a checkpoint ({error}); give a function that makes the "
            "environment instead of an id with arguments"
        ) from error


def _number(value: Any) -> Any:
    """NumPy's scalars as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no plain value")
