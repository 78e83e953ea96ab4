"""Everything that is measured, in an order that puts what is compared side by side."""

from collections.abc import Callable, Iterator
from functools import partial

from . import fisher, gae, solving

SEEDS = range(5)
SWING_UP_SEEDS = range(10)
LUNAR_LANDER = "LunarLanderContinuous-v3"
SWING_UP = "CartPoleSwingUp-v0"


def solve(library: str, algorithm: str, env_id: str, seed: int) -> tuple[str, Callable[[], dict]]:
    """Return the name of one training run and the call that makes it."""
    name = f"solve/{env_id}/{algorithm}-{library}-{seed}"
    return name, partial(solving.in_own_process, library, algorithm, env_id, seed)


def plan() -> Iterator[tuple[str, Callable[[], dict]]]:
    """Yield the name and the measurement of every piece."""
    yield "gae", gae.measure
    yield "fisher", fisher.measure
    for algorithm in ("ppo", "trpo"):
        for seed in SEEDS:
            yield solve("numpy", algorithm, "CartPole-v1", seed)
            yield solve("sb3", algorithm, "CartPole-v1", seed)
    for algorithm in ("ppo", "trpo"):
        for seed in SWING_UP_SEEDS:
            yield solve("numpy", algorithm, SWING_UP, seed)
    for changed in solving.CHANGES:
        for seed in SWING_UP_SEEDS:
            yield solve(changed, "ppo", SWING_UP, seed)
    for algorithm in ("ppo", "trpo"):
        for seed in SEEDS:
            yield solve("gymnasium", algorithm, LUNAR_LANDER, seed)
            yield solve("sb3", algorithm, LUNAR_LANDER, seed)
            yield solve("envpool", algorithm, LUNAR_LANDER, seed)
