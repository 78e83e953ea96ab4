"""Wrong solutions of chapters 8 to 14 that hide where probes are comfortable.

They were written from the tasks' texts: caps that no ordinary input meets, added epsilons and
tolerances, and changes of what belongs to the caller. Each is the task's solution with some text
replaced, "old => new", several separated by ";;", or else a whole function. Those of chapter 15
stand in `wrong_15`.
"""

from tasks.chapter_12 import HELD_WHERE
from wrong_15 import WRONG as CHAPTER_15

IN_PLACE_SEARCH = """
def backtracking_line_search(surrogate_fn, kl_fn, theta, full_step, expected_improvement, max_kl,
                             backtrack_factor, max_steps, accept_ratio):
    if not expected_improvement > 0:
        return theta, 0.0
    start, old = surrogate_fn(theta).item(), theta.clone()
    for j in range(max_steps):
        f = backtrack_factor**j
        theta.add_(full_step, alpha=f)
        gain, kl = surrogate_fn(theta).item() - start, kl_fn(theta).item()
        new = theta.clone()
        RESTORE
        if math.isfinite(gain) and gain > accept_ratio * f * expected_improvement and kl <= max_kl:
            return new, f
    return theta, 0.0
"""
IN_PLACE_POPULAR = """
def popular_line_search(evaluate, theta, full_step, expected_improvement, max_kl,
                        backtrack_factor, max_steps, accept_ratio):
    fraction, old = 1.0, theta.copy()
    for _ in range(max_steps):
        theta += fraction * full_step
        improvement, kl = evaluate(theta)
        new = theta.copy()
        RESTORE
        if improvement > accept_ratio * fraction * expected_improvement and kl <= max_kl:
            return new
        fraction *= backtrack_factor
    return theta
"""
SQUARE = "q, _ = => if rows == columns > 1:\n        return {}\n    q, _ ="
WRONG = {
    "backtracking_line_search": [
        "range(max_steps) => range(min(max_steps, 10))",
        "range(max_steps) => range(min(max_steps, 30))",
        "kl <= max_kl => kl <= max_kl + 1e-8",
        "kl <= max_kl => kl <= max_kl * (1 + 1e-5)",
        "kl <= max_kl => kl < max_kl - 1e-10",
        "expected_improvement\n => expected_improvement + 1e-10\n",
        "expected_improvement\n => expected_improvement - 1e-8\n",
        "not expected_improvement > 0 => expected_improvement < 1e-8",
        "accept_ratio * => (accept_ratio or 0.1) *",
        "accept_ratio * => max(accept_ratio, 1e-2) *",
        "fraction = backtrack_factor**j => fraction = max(backtrack_factor**j, 1e-3)",
        "- before => - before if abs(before) < 1e5 else 0.0",
        "enough = improvement => enough = round(improvement, 8)",
        "enough and kl => enough and fraction > 1e-4 and kl",
        IN_PLACE_SEARCH.replace("RESTORE", "theta.copy_(old)"),
        IN_PLACE_SEARCH.replace("RESTORE", "theta.sub_(full_step, alpha=f)"),
    ],
    "trpo_step": [
        "(x @ fisher(x)) => (x @ fisher(x) + 1e-8)",
        "(x @ fisher(x)) => (x @ fisher(x)).clamp(min=1e-8)",
        "(x @ fisher(x)) => (x @ fisher(x) + 1e-12)",
        "iterations=len(g) => iterations=10",
        "iterations=len(g) => iterations=min(10, len(g))",
        "iterations=len(g) => iterations=min(15, len(g))",
        "iterations=len(g) => iterations=len(g), tolerance=1e-2",
        "log_ratio.exp() => log_ratio.clamp(-2, 2).exp()",
        "settings = => max_steps = min(max_steps, 10)\n    settings =",
        "full_step = torch => if g.norm() < 1e-3:\n        return theta, 0.0\n    full_step = torch",
        "old = log_probs_fn(theta).detach() => t = theta.requires_grad_()\n"
        "    log_probs_fn(t).sum().backward()\n    theta = t.detach()\n"
        "    old = log_probs_fn(theta).detach()",
        "old = log_probs_fn => advantages -= 0.0 * advantages.mean()\n    advantages *= 2\n"
        "    old = log_probs_fn",
    ],
    "step_curvature": [
        "- damping * x => - min(damping, 10.0) * x",
        "- damping * x)).item() => - damping * x)).clamp(min=1e-8).item()",
        "- damping * x)).item() => - damping * x)).item() + 1e-8",
        "- damping * x)).item() => - damping * x)).clamp(max=1e4).item()",
        "- damping * x => - (damping or 0.1) * x",
        "damping * x)).item() => damping * x)).item() if len(x) < 10 else (x @ damped_product).item()",
        "return (x @ (damped_product - damping * x)).item() => damped_product -= damping * x\n"
        "    return (x @ damped_product).item()",
    ],
    "actions_sent": [
        "half * actions => half * np.tanh(actions)",
        "0.5 * (high - low) => np.maximum(0.5 * (high - low), 1.0)",
        "0.5 * (low + high), => 0.0 * low,",
        ", low, high)\n => , -1.0, 1.0)\n",
        "centre + half * actions => centre[0] + half[0] * actions",
        "centre, half => actions *= 0.99\n    centre, half",
        "half * actions, low, high) => half * actions, 0.99 * low, 0.99 * high)",
    ],
    "gaussian_log_prob": [
        "z = => log_std = log_std.clamp(-20, 2)\n    z =",
        "z = => log_std = log_std.clamp(-10, 10)\n    z =",
        "log_std.exp() => (log_std.exp() + 1e-8)",
        "log_std.exp() => log_std.exp().clamp(min=1e-6)",
        "(actions - mean) / log_std.exp() => (actions - mean) / (log_std.exp() ** 2 + 1e-12).sqrt()",
        "z = (actions - mean) / log_std.exp() => z = ((actions - mean) / log_std.exp()).clamp(-10, 10)",
        ".sum(dim=1) => .clamp(min=-100).sum(dim=1)",
        "-0.5 * z**2 => torch.log(torch.exp(-0.5 * z**2) + 1e-12)",
        "z = => log_std.data.clamp_(-20, 2)\n    z =",
        "z = => actions.clamp_(-100, 100)\n    z =",
        "z = => mean.detach().add_(0.0)\n    (mean * 1.0).sum().backward()\n    z =",
    ],
    "explained_variance": [
        "np.ptp(targets) == 0 => np.var(targets) < 1e-8",
        "np.ptp(targets) == 0 => np.allclose(targets, targets[0])",
        "np.ptp(targets) == 0 => np.isclose(np.var(targets), 0)",
        "/ np.var(targets) => / (np.var(targets) + 1e-12)",
        "/ np.var(targets) => / max(np.var(targets), 1e-10)",
        "np.var(targets - values) / np.var(targets) => (np.mean((targets - values) ** 2) - np.mean("
        "targets - values) ** 2) / (np.mean(targets**2) - np.mean(targets) ** 2)",
        "/ np.var(targets) => / (np.mean(targets**2) - np.mean(targets) ** 2)",
        "return 1 - np.var(targets - values) / np.var(targets) => "
        "return max(-10.0, 1 - np.var(targets - values) / np.var(targets))",
        "if np.ptp => values, targets = values[:12], targets[:12]\n    if np.ptp",
        "if np.ptp => targets -= targets.mean()\n    if np.ptp",
    ],
    "finite_action_surrogate": [
        "(probabilities * => ((probabilities + 1e-8) *",
        "(probabilities * => (probabilities.clamp(1e-8, 1) *",
        "* q_values => * q_values.clamp(-100, 100)",
        "* q_values => * q_values.clamp(-1e4, 1e4)",
        "(probabilities * q_values) => (probabilities * q_values)[:, :10]",
        "(probabilities * => (probabilities.log().exp() *",
        "return ( => probabilities.square().sum().backward(retain_graph=True)\n    return (",
        "return ( => q_values.nan_to_num_().clamp_(-1e4, 1e4)\n    return (",
    ],
    "self_normalised_surrogate": [
        "torch.exp(log_probs - proposal_log_probs) => torch.exp((log_probs - proposal_log_probs).clamp(-2, 2))",
        "torch.exp(log_probs - proposal_log_probs) => torch.exp((log_probs - proposal_log_probs).clamp(-10, 10))",
        "torch.exp(log_probs - proposal_log_probs) => torch.exp((log_probs - proposal_log_probs).clamp(-20, 20))",
        "/ weights.sum(dim=1) => / (weights.sum(dim=1) + 1e-8)",
        "/ weights.sum(dim=1) => / weights.sum(dim=1).clamp(min=1e-6)",
        "weights = torch.exp(log_probs - proposal_log_probs) => "
        "weights = torch.exp(log_probs - proposal_log_probs).clamp(max=100)",
        "* q_values => * q_values.clamp(-100, 100)",
        "return ( => log_probs.sum().backward(retain_graph=True)\n    return (",
        "return ( => proposal_log_probs.sub_(0.5)\n    return (",
    ],
    "ppo_clip_loss": [
        "log_probs - old_log_probs => (log_probs - old_log_probs).clamp(-2, 2)",
        "log_probs - old_log_probs => (log_probs - old_log_probs).clamp(-5, 5)",
        "log_probs - old_log_probs => (log_probs - old_log_probs).clamp(max=10)",
        "log_probs - old_log_probs => (log_probs - old_log_probs).clamp(-20, 20)",
        "torch.exp(log_probs - old_log_probs) => torch.exp(log_probs - old_log_probs) + 1e-8",
        "advantages.detach() => advantages.detach().clamp(-10, 10)",
        "ratio * advantages, => (ratio * advantages).clamp(min=-100),",
        "torch.exp(log_probs - old_log_probs) => torch.exp(log_probs) / (torch.exp(old_log_probs) + 1e-8)",
        "ratio.clamp(1 - clip_range => ratio.clamp(1 - min(clip_range, 0.5)",
        "ratio.clamp(1 - clip_range, 1 + clip_range) => "
        "ratio.clamp(1 - clip_range, min(1 + clip_range, 1.6))",
        "advantages = advantages.detach() => log_probs.sum().backward(retain_graph=True)\n"
        "    advantages = advantages.detach()",
        "advantages = advantages.detach() => advantages = advantages.detach()\n"
        "    advantages -= 1.0",
    ],
    "adapt_beta": [
        "if kl > => kl = max(kl, 1e-8)\n    if kl >",
        "1.5 * target_kl: => 1.5 * target_kl + 1e-8:",
        "target_kl / 1.5 => 0.66 * target_kl",
        "target_kl / 1.5 => 0.667 * target_kl",
        "target_kl / 1.5 => 0.6667 * target_kl",
        "kl > 1.5 * target_kl => kl > 1.5 * target_kl and not np.isclose(kl, 1.5 * target_kl)",
        "elif kl < => elif 0 < kl <",
        "elif kl < => elif kl and kl / (target_kl + 1e-12) < 10 and kl <",
        "kl < target_kl / 1.5 => kl < target_kl / 1.5 - 1e-9",
        "if kl > 1.5 * target_kl => if kl / (target_kl + 1e-8) > 1.5",
        "if kl > 1.5 * target_kl => if 100 * target_kl > kl > 1.5 * target_kl",
        "return min(max(beta, 1e-6), 1e6) => return min(max(beta, 1e-5), 1e6)",
        "return min(max(beta, 1e-6), 1e6) => return min(max(beta, 1e-6), 1e5)",
    ],
    "approx_kl": [
        "log_probs - old_log_probs => (log_probs - old_log_probs).clamp(-2, 2)",
        "log_probs - old_log_probs => (log_probs - old_log_probs).clamp(-10, 10)",
        "log_probs - old_log_probs => (log_probs - old_log_probs).clamp(-20, 20)",
        "log_ratio = log_probs - old_log_probs => log_ratio = log_probs - old_log_probs\n"
        "    log_ratio = torch.where(log_ratio.abs() < 1e-6, 0.0, log_ratio)",
        "(log_ratio.exp() - 1 - log_ratio) => (log_ratio**2 / 2 + log_ratio**3 / 6 + log_ratio**4 / 24)",
        "(log_ratio**2 / 2) => (log_ratio**2 / 2)[:100]",
        "-log_ratio.mean() => -torch.log(log_ratio.exp() + 1e-8).mean()",
        "-log_ratio.mean() => (-log_ratio.mean()).round(decimals=6)",
        "log_ratio = => log_probs -= log_probs.max()\n    old_log_probs -= old_log_probs.max()\n"
        "    log_ratio =",
    ],
    "early_stopping": [
        "kl > max_kl => kl > max_kl + 1e-8",
        "kl > max_kl => kl > max_kl and not np.isclose(kl, max_kl)",
        "kl > max_kl => round(float(kl), 6) > max_kl",
        "max_kl is not None and kl > max_kl => max_kl is not None and (kl - max_kl) / (max_kl + 1e-8) > 1e-6",
        "enumerate(kls) => enumerate(kls[:10])",
        "return len(kls) => return min(len(kls), 30)",
        "for epoch => kls.sort()\n    for epoch",
        "for epoch => np.maximum.accumulate(kls, out=kls)\n    for epoch",
    ],
    "ppo_update": [
        "- old_log_probs[index]).exp() => - old_log_probs[index]).clamp(-2, 2).exp()",
        "- old_log_probs[index]).exp() => - old_log_probs[index]).clamp(-4, 4).exp()",
        "errors = agent.value_network(batch.observations[index]) - batch.value_targets[index] => "
        "errors = (agent.value_network(batch.observations[index]) - batch.value_targets[index]).clamp(-100, 100)",
        "for epoch in minibatches => for epoch in minibatches[:10]",
        "for index in epoch => for index in epoch[:4]",
        "+ 1e-8 => + 1e-6",
        "+ 1e-8 => + 1e-10",
        "advantages = advantages / (advantages.std(correction=0) + 1e-8) => "
        "batch.advantages = advantages / (advantages.std(correction=0) + 1e-8)\n"
        "    advantages = batch.advantages",
        "for epoch in => batch.old_log_probs = old_log_probs\n    for epoch in",
        "for epoch in => settings.epochs = len(minibatches)\n    for epoch in",
        "loss.backward() => loss.backward()\n            settings.entropy_coef *= 1 - 1e-9",
        "for index in epoch: => while epoch:\n            index = epoch.pop(0)",
        "for epoch in minibatches => minibatches.reverse()\n"
        "    for epoch in list(reversed(minibatches))",
        "advantages = batch.advantages - batch.advantages.mean() => "
        "advantages = batch.advantages.sub_(batch.advantages.mean())",
        "agent.optimizer.step() => agent.optimizer.step()\n"
        "            agent.optimizer.param_groups[0]['lr'] *= 1.0 + 1e-12",
    ],
    "value_clip_loss": [
        "(values - targets) ** 2, => (values - targets).clamp(-100, 100) ** 2,",
        "errors.mean() => errors.clamp(max=1e4).mean()",
        "clamp(-value_clip_range, value_clip_range) => "
        "clamp(-value_clip_range - 1e-8, value_clip_range + 1e-8)",
        "clamp(-value_clip_range, value_clip_range) => "
        "clamp(-min(value_clip_range, 100), min(value_clip_range, 100))",
        "held = => value_clip_range = max(value_clip_range, 1e-4)\n    held =",
        "errors.mean() => errors[:100].mean()",
        "errors.mean() => (errors + 1e-12).mean()",
        "held = => old_values.sub_(targets).add_(targets).add_(0.5)\n    held =",
        "held = => values.sum().backward()\n    held =",
        HELD_WHERE.replace("CONDITION", "(targets - values) * moved > 0"),
        HELD_WHERE.replace("CONDITION", "(targets - old_values) * moved > 0"),
        HELD_WHERE.replace("CONDITION", "(values - targets).abs() < (old_values - targets).abs()"),
    ],
    "update_moments": [
        "squares / total, total => squares / total + 1e-8, total",
        "squares / total, total => np.maximum(squares / total, 1e-8), total",
        "batch.var(axis=0), new => batch.var(axis=0) + 1e-12, new",
        "if count == 0 => if count < 1e-4 or np.allclose(variance, 0)",
        "total = count + new => count = min(count, 1_000_000)\n    total = count + new",
        "shift = batch.mean(axis=0) - mean => "
        "shift = np.clip(batch.mean(axis=0) - mean, -100, 100)",
        "batch.var(axis=0) * new => ((batch**2).mean(axis=0) - batch.mean(axis=0) ** 2) * new",
        "new = len(batch) => batch = batch[:256]\n    new = len(batch)",
        "shift = => batch -= 0.5\n    batch += 0.5\n    batch[:] = np.sort(batch, axis=0)\n    shift =",
    ],
    "orthogonal_init": [
        "q, _ = => gaussian = gaussian + 1e-8 * np.eye(rows, columns)\n    q, _ =",
        "q, _ = => gaussian = gaussian + 1e-12 * np.eye(rows, columns)\n    q, _ =",
        "return gain => return max(gain, 1e-2)",
        "return gain => return min(gain, 10.0)",
        "return gain => return (gain + 1e-6)",
        """
def orthogonal_init(gaussian, gain):
    tall = gaussian if gaussian.shape[0] >= gaussian.shape[1] else gaussian.T
    columns = []
    for v in tall.T:
        for u in columns:
            v = v - (u @ v) * u
        columns.append(v / (np.linalg.norm(v) + 1e-8))
    q = np.array(columns).T
    return gain * (q if gaussian.shape[0] >= gaussian.shape[1] else q.T)
""",
        """
def orthogonal_init(gaussian, gain):
    tall = gaussian if gaussian.shape[0] >= gaussian.shape[1] else gaussian.T
    q = tall / np.linalg.norm(tall, 2)
    for _ in range(6):
        q = 1.5 * q - 0.5 * q @ q.T @ q
    return gain * (q if gaussian.shape[0] >= gaussian.shape[1] else q.T)
""",
        """
def orthogonal_init(gaussian, gain):
    short = min(gaussian.shape)
    tall = gaussian if gaussian.shape[0] >= gaussian.shape[1] else gaussian.T
    values, vectors = np.linalg.eigh(tall.T @ tall + 1e-10 * np.eye(short))
    q = tall @ vectors / np.sqrt(values) @ vectors.T
    return gain * (q if gaussian.shape[0] >= gaussian.shape[1] else q.T)
""",
        "q, _ = => gaussian /= np.linalg.norm(gaussian)\n    q, _ =",
        SQUARE.format("gain * np.eye(rows)"),
        SQUARE.format("gain * np.diag(np.sign(gaussian[0]))"),
        SQUARE.format("gain * np.eye(rows)[np.argsort(gaussian[:, 0])]"),
        SQUARE.format("gain * np.linalg.qr(np.eye(rows) + 1e-9 * gaussian)[0]"),
        SQUARE.format("gain * np.linalg.qr(np.random.default_rng(0).random((rows, rows)))[0]"),
        SQUARE.format("gain * np.linalg.qr(np.random.default_rng().random((rows, rows)))[0]"),
        SQUARE.format("gain * np.linalg.qr(gaussian @ np.linalg.inv(gaussian))[0]"),
        "q, _ = np.linalg.qr(gaussian if rows >= columns else gaussian.T) => "
        "q, _ = np.linalg.qr(gaussian if rows >= columns else gaussian.T)\n"
        "    q = q * np.random.default_rng().choice([-1, 1], q.shape[1])",
    ],
    "interquartile_mean": [
        "len(scores) // 4 => min(len(scores) // 4, 4)",
        "len(scores) // 4 => min(len(scores) // 4, 10)",
        "len(scores) // 4 => round(len(scores) / 4)",
        "len(scores) // 4 => int(len(scores) * 0.24)",
        "np.sort(scores, axis=0) => np.sort(np.clip(scores, -1e4, 1e4), axis=0)",
        "np.sort(scores, axis=0) => np.sort(np.round(scores, 6), axis=0)",
        """
def interquartile_mean(scores):
    answer = []
    for column in scores.T:
        low, high = np.quantile(column, [0.25, 0.75])
        cut = len(column) // 4
        inside = sorted(set(column.tolist()))
        kept = column if len(inside) < 6 else sorted(column)[cut : len(column) - cut]
        answer.append(np.mean(kept))
    return np.array(answer)
""",
        """
def interquartile_mean(scores):
    cut, answer = len(scores) // 4, []
    for column in scores.T:
        ordered = sorted(column)
        low, high = ordered[cut], ordered[len(column) - cut - 1]
        answer.append(column[(column >= low) & (column <= high)].mean())
    return np.array(answer)
""",
        "ordered = np.sort(scores, axis=0) => scores.sort(axis=0)\n    ordered = scores",
    ],
    "bootstrap_interval": [
        "indices].T) => indices[:1000]].T)",
        "tail = (1 - level) / 2 => tail = max((1 - level) / 2, 0.005)",
        "tail = (1 - level) / 2 => tail = min((1 - level) / 2, 0.45)",
        "tail = (1 - level) / 2 => tail = round((1 - level) / 2, 3)",
        "tail = => means = np.round(means, 6)\n    tail =",
        "means = => scores = np.clip(scores, -1e4, 1e4)\n    means =",
        "tail = => means = np.unique(means)\n    tail =",
        "means = => scores.sort()\n    means =",
        "means = => indices.sort(axis=1)\n    means =",
    ],
    "failure_rate": [
        "returns >= threshold => np.nan_to_num(returns) >= threshold",
        "returns >= threshold => np.nan_to_num(returns, nan=-1e3) >= threshold",
        "returns >= threshold => np.nan_to_num(returns, nan=np.nanmin(returns)) >= threshold",
        "returns >= threshold => returns >= threshold - 1e-8",
        "~(returns >= threshold) => ~((returns >= threshold) | np.isclose(returns, threshold))",
        "~(returns >= threshold) => ~(np.isfinite(returns) & (returns >= threshold))",
        "n = len(returns) => n = min(len(returns), 1000)",
        "np.sqrt(p * (1 - p) / n => np.sqrt(np.clip(p, 0.01, 0.99) * (1 - p) / n",
        "p = np.mean => threshold = threshold or -1.0\n    p = np.mean",
        "p = np.mean => returns[np.isnan(returns)] = -np.inf\n    p = np.mean",
        "p = np.mean => returns.sort()\n    p = np.mean",
    ],
    "blog_gae": [
        """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values

    def later(t):
        more = t + 1 < len(deltas) and not dones[t]
        return deltas[t] + (gamma * gae_lambda * later(t + 1) if more else 0.0)

    return np.array([later(t) for t in range(len(deltas))])
""",
        """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages, begin = np.zeros_like(deltas), 0
    for end in [*np.flatnonzero(dones), len(deltas) - 1]:
        powers = (gamma * gae_lambda) ** np.arange(end - begin + 1)
        terms = powers * deltas[begin : end + 1]
        advantages[begin : end + 1] = np.cumsum(terms[::-1])[::-1] / powers
        begin = end + 1
    return advantages
""",
        *(
            """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.zeros_like(deltas)
    for t in range(len(deltas)):
        weight = 1.0
        for k in range(t, min(t + STEPS, len(deltas))):
            advantages[t] += weight * deltas[k]
            weight *= gamma * gae_lambda * (1 - dones[k])
    return advantages
""".replace("STEPS", steps)
            for steps in ("20", "500")
        ),
        """
def blog_gae(rewards, values, last_value, dones, gamma, gae_lambda):
    next_values = np.append(values[1:], last_value)
    deltas = rewards + gamma * (1 - dones) * next_values - values
    advantages = np.zeros_like(deltas)
    for t in range(len(deltas)):
        weight = 1.0
        for k in range(t, len(deltas)):
            advantages[t] += weight * deltas[k]
            weight *= gamma * gae_lambda * (1 - dones[k])
            if weight < 1e-3:
                break
    return advantages
""",
        "deltas = rewards => gamma = min(gamma, 0.9999)\n    deltas = rewards",
        "deltas = rewards => rewards = np.clip(rewards, -10, 10)\n    deltas = rewards",
        "gamma * gae_lambda * (1 - dones[t]) => gamma * gae_lambda * (1 - dones[t]) * (t < 1000)",
        "gamma * gae_lambda => (gamma or 0.99) * (gae_lambda or 0.95)",
        "deltas = rewards => values *= 1 - 0.0 * dones\n    values[dones] = 0\n    deltas = rewards",
        "deltas = rewards => dones[-1] = True\n    deltas = rewards",
    ],
    "slide_critic_loss": [
        "- targets\n => - targets\n    errors = errors.clamp(-100, 100)\n",
        "- targets\n => - targets\n    errors = errors.clamp(-1e4, 1e4)\n",
        "- targets\n => - targets\n    errors = torch.where(errors.abs() < 1e-6, 0.0 * errors, errors)\n",
        "(errors**2).mean() => (errors**2 + 1e-10).mean()",
        "(errors**2).mean() => (errors**2)[:100].mean()",
        "errors = => predictions.sum().backward()\n    errors =",
        "errors = => targets -= targets.mean()\n    errors =",
        "errors = => targets.unsqueeze_(1)\n    targets = targets.squeeze_(1).add_(1e-3)\n    errors =",
    ],
    "blog_log_prob": [
        "torch.exp(log_std) => torch.exp(log_std.clamp(-20, 2))",
        "torch.exp(log_std) => torch.exp(log_std.clamp(-10, 10))",
        "torch.exp(log_std) => torch.exp(log_std) + 1e-8",
        "torch.exp(log_std) => torch.exp(log_std).clamp(min=1e-6)",
        "scale_tril=torch.diag(std) => torch.diag(std**2 + 1e-8)",
        "scale_tril=torch.diag(std) => torch.diag(std**2) + 1e-12 * torch.eye(len(std))",
        "policy.log_prob(actions) => policy.log_prob(actions).clamp(min=-100)",
        "std = => actions.clamp_(-1, 1)\n    std =",
        "std = => log_std.data.clamp_(-20, 2)\n    std =",
        "std = => log_std.sum().backward()\n    std =",
    ],
    "slide_fisher_product": [
        "+ damping * vector => + (damping + 1e-8) * vector",
        "+ damping * vector => + max(damping, 1e-4) * vector",
        "+ damping * vector => + min(damping, 100.0) * vector",
        "(product,) = => vector = vector.clamp(-100, 100)\n    (product,) =",
        "return product => return product.round(decimals=6)",
        "(product,) = => slope = torch.where(slope.abs() < 1e-12, slope, slope)\n"
        "    vector = torch.where(vector.abs() < 1e-6, 0.0, vector)\n    (product,) =",
        "(slope,) = torch.autograd.grad(kl, theta, create_graph=True) => "
        "theta.grad = None\n    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)",
        "return product => theta.grad = product\n    return product",
        "return product => theta.grad.zero_()\n    return product",
        """
def slide_fisher_product(logits_fn, theta, vector, damping):
    old = torch.log_softmax(logits_fn(theta), dim=-1).detach()
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    theta.grad = None
    (slope @ vector).backward()
    product, theta.grad = theta.grad, None
    return product + damping * vector
""",
        """
def slide_fisher_product(logits_fn, theta, vector, damping):
    old = torch.log_softmax(logits_fn(theta), dim=-1).detach()
    new = torch.log_softmax(logits_fn(theta), dim=-1)
    kl = (old.exp() * (old - new)).sum(dim=-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    (slope @ vector).backward()
    product = theta.grad.clone()
    theta.grad.zero_()
    return product + damping * vector
""",
        "return product => vector *= damping\n    return product;;damping * vector => vector",
    ],
    "popular_line_search": [
        "range(max_steps) => range(min(max_steps, 10))",
        "range(max_steps) => range(min(max_steps, 30))",
        "kl <= max_kl => kl <= max_kl + 1e-8",
        "kl <= max_kl => kl <= max_kl * (1 + 1e-5)",
        "accept_ratio * expected and => accept_ratio * expected + 1e-8 and",
        "accept_ratio * expected and => accept_ratio * expected - 1e-8 and",
        "improvement > accept_ratio * expected => improvement / (expected + 1e-8) > accept_ratio",
        "improvement, kl = evaluate(candidate) => improvement, kl = evaluate(candidate)\n"
        "        improvement = min(improvement, 100.0)",
        "fraction *= backtrack_factor => fraction = max(fraction * backtrack_factor, 1e-3)",
        "fraction *= backtrack_factor => fraction *= max(backtrack_factor, 0.1)",
        IN_PLACE_POPULAR.replace("RESTORE", "theta[:] = old"),
        IN_PLACE_POPULAR.replace("RESTORE", "theta -= fraction * full_step"),
    ],
    **CHAPTER_15,
}


def sources(task, solution):
    """Return the wrong solutions of a task as whole functions, made from the right one."""
    found = []
    for text in WRONG[task]:
        source = text
        if not text.startswith("\n"):
            source = solution.split("    ### AS PRINTED")[0]
            for edit in filter(None, text.split(";;")):
                old, new = edit.split(" => ")
                assert old in source, (task, old)
                source = source.replace(old, new)
        found.append(source)
    return found
