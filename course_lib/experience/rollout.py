"""Experience: T steps of N environments, collected with the policy's actions only.

A rollout stores no values and no log-probabilities. They follow from it in one batched pass, which
is much cheaper than a small pass at every step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from ..kinds import Count, Natural, checked
from ..policies import Actor, ValueNetwork
from ..spaces import ActionMap, require_supported, shape_of
from .contract import (
    EnvironmentFailedError,
    MalformedEnvironmentError,
    check_arrays,
    hold_to_contract,
    require_finite_rows,
    single_precision,
)
from .normalization import ObservationNormalizer, RewardScaler

__all__ = ["Collector", "EnvironmentFailedError", "MalformedEnvironmentError", "Rollout"]


@dataclass(frozen=True)
class Rollout:
    """T steps of N environments. K of the steps ended an episode.

    Attributes
    ----------
    observations : ndarray, shape (T, N, O), float32
        What the policy saw before each step: normalised, if the run normalises.
    actions : ndarray, shape (T, N) int64 or (T, N, d) float32
        What the policy drew, on its own scale: neither mapped nor clipped to the action space (see
        `spaces.ActionMap` for what the environment was sent).
    rewards : ndarray, shape (T, N), float32
        What training is to maximise: scaled and clipped, if the run does that.
    terminated, truncated : ndarray of bool, shape (T, N)
        Whether the step ended the episode for good, or cut it from outside.
    valid : ndarray of bool, shape (T, N)
        False for a step that only reset the environment (``NEXT_STEP`` autoreset). Such a step
        carries no decision of the policy, belongs in no batch, and its reward is 0 whatever the
        environment returned.
    last_observations : ndarray, shape (N, O), float32
        What each environment shows after the last step.
    final_observations : ndarray, shape (K, O), float32
        The states reached by the K ended steps, in the order of ``np.nonzero(ended)``: these, not
        the next episode's first observations, are what a cut step bootstraps from.
    episode_returns, episode_lengths : ndarray, shape (E,)
        Undiscounted sum of the environment's own rewards, and number of steps, of the E episodes
        that ended in this rollout.
    clipped_share : float
        Share of the components of Box actions that lay beyond the bounds and were clipped; NaN for
        discrete actions.
    """

    observations: NDArray
    actions: NDArray
    rewards: NDArray
    terminated: NDArray
    truncated: NDArray
    valid: NDArray
    last_observations: NDArray
    final_observations: NDArray
    episode_returns: NDArray
    episode_lengths: NDArray
    clipped_share: float = float("nan")

    @property
    def ended(self) -> NDArray:
        """Whether the step was its episode's last, shape (T, N)."""
        return self.terminated | self.truncated

    def diagnostics(self) -> dict[str, float]:
        """``clipped_share``, where there is something to clip."""
        return {} if np.isnan(self.clipped_share) else {"clipped_share": self.clipped_share}

    def values(self, value_network: ValueNetwork) -> tuple[NDArray, NDArray]:
        """V of the states left and of the states reached by every step, in one batched pass.

        Returns
        -------
        values, next_values : ndarray, shape (T, N), float32
            ``next_values`` holds V of the state actually reached, also where an episode ended.
        """
        T, N, O = self.observations.shape
        states = np.concatenate(
            [self.observations.reshape(T * N, O), self.last_observations, self.final_observations]
        )
        with torch.no_grad():
            v = value_network(torch.from_numpy(states)).numpy()
        values, last, final = np.split(v, [T * N, T * N + N])
        values = values.reshape(T, N)
        next_values = np.concatenate([values[1:], last[None]])
        next_values[self.ended] = final
        return values, next_values


