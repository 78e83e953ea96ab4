"""Running statistics, and the normalisation of observations and rewards (chapter 12)."""

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import exceeds_rounding
from ..kinds import Count, Natural, NotNegative, Positive, Share, checked


class RunningMeanVariance:
    """Mean and variance of everything seen so far, one batch at a time, never storing it.

    Batches are merged by Chan's parallel form of Welford's algorithm, Eq. (12.5), in float64. The
    count starts at 0: the first batch alone decides the first statistics. (Some code starts it at
    1e-4 with mean 0 and variance 1, which leaves a trace of data that nobody saw.)

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample.
    ddof : int, at least 0
        The variance divides by ``count - ddof``. 0, the default, is the population variance.

    Attributes
    ----------
    count : int
        Samples seen.
    mean, squares : ndarray of the given shape
        Their mean, and the sum of their squared distances from it.

    References
    ----------
    Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
    """

    def __init__(self, shape: tuple[int, ...] = (), ddof: int = 0) -> None:
        self.ddof = checked("ddof", ddof, Natural)
        self.count = 0
        self.mean = np.zeros(shape)
        self.squares = np.zeros(shape)

    @property
    def variance(self) -> NDArray:
        """Variance of the samples seen; 1 as long as there are no more than ddof of them."""
        if self.count <= self.ddof:
            return np.ones_like(self.squares)
        return self.squares / (self.count - self.ddof)

    def divisor(self, epsilon: float) -> NDArray:
        """What to divide by: sqrt(variance + epsilon), but 1 where samples differ by rounding only.

        Nothing says yet how large a deviation is there; the root of epsilon would be a guess.
        """
        size = np.hypot(self.mean, np.sqrt(self.variance))
        real = exceeds_rounding(np.sqrt(self.variance), size, np.float64)
        return np.where(real, np.sqrt(self.variance + epsilon), 1.0)

    def update(self, batch: ArrayLike) -> None:
        """Take in a batch of samples, shape ``(B, *shape)``; B may be 0.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        batch, n = self._samples(batch)
        if n == 0:
            return
        mean = batch.mean(0)
        squares = np.square(batch - mean).sum(0)
        shift, total = mean - self.mean, self.count + n
        self.mean = self.mean + shift * (n / total)
        between = np.square(shift) * (self.count * n / total)
        self.squares = self.squares + squares + between
        self.count = total

    def _samples(self, batch: ArrayLike) -> tuple[NDArray, int]:
        batch = np.asarray(batch, dtype=np.float64)
        if batch.shape[1:] != self.mean.shape or batch.ndim == 0:
            raise ValueError(
                f"samples of shape {self.mean.shape} need a batch (B, *shape), not {batch.shape}"
            )
        return batch, len(batch)

    def get_state(self) -> dict[str, Any]:
        """What `set_state` needs to go on from here."""
        return {
            "count": self.count,
            "mean": np.array(self.mean),
            "squares": np.array(self.squares),
        }

    def set_state(self, saved: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.count = saved["count"]
        self.mean, self.squares = np.array(saved["mean"]), np.array(saved["squares"])


class ObservationNormalizer:
    """Observations with mean 0 and variance 1, clipped; what the networks see.

    Training updates the statistics with every observation it acts on. Whoever evaluates, renders
    or continues a policy needs the same statistics, frozen: they are part of the policy.

    Parameters
    ----------
    size : int
        Width O of an observation.
    normalize : bool
        Subtract the running mean and divide by the running standard deviation; by 1 where all
        observations were equal.
    clip : float or None
        Then clip to [-clip, clip].
    epsilon : float
        Added to the variance.
    """

    def __init__(
        self, size: int, normalize: bool = True, clip: float | None = 10.0, epsilon: float = 1e-8
    ) -> None:
        self.normalize = checked("normalize", normalize, bool)
        self.clip = checked("clip", clip, Positive | None)
        self.epsilon = checked("epsilon", epsilon, NotNegative)
        self.is_frozen = False
        self.statistics = RunningMeanVariance((checked("size", size, Count),))

    def update(self, observations: NDArray) -> None:
        """Take raw observations (B, O) into the statistics, in the precision that they came in."""
        if self.normalize and not self.is_frozen:
            self.statistics.update(observations)

    def frozen(self) -> "ObservationNormalizer":
        """This normaliser as it is now, for an evaluation: `update` changes nothing."""
        frozen = copy.deepcopy(self)
        frozen.is_frozen = True
        return frozen

    def __call__(self, observations: NDArray) -> NDArray:
        """Normalise raw observations (..., O) with the statistics as they are; float32.

        Give them as they came: numbers of 5e8 that differ by 1 are one number in float32.

        Raises
        ------
        ValueError
            If observations have another width.
        """
        x = self._of_one_width(observations)
        if self.normalize:
            x = (x - self.statistics.mean) / self.statistics.divisor(self.epsilon)
        if self.clip is not None:
            x = np.clip(x, -self.clip, self.clip)
        return x.astype(np.float32)

    def _of_one_width(self, observations: ArrayLike) -> NDArray:
        x = np.asarray(observations)
        if x.shape[-1:] != self.statistics.mean.shape:
            (size,) = self.statistics.mean.shape
            raise ValueError(f"observations must have shape (..., {size}), not {x.shape}")
        return x


class RewardScaler:
    """Rewards on a scale that learning likes: divided by a running standard deviation, clipped.

    The divisor is the standard deviation of the running discounted sum ``R <- gamma R + r`` of each
    copy, which starts at 0 with every episode. While the sums do not differ it is 1. No mean is subtracted: that would pay a policy for
    the length of its episodes.

    Parameters
    ----------
    num_envs : int
        Number of copies N.
    gamma : float
        Discount factor of the running sums.
    scale : bool
        Divide by the running standard deviation.
    clip : float or None
        Then clip to [-clip, clip].
    factor : float
        A constant that every reward is multiplied with first.
    epsilon : float
        Added to the variance.

    References
    ----------
    Engstrom et al. (2020), arXiv:2005.12729, Algorithm 1.
    """

    def __init__(
        self,
        num_envs: int,
        gamma: float,
        scale: bool = True,
        clip: float | None = None,
        factor: float = 1.0,
        epsilon: float = 1e-8,
    ) -> None:
        self.gamma = checked("gamma", gamma, Share)
        self.scale = checked("scale", scale, bool)
        self.clip = checked("clip", clip, Positive | None)
        self.factor = checked("factor", factor, Positive)
        self.epsilon = checked("epsilon", epsilon, NotNegative)
        self.statistics = RunningMeanVariance()
        self.running = np.zeros(checked("num_envs", num_envs, Count))

    def __call__(self, rewards: NDArray, ended: NDArray, valid: NDArray) -> NDArray:
        """Scale one step's rewards (N,); ``ended`` copies start afresh, invalid steps pay nothing."""
        rewards = np.where(valid, rewards, 0.0).astype(np.float64) * self.factor
        if self.scale:
            self.running = self.gamma * self.running + rewards
            self.statistics.update(self.running[valid])
            rewards = rewards / self.statistics.divisor(self.epsilon)
            self.running[ended] = 0.0
        if self.clip is not None:
            rewards = np.clip(rewards, -self.clip, self.clip)
        return rewards

    def get_state(self) -> dict[str, Any]:
        """What `set_state` needs to go on from here."""
        return {"running": self.running.copy(), "statistics": self.statistics.get_state()}

    def set_state(self, saved: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.running = saved["running"].copy()
        self.statistics.set_state(saved["statistics"])
