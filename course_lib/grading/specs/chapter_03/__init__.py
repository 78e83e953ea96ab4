"""Chapter 3: the surrogate objective."""

TASKS = ()
