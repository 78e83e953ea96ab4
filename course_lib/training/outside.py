"""Runs of other people's programs, as the outside check of a study: Stable-Baselines3, sb3-contrib.

They are imported only when such a run starts (``pip install -e '.[compare]'``).
"""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..experience.envs import make_envs
from ..experience.rollout import Collector
from .evaluation import MAX_STEPS, SPAWN_KEY, first_returns

_PENDULUM = dict(n_envs=8, n_steps=2048, gae_lambda=0.95, gamma=0.99, learning_rate=2.5e-4)

#: The settings of RL Baselines3 Zoo, from its ``hyperparams/ppo.yml``, ``trpo.yml`` and ``ddpg.yml``;
#: it lists LunarLanderContinuous partly under v2, unchanged. It has no CartPoleSwingUp: these are
#: its settings of the nearest task, InvertedPendulumSwingupBulletEnv-v0, which for TRPO it marks "to be
#: tuned" and which are for two million steps. Its TRPO on LunarLanderContinuous is for 100,000.
#: ``lin_x`` falls from x to 0.
#: Its DDPG leaves the batch size to the library, whose default was 100 until version 2.3.0 and is 256
#: since; ``train_freq`` and ``gradient_steps``, which changed with it, are the earlier ones as well.
SETTINGS: dict[tuple[str, str], dict[str, Any]] = {
    ("sb3_ppo", "CartPole-v1"): dict(
        n_envs=8,
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        ent_coef=0.0,
        learning_rate="lin_0.001",
        clip_range="lin_0.2",
    ),
    ("sb3_ppo", "LunarLanderContinuous-v3"): dict(
        n_envs=16,
        n_steps=1024,
        batch_size=64,
        gae_lambda=0.98,
        gamma=0.999,
        n_epochs=4,
        ent_coef=0.01,
    ),
    ("sb3_ppo", "CartPoleSwingUp-v0"): dict(
        **_PENDULUM, normalize=True, batch_size=64, n_epochs=10, ent_coef=0.0, clip_range=0.2
    ),
    ("sb3_trpo", "CartPole-v1"): dict(
        n_envs=2,
        n_steps=512,
        batch_size=512,
        cg_damping=1e-3,
        gae_lambda=0.98,
        gamma=0.99,
        learning_rate=1e-3,
        n_critic_updates=20,
    ),
    ("sb3_trpo", "LunarLanderContinuous-v3"): dict(
        n_envs=2, n_steps=1024, n_critic_updates=20, normalize=True
    ),
    ("sb3_trpo", "CartPoleSwingUp-v0"): dict(**_PENDULUM, normalize=True, batch_size=64),
    ("sb3_ddpg", "LunarLanderContinuous-v3"): dict(
        n_envs=1,
        gamma=0.98,
        buffer_size=200_000,
        learning_starts=10_000,
        noise_std=0.1,
        batch_size=100,
        gradient_steps=-1,
        train_freq=[1, "episode"],
        learning_rate=1e-3,
        policy_kwargs={"net_arch": [400, 300]},
    ),
}
PROGRAMS = tuple(dict.fromkeys(program for program, _ in SETTINGS))


@dataclass(frozen=True)
class Outside:
    """A program and the task it is to learn.

    Raises
    ------
    ValueError
        If `SETTINGS` has none for the two.
    """

    program: str
    env_id: str

    def __post_init__(self) -> None:
        if (self.program, self.env_id) not in SETTINGS:
            known = ", ".join(f"{program} on {env}" for program, env in SETTINGS)
            raise ValueError(f"no settings for {self.program} on {self.env_id}; there are: {known}")

    @property
    def values(self) -> dict[str, Any]:
        """Its settings."""
        return SETTINGS[self.program, self.env_id]


def make_model(outside: Outside, seed: int) -> Any:
    """An untrained model on one CPU thread.

    No render mode is set: with one, LunarLander simulates decorative particles.
    """
    import torch
    from sb3_contrib import TRPO
    from stable_baselines3 import DDPG, PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    values = {name: _schedule(value) for name, value in outside.values.items()}
    if isinstance(values.get("train_freq"), list):
        values["train_freq"] = tuple(values["train_freq"])
    envs = make_vec_env(
        outside.env_id, values.pop("n_envs"), seed=seed, env_kwargs=dict(render_mode=None)
    )
    if values.pop("normalize", False):
        envs = VecNormalize(envs, gamma=values.get("gamma", 0.99))
    if noise := values.pop("noise_std", None):
        size = envs.action_space.shape
        values["action_noise"] = NormalActionNoise(np.zeros(size), np.full(size, noise))
    kinds = {"sb3_ppo": PPO, "sb3_trpo": TRPO, "sb3_ddpg": DDPG}
    return kinds[outside.program]("MlpPolicy", envs, seed=seed, device="cpu", **values)


def _schedule(value: Any) -> Any:
    """The zoo's ``lin_0.001`` as a function of the share of the run that remains."""
    if not (isinstance(value, str) and value.startswith("lin_")):
        return value
    start = float(value.removeprefix("lin_"))
    return lambda remaining: start * remaining


def train_outside(
    outside: Outside, steps: int, seed: int, callback: Callable[[int, Any], None]
) -> Any:
    """Train a model, in whole rollouts as the program itself does.

    Parameters
    ----------
    outside : Outside
    steps, seed : int
    callback : callable
        Called as ``callback(step, model)`` before the first step, whenever every environment has
        taken another one, and at the end. If it draws from the generators that all share, as these
        programs do, it changes the run; `evaluate_outside` does not.

    Returns
    -------
    model of the program
    """
    import torch
    from stable_baselines3.common.callbacks import BaseCallback

    class Relay(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps < steps:
                callback(self.num_timesteps, self.model)
            return True

    model = make_model(outside, seed)
    callback(0, model)
    # Adam's averages for a dead unit shrink towards 0 for ever, and a processor is slow with numbers
    # below 1e-38. In the wide networks of DDPG that is a good part of a step.
    torch.set_flush_denormal(True)
    try:
        model.learn(steps, callback=Relay())
    finally:
        torch.set_flush_denormal(False)
    callback(model.num_timesteps, model)
    return model


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Leaves the generators that all share, which these programs draw from, as they were."""
    import torch

    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 theirs
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        torch.set_rng_state(kept[2])


@_generators_kept()
def evaluate_outside(
    model: Any, env_id: str, episodes: int, seed: int, deterministic: bool = True
) -> NDArray:
    """Returns of a model in the episodes in which `evaluation.evaluate` tries our own agents.

    Raises
    ------
    FloatingPointError
        If the model's weights are no longer finite.
    """
    normalizer = model.get_vec_normalize_env()

    def act(observations: NDArray) -> NDArray:
        if normalizer is not None:
            observations = normalizer.normalize_obs(observations)
        return model.predict(observations, deterministic=deterministic)[0]

    if not all(math.isfinite(p.sum().item()) for p in model.policy.parameters()):
        raise FloatingPointError("the model's weights are not finite")
    env_seed, _ = np.random.SeedSequence(seed, spawn_key=(SPAWN_KEY,)).spawn(2)
    envs = make_envs(env_id, episodes)
    try:
        collector = Collector(envs, int(env_seed.generate_state(1)[0]))
        return first_returns(collector, act, MAX_STEPS, env_id)
    finally:
        envs.close()
