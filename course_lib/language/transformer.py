"""A decoder-only transformer, small enough to know everything about (chapter 15).

Attention is written out, in three lines. The fused kernels have no second derivative on a CPU, and
Fisher-vector products need one.
"""

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Causal self-attention: every position mixes the values of itself and of those before it."""

    future: Tensor

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        future = torch.full((length, length), -torch.inf).triu(1)
        self.register_buffer("future", future, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, D) to (B, L, D)."""
        B, L, D = x.shape
        q, k, v = self.project(x).view(B, L, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + self.future[:L, :L]
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, L, D))


class Block(nn.Module):
    """Attention, then a perceptron at every position; both are added to what comes in."""

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, length)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, D) to (B, L, D)."""
        x = x + self.attention(self.before_attention(x))
        return x + self.perceptron(self.before_perceptron(x))


class Decoder(nn.Module):
    """Maps the tokens so far to logits of the next one.

    Parameters
    ----------
    vocabulary : int
        Number of tokens.
    length : int
        Most tokens it can read.
    width, layers, heads : int
        Size; ``heads`` divides ``width``.
    outputs : int, optional
        Numbers at each position: logits of the next token by default, 1 for a critic.
    seed : int
        Of the initial weights. torch's global generator is left as it was.

    Raises
    ------
    ValueError
        If ``heads`` does not divide ``width``.

    References
    ----------
    Vaswani et al. (2017), arXiv:1706.03762, with the normalisation before each part as in GPT-2.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int = 48,
        layers: int = 2,
        heads: int = 4,
        outputs: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width; {heads} does not divide {width}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            nn.init.normal_(self.tokens.weight, std=0.1)  # at 1, torch's default, sums take far
            nn.init.normal_(self.places.weight, std=0.1)  # longer to learn
            self.blocks = nn.Sequential(*(Block(width, heads, length) for _ in range(layers)))
            self.normalize = nn.LayerNorm(width)
            self.head = nn.Linear(width, outputs or vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the token that follows each position.

        Parameters
        ----------
        tokens : Tensor of int64, shape (B, L)

        Returns
        -------
        Tensor, shape (B, L, V)
            Position l knows of tokens 0 to l.
        """
        _, L = tokens.shape
        x = self.tokens(tokens) + self.places.weight[:L]
        return self.head(self.normalize(self.blocks(x)))
