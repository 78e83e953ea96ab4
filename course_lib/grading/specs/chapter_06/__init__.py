"""Chapter 6: Fisher-vector products."""

TASKS = ()
