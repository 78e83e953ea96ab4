"""Runs: the training loop, checkpoints, evaluation."""

from .agents import load_agent, save_agent
from .checkpoint import has_checkpoint
from .evaluation import evaluate
from .history import DIAGNOSTICS, History
from .train import load_history, resume, train

__all__ = [
    "DIAGNOSTICS",
    "History",
    "evaluate",
    "has_checkpoint",
    "load_agent",
    "load_history",
    "resume",
    "save_agent",
    "train",
]
