"""Environments: batched NumPy versions where the course has them, Gymnasium's own otherwise.

``CartPoleSwingUp-v0`` and ``CartPoleSwingUp-v1`` are in Gymnasium's registry: `registration`.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from ... import registration  # noqa: F401  (puts the swing-up into Gymnasium's registry)
from ...kinds import Count, checked
from .base import BatchedEnv
from .cartpole import BatchedCartPole, cartpole_dynamics
from .making import EnvLike, checked_kwargs, make_env, name_of, registered_id
from .pool import EnvPoolVectorEnv, envpool_has
from .replay import ReplayableVectorEnv
from .swingup import (
    BatchedSwingUp,
    BatchedSwingUpV1,
    CartPoleSwingUpEnv,
    draw_swingup,
    swingup_dynamics,
)

__all__ = [
    "BATCHED",
    "BatchedCartPole",
    "BatchedEnv",
    "BatchedSwingUp",
    "BatchedSwingUpV1",
    "CartPoleSwingUpEnv",
    "EnvLike",
    "EnvPoolVectorEnv",
    "ReplayableVectorEnv",
    "cartpole_dynamics",
    "draw_swingup",
    "envpool_has",
    "make_env",
    "make_envs",
    "name_of",
    "swingup_dynamics",
]

#: Tasks that have a batched NumPy version, by Gymnasium id.
BATCHED: dict[str, type[BatchedEnv]] = {
    "CartPole-v1": BatchedCartPole,
    "CartPoleSwingUp-v0": BatchedSwingUp,
    "CartPoleSwingUp-v1": BatchedSwingUpV1,
}


def make_envs(
    env: EnvLike,
    num_envs: int,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    backend: str = "auto",
    env_kwargs: Mapping[str, Any] | None = None,
) -> gym.vector.VectorEnv:
    """N copies of an environment as one vector environment, the fastest kind the course has.

    Parameters
    ----------
    env : str, EnvSpec or callable
        Gymnasium id, such as ``"CartPole-v1"``, or a spec, or a function (or class) that makes a new
        environment at every call.
    num_envs : int, at least 1
        Number of copies N.
    autoreset_mode : AutoresetMode or str
        See `BatchedEnv`. EnvPool only knows ``NEXT_STEP``, whatever is asked for; `Collector`
        handles both.
    backend : {"auto", "numpy", "envpool", "gymnasium"}
        ``"numpy"`` is the course's own, ``"envpool"`` EnvPool (the extra ``[fast]``), and
        ``"gymnasium"`` one Python object per copy. ``"auto"`` takes the first of the three that
        there is. Only ``"gymnasium"`` takes functions, specs that differ from the registered one,
        and env_kwargs.
    env_kwargs : mapping, optional
        Passed on to ``gymnasium.make`` or to the function that makes the environment.

    Returns
    -------
    gymnasium.vector.VectorEnv
        A `BatchedEnv`, an `EnvPoolVectorEnv` or a `ReplayableVectorEnv`. No render mode is set:
        LunarLander, for one, simulates decorative particles as soon as it has one.

    Raises
    ------
    ValueError
        If num_envs is not positive, the backend is unknown or does not have the environment, or env
        is of another kind or makes one environment twice.
    gymnasium.error.UnregisteredEnv
        If no environment has this id.
    EnvironmentFailedError
        If the environment raises while it is made.
    """
    num_envs = checked("num_envs", num_envs, Count)
    mode = AutoresetMode(autoreset_mode)
    env_kwargs = checked_kwargs(env_kwargs)
    env_id = registered_id(env, env_kwargs)
    available = {
        "numpy": env_id in BATCHED,
        "envpool": env_id is not None and envpool_has(env_id),
        "gymnasium": True,
    }
    if backend == "auto":
        backend = next(name for name, there in available.items() if there)
    if not available.get(backend):
        raise ValueError(
            f"backend must be 'auto', 'numpy', 'envpool' (if installed) or 'gymnasium', and must "
            f"have {name_of(env)}{' with env_kwargs' if env_kwargs else ''}; {backend!r} does not"
        )
    if env_id is not None and backend == "numpy":
        return BATCHED[env_id](num_envs, autoreset_mode=mode)
    if env_id is not None and backend == "envpool":
        return EnvPoolVectorEnv(env_id, num_envs)
    return ReplayableVectorEnv(env, num_envs, env_kwargs, autoreset_mode=mode)
