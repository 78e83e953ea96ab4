"""Chapter 9: TRPO in practice."""

TASKS = ()
