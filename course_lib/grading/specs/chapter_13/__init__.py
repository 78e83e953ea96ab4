"""Chapter 13: which one should I use."""

TASKS = ()
