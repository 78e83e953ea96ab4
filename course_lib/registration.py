"""The course's environments in Gymnasium's registry.

Importing `course_lib.experience` registers them, and so does Gymnasium if it is told where to look:
``gymnasium.make("course_lib.registration:CartPoleSwingUp-v0")``. Gymnasium 1.0 gave up its entry
points (``gymnasium.envs``), so a package has to be named or imported.
"""

import warnings

import gymnasium as gym

SWINGUP_STEPS = 500  # time limit of an episode


def register_envs() -> None:
    """Register ``CartPoleSwingUp-v0`` and ``-v1``; a second call does nothing."""
    for env_id, nonnegative in (("CartPoleSwingUp-v0", False), ("CartPoleSwingUp-v1", True)):
        if env_id not in gym.registry:  # registering twice would warn
            gym.register(
                env_id,
                entry_point="course_lib.experience.envs.swingup:CartPoleSwingUpEnv",
                max_episode_steps=SWINGUP_STEPS,
                kwargs={"nonnegative_reward": nonnegative},
            )
    # Gymnasium takes a higher version for a newer one. Here v1 is only another scale of the reward.
    warnings.filterwarnings("ignore", message=r".*CartPoleSwingUp-v0 is out of date")


register_envs()
