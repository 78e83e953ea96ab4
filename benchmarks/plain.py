"""The gradient step as it was before `course_lib.perceptron`: a dozen tensors, one autograd node each.

What `benchmarks.step` compares with: layers of `torch.nn.Linear`, torch's own activations, and
`torch.optim.Adam`. The library's losses and loops run on these networks as on its own.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.algorithms.agent import Agent, require_finite
from course_lib.parameters import flatten
from course_lib.perceptron import Activation
from course_lib.policies import MLP


class PlainMLP(nn.Module):
    """The same function as an `MLP`, of the same weights, with the graph that autograd makes."""

    def __init__(self, net: MLP) -> None:
        super().__init__()
        self.activation: Activation = net.activation
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, n_in, n_out) for n_in, n_out in pairwise(net.sizes)
        )
        with torch.no_grad():
            for ours, layer in zip(self.layers, net.layers, strict=True):
                ours.weight.copy_(layer.weight)
                ours.bias.copy_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        for layer in self.layers[:-1]:
            x = self.activation.torch(layer(x))
        return self.layers[-1](x)

    def numpy_forward(self):
        """The same on arrays, as `MLP` has it."""
        *hidden, last = [
            (x.weight.detach().numpy().T, x.bias.detach().numpy()) for x in self.layers
        ]

        def forward(x: np.ndarray) -> np.ndarray:
            for weight, bias in hidden:
                x = self.activation.numpy(x @ weight + bias)
            return x @ last[0] + last[1]

        return forward


def make_plain(agent: Agent) -> Agent:
    """Give the agent plain networks of the same weights, and torch's Adam over all of them."""
    agent.policy.net = PlainMLP(agent.policy.net)
    agent.value_network.net = PlainMLP(agent.value_network.net)
    (group,) = agent.optimizer.param_groups
    agent.optimizer = torch.optim.Adam(agent.parameters(), lr=group["lr"], eps=1e-5, fused=True)
    return agent


def plain_gradient_step(agent: Agent, loss: Tensor, max_grad_norm: float | None) -> float:
    """One step down a loss, as `course_lib.algorithms.updates.gradient_step` was written before."""
    agent.optimizer.zero_grad()
    loss.backward()
    parameters = [p for group in agent.optimizer.param_groups for p in group["params"]]
    gradients = [p.grad for p in parameters if p.grad is not None]
    grad_norm = flatten(gradients).norm().item()
    require_finite(gradient=grad_norm)
    if max_grad_norm is not None and grad_norm > max_grad_norm:
        for gradient in gradients:
            gradient.mul_(max_grad_norm / grad_norm)
    agent.optimizer.step()
    return grad_norm
