"""Chapter 4: monotonic improvement."""

TASKS = ()
