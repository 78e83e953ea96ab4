"""Environments: batched NumPy versions where the course has them, Gymnasium's own otherwise."""

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from .base import BatchedEnv
from .cartpole import BatchedCartPole, cartpole_dynamics

__all__ = ["BATCHED", "BatchedCartPole", "BatchedEnv", "cartpole_dynamics", "make_envs"]

#: Tasks that have a batched NumPy version, by Gymnasium id.
BATCHED: dict[str, type[BatchedEnv]] = {"CartPole-v1": BatchedCartPole}


def make_envs(
    env_id: str,
    num_envs: int,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
) -> gym.vector.VectorEnv:
    """N copies of an environment as one vector environment, the fastest kind the course has.

    Parameters
    ----------
    env_id : str
        Gymnasium id, such as ``"CartPole-v1"``.
    num_envs : int, at least 1
        Number of copies N.
    autoreset_mode : AutoresetMode or str
        See `BatchedEnv`.

    Returns
    -------
    gymnasium.vector.VectorEnv
        A `BatchedEnv` if the task has one, otherwise Gymnasium's ``SyncVectorEnv``. No render
        mode is set: LunarLander, for one, simulates decorative particles as soon as it has one.

    Raises
    ------
    ValueError
        If num_envs is not positive.
    gymnasium.error.UnregisteredEnv
        If no environment has this id.
    """
    if num_envs < 1:
        raise ValueError(f"num_envs must be at least 1, not {num_envs}")
    mode = AutoresetMode(autoreset_mode)
    if env_id in BATCHED:
        return BATCHED[env_id](num_envs, autoreset_mode=mode)
    return gym.make_vec(
        env_id, num_envs, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}
    )
