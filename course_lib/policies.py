"""Policy and value networks: multilayer perceptrons, by default tanh and orthogonal.

A policy maps observations to an action distribution (see `distributions`). It acts in two ways.
Training differentiates through the torch module. Rollouts only need actions, so `sampler` and
`greedy` run the same weights in NumPy, which is several times faster at small batches.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .distributions import Categorical, DiagonalGaussian
from .perceptron import ACTIVATIONS, Layer, Perceptron, forward, layers_of
from .spaces import require_supported, shape_of

Actor = Callable[[NDArray], NDArray]


class Noise(Protocol):
    """What a sampler draws from: a `numpy.random.Generator`, or what stands in for one."""

    def gumbel(self, *, size: tuple[int, ...]) -> NDArray:
        """Draws from the standard Gumbel distribution."""

    def standard_normal(self, size: tuple[int, ...], dtype: type[np.float32]) -> NDArray:
        """Draws from the standard normal distribution."""


class MLP(nn.Module):
    """Linear layers with an activation between them; all weights and biases are one vector, theta.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of every hidden layer and of the output.
    output_scale : float
        Gain of the last layer's orthogonal initialisation (hidden layers: sqrt 2). A small gain
        starts a policy close to uniform; chapter 12 measures what that is worth.
    generator : torch.Generator
        Source of the initial weights.
    orthogonal : bool
        True: orthogonal weights with these gains, biases 0. False: torch's default for linear
        layers, everything uniform within 1 / sqrt(inputs), whatever the layer.
    activation : {"tanh", "relu"}
        Between the layers.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        output_scale: float,
        generator: torch.Generator,
        orthogonal: bool = True,
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {[*ACTIVATIONS]}, not {activation!r}")
        self.activation = ACTIVATIONS[activation]
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes needs an input and an output width >= 1, not {sizes!r}")
        self.sizes = tuple(sizes)
        count = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
        self.theta = nn.Parameter(torch.empty(count))
        gains = [math.sqrt(2.0)] * (len(sizes) - 2) + [output_scale]
        for layer, gain in zip(self.layers, gains, strict=True):
            if orthogonal:
                nn.init.orthogonal_(layer.weight, gain, generator=generator)
                nn.init.zeros_(layer.bias)
            else:
                bound = layer.weight.shape[1] ** -0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    @property
    def layers(self) -> list[Layer]:
        """Weight and bias of every layer: views of theta."""
        return layers_of(self.theta, self.sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., sizes[0]) to (..., sizes[-1])."""
        if x.dim() != 2:
            return self(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)
        # The node differentiates by theta only, and torch.func cannot look into it.
        if x.requires_grad or torch._C._are_functorch_transforms_active():
            return forward(self.layers, x, self.activation.torch)[1]
        return Perceptron.apply(self.theta, x, self.sizes, self.activation)

    def numpy_forward(self) -> Callable[[NDArray], NDArray]:
        """The same function on NumPy arrays, reading the weights where torch keeps them."""
        weights = [
            (layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in self.layers
        ]
        *hidden, (last_weight, last_bias) = weights
        activation = self.activation.numpy

        def forward(x: NDArray) -> NDArray:
            for weight, bias in hidden:
                x = activation(x @ weight + bias)
            return x @ last_weight + last_bias

        return forward


class CategoricalPolicy(nn.Module):
    """A policy over K discrete actions.

    Parameters
    ----------
    observation_size, n_actions : int
        Width of an observation; number of actions K.
    generator : torch.Generator
        Source of the initial weights.
    hidden : sequence of int
        Widths of the hidden layers.
    output_scale : float
        Gain of the last layer's initialisation.
    **network
        Passed on to `MLP`: ``orthogonal`` and ``activation``.
    """

    def __init__(
        self,
        observation_size: int,
        n_actions: int,
        generator: torch.Generator,
        hidden: Sequence[int] = (64, 64),
        output_scale: float = 0.01,
        **network: Any,
    ) -> None:
        super().__init__()
        sizes = (observation_size, *hidden, n_actions)
        self.net = MLP(sizes, output_scale, generator, **network)

    def forward(self, observations: Tensor) -> Categorical:
        """Distribution of the action in each state; observations (B, observation_size)."""
        return Categorical(logits=self.net(observations))

    def sampler(self, rng: Noise) -> Actor:
        """A function from observations (N, O) to actions (N,) int64, drawn from the policy."""
        forward = self.net.numpy_forward()

        def act(observations: NDArray) -> NDArray:
            logits = forward(observations)
            # The Gumbel-max trick: argmax of logits plus Gumbel noise is a draw from softmax.
            return (logits + rng.gumbel(size=logits.shape)).argmax(-1)

        return act

    def greedy(self) -> Actor:
        """A function from observations (N, O) to the most probable actions (N,)."""
        forward = self.net.numpy_forward()
        return lambda observations: forward(observations).argmax(-1)


class GaussianPolicy(nn.Module):
    """A policy over real-valued actions of d dimensions, with independent components.

    Actions are not squashed. The environment clips what it receives; log-probabilities are those of
    the unclipped action, because that is the one the policy drew (chapter 9).

    Parameters
    ----------
    observation_size, action_size : int
        Widths of an observation and of an action (d).
    generator : torch.Generator
        Source of the initial weights.
    hidden : sequence of int
        Widths of the hidden layers.
    output_scale : float
        Gain of the last layer's initialisation.
    initial_log_std : float
        log sigma at the start, the same in every dimension.
    state_dependent_std : bool
        If true, log sigma is a second head of the network; if false, one free parameter per
        action dimension.
    **network
        Passed on to `MLP`: ``orthogonal`` and ``activation``.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        generator: torch.Generator,
        hidden: Sequence[int] = (64, 64),
        output_scale: float = 0.01,
        initial_log_std: float = -0.5,
        state_dependent_std: bool = False,
        **network: Any,
    ) -> None:
        super().__init__()
        self.action_size = action_size
        self.state_dependent_std = state_dependent_std
        outputs = 2 * action_size if state_dependent_std else action_size
        self.net = MLP((observation_size, *hidden, outputs), output_scale, generator, **network)
        if state_dependent_std:
            nn.init.constant_(self.net.layers[-1].bias[action_size:], initial_log_std)
        else:
            self.log_std = nn.Parameter(torch.full((action_size,), float(initial_log_std)))

    def forward(self, observations: Tensor) -> DiagonalGaussian:
        """Distribution of the action in each state; observations (B, observation_size)."""
        outputs = self.net(observations)
        if self.state_dependent_std:
            return DiagonalGaussian(*outputs.split(self.action_size, dim=-1))
        # A copy: the old policy's distribution must not follow the parameter when it is updated.
        return DiagonalGaussian(mean=outputs, log_std=self.log_std.clone())

    def sampler(self, rng: Noise) -> Actor:
        """A function from observations (N, O) to actions (N, d) of their type, drawn from the policy."""
        forward, d = self.net.numpy_forward(), self.action_size
        # A view, like the weights: the sampler follows the parameter when it is updated.
        log_std = None if self.state_dependent_std else self.log_std.detach().numpy()

        def act(observations: NDArray) -> NDArray:
            outputs = forward(observations)
            mean = outputs[:, :d]
            noise = rng.standard_normal(mean.shape, dtype=np.float32)
            return mean + np.exp(outputs[:, d:] if log_std is None else log_std) * noise

        return act

    def greedy(self) -> Actor:
        """A function from observations (N, O) to the mean actions (N, d)."""
        forward, d = self.net.numpy_forward(), self.action_size
        return lambda observations: forward(observations)[:, :d]


