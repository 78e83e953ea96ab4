"""Chapter 5: KL geometry and the natural gradient."""

TASKS = ()
