"""Environments by id, by specification or by a function that makes them, as a checkpoint knows them."""

import contextlib
import json
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from ..experience.envs import EnvLike, name_of
from ..experience.envs.making import checked_kwargs


def describe(env: EnvLike, env_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """An environment as plain values, for a checkpoint.

    Raises
    ------
    ValueError
        If env_kwargs hold what JSON does not give back as it is: a tuple, a key that is no text.
    """
    arguments = json.dumps(_same(checked_kwargs(env_kwargs), "env_kwargs"))
    if isinstance(env, str):
        return {"name": env, "kind": "id", "arguments": arguments}
    if isinstance(env, EnvSpec):
        with contextlib.suppress(ValueError, TypeError):  # its entry point is a function
            spec = env.to_json()
            if EnvSpec.from_json(spec) == env:
                return {"name": env.id, "kind": "spec", "spec": spec, "arguments": arguments}
    return {"name": name_of(env), "kind": "function", "arguments": arguments}


def restored(
    described: dict[str, Any], env: EnvLike | None = None
) -> tuple[EnvLike, dict[str, Any]]:
    """The environment of a checkpoint and its arguments; ``env`` takes its place if given.

    Raises
    ------
    ValueError
        If it was made by what no checkpoint keeps, such as a function, and none is given.
    """
    arguments = json.loads(described["arguments"])
    if env is not None:
        return env, arguments
    if described["kind"] == "id":
        return described["name"], arguments
    if described["kind"] == "spec":
        return EnvSpec.from_json(described["spec"]), arguments
    raise ValueError(
        f"the environment of this run, {described['name']}, was made by a function, or from a "
        "spec that JSON changes, which no checkpoint keeps: give it again, as env=..."
    )


def _same(value: Any, path: str) -> Any:
    """A value as JSON gives it back; a ValueError that names it if that is another one."""
    if isinstance(value, np.bool_ | np.int64 | np.float64):  # they compute as Python's do
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_same(x, f"{path}[{i}]") for i, x in enumerate(value)]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: _same(x, f"{path}[{key!r}]") for key, x in value.items()}
    raise ValueError(
        f"env_kwargs cannot be saved to a checkpoint: {path} is {value!r}, of type "
        f"{type(value).__name__}, which JSON does not give back as it is; give a function that "
        "makes the environment instead of an id with arguments"
    )
