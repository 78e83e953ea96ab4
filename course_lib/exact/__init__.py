"""Small MDPs where everything is known: values, visitation, bounds, exact improvement steps."""

from .bounds import achiam_bound, all_bounds, kl_divergence, total_variation
from .improvement import conservative_step, iterate, mm_step, policy_iteration
from .ledger import ledger_mdp
from .mdp import (
    MDP,
    expected_return,
    performance_difference,
    policy_evaluation,
    random_mdp,
    random_policy,
    state_distribution,
    surrogate,
    undiscounted_distribution,
    visitation,
)
from .tightness import tightest, worst_case

__all__ = [
    "MDP",
    "achiam_bound",
    "all_bounds",
    "conservative_step",
    "expected_return",
    "iterate",
    "kl_divergence",
    "ledger_mdp",
    "mm_step",
    "performance_difference",
    "policy_evaluation",
    "policy_iteration",
    "random_mdp",
    "random_policy",
    "state_distribution",
    "surrogate",
    "tightest",
    "total_variation",
    "undiscounted_distribution",
    "visitation",
    "worst_case",
]
