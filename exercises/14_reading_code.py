"""Exercise 14: reading other people's code. Repair the functions, then run ``pytest exercises/``.

Each function runs, and each gives wrong numbers. The text says what it should compute, and by which
symptom the fault was noticed. The fault is one line; most of each function is right.
"""

# %%
import numpy as np
import torch


# %%
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    """Return generalised advantage estimates for one environment, several episodes in a row.

    Such a function stood in a blog post. Symptom: the advantages of the last steps before a pole
    falls depend on how well the next episode goes.

    Parameters
    ----------
    rewards, values : ndarray, shape (T,)
        Reward of each step, and V of the state it left.
    last_value : float
        V of the state that the last step reached.
    dones : ndarray of bool, shape (T,)
        True where step t ended its episode for good; step t + 1 is the first of the next one. This
        task has no time limit.
    gamma, gae_lambda : float
        Discount factor and decay of the trace.

    Returns
    -------
    ndarray, shape (T,)
        Entry t is the sum over k >= t, to the end of the episode of step t or of the rollout, of
        (gamma gae_lambda)^(k - t) times the TD residual of step k. The residual is the reward,
        plus gamma times V of the next state unless step k ended its episode, minus V of the state
        that was left.
    """
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.empty_like(deltas)
    advantages[-1] = deltas[-1]
    for t in range(len(deltas) - 2, -1, -1):
        advantages[t] = deltas[t] + gamma * gae_lambda * advantages[t + 1]
    return advantages


# %%
def slide_critic_loss(predictions, targets):
    """Return the mean squared error of a critic.

    Such a function stood on a lecture slide. Symptom: the critic predicts nearly the same number
    in every state, and a critic that is right everywhere has twice the variance of the targets as
    its loss.

    Parameters
    ----------
    predictions : Tensor, shape (B, 1)
        What the value network returned for B states; autograd follows it.
    targets : Tensor, shape (B,)
        The return that each of these states should have; no gradient.

    Returns
    -------
    Tensor, scalar
        Mean over the B states of the square of prediction minus target, without a factor one half.
        Its gradient reaches the predictions.
    """
    errors = predictions - targets
    return (errors**2).mean()


# %%
def blog_log_prob(actions, mean, log_std):
    """Return the log-density of actions under a Gaussian policy with independent dimensions.

    Such a function stood in a blog post. Symptom: fitted to actions whose standard deviation is 3,
    the policy says that its deviation is 9.

    Parameters
    ----------
    actions, mean : Tensor, shape (B, d)
        Actions taken in B states, and the policy's mean there.
    log_std : Tensor, shape (d,)
        Logarithm of the standard deviation sigma of each dimension, the same in all states.

    Returns
    -------
    Tensor, shape (B,)
        Logarithm of the product, over the d dimensions, of the normal densities with the given
        means and the standard deviations exp(log_std). Gradients reach mean and log_std.
    """
    std = torch.exp(log_std)
    policy = torch.distributions.MultivariateNormal(mean, torch.diag(std))
    return policy.log_prob(actions)


# %%
def slide_fisher_product(logits_fn, theta, vector, damping):
    """Return (F + damping I) v for the Fisher matrix F of a categorical policy.

    Such a function stood on a lecture slide. Symptom: conjugate gradients finish after one step
    and return the plain gradient, divided by the damping. It is called many times with the same
    theta, and leaves ``theta.grad`` as it is.

    Parameters
    ----------
    logits_fn : callable
        Takes parameters, shape (P,), and returns unnormalised log-probabilities of every action in
        B states, a Tensor of shape (B, actions).
    theta : Tensor, shape (P,)
        The parameters of the old policy; requires a gradient.
    vector : Tensor, shape (P,)
        v.
    damping : float
        Added to the diagonal of F.

    Returns
    -------
    Tensor, shape (P,)
        F is the Hessian at theta, with respect to the parameters of the new policy, of the mean
        over the B states of KL(old || new). Neither F nor any other matrix is needed as a whole.
    """
    old = torch.log_softmax(logits_fn(theta), dim=-1)
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad(slope @ vector, theta)
    return product + damping * vector


# %%
def popular_line_search(
    evaluate,
    theta,
    full_step,
    expected_improvement,
    max_kl,
    backtrack_factor,
    max_steps,
    accept_ratio,
):
    """Return the parameters after the longest of some shrinking steps that passes two tests.

    Such a function stood in popular TRPO code. Symptom: steps are accepted that improve the
    objective by far less than the share that was asked for, and the more so the later the trial.

    Parameters
    ----------
    evaluate : callable
        Takes parameters, shape (P,), and returns two floats: the improvement of the objective over
        theta, and the KL from the old policy.
    theta : ndarray, shape (P,)
        The old parameters. They must not be changed in place.
    full_step : ndarray, shape (P,)
        The step of the first trial.
    expected_improvement : float
        What the linear model expects of the full step, positive. Of a fraction of the step it
        expects the same fraction of the improvement.
    max_kl : float
        Bound on the KL.
    backtrack_factor : float in (0, 1)
        Each trial's step is this factor times the one before.
    max_steps : int
        Most trials, the full step among them.
    accept_ratio : float in (0, 1)
        Share of the expected improvement of a trial that it must exceed.

    Returns
    -------
    ndarray, shape (P,)
        theta plus the first step whose improvement is larger than accept_ratio times what the
        linear model expects of it, and whose KL is at most max_kl; theta if there is none.
    """
    fraction = 1.0
    for _ in range(max_steps):
        candidate = theta + fraction * full_step
        improvement, kl = evaluate(candidate)
        expected_improvement *= fraction
        if improvement > accept_ratio * expected_improvement and kl <= max_kl:
            return candidate
        fraction *= backtrack_factor
    return theta
