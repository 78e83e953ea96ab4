"""Exercise 03: the surrogate objective. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch


# %%
def visitation_distribution(transitions, gamma, initial, policy):
    """Return how often a policy visits each state, early visits counting more.

    The book's d, not rho: the discounted visitation rho(s), which is the sum over t = 0, 1, 2, ...
    of gamma^t times the probability that state s is visited at time t, times 1 - gamma.

    Parameters
    ----------
    transitions : ndarray, shape (S, A, S)
        ``transitions[s, a, s2]`` is the probability of reaching s2 from s by action a.
    gamma : float in [0, 1)
        Discount factor.
    initial : ndarray, shape (S,)
        Distribution of the state at time 0.
    policy : ndarray, shape (S, A)
        ``policy[s, a]`` is the probability of action a in state s.

    Returns
    -------
    ndarray, shape (S,)
        A distribution: it sums to 1. The sum over t has no last term; the process never ends, and
        with gamma near 1 no fixed number of terms is enough.
    """
    ### BEGIN SOLUTION
    chain = np.einsum("sa,sat->st", policy, transitions)
    visits = np.linalg.solve(np.eye(len(initial)) - gamma * chain.T, initial)
    return (1 - gamma) * visits
    ### END SOLUTION


# %%
def tabular_advantages(transitions, rewards, gamma, policy):
    """Return the advantages Q - V of a policy, shape (S, A). This one is given: use it below."""
    chain = np.einsum("sa,sat->st", policy, transitions)
    values = np.linalg.solve(np.eye(len(chain)) - gamma * chain, (policy * rewards).sum(axis=1))
    return rewards + gamma * transitions @ values - values[:, None]


# %%
def performance_difference(transitions, rewards, gamma, initial, old, new):
    """Return J(new) - J(old) as the performance-difference lemma gives it.

    The lemma needs the old policy's advantages and the states that the new policy visits. Policy
    evaluation of both policies gives the same number: let it check yours.

    Parameters
    ----------
    transitions : ndarray, shape (S, A, S)
        ``transitions[s, a, s2]`` is the probability of reaching s2 from s by action a.
    rewards : ndarray, shape (S, A)
        Expected reward of action a in state s.
    gamma : float in [0, 1)
        Discount factor.
    initial : ndarray, shape (S,)
        Distribution of the state at time 0.
    old, new : ndarray, shape (S, A)
        Two policies: the probability of every action in every state.

    Returns
    -------
    float
        Positive where the new policy is better. J is the expected discounted return, the sum of
        gamma^t times the reward at time t, all t, without a factor 1 - gamma.
    """
    ### BEGIN SOLUTION
    advantages = tabular_advantages(transitions, rewards, gamma, old)
    gains = (new * advantages).sum(axis=1)
    return visitation_distribution(transitions, gamma, initial, new) @ gains / (1 - gamma)
    ### END SOLUTION


# %%
def surrogate(log_probs, old_log_probs, advantages):
    """Return the sample estimate of the surrogate objective, to be maximised.

    The constant J(old) and the factor 1 / (1 - gamma) of the theory are left out, and every step
    counts alike: the states are those that were met, without the theory's weight gamma^t.

    Parameters
    ----------
    log_probs : Tensor, shape (B,)
        Log-probability of each action taken under the new policy; autograd follows it.
    old_log_probs : Tensor, shape (B,)
        The same under the policy that took the actions. Data: no gradient flows into it, even
        where it carries one. Log-probabilities may be far below -700, where exp gives 0.
    advantages : Tensor, shape (B,)
        Estimated advantages of the old policy for the same steps. Data as well, used as they are.

    Returns
    -------
    Tensor, scalar
        Mean, over the B steps, of the probability ratio new / old times the advantage.
    """
    ### BEGIN SOLUTION
    ratio = torch.exp(log_probs - old_log_probs.detach())
    return (ratio * advantages.detach()).mean()
    ### END SOLUTION
