"""Chapter 11: PPO in practice."""

TASKS = ()
