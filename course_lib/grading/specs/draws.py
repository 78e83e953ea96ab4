"""Numbers for probes: few digits, so that a person can follow them, and of both signs."""

import numpy as np


def signed(generator, low: int, high: int, size, unit: int = 10) -> np.ndarray:
    """Return numbers of random sign whose size is a multiple of 1 / unit.

    Parameters
    ----------
    generator : numpy.random.Generator
    low, high : int
        The size in units, `low` at least and `high` at most minus one. With ``low`` above 0 no
        number is 0.
    size : int or tuple of int
        Shape of the result.
    unit : int
        Tenths by default. Eighths are exact in binary.
    """
    return generator.choice([-1.0, 1.0], size) * generator.integers(low, high, size) / unit
