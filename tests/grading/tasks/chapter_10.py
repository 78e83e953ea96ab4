"""Chapter 10."""

from course_lib.algorithms.ppo import ppo_clip_loss
from course_lib.algorithms.ppo_penalty import adapt_beta
from course_lib.surrogate import approx_kl


def clip_loss(log_probs, old_log_probs, advantages, clip_range):
    """The library's callers hand over advantages that carry no gradient."""
    return ppo_clip_loss(log_probs, old_log_probs, advantages.detach(), clip_range)


LIBRARY = {"ppo_clip_loss": clip_loss, "adapt_beta": adapt_beta, "approx_kl": approx_kl}
EQUIVALENT = {
    "early_stopping": [
        ("kls -> -kls", "only the length is used, in len(kls)"),
        ("kls -> 2 * kls", "likewise"),
        ("kls -> kls + 1", "likewise"),
    ],
}
CORRECT = {
    "ppo_clip_loss": [
        """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    adv = advantages.detach()
    r = (log_probs - old_log_probs.detach()).exp()
    edge = torch.where(adv > 0, 1 + clip_range, 1 - clip_range)
    return torch.max(-r * adv, -edge * adv).sum() / len(adv)
""",
        """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    total = 0
    for new, old, advantage in zip(log_probs, old_log_probs, advantages):
        A, ratio = advantage.item(), torch.exp(new - old)
        if A >= 0:
            total += min(ratio, torch.tensor(1 + clip_range)) * A
        else:
            total += max(ratio, torch.tensor(1 - clip_range)) * A
    return -total / log_probs.numel()
""",
        """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    log_probs, old_log_probs = log_probs.float(), old_log_probs.float()
    with torch.no_grad():
        A = advantages.float()
    ratio = (log_probs - old_log_probs).exp()
    both = torch.stack([ratio, torch.clip(ratio, 1 - clip_range, 1 + clip_range)]) * A
    return both.amin(dim=0).mean().neg()
""",
        """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    A = advantages.detach()
    ratio = torch.exp(log_probs - old_log_probs)
    stopped = ((A > 0) & (ratio > 1 + clip_range)) | ((A < 0) & (ratio < 1 - clip_range))
    constant = (1 + clip_range * torch.sign(A)) * A
    return -torch.where(stopped, constant, ratio * A).mean()
""",
        """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    a = advantages.detach()
    r = (log_probs - old_log_probs.detach()).exp()
    limit = torch.where(a >= 0, (1 + clip_range) * a, (1 - clip_range) * a)
    surr = r * a
    return torch.where(surr < limit, -surr, -limit).mean()
""",
    ],
    "adapt_beta": [
        """
def adapt_beta(beta, kl, target_kl):
    new = np.select([kl > 1.5 * target_kl, kl < target_kl / 1.5], [2 * beta, beta / 2], beta)
    return np.clip(new, 1e-6, 1e6)
""",
        """
def adapt_beta(beta, kl, target_kl):
    factor = 1.0
    if kl / target_kl > 1.5:
        factor = 2.0
    if kl * 1.5 < target_kl:
        factor = 0.5
    return float(np.clip(beta * factor, 1e-6, 1e6))
""",
        """
def adapt_beta(beta, kl, target_kl):
    beta = torch.tensor(beta, dtype=torch.float32)
    too_far, too_near = kl > 1.5 * target_kl, kl < target_kl / 1.5
    return (beta * 2.0 ** (int(too_far) - int(too_near))).clamp(1e-6, 1e6)
""",
    ],
    "approx_kl": [
        """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    minus_log_r = old_log_probs - log_probs
    terms = {
        "k1": lambda d: d,
        "k2": lambda d: 0.5 * d.square(),
        "k3": lambda d: torch.expm1(-d) + d,
    }
    return torch.stack([terms[estimator](d) for d in minus_log_r]).mean()
""",
        """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    x = (log_probs - old_log_probs).numpy().astype(np.float32)
    return {"k1": -x, "k2": x * x / 2, "k3": np.expm1(x) - x}[estimator].mean()
""",
        """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    total = 0.0
    for q in torch.exp(log_probs - old_log_probs).tolist():
        total += dict(k1=-np.log(q), k2=np.log(q) ** 2 / 2, k3=q - 1 - np.log(q))[estimator]
    return total / len(log_probs)
""",
        """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    d = old_log_probs - log_probs
    match estimator:
        case "k1":
            return d.mean().item()
        case "k2":
            return 0.5 * torch.mean(torch.square(d))
    return (d + torch.expm1(-d)).mean()
""",
    ],
    "early_stopping": [
        """
def early_stopping(kls, max_kl):
    if max_kl is None:
        return len(kls)
    over = kls > max_kl
    return np.argmax(over) + 1 if over.any() else over.size
""",
        """
def early_stopping(kls, max_kl):
    over = [] if max_kl is None else np.flatnonzero(np.asarray(kls) > max_kl)
    return int(over[0]) + 1 if len(over) else len(kls)
""",
        """
def early_stopping(kls, max_kl):
    limit = float("inf") if max_kl is None else max_kl
    epochs = 0
    for kl in kls:
        epochs += 1
        if kl > limit:
            break
    return epochs
""",
        """
def early_stopping(kls, max_kl):
    if max_kl is None:
        return torch.tensor(len(kls))
    n = 0
    while n < len(kls) - 1 and not kls[n] > max_kl:
        n += 1
    return torch.tensor(n + 1)
""",
    ],
}
WRITTEN = {
    "ppo_clip_loss": [
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    r = torch.exp(log_probs - old_log_probs)
    return -(torch.min(r, r.clamp(1 - clip_range, 1 + clip_range)) * advantages.detach()).mean()
""",
            "smaller_ratio_times_advantage",
        ),
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    A = advantages.detach()
    r = torch.exp(log_probs - old_log_probs)
    with torch.no_grad():
        c = r.clamp(1 - clip_range, 1 + clip_range)
    return -torch.min(r * A, c * A).sum() / len(A)
""",
            "clipped_term_detached",
        ),
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    A = advantages.detach()
    A = (A - A.mean()) / (A.std(unbiased=False) + 1e-8)
    r = torch.exp(log_probs - old_log_probs)
    return -torch.min(r * A, r.clamp(1 - clip_range, 1 + clip_range) * A).mean()
""",
            "normalised_inside_by_the_number_of_steps",
        ),
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    A = advantages.detach()
    r = log_probs.exp() / old_log_probs.exp()
    return torch.max(-A * r, -A * torch.clamp(r, 1 - clip_range, 1 + clip_range)).mean()
""",
            "probabilities_underflow",
        ),
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    adv = advantages.detach()
    ratio = torch.exp(log_probs - old_log_probs)
    surr1 = -adv * ratio
    surr2 = -adv * torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
    return torch.min(surr1, surr2).mean()
