"""Agents on disk: weights, optimiser, statistics, and what it takes to make such an agent again."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from .. import __version__
from ..algorithms import algorithm_of, settings_from
from ..algorithms.agent import Agent, make_agent
from .checkpoint import has_checkpoint, load_checkpoint, save_checkpoint


def save_agent(agent: Agent, directory: str | os.PathLike, **notes: float | str | None) -> Path:
    """Keep an agent in a folder of its own, from which `load_agent` reads it.

    Parameters
    ----------
    agent : Agent
        As `train` and `make_agent` make them.
    directory : path
        Made if it does not exist. An agent saved there before is replaced.
    **notes
        Plain values to keep with it, such as the return it was chosen for.

    Returns
    -------
    Path
        Of the file ``checkpoint.json`` there.

    Raises
    ------
    ValueError
        If the folder holds a training run, or the agent has no settings and spaces.
    FloatingPointError
        If a weight is not finite.
    """
    if has_checkpoint(directory) and "run" in load_checkpoint(directory):
        raise ValueError(f"{directory} holds a training run; save the agent in another folder")
    return save_checkpoint(directory, {"notes": notes, **agent_state(agent)}, step=0)


def load_agent(directory: str | os.PathLike) -> Agent:
    """The agent that `save_agent` kept, or the one of a run's checkpoint; no environment is made.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is damaged.
    """
    return agent_from(load_checkpoint(directory))


def agent_from(tree: dict[str, Any]) -> Agent:
    """The agent of a checkpoint's tree."""
    recipe = tree["recipe"]
    agent = make_agent(
        _space_from(recipe["observation_space"]),
        _space_from(recipe["action_space"]),
        settings_from(recipe["algorithm"], recipe["settings"]),
        seed=0,
    )
    set_agent_state(agent, tree)
    return agent


def agent_state(agent: Agent) -> dict[str, Any]:
    """Weights, optimiser, normaliser and memory of an agent, and its making, as a tree of copies."""
    settings, sees, acts = agent.settings, agent.observation_space, agent.action_space
    if settings is None or sees is None or acts is None:
        raise ValueError(
            "the agent has no settings or spaces, from which it could be made again: `make_agent` "
            "gives it both"
        )
    moments = agent.optimizer.state_dict()["state"]
    normalizer = agent.normalizer and agent.normalizer.statistics.get_state()
    return {
        "made_by": library_versions(),
        "recipe": {
            "algorithm": algorithm_of(settings),
            "settings": asdict(settings),
            "observation_space": _space_state(sees),
            "action_space": _space_state(acts),
        },
        "policy": _copies(agent.policy.state_dict()),
        "value_network": _copies(agent.value_network.state_dict()),
        "optimizer": {str(i): _copies(state) for i, state in moments.items()},
        "normalizer": normalizer,
        "agent": dict(agent.state),
    }


def set_agent_state(agent: Agent, tree: dict[str, Any]) -> None:
    """Go back to what `agent_state` returned, in the memory where the agent is."""
    for network in ("policy", "value_network"):
        weights = {name: torch.from_numpy(x) for name, x in tree[network].items()}
        getattr(agent, network).load_state_dict(weights)
    saved = agent.optimizer.state_dict()
    saved["state"] = {
        int(i): {name: torch.from_numpy(np.array(x)) for name, x in state.items()}
        for i, state in tree["optimizer"].items()
    }
    agent.optimizer.load_state_dict(saved)
    if agent.normalizer is not None:
        agent.normalizer.statistics.set_state(tree["normalizer"])
    agent.state = dict(tree["agent"])


def _copies(tensors: dict[str, Any]) -> dict[str, Any]:
    return {
        name: x.detach().clone() if isinstance(x, torch.Tensor) else x
        for name, x in tensors.items()
    }


def library_versions() -> dict[str, str]:
    """Versions of what decides the numbers of a run."""
    modules = {"torch": torch, "numpy": np, "gymnasium": gym}
    return {"course_lib": __version__, **{k: str(m.__version__) for k, m in modules.items()}}


def _space_state(space: gym.Space) -> dict[str, Any]:
    if isinstance(space, gym.spaces.Box):
        return {"kind": "Box", "low": space.low, "high": space.high, "dtype": str(space.dtype)}
    if isinstance(space, gym.spaces.Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
    raise TypeError(f"a space of kind {type(space).__name__} cannot be saved")


def _space_from(saved: dict[str, Any]) -> gym.Space:
    if saved["kind"] == "Box":
        return gym.spaces.Box(saved["low"], saved["high"], dtype=np.dtype(saved["dtype"]).type)
    return gym.spaces.Discrete(saved["n"], start=saved["start"])
