"""Chapter 10: the PPO objectives."""

TASKS = ()
