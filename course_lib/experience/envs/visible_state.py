"""What Python can see of an environment's state, one digest per attribute.

Used to notice what a replay does not repeat: counters, generators of an environment's own, wrappers
with running statistics. What lies beyond Python, such as a physics engine's memory, is left out.
"""

import hashlib
import random
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

#: Wrappers of Gymnasium that only report or check: nothing in them reaches a policy.
REPORTING = ("RecordEpisodeStatistics", "RecordVideo", "OrderEnforcing", "PassiveEnvChecker")
#: Attributes that say how an environment was seeded once, or what it shows, not where it stands.
IGNORED = ("_np_random_seed", "metadata", "spec", "render_mode", "env", "_cached_spec")
#: Larger arrays and containers count by their shape or length: they are data rather than state.
MAX_BYTES, MAX_ITEMS, MAX_DEPTH = 2**20, 1000, 5


def visible_state(env: gym.Env) -> dict[str, str]:
    """Digests of the plain attributes of an environment, of its wrappers and of their classes.

    Parameters
    ----------
    env : gymnasium.Env

    Returns
    -------
    dict of str
        ``"Class.attribute"`` -> eight hexadecimal digits. Numbers, text, arrays, random generators,
        containers of them and objects made of them are seen; anything else counts by its type.
    """
    digests = {}
    for layer in _layers(env):
        name = type(layer).__name__
        if name in REPORTING and type(layer).__module__.startswith("gymnasium."):
            continue
        attributes = {**_class_attributes(type(layer)), **vars(layer)}
        for key, value in attributes.items():
            if key not in IGNORED and not isinstance(value, gym.Env):
                seen = hashlib.blake2b(digest_size=4)
                _take_in(value, seen, 0, set())
                digests[f"{name}.{key}"] = seen.hexdigest()
    return digests


def _layers(env: gym.Env) -> Iterator[gym.Env]:
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env
    yield env


def _class_attributes(kind: type) -> dict[str, Any]:
    """Those that an author may count with; Gymnasium's own classes keep none."""
    found: dict[str, Any] = {}
    for parent in reversed(kind.__mro__):
        if not parent.__module__.startswith(("gymnasium.", "builtins", "typing")):
            found |= {k: v for k, v in vars(parent).items() if not k.startswith("__")}
    descriptors = (types.FunctionType, property, staticmethod, classmethod)
    return {k: v for k, v in found.items() if not isinstance(v, descriptors)}


def _take_in(value: Any, seen: Any, depth: int, above: set[int]) -> None:
    """Feed a value to a digest."""
    seen.update(type(value).__qualname__.encode() + b"\0")
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        seen.update(repr(value).encode() + b"\0")
    elif isinstance(value, np.ndarray):
        seen.update(f"{value.dtype}{value.shape}".encode())
        if value.nbytes <= MAX_BYTES and value.dtype != object:
            seen.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.random.Generator):
        seen.update(repr(value.bit_generator.state).encode())
    elif isinstance(value, np.random.RandomState):
        seen.update(repr(value.get_state(legacy=False)).encode())
    elif isinstance(value, random.Random):
        seen.update(repr(value.getstate()).encode())
    elif depth < MAX_DEPTH and id(value) not in above:
        above = above | {id(value)}
        for part in _parts(value, seen):
            _take_in(part, seen, depth + 1, above)


def _parts(value: Any, seen: Any) -> list[Any]:
    """What a container or an object consists of; nothing for what is opaque."""
    if isinstance(value, list | tuple | deque | dict | set | frozenset):
        seen.update(f"{len(value)}".encode())
        if len(value) > MAX_ITEMS:
            return []
        if isinstance(value, dict):
            return [x for pair in value.items() for x in pair]
        if isinstance(value, set | frozenset):  # only text and numbers have an order that lasts
            return sorted((x for x in value if isinstance(x, str | int | float)), key=repr)
        return list(value)
    opaque = (type, types.ModuleType, types.FunctionType, types.MethodType, gym.Space, gym.Env)
    if isinstance(value, opaque) or not hasattr(value, "__dict__"):
        return []
    return [x for pair in vars(value).items() for x in pair]
