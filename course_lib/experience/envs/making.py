"""One environment from what a person names it by: an id, a spec, or a function that makes it."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from ..contract import EnvironmentFailedError

#: An id of Gymnasium's registry, a spec, or a callable (a class, too) that makes an environment.
EnvLike = str | EnvSpec | Callable[..., gym.Env]


def name_of(env: EnvLike) -> str:
    """What to call an environment: its id, or the name of the function or class that makes it."""
    if isinstance(env, str):
        return env
    if isinstance(env, EnvSpec):
        return env.id
    return getattr(env, "__name__", None) or type(env).__name__


def registered_id(env: EnvLike, env_kwargs: Mapping[str, Any] | None = None) -> str | None:
    """The id of an environment that is made exactly as registered, else None."""
    if env_kwargs:
        return None
    if isinstance(env, EnvSpec):
        return env.id if env == gym.registry.get(env.id) else None
    return env if isinstance(env, str) else None


def make_env(
    env: EnvLike, env_kwargs: Mapping[str, Any] | None = None, render_mode: str | None = None
) -> gym.Env:
    """Make one environment.

    Parameters
    ----------
    env : str, EnvSpec or callable
        Gymnasium id or spec, or a function (or class) that makes a new environment at every call.
    env_kwargs : mapping, optional
        Passed on to ``gymnasium.make`` or to the function.
    render_mode : str, optional
        Passed on too, to a function only if it takes one.

    Returns
    -------
    gymnasium.Env

    Raises
    ------
    ValueError
        If env is of another kind, an environment already made, or makes no environment.
    gymnasium.error.Error
        If Gymnasium does not know the id, or the environment needs a package that is missing.
    EnvironmentFailedError
        If the environment's own code raises.
    """
    kwargs = checked_kwargs(env_kwargs)
    make: Callable[..., Any]
    if isinstance(env, str | EnvSpec):
        make = partial(gym.make, env, disable_env_checker=True)
    elif callable(env) and not isinstance(env, gym.Env | gym.vector.VectorEnv):
        make = env
    else:
        raise ValueError(
            f"the environment must be an id, an EnvSpec, or a function that makes a new one at every "
            f"call, not {env!r}: for instance lambda: {type(env).__name__}(...)"
        )
    if render_mode is not None and _takes(make, "render_mode"):
        kwargs["render_mode"] = render_mode
    try:
        made = make(**kwargs)
    except gym.error.Error:
        raise
    except Exception as error:
        raise EnvironmentFailedError(
            f"{name_of(env)} could not be made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, gym.Env):
        raise ValueError(
            f"{name_of(env)} must make a gymnasium.Env at every call, not a {type(made).__name__}"
        )
    return made


def checked_kwargs(env_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keyword arguments of an environment as a dict; a ValueError if they are of another kind."""
    if not isinstance(env_kwargs, Mapping | None) or not all(
        isinstance(name, str) for name in env_kwargs or ()
    ):
        raise ValueError(f"env_kwargs must be a dict with names as keys, not {env_kwargs!r}")
    return dict(env_kwargs or {})


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        return False
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
