"""Settings that work, by algorithm and environment, each with its source."""

from .agent import Settings
from .ppo import PPOSettings

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
