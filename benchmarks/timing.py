"""Two or more calls timed side by side: in turn, so that a noisy moment hits all of them."""

import statistics
import time
from collections.abc import Callable, Mapping


def side_by_side(
    calls: Mapping[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Return the CPU seconds of one call, per name and round.

    Parameters
    ----------
    calls : mapping of name to callable
        What is compared.
    rounds : int
        Measurements of each, taken in turn.
    seconds : float
        Shortest time of one measurement: a fast call is repeated to fill it.
    """
    repeats = {}
    for name, call in calls.items():
        call()  # warm up
        start = time.process_time()
        call()
        repeats[name] = max(1, round(seconds / max(time.process_time() - start, 1e-6)))
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            taken[name].append((time.process_time() - start) / repeats[name])
    return taken


def medians(taken: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each name's times."""
    return {name: statistics.median(times) for name, times in taken.items()}
