"""A training run as an object: it advances by one update, and knows how to save itself."""

import math
from typing import Any

import numpy as np

from ..algorithms import ALGORITHMS, algorithm_of, settings_from
from ..algorithms.agent import make_agent, make_batch
from ..algorithms.settings import Settings
from ..experience.envs import EnvLike, make_envs, name_of
from ..experience.envs.recorder import ReplayError
from ..experience.normalization import RewardScaler
from ..experience.rollout import Collector
from .agents import agent_state, set_agent_state
from .environment import describe, restored

#: Keys of the seeds that are no child of the run's own sequence (which are numbered from 0).
FRESH_EPISODES, EVALUATION = 2**31, 2**31 + 1


class Run:
    """Everything that decides how a training run goes on.

    Parameters
    ----------
    env : str, EnvSpec or callable
        See `experience.envs.make_envs`.
    settings : Settings
    total_steps, seed : int
    backend : str
        See `experience.envs.make_envs`.
    env_kwargs : dict, optional
        Passed on to ``gymnasium.make``.

    Attributes
    ----------
    env_id : str
        The environment's id, or the name of the function that makes it.
    agent : Agent
    collector : Collector
    updates_done, n_updates : int
    rows : list of dict
        Diagnostics, one dict per update.
    episodes : list of ndarray, shape (E, 3)
        Step, return and length of the episodes that ended, one array per update.
    seconds : float
        Wall-clock time so far, over all sessions; the training loop keeps it.
    obstacle : str or None
        Why the environment does not repeat its episodes, if a rehearsal found that.
    evaluate_every, evaluation_episodes : int or None, int
        Updates between evaluations, and episodes of each; the training loop evaluates.
    restarts : list of int
        The updates before which a resume began fresh episodes, so that the run is not bit-exact.
    """

    def __init__(
        self,
        env: EnvLike,
        settings: Settings,
        total_steps: int,
        seed: int,
        backend: str,
        env_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.env, self.env_kwargs, self.env_id = env, env_kwargs, name_of(env)
        self.settings, self.seed, self.backend = settings, seed, backend
        self.total_steps = total_steps
        _, self.update = ALGORITHMS[algorithm_of(settings)]
        env_seed, network_seed, acting, shuffling = np.random.SeedSequence(seed).spawn(4)
        self.envs = make_envs(env, settings.n_envs, backend=backend, env_kwargs=env_kwargs)
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
        self.obstacle: str | None = None
        self.restarts: list[int] = []
        self.evaluate_every: int | None = None
        self.evaluation_episodes = 10

    @property
    def step(self) -> int:
        """Environment steps so far, over all copies."""
        return self.updates_done * self.rollout_steps

    def advance(self) -> None:
        """Collect a rollout, estimate advantages, update; then record what happened."""
        agent, settings = self.agent, self.settings.at(1.0 - self.updates_done / self.n_updates)
        for group in agent.optimizer.param_groups:
            group["lr"] = settings.learning_rate
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
                "evaluation": math.nan,
                "explained_variance": batch.explained_variance,
                "learning_rate": settings.learning_rate,
                **rollout.diagnostics(),
            }
        )

    def snapshot(self) -> dict[str, Any]:
        """What changes in place from update to update, copied."""
        return {
            "updates_done": self.updates_done,
            "seconds": self.seconds,
            **agent_state(self.agent),
            "collector": self.collector.get_state(),
            "acting_rng": self.acting_rng.bit_generator.state,
            "shuffling_rng": self.shuffling_rng.bit_generator.state,
        }

    def get_state(self, snapshot: dict[str, Any] | None = None) -> dict[str, Any]:
        """The run as a tree for `checkpoint.save_checkpoint`, as it is or was at a snapshot."""
        state = dict(self.snapshot() if snapshot is None else snapshot)
        done = state.pop("updates_done")
        rows, episodes = self.rows[:done], self.episodes[:done]
        columns = rows[0] if rows else {}
        return {
            "run": {
                "env": describe(self.env, self.env_kwargs),
                "env_id": self.env_id,
                "total_steps": self.total_steps,
                "seed": self.seed,
                "backend": self.backend,
                "updates_done": done,
                "seconds": state.pop("seconds"),
                "obstacle": self.obstacle,
                "restarts": list(self.restarts),
                "evaluate_every": self.evaluate_every,
                "evaluation_episodes": self.evaluation_episodes,
            },
            **state,
            "updates": {name: np.array([row[name] for row in rows]) for name in columns},
            "episodes": {"table": np.concatenate([np.empty((0, 3)), *episodes])},
        }

    @classmethod
    def from_state(
        cls,
        tree: dict[str, Any],
        env: EnvLike | None = None,
        total_steps: int | None = None,
        fresh_episodes: bool = False,
    ) -> "Run":
        """The run that `get_state` described, ready to go on; see `train.resume`."""
        head, recipe = tree["run"], tree["recipe"]
        if head["obstacle"] is not None and not fresh_episodes:
            raise ReplayError(
                f"a rehearsal at this run's start found that {head['obstacle']}; {WAY_OUT}"
            )
        env, env_kwargs = restored(head["env"], env)
        settings = settings_from(recipe["algorithm"], recipe["settings"])
        steps = head["total_steps"] if total_steps is None else total_steps
        run = cls(env, settings, steps, head["seed"], head["backend"], env_kwargs)
        run.updates_done, run.seconds = head["updates_done"], head["seconds"]
        for name in ("obstacle", "restarts", "evaluate_every", "evaluation_episodes"):
            setattr(run, name, head[name])
        try:
            set_agent_state(run.agent, tree)
            if fresh_episodes:
                run._start_afresh(tree["collector"])
            else:
                run.collector.set_state(tree["collector"])
        except ReplayError as error:
            run.envs.close()
            raise ReplayError(f"{error}; {WAY_OUT}") from error
        except BaseException:
            run.envs.close()
            raise
        run.acting_rng.bit_generator.state = tree["acting_rng"]
        run.shuffling_rng.bit_generator.state = tree["shuffling_rng"]
        run.rows, run.episodes = rows_and_episodes(tree)
        return run

    def _start_afresh(self, collector: dict[str, Any]) -> None:
        """New episodes in every copy, from a seed that this run has not used."""
        key = (FRESH_EPISODES, self.updates_done, len(self.restarts))
        seed = np.random.SeedSequence(self.seed, spawn_key=key).generate_state(1)[0]
        scaler = self.collector.reward_scaler
        if scaler is not None:
            scaler.set_state(collector["reward_scaler"])
            scaler.running[:] = 0.0
        self.collector = Collector(self.envs, int(seed), self.agent.normalizer, scaler)
        self.restarts.append(self.updates_done)

    @property
    def evaluation_seed(self) -> int:
        """A seed for evaluations while training goes on, the same for all of them."""
        key = np.random.SeedSequence(self.seed, spawn_key=(EVALUATION,))
        return int(key.generate_state(1)[0])


def rows_and_episodes(tree: dict[str, Any]) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """`Run.rows` and `Run.episodes`, one of each per update, from a checkpoint's tree."""
    names = list(tree["updates"])
    rows = [
        dict(zip(names, row, strict=True)) for row in zip(*tree["updates"].values(), strict=True)
    ]
    table = tree["episodes"]["table"]
    ends = np.searchsorted(table[:, 0], [row["step"] for row in rows], side="right")
    return rows, np.split(table, ends)[:-1]


#: What to do about a run that cannot be repeated.
WAY_OUT = (
    "the run cannot go on bit for bit. fresh_episodes=True (--fresh-episodes on the command line) "
    "goes on with new episodes; the result is a valid run, but not the one that was interrupted"
)


def _reward_scaler(settings: Settings) -> RewardScaler | None:
    scale, clip, factor = settings.scale_rewards, settings.reward_clip, settings.reward_factor
    if not scale and clip is None and factor == 1.0:
        return None
    return RewardScaler(settings.n_envs, settings.gamma, scale, clip, factor)
