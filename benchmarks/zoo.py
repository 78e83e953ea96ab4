"""Stable-Baselines3 and sb3-contrib with the settings of RL Baselines3 Zoo.

The numbers are those of the zoo's ``hyperparams/ppo.yml`` and ``hyperparams/trpo.yml``; the zoo
lists PPO's LunarLanderContinuous settings under v2 and, unchanged, v3. No render mode is set: with
one, LunarLander simulates decorative particles, and the comparison would be with those.
"""

SETTINGS = {
    ("ppo", "CartPole-v1"): dict(
        n_envs=8,
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        ent_coef=0.0,
        learning_rate=lambda remaining: 0.001 * remaining,
        clip_range=lambda remaining: 0.2 * remaining,
    ),
    ("ppo", "LunarLanderContinuous-v3"): dict(
        n_envs=16,
        n_steps=1024,
        batch_size=64,
        gae_lambda=0.98,
        gamma=0.999,
        n_epochs=4,
        ent_coef=0.01,
    ),
    ("trpo", "CartPole-v1"): dict(
        n_envs=2,
        n_steps=512,
        batch_size=512,
        cg_damping=1e-3,
        gae_lambda=0.98,
        gamma=0.99,
        learning_rate=1e-3,
        n_critic_updates=20,
    ),
    ("trpo", "LunarLanderContinuous-v3"): dict(
        n_envs=2,
        n_steps=1024,
        n_critic_updates=20,
        normalize=True,
    ),
}


def make_model(algorithm: str, env_id: str, seed: int):
    """Return an untrained model with the zoo's settings, on one CPU thread."""
    from sb3_contrib import TRPO
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    settings = dict(SETTINGS[algorithm, env_id])
    envs = make_vec_env(
        env_id, settings.pop("n_envs"), seed=seed, env_kwargs=dict(render_mode=None)
    )
    if settings.pop("normalize", False):
        envs = VecNormalize(envs, gamma=settings.get("gamma", 0.99))
    model = {"ppo": PPO, "trpo": TRPO}[algorithm]
    return model("MlpPolicy", envs, seed=seed, device="cpu", **settings)
