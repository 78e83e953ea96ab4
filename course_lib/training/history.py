"""What a training run did: its tables, and the agent it ended with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..algorithms.agent import Agent
from ..algorithms.settings import Settings

#: Columns of `History.updates`, one row per update, and what they mean. Each algorithm reports
#: those that it has.
DIAGNOSTICS: dict[str, str] = {
    "step": "environment steps so far, over all copies",
    "seconds": "wall-clock seconds since training began",
    "mean_return": "mean return of the episodes that ended in this rollout (NaN if none did)",
    "evaluation": "mean return of the greedy policy over fresh episodes (NaN: not evaluated here)",
    "policy_loss": "mean policy loss over the update's minibatches",
    "value_loss": "mean value loss over the update's minibatches",
    "grad_norm": "mean gradient norm before clipping",
    "kl": "exact mean KL(old || new) in nats, after the update",
    "approx_kl": "its k3 estimate from the sampled actions",
    "entropy": "mean entropy of the policy in nats, after the update",
    "clip_fraction": "share of samples whose ratio left the clip range",
    "effective_sample_size": "(sum r)^2 / sum r^2 as a share of the batch; 1 when all ratios agree",
    "epochs": "passes over the rollout",
    "accepted": "1 if the line search accepted a step, 0 if the policy stayed as it was",
    "step_fraction": "share of the full trust-region step that was taken",
    "expected_improvement": "of the surrogate, by the linear model, for the step tried last",
    "improvement": "of the surrogate, actually, for the step tried last",
    "cg_iterations": "iterations of conjugate gradients",
    "cg_residual": "their last residual as a share of the first",
    "beta": "KL coefficient of this update",
    "explained_variance": "of the value targets by the critic, before the update",
    "learning_rate": "Adam's step size in this update",
    "clipped_share": "share of the components of Box actions that were clipped to the bounds",
}


@dataclass
class History:
    """What a training run did, and the agent it ended with.

    Attributes
    ----------
    env_id : str
    settings : Settings
    seed : int
    agent : Agent
        The networks after the last update.
    updates : DataFrame
        One row per update, with the columns of `DIAGNOSTICS`.
    episodes : DataFrame
        One row per finished training episode: ``step`` (steps taken by the end of its rollout),
        ``return`` and ``length``.
    """

    env_id: str
    settings: Settings
    seed: int
    agent: Agent
    updates: pd.DataFrame
    episodes: pd.DataFrame


def updates_table(rows: Sequence[dict[str, float]]) -> pd.DataFrame:
    """The diagnostics of a run, one row per update, with the columns of `DIAGNOSTICS` it has."""
    table = pd.DataFrame(list(rows))
    if "evaluation" in table and table["evaluation"].isna().all():
        table = table.drop(columns="evaluation")
    return table.reindex(columns=[name for name in DIAGNOSTICS if name in table])


def episodes_table(episodes: Sequence[np.ndarray]) -> pd.DataFrame:
    """The finished episodes of a run, from arrays of shape (E, 3): step, return and length."""
    rows = np.concatenate([np.empty((0, 3)), *episodes])
    table = pd.DataFrame(rows, columns=["step", "return", "length"])
    return table.astype({"step": np.int64, "length": np.int64})
