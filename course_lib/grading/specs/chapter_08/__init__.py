"""Chapter 8: the line search and the whole step."""

TASKS = ()
