"""Chapter 11."""

import dataclasses
import types

import torch

from course_lib.algorithms import ppo
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
    adv = batch.advantages - torch.mean(batch.advantages)
    adv = adv / (torch.sqrt(torch.mean(adv**2)) + 1e-8)
    old_log_probs = agent.policy(batch.observations).log_prob(batch.actions).detach()

    def minibatch_loss(obs, actions, a, targets, before):
        policy = agent.policy(obs)
        ratio = (policy.log_prob(actions) - before).exp()
        limit = torch.where(a > 0, 1 + settings.clip_range, 1 - settings.clip_range) * a
        surrogate = torch.minimum(ratio * a, limit).mean()
        error = targets - agent.value_network(obs)
        value_term = settings.value_coef * torch.mean(error * error) / 2
        return value_term - surrogate - settings.entropy_coef * policy.entropy().mean()

    for index in (i for epoch in minibatches for i in epoch):
        everything = (batch.observations, batch.actions, adv, batch.value_targets, old_log_probs)
        data = [x.index_select(0, index) for x in everything]
        agent.optimizer.zero_grad()
        minibatch_loss(*data).backward()
        grads = [p.grad for p in agent.parameters() if p.grad is not None]
        norm = torch.sqrt(sum((g**2).sum() for g in grads))
        scale = min(1.0, settings.max_grad_norm / (float(norm) + 1e-6))
        for g in grads:
            g.mul_(scale)
        agent.optimizer.step()
""",
        """
def ppo_update(agent, batch, settings, minibatches):
    A = batch.advantages.numpy().copy()
    A = torch.as_tensor((A - A.mean()) / (A.std() + 1e-8))
    with torch.no_grad():
        before = agent.policy(batch.observations).log_prob(batch.actions).clone()
    for epoch in range(len(minibatches)):
        for m in range(len(minibatches[epoch])):
            i = minibatches[epoch][m]
            n = len(i)
            agent.optimizer.zero_grad()
            pi = agent.policy(batch.observations[i])
            r = (pi.log_prob(batch.actions[i]) - before[i]).exp()
            lo, hi = 1 - settings.clip_range, 1 + settings.clip_range
            (-torch.minimum(r * A[i], r.clip(lo, hi) * A[i]).sum() / n
             - settings.entropy_coef * pi.entropy().sum() / n).backward()
            v = agent.value_network(batch.observations[i])
            (0.5 * settings.value_coef * torch.nn.functional.mse_loss(v, batch.value_targets[i])).backward()
            torch.nn.utils.clip_grad_norm_(list(agent.parameters()), settings.max_grad_norm)
            agent.optimizer.step()
""",
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
        (
            (HEAD + STEP).replace(
                "    with torch.no_grad():\n        old =", "    if True:\n        old ="
            ),
            "old_log_probs_with_graph",
        ),
        (
            (HEAD + STEP)
            .replace("    with torch.no_grad():\n        old =", "    if True:\n        old =")
            .replace("backward()", "backward(retain_graph=True)"),
            "old_log_probs_with_retained_graph",
        ),
        (
            (HEAD + STEP).replace(
                "(batch.advantages - batch.advantages.mean())", "batch.advantages"
            ),
            "mean_kept",
        ),
        (
            (HEAD + STEP)
            .replace("torch.max(-adv[i] * ratio, -adv[i] * torch.clamp(", "-(adv[i] * ratio.min(")
            .replace("ratio, 1 - eps, 1 + eps)).mean()", "ratio.clip(1 - eps, 1 + eps))).mean()"),
            "smaller_ratio_times_advantage",
        ),
    ],
}
