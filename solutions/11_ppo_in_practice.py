"""Exercise 11: PPO in practice. Write the function, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch


# %%
def ppo_update(agent, batch, settings, minibatches):
    """Improve a policy and its value network on one rollout of B samples, in place.

    The advantages are normalised once, over the whole rollout: minus their mean, divided by their
    standard deviation (over B, not B - 1) plus 1e-8. Then each minibatch of each epoch, in the
    order given, makes one step of the optimiser, on the loss

        policy loss + value_coef * value loss - entropy_coef * mean entropy

    where all means are over the minibatch; the policy loss is minus the mean of
    min(r A, clip(r, 1 - clip_range, 1 + clip_range) A), with A the normalised advantage and r the
    ratio of the action's probability to what it was before the update; and the value loss is half
    the mean squared error. Before each step, the norm of the gradient of all parameters together is
    clipped to max_grad_norm, as `torch.nn.utils.clip_grad_norm_` does it.

    Parameters
    ----------
    agent : object
        ``agent.policy(observations)`` returns a distribution with ``log_prob(actions)`` and
        ``entropy()``, both of shape (n,); ``agent.value_network(observations)`` returns values,
        shape (n,). ``agent.parameters()`` returns the list of all parameters, of both networks;
        ``agent.optimizer`` changes them, by gradient descent, with ``zero_grad()`` and ``step()``
        as torch's optimisers have them.
    batch : object
        ``batch.observations`` (B, features), ``batch.actions`` (B,), ``batch.advantages`` (B,) and
        ``batch.value_targets`` (B,): tensors without gradients, not to be changed.
    settings : object
        ``settings.clip_range``, ``settings.value_coef``, ``settings.entropy_coef`` and
        ``settings.max_grad_norm``: floats.
    minibatches : list of lists of Tensor
        ``minibatches[e][m]`` holds the indices, int64, of the samples of epoch e's minibatch m.

    Returns
    -------
    None
        What is judged are the parameters.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        old_log_probs = agent.policy(batch.observations).log_prob(batch.actions)
    advantages = batch.advantages - batch.advantages.mean()
    advantages = advantages / (advantages.std(correction=0) + 1e-8)

    for epoch in minibatches:
        for index in epoch:
            new = agent.policy(batch.observations[index])
            ratio = (new.log_prob(batch.actions[index]) - old_log_probs[index]).exp()
            clipped = ratio.clamp(1 - settings.clip_range, 1 + settings.clip_range)
            gain = torch.minimum(ratio * advantages[index], clipped * advantages[index])
            errors = agent.value_network(batch.observations[index]) - batch.value_targets[index]
            value_loss = (errors**2).mean() / 2
            loss = settings.value_coef * value_loss - gain.mean()
            loss = loss - settings.entropy_coef * new.entropy().mean()

            agent.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(agent.parameters(), settings.max_grad_norm)
            agent.optimizer.step()
    ### END SOLUTION
