"""A training run as an object: it advances by one update, and knows how to save itself."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..algorithms import ALGORITHMS, algorithm_of, settings_from
from ..algorithms.agent import Agent, make_agent, make_batch
from ..algorithms.settings import Settings
from ..experience.envs import make_envs
from ..experience.normalization import RewardScaler
from ..experience.rollout import Collector


class Run:
    """Everything that decides how a training run goes on.

    Parameters
    ----------
    env_id : str
    settings : Settings
    total_steps, seed : int
    backend : str
        See `experience.envs.make_envs`.

    Attributes
    ----------
    agent : Agent
    collector : Collector
    updates_done, n_updates : int
    rows : list of dict
        Diagnostics, one dict per update.
    episodes : list of ndarray, shape (E, 3)
        Step, return and length of the episodes that ended, one array per update.
    seconds : float
        Wall-clock time so far, over all sessions; the training loop keeps it.
    """

    def __init__(
        self, env_id: str, settings: Settings, total_steps: int, seed: int, backend: str
    ) -> None:
        self.env_id, self.settings, self.seed, self.backend = env_id, settings, seed, backend
        self.total_steps = total_steps
        _, self.update = ALGORITHMS[algorithm_of(settings)]
        env_seed, network_seed, acting, shuffling = np.random.SeedSequence(seed).spawn(4)
        self.envs = make_envs(env_id, settings.n_envs, backend=backend)
        try:
            self.agent = make_agent(
                self.envs.single_observation_space,
                self.envs.single_action_space,
                settings,
                seed=int(network_seed.generate_state(1)[0]),
            )
            self.collector = Collector(
                self.envs,
                int(env_seed.generate_state(1)[0]),
                self.agent.normalizer,
                _reward_scaler(settings),
            )
        except BaseException:
            self.envs.close()
            raise
        self.acting_rng = np.random.default_rng(acting)
        self.shuffling_rng = np.random.default_rng(shuffling)
        self.rollout_steps = settings.n_envs * settings.horizon
        self.n_updates = math.ceil(total_steps / self.rollout_steps)
        self.updates_done = 0
        self.seconds = 0.0
        self.rows: list[dict[str, float]] = []
        self.episodes: list[np.ndarray] = []

    @property
    def step(self) -> int:
        """Environment steps so far, over all copies."""
        return self.updates_done * self.rollout_steps

    def advance(self) -> None:
        """Collect a rollout, estimate advantages, update; then record what happened."""
        settings, agent = self.settings, self.agent
        learning_rate = settings.learning_rate
        if settings.anneal_learning_rate:
            learning_rate *= 1.0 - self.updates_done / self.n_updates
        for group in agent.optimizer.param_groups:
            group["lr"] = learning_rate
        rollout = self.collector.collect(agent.policy.sampler(self.acting_rng), settings.horizon)
        batch = make_batch(rollout, agent.value_network, settings)
        diagnostics = self.update(agent, batch, settings, self.shuffling_rng)
        self.updates_done += 1
        returns, lengths = rollout.episode_returns, rollout.episode_lengths
        self.episodes.append(np.column_stack([np.full(len(returns), self.step), returns, lengths]))
        self.rows.append(
            {
                "step": self.step,
                "mean_return": returns.mean() if len(returns) else math.nan,
                **diagnostics,
                "explained_variance": batch.explained_variance,
                "learning_rate": learning_rate,
                **rollout.diagnostics(),
            }
        )

    def get_state(self) -> dict[str, Any]:
        """The run as a tree for `checkpoint.save_checkpoint`."""
        columns = self.rows[0] if self.rows else {}
        return {
            "made_by": {"course_lib": __version__, "torch": torch.__version__},
            "run": {
                "env_id": self.env_id,
                "algorithm": algorithm_of(self.settings),
                "settings": asdict(self.settings),
                "total_steps": self.total_steps,
                "seed": self.seed,
                "backend": self.backend,
                "updates_done": self.updates_done,
                "seconds": self.seconds,
            },
            **agent_state(self.agent),
            "collector": self.collector.get_state(),
            "acting_rng": self.acting_rng.bit_generator.state,
            "shuffling_rng": self.shuffling_rng.bit_generator.state,
            "updates": {name: np.array([row[name] for row in self.rows]) for name in columns},
            "episodes": {"table": np.concatenate([np.empty((0, 3)), *self.episodes])},
        }

    @classmethod
    def from_state(cls, tree: dict[str, Any]) -> "Run":
        """The run that `get_state` described, ready to go on."""
        head = tree["run"]
        settings = settings_from(head["algorithm"], head["settings"])
        run = cls(head["env_id"], settings, head["total_steps"], head["seed"], head["backend"])
        try:
            set_agent_state(run.agent, tree)
            run.collector.set_state(tree["collector"])
            run.acting_rng.bit_generator.state = tree["acting_rng"]
            run.shuffling_rng.bit_generator.state = tree["shuffling_rng"]
        except BaseException:
            run.envs.close()
            raise
        run.updates_done, run.seconds = head["updates_done"], head["seconds"]
        names = list(tree["updates"])
        columns = zip(*tree["updates"].values(), strict=True)
        run.rows = [dict(zip(names, row, strict=True)) for row in columns]
        run.episodes = [tree["episodes"]["table"]]
        return run


def agent_state(agent: Agent) -> dict[str, Any]:
    """Weights, optimiser, normaliser and memory of an agent, as a tree."""
    moments = agent.optimizer.state_dict()["state"]
    normalizer = agent.normalizer and agent.normalizer.statistics.get_state()
    return {
        "policy": dict(agent.policy.state_dict()),
        "value_network": dict(agent.value_network.state_dict()),
        "optimizer": {str(i): dict(state) for i, state in moments.items()},
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


def _reward_scaler(settings: Settings) -> RewardScaler | None:
    scale, clip, factor = settings.scale_rewards, settings.reward_clip, settings.reward_factor
    if not scale and clip is None and factor == 1.0:
        return None
    return RewardScaler(settings.n_envs, settings.gamma, scale, clip, factor)
