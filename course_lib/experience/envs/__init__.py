"""Environments: batched NumPy versions where the course has them, Gymnasium's own otherwise.

``CartPoleSwingUp-v0`` and ``CartPoleSwingUp-v1`` are in Gymnasium's registry: `registration`.
"""

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from ... import registration  # noqa: F401  (puts the swing-up into Gymnasium's registry)
from .base import BatchedEnv
from .cartpole import BatchedCartPole, cartpole_dynamics
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
    "EnvPoolVectorEnv",
    "ReplayableVectorEnv",
    "cartpole_dynamics",
    "draw_swingup",
    "envpool_has",
    "make_envs",
    "swingup_dynamics",
]

#: Tasks that have a batched NumPy version, by Gymnasium id.
BATCHED: dict[str, type[BatchedEnv]] = {
    "CartPole-v1": BatchedCartPole,
    "CartPoleSwingUp-v0": BatchedSwingUp,
    "CartPoleSwingUp-v1": BatchedSwingUpV1,
}


def make_envs(
    env_id: str,
    num_envs: int,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    backend: str = "auto",
) -> gym.vector.VectorEnv:
    """N copies of an environment as one vector environment, the fastest kind the course has.

    Parameters
    ----------
    env_id : str
        Gymnasium id, such as ``"CartPole-v1"``.
    num_envs : int, at least 1
        Number of copies N.
    autoreset_mode : AutoresetMode or str
        See `BatchedEnv`. EnvPool only knows ``NEXT_STEP``, whatever is asked for; `Collector`
        handles both.
    backend : {"auto", "numpy", "envpool", "gymnasium"}
        ``"numpy"`` is the course's own, ``"envpool"`` EnvPool (the extra ``[fast]``), and
        ``"gymnasium"`` one Python object per copy. ``"auto"`` takes the first of the three that
        there is.

    Returns
    -------
    gymnasium.vector.VectorEnv
        A `BatchedEnv`, an `EnvPoolVectorEnv` or a `ReplayableVectorEnv`. No render mode is set:
        LunarLander, for one, simulates decorative particles as soon as it has one.

    Raises
    ------
    ValueError
        If num_envs is not positive, or the backend is unknown or does not have the environment.
    gymnasium.error.UnregisteredEnv
        If no environment has this id.
    """
    if num_envs < 1:
        raise ValueError(f"num_envs must be at least 1, not {num_envs}")
    mode = AutoresetMode(autoreset_mode)
    available = {
        "numpy": env_id in BATCHED,
        "envpool": envpool_has(env_id),
        "gymnasium": True,
    }
    if backend == "auto":
        backend = next(name for name, there in available.items() if there)
    if not available.get(backend):
        raise ValueError(
            f"backend must be 'auto', 'numpy', 'envpool' (if installed) or 'gymnasium', and must "
            f"have {env_id}; {backend!r} does not"
        )
    if backend == "numpy":
        return BATCHED[env_id](num_envs, autoreset_mode=mode)
    if backend == "envpool":
        return EnvPoolVectorEnv(env_id, num_envs)
    return ReplayableVectorEnv(env_id, num_envs, autoreset_mode=mode)
