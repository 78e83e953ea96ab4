"""Chapter 12: implementation matters."""

TASKS = ()
