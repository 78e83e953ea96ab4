"""Runs: the training loop, checkpoints, evaluation."""

from .checkpoint import has_checkpoint
from .evaluation import evaluate
from .train import DIAGNOSTICS, History, load_agent, resume, train

__all__ = [
    "DIAGNOSTICS",
    "History",
    "evaluate",
    "has_checkpoint",
    "load_agent",
    "resume",
    "train",
]
