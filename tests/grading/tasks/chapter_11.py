"""Chapter 11."""

import dataclasses
import types

import torch

from course_lib import ppo
from course_lib.distributions import Categorical


class GivenOrder:
    """In the place of a random generator: hands out the epochs' permutations as they are given."""

    def __init__(self, minibatches):
        self.epochs = iter([torch.cat(list(epoch)).numpy() for epoch in minibatches])

    def permutation(self, size):
        """Return the next epoch's order of the samples."""
        order = next(self.epochs)
        assert len(order) == size
        return order


def library_update(agent, batch, settings, minibatches):
    """Call the library's update, which knows its own distribution and draws its own minibatches."""
    policy = agent.policy
    library_agent = types.SimpleNamespace(
        policy=lambda observations: Categorical(policy(observations).logits),
        value_network=agent.value_network,
        optimizer=agent.optimizer,
    )
    library_settings = dataclasses.replace(
        ppo.PPOSettings(**vars(settings)),
        epochs=len(minibatches),
        minibatch_size=len(minibatches[0][0]),
    )
    library_batch = types.SimpleNamespace(**vars(batch), values=torch.zeros(len(batch.actions)))
    ppo.update(library_agent, library_batch, library_settings, GivenOrder(minibatches))


LIBRARY = {"ppo_update": library_update}
EQUIVALENT = {
    "ppo_update": [
        (
            "agent.value_network(batch.observations[index]) - batch.value_targets[index] -> "
            "batch.value_targets[index] - agent.value_network(batch.observations[index])",
            "the errors are squared",
        ),
    ],
}
CORRECT = {
    "ppo_update": [
        """
def ppo_update(agent, batch, settings, minibatches):
    obs, act = batch.observations, batch.actions
    old = agent.policy(obs).log_prob(act).detach().clone()
    A = batch.advantages.numpy()
    A = torch.tensor((A - A.mean()) / (A.std() + 1e-8))
    parameters = [p for group in agent.optimizer.param_groups for p in group["params"]]
    eps = settings.clip_range
    for i in (i for epoch in minibatches for i in epoch):
        dist = agent.policy(obs)
        r = torch.exp(dist.log_prob(act) - old)[i]
        L = torch.where(A[i] > 0, r.clamp(max=1 + eps), r.clamp(min=1 - eps)) * A[i]
        v = torch.nn.functional.mse_loss(agent.value_network(obs[i]), batch.value_targets[i])
        (-L.mean() + settings.value_coef * 0.5 * v
         - settings.entropy_coef * dist.entropy()[i].mean()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
        agent.optimizer.step()
        agent.optimizer.zero_grad()
""",
        """
def policy_loss(agent, batch, settings, index, old, advantages):
    total = 0.0
    for i in index.tolist():
        row = slice(i, i + 1)
        new = agent.policy(batch.observations[row])
        r = torch.exp(new.log_prob(batch.actions[row]) - old[i]).squeeze()
        A = advantages[i]
        best = torch.clamp(r, 1 - settings.clip_range, 1 + settings.clip_range)
        total = total + torch.max(-A * r, -A * best)
        total = total - settings.entropy_coef * new.entropy().squeeze()
    return total / len(index)


def ppo_update(agent, batch, settings, minibatches):
    with torch.no_grad():
        old = agent.policy(batch.observations).log_prob(batch.actions)
        variance, mean = torch.var_mean(batch.advantages, correction=0)
        advantages = (batch.advantages - mean) / (variance.sqrt() + 1e-8)
    for epoch in minibatches:
        for index in epoch:
            loss = policy_loss(agent, batch, settings, index, old, advantages)
            error = agent.value_network(batch.observations[index]) - batch.value_targets[index]
            loss = loss + settings.value_coef * 0.5 * error.dot(error) / len(error)
            gradients = torch.autograd.grad(loss, agent.parameters())
            norm = torch.cat([g.flatten() for g in gradients]).norm()
            scale = min(1.0, settings.max_grad_norm / (norm.item() + 1e-6))
            for parameter, slope in zip(agent.parameters(), gradients):
                parameter.grad = slope * scale
            agent.optimizer.step()
""",
        """
def ppo_update(agent, batch, settings, minibatches):
    old = agent.policy(batch.observations)
    old_log_probs = old.log_prob(batch.actions).detach().float()
    a = batch.advantages.float()
    a = (a - a.mean()) / (a.var(unbiased=False).sqrt() + 1e-8)
    for epoch in range(len(minibatches)):
        for m in range(len(minibatches[epoch])):
            i = minibatches[epoch][m]
            probs = agent.policy(batch.observations[i]).probs
            taken = probs[torch.arange(len(i)), batch.actions[i]]
            ratio = taken / old_log_probs[i].exp()
            clipped = torch.clamp(ratio, 1 - settings.clip_range, 1 + settings.clip_range)
            surrogate = torch.min(ratio * a[i], clipped * a[i]).mean()
            entropy = -(probs * probs.log()).sum(dim=1).mean()
            values = agent.value_network(batch.observations[i])
            critic = 0.5 * ((values - batch.value_targets[i]) ** 2).mean()
            agent.optimizer.zero_grad(set_to_none=False)
            loss = -(surrogate + settings.entropy_coef * entropy - settings.value_coef * critic)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(agent.parameters(), settings.max_grad_norm)
            agent.optimizer.step()
    return loss.item()
""",
    ]
}
HEAD = """
def ppo_update(agent, batch, settings, minibatches):
    obs, act, targets = batch.observations, batch.actions, batch.value_targets
    adv = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std(correction=0) + 1e-8)
    with torch.no_grad():
        old = agent.policy(obs).log_prob(act)
    for epoch in minibatches:
        for i in epoch:
            dist = agent.policy(obs[i])
            ratio = torch.exp(dist.log_prob(act[i]) - old[i])
            eps = settings.clip_range
            pg = torch.max(-adv[i] * ratio, -adv[i] * torch.clamp(ratio, 1 - eps, 1 + eps)).mean()
            vf = 0.5 * ((agent.value_network(obs[i]) - targets[i]) ** 2).mean()
            loss = pg + settings.value_coef * vf - settings.entropy_coef * dist.entropy().mean()
"""
STEP = """
            agent.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(agent.parameters(), settings.max_grad_norm)
            agent.optimizer.step()
"""
WRITTEN = {
    "ppo_update": [
        (HEAD + STEP.replace("agent.optimizer.zero_grad()", "pass"), "gradients_accumulate"),
        (
            HEAD
            + """
            agent.optimizer.zero_grad()
            torch.nn.utils.clip_grad_norm_(agent.parameters(), settings.max_grad_norm)
            loss.backward()
            agent.optimizer.step()
""",
            "gradient_not_clipped",
        ),
        (
            (HEAD + STEP)
            .replace(
                "    with torch.no_grad():\n        old = agent.policy(obs).log_prob(act)\n", ""
            )
            .replace("- old[i])", "- agent.policy(obs[i]).log_prob(act[i]).detach())"),
            "old_log_probs_of_every_step",
        ),
        ((HEAD + STEP).replace("correction=0", ""), "sample_deviation"),
        (
            (HEAD + STEP).replace(
                "            ratio =",
                "            adv = batch.advantages.clone()\n            adv[i] = (adv[i] - "
                "adv[i].mean()) / (adv[i].std(unbiased=False) + 1e-8)\n            ratio =",
            ),
            "advantages_normalised_per_minibatch",
        ),
        (
            (HEAD + STEP).replace(
                "        for i in epoch:", "        for i in [torch.cat(epoch)]:"
            ),
            "minibatches_ignored",
        ),
        (
            HEAD + STEP.replace("\n            ", "\n        ").rstrip(" "),
            "only_the_last_minibatch",
        ),
    ],
}
