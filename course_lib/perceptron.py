"""The multilayer perceptron: its values, its derivative D and the transpose D^T, written out.

The parameters are one vector theta, in R^P: of every layer first the weights, then the biases.
`forward` computes the outputs. `linearize` gives the two linear maps of chapter 6: `push` is D
(forward mode), `pull` is D^T (backpropagation). Fisher products use both. Training uses `pull`:
`Perceptron` makes the whole network a single node of autograd's graph, whose backward it is.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

_ONE = torch.ones(())


class Layer(NamedTuple):
    """One linear layer: weight (outputs, inputs) and bias (outputs,)."""

    weight: Tensor
    bias: Tensor


class Activation(NamedTuple):
    """An elementwise function between the layers.

    Attributes
    ----------
    torch, numpy : callable
        The function on tensors, with a gradient, and on arrays.
    in_place : callable
        The same on a tensor that nobody else needs, without a gradient.
    slope : callable
        Its derivative, from the function's *value*.
    """

    torch: Callable[[Tensor], Tensor]
    numpy: Callable[..., np.ndarray]
    in_place: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


def _tanh_in_place(x: Tensor) -> Tensor:
    # NumPy's tanh: torch's takes six times as long on AMD's processors.
    np.tanh(x.numpy(), out=x.numpy())
    return x


def _tanh_slope(y: Tensor) -> Tensor:
    return torch.addcmul(_ONE, y, y, value=-1.0)  # 1 - y^2 in one pass


ACTIVATIONS = {
    "tanh": Activation(torch.tanh, np.tanh, _tanh_in_place, _tanh_slope),
    "relu": Activation(
        torch.relu, lambda x: np.maximum(x, 0.0), torch.relu_, lambda y: (y > 0).to(y)
    ),
}


def layers_of(theta: Tensor, sizes: Sequence[int]) -> list[Layer]:
    """Cut theta into layers: views, in its memory and with its gradient.

    Parameters
    ----------
    theta : Tensor, shape (P,)
    sizes : sequence of int
        Width of the input, of every hidden layer and of the output.
    """
    layers, start = [], 0
    for n_in, n_out in pairwise(sizes):
        weight = theta.narrow(0, start, n_in * n_out).view(n_out, n_in)
        layers.append(Layer(weight, theta.narrow(0, start + n_in * n_out, n_out)))
        start += (n_in + 1) * n_out
    return layers


def forward(
    layers: Sequence[Layer], x: Tensor, activation: Callable[[Tensor], Tensor]
) -> tuple[list[Tensor], Tensor]:
    """The input of every layer, and the output of the last; x has shape (B, inputs)."""
    inputs = [x]
    for weight, bias in layers[:-1]:
        inputs.append(activation(torch.addmm(bias, inputs[-1], weight.t())))
    weight, bias = layers[-1]
    return inputs, torch.addmm(bias, inputs[-1], weight.t())


def linearize(
    layers: Sequence[Layer], inputs: Sequence[Tensor], slope: Callable[[Tensor], Tensor]
) -> tuple[Callable[[Sequence[Layer]], Tensor], Callable[[Tensor], Tensor]]:
    """The Jacobian D of the outputs by theta at one place, as two linear functions.

    Parameters
    ----------
    layers, inputs
        The place: the layers of theta, and what `forward` says goes into each.
    slope : callable
        See `Activation`.

    Returns
    -------
    push : callable
        D: from a tangent of theta, cut into layers, to that of the outputs, shape (B, outputs).
    pull : callable
        D^T: from a cotangent of the outputs, (B, outputs), to that of theta, shape (P,).
    """
    slopes = [slope(y) for y in inputs[1:]]
    last = len(layers) - 1

    def push(tangents: Sequence[Layer]) -> Tensor:
        tangent = None  # of what goes into the layer: x does not depend on theta
        for i, (weight, bias) in enumerate(tangents):
            out = torch.addmm(bias, inputs[i], weight.t())
            if tangent is not None:
                out.addmm_(tangent, layers[i].weight.t())
            if i < last:
                tangent = out.mul_(slopes[i])
        return out

    def pull(cotangent: Tensor) -> Tensor:
        parts: list[Tensor] = []  # from the last to the first
        for i in reversed(range(last + 1)):
            parts += [cotangent.sum(0), transposed_product(cotangent, inputs[i]).reshape(-1)]
            if i > 0:
                cotangent = (cotangent @ layers[i].weight).mul_(slopes[i - 1])
        return torch.cat(parts[::-1])

    return push, pull


def transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """Return a^T b, shape (m, n), of a (B, m) and b (B, n).

    The CPU's matrix product takes five times longer if the narrow one of two tall matrices comes
    second.
    """
    return (b.t() @ a).t() if b.shape[1] < a.shape[1] else a.t() @ b


class Perceptron(torch.autograd.Function):
    """The network as one node: ``Perceptron.apply(theta, x, sizes, activation)``."""

    @staticmethod
    def forward(
        ctx: Any, theta: Tensor, x: Tensor, sizes: Sequence[int], kind: Activation
    ) -> Tensor:
        """The outputs, shape (B, sizes[-1])."""
        ctx.sizes, ctx.kind, ctx.layers = sizes, kind, layers_of(theta, sizes)
        inputs, outputs = forward(ctx.layers, x, kind.in_place)
        ctx.save_for_backward(theta, *inputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None, None]:
        """D^T times the cotangent, for theta; x gets no gradient."""
        theta, *inputs = ctx.saved_tensors
        layers = ctx.layers
        if (
            torch.is_grad_enabled()
        ):  # create_graph: who differentiates again needs inputs with a graph
            layers = layers_of(theta, ctx.sizes)
            inputs, _ = forward(layers, inputs[0], ctx.kind.torch)
        _, pull = linearize(layers, inputs, ctx.kind.slope)
        return pull(cotangent), None, None, None
