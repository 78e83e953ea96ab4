"""Chapter 14: reading other people's code."""

TASKS = ()
