"""Chapter 13: which one should I use."""

from .bootstrap_interval import SPEC as BOOTSTRAP_INTERVAL
from .failure_rate import SPEC as FAILURE_RATE
from .interquartile_mean import SPEC as INTERQUARTILE_MEAN

TASKS = (INTERQUARTILE_MEAN, BOOTSTRAP_INTERVAL, FAILURE_RATE)
