"""Settings that work, by algorithm and environment, each with its source."""

from .a2c import A2CSettings
from .ppo import PPOSettings
from .settings import Settings
from .trpo import TRPOSettings

#: (algorithm, environment id) -> settings.
PRESETS: dict[tuple[str, str], Settings] = {
    # gamma and lambda as RL Baselines3 Zoo tuned them for PPO on CartPole-v1. More copies and far
    # larger minibatches than there, with a learning rate to match: on a CPU the time per gradient
    # step grows much more slowly than the minibatch.
    ("ppo", "CartPole-v1"): PPOSettings(
        n_envs=32,
        horizon=64,
        gamma=0.98,
        gae_lambda=0.8,
        learning_rate=3e-3,
        epochs=10,
        minibatch_size=512,
    ),
    ("ppo", "CartPoleSwingUp-v0"): PPOSettings(
        n_envs=32,
        horizon=256,
        gamma=0.995,
        gae_lambda=0.95,
        initial_log_std=0.5,
        learning_rate=3e-3,
        epochs=10,
        minibatch_size=2048,
        reward_factor=0.1,
    ),
    ("ppo", "LunarLanderContinuous-v3"): PPOSettings(
        n_envs=16,
        horizon=512,
        gamma=0.999,
        gae_lambda=0.98,
        learning_rate=1e-3,
        epochs=10,
        minibatch_size=1024,
        entropy_coef=0.001,
        normalize_observations=True,
        reward_factor=0.1,
    ),
    ("trpo", "CartPole-v1"): TRPOSettings(
        n_envs=32,
        horizon=64,
        gamma=0.99,
        gae_lambda=0.95,
        learning_rate=3e-3,
        max_kl=0.01,
        damping=0.01,
        critic_epochs=5,
        minibatch_size=512,
    ),
    ("trpo", "CartPoleSwingUp-v0"): TRPOSettings(
        n_envs=32,
        horizon=256,
        gamma=0.995,
        gae_lambda=0.95,
        initial_log_std=0.5,
        learning_rate=3e-3,
        max_kl=0.02,
        damping=0.01,
        critic_epochs=10,
        minibatch_size=2048,
        reward_factor=0.1,
    ),
    ("trpo", "LunarLanderContinuous-v3"): TRPOSettings(
        n_envs=16,
        horizon=512,
        gamma=0.999,
        gae_lambda=0.98,
        learning_rate=1e-3,
        max_kl=0.02,
        damping=0.01,
        critic_epochs=10,
        minibatch_size=1024,
        normalize_observations=True,
        reward_factor=0.1,
    ),
    ("a2c", "CartPole-v1"): A2CSettings(
        n_envs=32,
        horizon=16,
        gamma=0.98,
        gae_lambda=0.8,
        learning_rate=3e-3,
    ),
    ("a2c", "CartPoleSwingUp-v0"): A2CSettings(
        n_envs=64,
        horizon=32,
        gamma=0.995,
        gae_lambda=0.95,
        initial_log_std=0.5,
        learning_rate=2e-3,
        reward_factor=0.1,
    ),
    ("a2c", "LunarLanderContinuous-v3"): A2CSettings(
        n_envs=16,
        horizon=64,
        gamma=0.999,
        gae_lambda=0.98,
        learning_rate=1e-3,
        normalize_observations=True,
        reward_factor=0.1,
    ),
}


def preset(algorithm: str, env_id: str) -> Settings:
    """Settings of an algorithm for an environment.

    Use ``dataclasses.replace(preset(...), gamma=0.9)`` to change one of them.

    Raises
    ------
    ValueError
        If there are none; the message lists those that exist.
    """
    try:
        return PRESETS[algorithm, env_id]
    except KeyError:
        known = ", ".join(f"{name} on {env}" for name, env in PRESETS)
        raise ValueError(f"no preset for {algorithm} on {env_id}; there are: {known}") from None