Policy = CategoricalPolicy | GaussianPolicy


class ValueNetwork(nn.Module):
    """State values V(s); a network of its own, sharing nothing with the policy (chapter 9).

    Parameters
    ----------
    observation_size : int
        Width of an observation.
    generator : torch.Generator
        Source of the initial weights.
    hidden : sequence of int
        Widths of the hidden layers.
    **network
        Passed on to `MLP`: ``orthogonal`` and ``activation``.
    """

    def __init__(
        self,
        observation_size: int,
        generator: torch.Generator,
        hidden: Sequence[int] = (64, 64),
        **network: Any,
    ) -> None:
        super().__init__()
        self.net = MLP((observation_size, *hidden, 1), 1.0, generator, **network)

    def forward(self, observations: Tensor) -> Tensor:
        """Values, shape (B,) for observations (B, observation_size): no trailing axis."""
        return self.net(observations).squeeze(-1)


def make_policy(
    observation_space: gym.Space,
    action_space: gym.Space,
    generator: torch.Generator,
    **settings,
) -> Policy:
    """The policy that fits an environment's spaces.

    Parameters
    ----------
    observation_space, action_space : gymnasium.Space
        Spaces of a single environment: a flat Box, and a Discrete or a flat Box.
    generator : torch.Generator
        Source of the initial weights.
    **settings
        Passed on to `CategoricalPolicy` or `GaussianPolicy`.

    Raises
    ------
    ValueError
        If the spaces are of another kind; the message names a wrapper that helps.
    """
    require_supported(observation_space, action_space)
    (observation_size,) = shape_of(observation_space)
    if isinstance(action_space, gym.spaces.Discrete):
        return CategoricalPolicy(observation_size, int(action_space.n), generator, **settings)
    return GaussianPolicy(observation_size, shape_of(action_space)[0], generator, **settings)
