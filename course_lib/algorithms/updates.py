"""What the updates share: a gradient step, the critic's loss and fit, and what changed."""

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..distributions import Distribution
from ..parameters import flatten
from ..surrogate import approx_kl, effective_sample_size, kl_divergence
from .agent import Agent, Batch, require_finite


def gradient_step(agent: Agent, loss: Tensor, max_grad_norm: float | None) -> float:
    """One step of the agent's optimiser down a loss.

    Parameters
    ----------
    agent : Agent
        Changed in place: those parameters that its optimiser holds.
    loss : Tensor, scalar
    max_grad_norm : float or None
        Scale the gradient of all parameters together down to this norm, if it is longer; what
        torch's ``clip_grad_norm_`` does, without the 1e-6 that it adds to the norm.

    Returns
    -------
    float
        The gradient's norm before scaling.

    Raises
    ------
    FloatingPointError
        If the gradient is not finite, or unscaled would be too long for Adam, which squares it;
        nothing has changed then.
    """
    agent.optimizer.zero_grad()
    loss.backward()
    parameters = [p for group in agent.optimizer.param_groups for p in group["params"]]
    gradients = [p.grad for p in parameters if p.grad is not None]
    grad_norm = _finite_norm(flatten(gradients), scaled=max_grad_norm is not None)
    if max_grad_norm is not None and grad_norm > max_grad_norm:
        for gradient in gradients:
            gradient.mul_(max_grad_norm / grad_norm)
    agent.optimizer.step()
    return grad_norm


def _finite_norm(gradient: Tensor, scaled: bool) -> float:
    """The gradient's norm; a FloatingPointError if it is not finite, or Adam's squares will not be."""
    norm = gradient.dot(gradient).sqrt().item()
    if not math.isfinite(norm):  # squares overflow long before the gradient does
        norm = gradient.double().norm().item()
        require_finite(gradient=norm)
        if not scaled:
            raise FloatingPointError(
                f"the gradient's norm is {norm:.1e}, too long for Adam: set max_grad_norm"
            )
    return norm


def value_loss(
    values: Tensor,
    targets: Tensor,
    old_values: Tensor | None = None,
    value_clip_range: float | None = None,
) -> Tensor:
    """Half the mean squared error of the critic, with PPO's value clipping, Eq. (12.1), if asked.

    The clipped form takes, sample by sample, the larger of the squared errors of the value and of
    the value held within ``old_values +- value_clip_range``. Its gradient dies where a value has
    moved towards its target by more than the range and is not far past it, Eq. (12.2).

    Parameters
    ----------
    values, targets : Tensor, shape (B,)
        The critic's output and what it should be.
    old_values : Tensor, shape (B,), optional
        Its output before the update; needed for clipping.
    value_clip_range : float, positive, or None

    Returns
    -------
    Tensor, scalar

    Raises
    ------
    ValueError
        If shapes differ, the range is not positive, or old_values is missing.

    References
    ----------
    Engstrom et al. (2020), arXiv:2005.12729, section 3 (value function clipping).
    """
    _require_clippable(values, targets, old_values, value_clip_range)
    squared_errors = (values - targets).square()
    if value_clip_range is not None and old_values is not None:
        change = (values - old_values).clamp(-value_clip_range, value_clip_range)
        held = old_values + change
        squared_errors = torch.maximum(squared_errors, (held - targets).square())
    return 0.5 * squared_errors.mean()


def _require_clippable(
    values: Tensor, targets: Tensor, old_values: Tensor | None, value_clip_range: float | None
) -> None:
    if values.shape != targets.shape:
        raise ValueError(
            f"values have shape {tuple(values.shape)} but targets {tuple(targets.shape)}"
        )
    if value_clip_range is not None:
        if not value_clip_range > 0:
            raise ValueError(f"value_clip_range must be positive, not {value_clip_range!r}")
        if old_values is None or old_values.shape != values.shape:
            raise ValueError("value clipping needs old_values, of the same shape as values")


class CriticSettings(Protocol):
    """What `fit_critic` reads of an algorithm's settings."""

    @property
    def critic_epochs(self) -> int:
        """Passes over the batch."""

    @property
    def minibatch_size(self) -> int:
        """Samples of a gradient step."""

    @property
    def max_grad_norm(self) -> float | None:
        """As in `gradient_step`."""

    @property
    def value_clip_range(self) -> float | None:
        """As in `value_loss`."""


def fit_critic(
    agent: Agent, batch: Batch, settings: CriticSettings, rng: np.random.Generator
) -> dict[str, float]:
    """Fit the critic to a batch's value targets by epochs of minibatch steps.

    Called after the policy's step: advantages must come from the critic as it was before it saw
    these returns.

    Parameters
    ----------
    agent : Agent
        Its optimiser must hold the critic's parameters only.
    batch : Batch
    settings : NPGSettings or TRPOSettings
        Their ``critic_epochs``, ``minibatch_size``, ``max_grad_norm`` and ``value_clip_range``.
    rng : numpy.random.Generator
        Shuffles the minibatches.

    Returns
    -------
    dict of float
        ``value_loss`` and ``grad_norm``, means over the minibatches.

    Raises
    ------
    FloatingPointError
        If the loss or its gradient is not finite.
    """
    old_values, losses = batch.values, []  # one row per gradient step
    for _ in range(settings.critic_epochs):
        permutation = torch.from_numpy(rng.permutation(len(old_values)))
        for index in permutation.split(settings.minibatch_size):
            loss = value_loss(
                agent.value_network(batch.observations[index]),
                batch.value_targets[index],
                old_values[index],
                settings.value_clip_range,
            )
            require_finite(value_loss=loss)
            grad_norm = gradient_step(agent, loss, settings.max_grad_norm)
            losses.append((loss.item(), grad_norm))
    mean_value_loss, mean_grad_norm = np.mean(losses, axis=0).tolist()
    return {"value_loss": mean_value_loss, "grad_norm": mean_grad_norm}


def policy_change(old: Distribution, new: Distribution, actions: Tensor) -> dict[str, float]:
    """How far an update moved the policy, for the diagnostics.

    Parameters
    ----------
    old, new : Distribution
        Of the B states of the batch, before and after, without gradients.
    actions : Tensor, shape (B,) or (B, d)
        Drawn from the old one.

    Returns
    -------
    dict of float
        ``kl``, ``approx_kl``, ``entropy`` and ``effective_sample_size``; see `training.train.DIAGNOSTICS`.
    """
    log_probs, old_log_probs = new.log_prob(actions), old.log_prob(actions)
    return {
        "kl": kl_divergence(old, new).item(),
        "approx_kl": approx_kl(log_probs, old_log_probs).item(),
        "entropy": new.entropy().mean().item(),
        "effective_sample_size": effective_sample_size(log_probs, old_log_probs).item(),
    }
