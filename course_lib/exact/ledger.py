"""The MDP of the gap ledger: six rooms, two of which look alike (chapters 1 to 13).

=====  ==========  ======  ====  ====  =====  ===============================
room   looks like  reward  left  stay  right
=====  ==========  ======  ====  ====  =====  ===============================
0      door             0     2     0      1  where every episode starts
1      garden           5     3     3      4  visited once at most
2      swamp           -5     3     2      3  never met again once left
3      hall             0     3     3      4
4      door             0     3     4      5  the back door, met for ever after
5      pit             -1     3     3      4
=====  ==========  ======  ====  ====  =====  ===============================

Nine times in ten the action chosen is taken, otherwise one of the three at random. The policy is a
softmax that sees only what a room looks like, so both doors share their three logits. At the front
door "right" is worth a lot, once; at the back door it costs a little, again and again.

Measured from the uniform policy, gamma = 0.9, undiscounted states over a horizon of 200 steps:

* discounted, the front door has weight 0.143 and the back door 0.239; undiscounted 0.0075 and 0.328;
* the gradient of J and the gradient without gamma^t have cosine -0.60 (+0.45 at a horizon of 50,
  -0.35 at 100). If nothing is aliased every state's block keeps its direction: cosine +0.39;
* J is -1.63. One hundred gradient steps of size 1 (on states that sum to one) lead to 3.66; without
  gamma^t they lead to -3.75. After 3000 steps: 3.93 against 0.49. The best policy that cannot tell
  the doors apart and does not randomise earns 3.95, the best of all policies 4.16.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .mdp import MDP, policy_evaluation, visitation

#: What each room looks like: door, garden, swamp, hall, door, pit.
LOOKS = np.array([0, 1, 2, 3, 0, 4])
LEFT, STAY, RIGHT = range(3)

_REWARDS = np.array([0.0, 5.0, -5.0, 0.0, 0.0, -1.0])
_SUCCESSORS = np.array([[2, 0, 1], [3, 3, 4], [3, 2, 3], [3, 3, 4], [3, 4, 5], [3, 3, 4]])
_SLIP = 0.1


def ledger_mdp(gamma: float = 0.9) -> MDP:
    """The six rooms; see the table above."""
    certain = np.eye(6)[_SUCCESSORS]  # (S, A, S)
    transitions = (1.0 - _SLIP) * certain + _SLIP * certain.mean(axis=1, keepdims=True)
    return MDP(transitions, np.repeat(_REWARDS[:, None], 3, axis=1), gamma, np.eye(6)[0])


def ledger_features() -> NDArray:
    """One-hot looks of the rooms, shape (6, 5). With ``np.eye(6)`` instead nothing is aliased."""
    return np.eye(5)[LOOKS]


def softmax_policy(theta: ArrayLike, features: ArrayLike) -> NDArray:
    """Policy whose logits are linear in the features of a state, shape (S, A).

    Parameters
    ----------
    theta : array_like, shape (F, A)
        Parameters: zeros give the uniform policy.
    features : array_like, shape (S, F)

    Raises
    ------
    ValueError
        If theta and features do not agree on F.
    """
    theta, features = np.asarray(theta, dtype=float), np.asarray(features, dtype=float)
    if theta.ndim != 2 or features.ndim != 2 or len(theta) != features.shape[1]:
        raise ValueError(
            f"theta must be (F, A) and features (S, F), not {theta.shape} and {features.shape}"
        )
    logits = features @ theta
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def policy_gradient(
    mdp: MDP, theta: ArrayLike, features: ArrayLike, states: ArrayLike | None = None
) -> NDArray:
    """Exact ``sum_s rho(s) sum_a grad pi(a|s) A(s, a)`` of a `softmax_policy`, shape (F, A).

    Parameters
    ----------
    mdp : MDP
    theta, features : array_like
        As in `softmax_policy`.
    states : array_like, shape (S,), optional
        Weight of each state. The default is `visitation`, which makes this the gradient of J.
        Passing the `undiscounted_distribution` shows what is estimated when gamma^t is dropped.

    Raises
    ------
    ValueError
        If shapes do not fit.

    References
    ----------
    Sutton et al. (2000), Theorem 1; Nota and Thomas (2020), arXiv:1906.07073, on dropping gamma^t.
    """
    policy = softmax_policy(theta, features)
    states = visitation(mdp, policy) if states is None else np.asarray(states, dtype=float)
    if states.shape != (mdp.n_states,):
        raise ValueError(f"states must have shape (S,) = ({mdp.n_states},), not {states.shape}")
    # For a softmax, sum_a A grad pi is pi * A for the logits of the state: A has mean zero.
    blocks = states[:, None] * policy * policy_evaluation(mdp, policy).advantage  # (S, A)
    return np.asarray(features, dtype=float).T @ blocks
