"""Exercise 01: policy gradients. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch


# %%
def rewards_to_go(rewards, gamma):
    """Return the discounted sum of the rewards from every step of one episode to its end.

    Parameters
    ----------
    rewards : ndarray, shape (T,)
        The rewards of one complete episode, of any length and size; they may be integers.
    gamma : float in [0, 1]
        Discount factor.

    Returns
    -------
    ndarray, shape (T,)
        Entry t is the sum over k >= t of gamma^(k - t) times the reward of step k.
    """
    ### BEGIN SOLUTION
    returns = np.zeros(len(rewards))
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + gamma * following
        returns[t] = following
    return returns
    ### END SOLUTION


# %%
def policy_gradient_loss(log_probs, weights):
    """Return the loss whose gradient estimates minus the policy gradient, up to a factor.

    The policy gradient sums over the steps of an episode. The mean over all B steps divides that
    by the mean length of the episodes, which changes no direction.

    Parameters
    ----------
    log_probs : Tensor, shape (B,)
        Log-probability of each action taken; autograd follows them back to the policy.
    weights : Tensor, shape (B,)
        How good each action was: a return or an advantage. They count as data, even where they
        come from a critic and carry a gradient.

    Returns
    -------
    Tensor, scalar
        Minus the mean, over the B steps, of log-probability times weight.
    """
    ### BEGIN SOLUTION
    return -(log_probs * weights.detach()).mean()
    ### END SOLUTION


# %%
def entropy_bonus(logits, coefficient):
    """Return the bonus for staying random: the mean entropy of a policy, times a coefficient.

    Parameters
    ----------
    logits : Tensor, shape (B, actions)
        Unnormalised log-probabilities of every action in B states. They may differ by thousands.
    coefficient : float
        Weight of the bonus.

    Returns
    -------
    Tensor, scalar
        Coefficient times the mean over the states of the entropy in nats. It is added to what is
        maximised, so its sign is that of the coefficient; it is 0 where every choice is certain.
    """
    ### BEGIN SOLUTION
    log_probs = torch.log_softmax(logits, dim=-1)
    entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
    return coefficient * entropy.mean()
    ### END SOLUTION
