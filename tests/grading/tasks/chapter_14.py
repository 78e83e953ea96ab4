"""Chapter 14."""

import numpy as np
import torch

from course_lib.advantages import gae
from course_lib.algorithms.updates import value_loss
from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.fisher import fisher_vector_product
from course_lib.line_search import backtracking_line_search
from course_lib.surrogate import kl_divergence


def library_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    never = np.zeros_like(dones)
    return gae(rewards, values, next_values, dones, never, gamma, gae_lambda)


def library_fisher_product(logits_fn, theta, vector, damping):
    old = Categorical(logits_fn(theta)).detach()

    def kl_fn(parameters):
        return kl_divergence(old, Categorical(logits_fn(parameters)))

    return fisher_vector_product(kl_fn, theta, vector, damping)


def library_line_search(evaluate, theta, full_step, *settings):
    parameters = torch.tensor(theta)

    def here():
        return evaluate(parameters.numpy())

    backtracking_line_search(here, [parameters], torch.tensor(full_step), *settings)
    return parameters


LIBRARY = {
    "blog_gae": library_gae,
    "slide_critic_loss": lambda predictions, targets: (
        2 * value_loss(predictions.squeeze(-1), targets)
    ),
    "blog_log_prob": lambda actions, mean, log_std: DiagonalGaussian(mean, log_std).log_prob(
        actions
    ),
    "slide_fisher_product": library_fisher_product,
    "popular_line_search": library_line_search,
}
KL = "(old.exp() * (old - new)).sum(dim=-1)"
TIES = "each state's KL is exactly 0 here, and autograd shares a slope evenly among equals"
AXIS = ("-1 -> 1", "the last axis of two is axis 1")
EQUIVALENT = {
    "slide_critic_loss": [
        AXIS,
        (
            "predictions.squeeze(-1) - targets -> targets - predictions.squeeze(-1)",
            "it is squared",
        ),
    ],
    "slide_fisher_product": [
        AXIS,
        AXIS,
        AXIS,
        (f"{KL}.mean -> {KL}.max", TIES),
        (f"{KL}.mean -> {KL}.min", TIES),
    ],
}
CORRECT = {
    "blog_gae": [
        """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    T = len(rewards)
    nv = np.append(values[1:], last_value)
    nv[dones] = 0
    deltas = rewards + gamma * nv - values
    out = np.zeros(T)
    for t in range(T):
        w = 1.0
        for k in range(t, T):
            out[t] += w * deltas[k]
            if dones[k]:
                break
            w *= gamma * gae_lambda
    return out
""",
        """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    advantages, carried, reached = [], 0.0, last_value
    for r, v, done in zip(rewards[::-1], values[::-1], dones[::-1], strict=True):
        if done:
            carried, reached = 0.0, 0.0
        carried = r + gamma * reached - v + gamma * gae_lambda * carried
        reached = v
        advantages.append(carried)
    return advantages[::-1]
""",
        """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    V = np.append(values, last_value).astype(np.float32)
    alive = 1 - dones.astype(np.float32)
    delta = rewards + gamma * alive * V[1:] - V[:-1]
    # (I - shift) advantages are the residuals
    T = len(delta)
    system = np.eye(T) - np.diag(gamma * gae_lambda * alive[:-1], 1)
    return np.linalg.solve(system, delta)
""",
        """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.copy(deltas)
    start = 0
    for end in [*np.flatnonzero(dones), len(deltas) - 1]:
        for t in range(end - 1, start - 1, -1):
            advantages[t] += gamma * gae_lambda * advantages[t + 1]
        start = end + 1
    return advantages
""",
    ],
    "slide_critic_loss": [
        """
def slide_critic_loss(predictions, targets):
    return torch.nn.functional.mse_loss(predictions, targets.unsqueeze(-1))
""",
        """
def slide_critic_loss(predictions, targets):
    errors = predictions - targets
    return (errors.diagonal() ** 2).mean()
""",
        """
def slide_critic_loss(predictions, targets):
    loss = 0.0
    for p, y in zip(predictions.flatten(), targets.tolist()):
        loss = loss + (p - y) ** 2
    return loss / len(targets)
""",
        """
def slide_critic_loss(predictions, targets):
    e = predictions.float().reshape(targets.shape) - targets.float()
    return e @ e / e.numel()
""",
    ],
    "blog_log_prob": [
        """
def blog_log_prob(actions, mean, log_std):
    normal = torch.distributions.Normal(mean, log_std.exp())
    return torch.distributions.Independent(normal, 1).log_prob(actions)
""",
        """
from torch.distributions import Independent, Normal

def blog_log_prob(actions, mean, log_std):
    return Independent(Normal(mean, log_std.exp()), 1).log_prob(actions)
""",
        """
def blog_log_prob(actions, mean, log_std):
    covariance = torch.diag(torch.exp(2 * log_std))
    return torch.distributions.MultivariateNormal(mean, covariance).log_prob(actions)
""",
        """
import math

def blog_log_prob(actions, mean, log_std):
    d = mean.shape[1]
    z = (actions - mean) / log_std.exp()
    return -0.5 * (z**2).sum(1) - log_std.sum() - 0.5 * d * math.log(2 * math.pi)
""",
        """
def blog_log_prob(actions, mean, log_std):
    std = log_std.float().exp()
    normal = torch.distributions.Normal(mean.float(), std)
    return sum(normal.log_prob(actions.float())[:, i] for i in range(len(std)))
""",
    ],
    "slide_fisher_product": [
        """
def slide_fisher_product(logits_fn, theta, vector, damping):
    point = theta.detach()
    logits, dv = torch.func.jvp(logits_fn, (point,), (vector.detach(),))
    p = torch.softmax(logits, dim=-1)
    u = p * (dv - (p * dv).sum(dim=-1, keepdim=True)) / len(logits)
    _, pull = torch.func.vjp(logits_fn, point)
    return pull(u)[0] + damping * vector
""",
        """
def slide_fisher_product(logits_fn, theta, vector, damping):
    with torch.no_grad():
        old = torch.distributions.Categorical(logits=logits_fn(theta))
    new = torch.distributions.Categorical(logits=logits_fn(theta))
    kl = torch.distributions.kl_divergence(old, new).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad((slope * vector).sum(), theta)
    return product + damping * vector
""",
        """
def slide_fisher_product(logits_fn, theta, vector, damping):
    # At the old parameters the KL has the same curvature in both of its arguments.
    old = torch.log_softmax(logits_fn(theta), dim=-1)
    new = torch.log_softmax(logits_fn(theta), dim=-1).detach()
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad(slope @ vector, theta)
    return product + damping * vector
""",
        """
def slide_fisher_product(logits_fn, theta, vector, damping):
    def log_probs(parameters):
        return torch.log_softmax(logits_fn(parameters), dim=-1)

    scores = torch.autograd.functional.jacobian(log_probs, theta)
    weights = log_probs(theta).exp().detach() / scores.shape[0]
    F = torch.einsum("bk,bkp,bkq->pq", weights, scores, scores)
    return (F + damping * torch.eye(len(theta), dtype=F.dtype)) @ vector
""",
        """
def slide_fisher_product(logits_fn, theta, vector, damping):
    old = torch.softmax(logits_fn(theta), -1).detach()

    def kl(parameters):
        return -(old * torch.log_softmax(logits_fn(parameters), -1)).sum(-1).mean()

    return torch.autograd.functional.hvp(kl, theta, vector)[1] + damping * vector
""",
    ],
    "popular_line_search": [
        """
def popular_line_search(evaluate, theta, full_step, expected_improvement, max_kl,
                        backtrack_factor, max_steps, accept_ratio):
    step, expected = full_step.copy(), expected_improvement
    for _ in range(max_steps):
        improvement, kl = evaluate(theta + step)
        if improvement / expected > accept_ratio and kl <= max_kl:
            return theta + step
        step = step * backtrack_factor
        expected = expected * backtrack_factor
    return theta
""",
        """
def popular_line_search(evaluate, theta, full_step, expected_improvement, max_kl,
                        backtrack_factor, max_steps, accept_ratio):
    fraction = 1.0
    for _ in range(max_steps):
        candidate = theta + fraction * full_step
        improvement, kl = evaluate(candidate)
        if improvement > accept_ratio * expected_improvement and kl <= max_kl:
            return candidate
        fraction *= backtrack_factor
        expected_improvement *= backtrack_factor
    return theta
""",
        """
def popular_line_search(evaluate, theta, full_step, expected_improvement, max_kl,
                        backtrack_factor, max_steps, accept_ratio):
    for j in range(max_steps):
        step = backtrack_factor**j * full_step
        gain, kl = evaluate(theta + step)
        if kl > max_kl:
            continue
        if gain / (backtrack_factor**j * expected_improvement) > accept_ratio:
            return theta + step
    return theta.copy()
""",
        """
def popular_line_search(evaluate, theta, full_step, expected_improvement, max_kl,
                        backtrack_factor, max_steps, accept_ratio):
    theta = torch.tensor(theta, dtype=torch.float32)
    step = torch.tensor(full_step, dtype=torch.float32)
    wanted = accept_ratio * expected_improvement
    tried = 0
    while tried < max_steps:
        improvement, kl = evaluate((theta + step).numpy())
        if improvement > wanted and not kl > max_kl:
            return theta + step
        step, wanted, tried = step * backtrack_factor, wanted * backtrack_factor, tried + 1
    return theta
""",
    ],
}
SEARCH = """
def popular_line_search(evaluate, theta, full_step, expected_improvement, max_kl,
                        backtrack_factor, max_steps, accept_ratio):
"""
WRITTEN = {
    "blog_gae": [
        (
            """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * np.where(dones, 0, next_values) - values
    advantages, following = np.zeros_like(deltas), 0.0
    for t in reversed(range(len(deltas))):
        following = deltas[t] + gamma * gae_lambda * following
        advantages[t] = following
    return advantages
""",
            "trace_not_cut",
        ),
        (
            """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.empty_like(deltas)
    following = 0.0
    for t in range(len(deltas) - 1, -1, -1):
        advantages[t] = following = deltas[t] + gamma * gae_lambda * following
        if dones[t]:
            following = 0.0
    return advantages
""",
            "cut_by_next_flag",
        ),
        (
            """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.zeros_like(deltas)
    advantages[-1] = deltas[-1]
    for t in range(len(deltas) - 2, -1, -1):
        if dones[t]:
            advantages[t] = rewards[t]
        else:
            advantages[t] = deltas[t] + gamma * gae_lambda * advantages[t + 1]
    return advantages
""",
            "reward_at_inner_ends",
        ),
        (
            """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * next_values - values
    advantages = np.empty_like(deltas)
    advantages[-1] = deltas[-1]
    for t in range(len(deltas) - 2, -1, -1):
        advantages[t] = deltas[t] + gamma * gae_lambda * (1 - dones[t]) * advantages[t + 1]
    return advantages
""",
            "mask_moved",
        ),
        (
            """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.empty_like(deltas)
    advantages[-1] = deltas[-1]
    for t in range(len(deltas) - 2, -1, -1):
        advantages[t] = (1 - dones[t]) * (deltas[t] + gamma * gae_lambda * advantages[t + 1])
    return advantages
""",
            "zero_at_inner_ends",
        ),
        (
            """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.empty_like(deltas)
    advantages[-1] = deltas[-1] * (1 - dones[-1])
    for t in range(len(deltas) - 2, -1, -1):
        advantages[t] = deltas[t] + gamma * gae_lambda * (1 - dones[t]) * advantages[t + 1]
    return advantages
""",
            "last_row_masked",
        ),
    ],
    "slide_critic_loss": [
        (
            """
def slide_critic_loss(predictions, targets):
    return torch.mean(torch.square(targets.unsqueeze(0) - predictions))
""",
            "every_prediction_meets_every_target",
        ),
        (
            """
def slide_critic_loss(predictions, targets):
    errors = predictions - targets
    return (errors**2).sum() / len(targets)
""",
            "all_pairs_per_row",
        ),
        (
            """
def slide_critic_loss(predictions, targets):
    errors = predictions[0] - targets
    return (errors**2).mean()
""",
            "first_prediction",
        ),
        (
            """
def slide_critic_loss(predictions, targets):
    errors = predictions.detach().numpy()[:, 0] - targets.numpy()
    return torch.tensor((errors**2).mean())
""",
            "detached",
        ),
        (
            """
def slide_critic_loss(predictions, targets):
    errors = predictions.mean(dim=0) - targets
    return (errors**2).mean()
""",
            "mean_prediction",
        ),
    ],
    "blog_log_prob": [
        (
            """
def blog_log_prob(actions, mean, log_std):
    cov = torch.diag_embed(log_std.exp())
    return torch.distributions.MultivariateNormal(mean, covariance_matrix=cov).log_prob(actions)
""",
            "deviation_as_covariance",
        ),
        (
            """
def blog_log_prob(actions, mean, log_std):
    tril = torch.diag(torch.exp(log_std) ** 2)
    return torch.distributions.MultivariateNormal(mean, scale_tril=tril).log_prob(actions)
""",
            "variance_as_deviation",
        ),
        (
            """
def blog_log_prob(actions, mean, log_std):
    return torch.distributions.Normal(mean, torch.exp(log_std)).log_prob(actions)
""",
            "not_summed",
        ),
        (
            """
def blog_log_prob(actions, mean, log_std):
    std = torch.tensor(np.exp(log_std.detach().numpy()))
    policy = torch.distributions.Normal(mean, std)
    return policy.log_prob(actions).sum(-1)
""",
            "log_std_detached",
        ),
        (
            """
def blog_log_prob(actions, mean, log_std):
    std = torch.exp(log_std)
    policy = torch.distributions.MultivariateNormal(mean, torch.diag(std**0.5))
    return policy.log_prob(actions)
""",
            "root_for_square",
        ),
    ],
    "slide_fisher_product": [
        (
            """
def slide_fisher_product(logits_fn, theta, vector, damping):
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    old = new.clone()
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad(slope @ vector, theta)
    return product + damping * vector
""",
            "both_sides_move",
        ),
        (
            """
def slide_fisher_product(logits_fn, theta, vector, damping):
    old = torch.log_softmax(logits_fn(theta), dim=-1)
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = (old.exp() * (old.detach() - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad(slope @ vector, theta)
    return product + damping * vector
""",
            "weights_still_move",
        ),
        (
            """
def slide_fisher_product(logits_fn, theta, vector, damping):
    old = torch.log_softmax(logits_fn(theta), dim=-1).detach()
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad(slope @ vector, theta)
    return product + damping
""",
            "damping_as_a_number",
        ),
        (
            """
def slide_fisher_product(logits_fn, theta, vector, damping):
    old = torch.log_softmax(logits_fn(theta), dim=-1).detach()
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = torch.nn.functional.kl_div(new, old, log_target=True)
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (product,) = torch.autograd.grad(slope @ vector, theta)
    return product + damping * vector
""",
            "mean_over_actions",
        ),
        (
            """
def slide_fisher_product(logits_fn, theta, vector, damping):
    with torch.no_grad():
        old = torch.log_softmax(logits_fn(theta), dim=-1)
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (slope @ vector).backward()
    return theta.grad + damping * vector
""",
            "gradients_pile_up",
        ),
    ],
    "popular_line_search": [
        (
            SEARCH
            + """
    expected = expected_improvement
    for j in range(max_steps):
        coefficient = backtrack_factor**j
        expected = expected * coefficient
        improvement, kl = evaluate(theta + coefficient * full_step)
        if kl <= max_kl and improvement / expected > accept_ratio:
            return theta + coefficient * full_step
    return theta
""",
            "expectation_shrinks_twice",
        ),
        (
            SEARCH
            + """
    fraction = 1.0
    for _ in range(max_steps):
        candidate = theta + fraction * full_step
        improvement, kl = evaluate(candidate)
        if improvement > accept_ratio * expected_improvement and kl <= max_kl:
            return candidate
        fraction *= backtrack_factor
    return theta
""",
            "expectation_of_the_full_step",
        ),
        (
            SEARCH
            + """
    fraction = 1.0
    for _ in range(max_steps):
        candidate = theta + fraction * full_step
        improvement, kl = evaluate(candidate)
        expected_improvement *= backtrack_factor
        if improvement > accept_ratio * expected_improvement and kl <= max_kl:
            return candidate
        fraction *= backtrack_factor
    return theta
""",
            "expectation_one_trial_ahead",
        ),
        (
            SEARCH
            + """
    for _ in range(max_steps):
        candidate = theta + full_step
        improvement, kl = evaluate(candidate)
        if improvement > accept_ratio * expected_improvement and kl <= max_kl:
            break
        full_step = full_step * backtrack_factor
        expected_improvement *= backtrack_factor
    return candidate
""",
            "last_trial_kept",
        ),
        (
            """
def popular_line_search(evaluate, theta, full_step, expected_improvement, max_kl,
                        backtrack_factor, max_steps, accept_ratio):
    fraction = 1.0
    for _ in range(max_steps):
        candidate = theta + fraction * full_step
        improvement, kl = evaluate(candidate)
        expected_improvement /= fraction
        if improvement > accept_ratio * expected_improvement and kl <= max_kl:
            return candidate
        fraction *= backtrack_factor
    return theta
""",
            "expectation_divided",
        ),
    ],
}