""",
            "larger_of_the_two",
        ),
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    ratio = (log_probs - old_log_probs).exp()
    return -torch.min(
        ratio * advantages, ratio.clamp(1 - clip_range, 1 + clip_range) * advantages
    ).mean()
""",
            "gradient_through_the_advantages",
        ),
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    adv = advantages.detach()
    ratio = torch.exp(log_probs - old_log_probs)
    loss = 0
    for r, a in zip(ratio, adv):
        inside = (r > 1 - clip_range) & (r < 1 + clip_range)
        loss = loss - (r * a if inside else r.clamp(1 - clip_range, 1 + clip_range) * a)
    return loss / len(adv)
""",
            "no_minimum",
        ),
        (
            """
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    obj = torch.exp(log_probs - old_log_probs) * advantages.detach()
    return -torch.min(obj, torch.clamp(obj, 1 - clip_range, 1 + clip_range)).mean()
""",
            "product_clipped",
        ),
    ],
    "adapt_beta": [
        (
            """
def adapt_beta(beta, kl, target_kl):
    if kl > 2 * target_kl:
        beta *= 2
    elif kl < target_kl / 2:
        beta *= 0.5
    return np.clip(beta, 1e-6, 1e6)
""",
            "tests_at_2",
        ),
        (
            """
def adapt_beta(beta, kl, target_kl):
    if kl < target_kl / 1.5:
        return beta / 2
    if kl > target_kl * 1.5:
        return beta * 2
    return beta
""",
            "bounds_forgotten",
        ),
        (
            """
def adapt_beta(beta, kl, target_kl):
    if target_kl > 1.5 * kl:
        beta *= 2
    elif target_kl < kl / 1.5:
        beta /= 2
    return max(1e-6, min(1e6, beta))
""",
            "wrong_direction",
        ),
    ],
    "approx_kl": [
        (
            """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    lr = log_probs - old_log_probs
    ratio = log_probs.exp() / old_log_probs.exp()
    return {"k1": -lr, "k2": lr**2 / 2, "k3": (ratio - 1) - lr}[estimator].mean()
""",
            "probabilities_underflow",
        ),
        (
            """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    lr = log_probs - old_log_probs
    if estimator == "k2":
        return lr.mean() ** 2 / 2
    return {"k1": -lr, "k3": lr.exp() - 1 - lr}[estimator].mean()
""",
            "k2_square_of_the_mean",
        ),
        (
            """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    logratio = old_log_probs - log_probs
    ratio = logratio.exp()
    if estimator == "k1":
        return (-logratio).mean()
    elif estimator == "k2":
        return (logratio**2).mean() / 2
    return ((ratio - 1) - logratio).mean()
""",
            "log_ratio_reversed",
        ),
        (
            """
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    x = log_probs - old_log_probs
    terms = {"k1": -x, "k2": x**2 / 2, "k3": x.exp() - 1 - x}[estimator]
    return (old_log_probs.exp() * terms).mean()
""",
            "weighed_by_the_old_policy",
        ),
    ],
    "early_stopping": [
        (
            """
def early_stopping(kls, max_kl):
    if not max_kl:
        return len(kls)
    for i, kl in enumerate(kls):
        if kl > max_kl:
            return i + 1
    return len(kls)
""",
            "zero_is_no_limit",
        ),
        (
            """
def early_stopping(kls, max_kl):
    if max_kl is None:
        return len(kls)
    return int(np.argmax(kls > max_kl)) + 1
""",
            "argmax_of_nothing",
        ),
        (
            """
def early_stopping(kls, max_kl):
    if max_kl is None:
        return len(kls)
    return int((kls <= max_kl).sum()) + 1
""",
            "counts_all_within_and_one",
        ),
        (
            """
def early_stopping(kls, max_kl):
    taken = 0
    for kl in kls:
        if max_kl is not None and kl > max_kl:
            break
        taken += 1
    return taken
""",
            "last_epoch_not_counted",
        ),
        (
            """
def early_stopping(kls, max_kl):
    n = 0
    for i in range(len(kls)):
        n += 1
        if i == len(kls) - 1:
            if max_kl and kls[i] > max_kl:
                break
    return n
""",
            "never_stops",
        ),
        (
            """
def early_stopping(kls, max_kl):
    kl, taken = 0.0, 0
    for after in kls:
        taken += 1
        if max_kl is not None and kl > max_kl:
            break
        kl = after
    return taken
""",
            "stale",
        ),
    ],
}