class Collector:
    """Steps N environments with a policy and remembers where each of them stands.

    Parameters
    ----------
    envs : gymnasium.vector.VectorEnv
        Any vector environment with ``SAME_STEP`` or ``NEXT_STEP`` autoreset, flat observations, and
        discrete or flat Box actions.
    seed : int, optional
        Seed of the environments' first reset.
    normalizer : ObservationNormalizer, optional
        Updated with every observation acted on, and applied to all.
    reward_scaler : RewardScaler, optional
        Applied to the rewards that are stored. Episode returns stay raw.

    Raises
    ------
    ValueError
        If the environment's autoreset is disabled or unknown, its spaces are not supported, or its
        first reset does not return what it should.
    EnvironmentFailedError, FloatingPointError
        As in `collect`, of the first reset.
    """

    def __init__(
        self,
        envs: gym.vector.VectorEnv,
        seed: int | None = None,
        normalizer: ObservationNormalizer | None = None,
        reward_scaler: RewardScaler | None = None,
    ) -> None:
        self.mode = envs.metadata.get("autoreset_mode")
        if self.mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            raise ValueError(f"autoreset must be SAME_STEP or NEXT_STEP, not {self.mode}")
        require_supported(envs.single_observation_space, envs.single_action_space)
        hold_to_contract(envs)
        self.envs, self.normalizer, self.reward_scaler = envs, normalizer, reward_scaler
        self.to_environment = ActionMap(envs.single_action_space)
        self.shapes = ((envs.num_envs, *shape_of(envs.single_observation_space)), (envs.num_envs,))
        self.resetting = np.zeros(envs.num_envs, dtype=bool)  # the next step only resets these
        self.running_returns = np.zeros(envs.num_envs)
        self.running_lengths = np.zeros(envs.num_envs, dtype=np.int64)
        observations, _ = self._ask(envs.reset, 2, seed=checked("seed", seed, Natural | None))
        self.observations = self._see(observations)

    def collect(self, act: Actor, steps: int) -> Rollout:
        """Take the given number of steps in every environment.

        Parameters
        ----------
        act : callable
            Maps observations (N, O) to actions: integers (N,), or numbers (N, d) for a Box; see
            `CategoricalPolicy.sampler`.
        steps : int, at least 1
            Number of steps T.

        Raises
        ------
        ValueError
            If steps is not positive, or actions or an environment's arrays have the wrong shape or
            type.
        EnvironmentFailedError
            If an environment raises; its own error is the cause.
        FloatingPointError
            If an environment returns a reward or observation that is not finite, or the policy an
            action; none of them is acted on.
        """
        steps = checked("steps", steps, Count)
        N, space = self.envs.num_envs, self.envs.single_action_space
        box = isinstance(space, gym.spaces.Box)
        observations = np.empty((steps, *self.observations.shape), dtype=np.float32)
        actions = np.empty((steps, N, *shape_of(space)), dtype=np.float32 if box else np.int64)
        rewards = np.empty((steps, N))
        terminated, truncated, valid = np.empty((3, steps, N), dtype=bool)
        final_observations, episode_returns, episode_lengths = [], [], []

        for t in range(steps):
            observations[t] = self.observations
            actions[t] = _fitting(act(self.observations), actions[t])
            reached, reward, terminated[t], truncated[t], infos = self._step(actions[t])
            valid[t] = ~self.resetting
            self.running_returns += reward
            self.running_lengths += valid[t]
            ended = terminated[t] | truncated[t]
            if self.reward_scaler is not None:
                reward = self.reward_scaler(reward, ended, valid[t])
            rewards[t] = reward
            if ended.any():
                final_observations.append(self._final_observations(reached, infos, ended))
                episode_returns.append(self.running_returns[ended])
                episode_lengths.append(self.running_lengths[ended])
                self.running_returns[ended] = 0.0
                self.running_lengths[ended] = 0
            if self.mode is AutoresetMode.NEXT_STEP:
                self.resetting = ended
            self.observations = self._see(reached)

        empty = np.empty((0, *self.observations.shape[1:]), dtype=np.float32)
        return Rollout(
            observations=observations,
            actions=actions,
            rewards=single_precision("rewards", rewards),
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            last_observations=self.observations.copy(),
            final_observations=single_precision(
                "final observations", np.concatenate([empty, *final_observations])
            ),
            episode_returns=np.concatenate([np.empty(0), *episode_returns]),
            episode_lengths=np.concatenate([np.empty(0, dtype=np.int64), *episode_lengths]),
            clipped_share=self.to_environment.clipped_share(actions[valid]),
        )

    def get_state(self) -> dict[str, Any]:
        """Where every copy stands, for a checkpoint. The normaliser's statistics are the agent's.

        Raises
        ------
        ValueError
            If the environments cannot save their state.
        """
        if not hasattr(self.envs, "get_state"):
            raise ValueError(f"{type(self.envs).__name__} cannot save its state")
        return {
            "envs": self.envs.get_state(),
            "observations": self.observations.copy(),
            "resetting": self.resetting.copy(),
            "running_returns": self.running_returns.copy(),
            "running_lengths": self.running_lengths.copy(),
            "reward_scaler": self.reward_scaler and self.reward_scaler.get_state(),
        }

    def set_state(self, saved: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        envs: Any = self.envs  # which has set_state, or there would be nothing saved
        envs.set_state(saved["envs"])
        for name in ("observations", "resetting", "running_returns", "running_lengths"):
            setattr(self, name, saved[name].copy())
        if self.reward_scaler is not None:
            self.reward_scaler.set_state(saved["reward_scaler"])

    def _step(self, actions: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray, dict]:
        if actions.dtype.kind == "f" and not np.isfinite(actions).all():
            raise FloatingPointError(
                "the policy chose actions that are not finite: it has most likely diverged"
            )
        sent = self.to_environment(actions)
        reached, reward, terminated, truncated, infos = self._ask(self.envs.step, 5, sent)
        reward = np.asarray(reward)
        if (
            self.mode is AutoresetMode.NEXT_STEP and self.resetting.any()
        ):  # whatever such a step pays belongs to no episode
            reward = np.where(self.resetting, 0.0, reward)
        # Statistics that have seen a NaN, and rewards that are clipped, would hide it.
        require_finite_rows("rewards", reward, self.envs, self.running_lengths + 1)
        return reached, reward, terminated, truncated, infos

    def _ask(
        self, method: Callable[..., Any], size: int, *arguments: Any, **keywords: Any
    ) -> tuple:
        """What the environments' reset or step returns, held to the contract."""
        try:
            result = method(*arguments, **keywords)
        except MalformedEnvironmentError:
            raise
        except Exception as error:
            raise EnvironmentFailedError(
                f"the environment raised {type(error).__name__}: {error}"
            ) from error
        check_arrays(result, size, self.envs, self.shapes)
        return result

    def _see(self, observations: NDArray) -> NDArray:
        """What the policy sees: normalised in the precision that came, and float32 only then."""
        raw = np.asarray(observations)
        require_finite_rows("observations", raw, self.envs, self.running_lengths)
        if self.normalizer is not None:
            self.normalizer.update(raw)
            raw = self.normalizer(raw)
        return single_precision("observations", raw)

    def _final_observations(self, reached: NDArray, infos: dict, ended: NDArray) -> NDArray:
        if self.mode is AutoresetMode.NEXT_STEP:
            final = np.asarray(reached)[ended]
        elif "final_obs" in infos:
            final = np.stack(list(infos["final_obs"][ended]))
        else:
            raise MalformedEnvironmentError(
                f"{type(self.envs).__name__} has SAME_STEP autoreset, but an ended episode's last "
                "observation is not in infos['final_obs']"
            )
        require_finite_rows("final observations", final, self.envs, self.running_lengths, ended)
        return final if self.normalizer is None else self.normalizer(final)


def _fitting(chosen: ArrayLike, place: NDArray) -> NDArray:
    """The actions, if they are what their place in the rollout holds; NumPy would make them so."""
    chosen = np.asarray(chosen)
    discrete = place.dtype.kind == "i"
    if chosen.shape != place.shape or chosen.dtype.kind not in ("iub" if discrete else "fiub"):
        raise ValueError(
            f"act returned {chosen.dtype} of shape {chosen.shape}; needed: "
            f"{'integers' if discrete else 'numbers'} of shape {place.shape}, one row per copy"
        )
    return chosen
