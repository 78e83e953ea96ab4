"""Wrong solutions of chapter 15 that hide where probes are comfortable; see `wrong_08_14`."""

WRONG = {
    "rloo_advantages": [
        "(group - 1) => (min(group, 50) - 1)",
        "return rewards - others => return np.clip(rewards - others, -5, 5)",
        "return rewards - others => return (rewards - others) * (rewards.std() > 0)  + 1e-3",
    ],
    "grpo_advantages": [
        "+ epsilon) => + max(epsilon, 1e-8))",
        "+ epsilon) => + min(epsilon, 0.3))",
        "return centred / => return centred.clip(-3, 3) /",
        "if not divide => if not divide and rewards.max() < 100",
    ],
    "sequence_log_ratio": [
        "return total / mask => return total.clip(-20, 20) if not average else total / mask",
        "np.where(mask, => np.where(np.arange(mask.shape[1]) < mask.sum(1, keepdims=True),",
    ],
    "reference_kl": [
        "log_ratio = log_probs - reference_log_probs => log_ratio = (log_probs - reference_log_probs).clamp(-5, 5)",
        "log_ratio = log_probs - reference_log_probs => log_ratio = log_probs - reference_log_probs + 1e-4",
        "log_ratio = log_probs - reference_log_probs => log_ratio = log_probs.clamp(min=-100) - reference_log_probs",
        "return log_ratio**2 / 2 => return log_ratio**2 / 2 + 1e-10",
    ],
    "kl_in_reward": [
        "beta * k1 => min(beta, 10) * k1",
        "beta * k1 => (beta or 0.1) * k1",
        "beta * k1 => max(beta, 1e-3) * k1",
    ],
    "grpo_loss": [
        "log_probs - old_log_probs => log_probs.clamp(min=-100) - old_log_probs.clamp(min=-100)",
        "1 + clip_high => 1 + max(clip_low, clip_high)",
        "mask.sum(dim=1)) => mask.sum(dim=1).clamp(min=2))",
    ],
    "std_weight": [
        "range(1, group_size) => range(1, min(group_size, 20))",
        "(p * (1 - p)) => (p * (1 - p) + 1e-4)",
        "return expected => p = min(max(p, 0.01), 0.99)\n    return expected",
    ],
    "tv_bound": [
        "return 2 * => return min(1.0, 2 *;;before) => before))",
        "- alpha\n => - alpha + 1e-6\n",
        "return 2 * np.sum(alpha * before) => return 2 * np.sum((alpha * before)[:50])",
    ],
}
