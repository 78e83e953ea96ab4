"""Chapter 7: conjugate gradients."""

TASKS = ()
