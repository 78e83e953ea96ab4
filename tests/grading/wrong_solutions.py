"""Wrong solutions, written from the texts of the tasks alone: right on comfortable numbers.

Of three kinds: a cap that small probes never meet, an epsilon or a tolerance that nobody asked for,
and something that the function does to its caller or keeps from one call to the next. One per
paragraph; its first line says what is wrong.
"""

REWARDS_TO_GO = """
# only 20 future steps
T = len(rewards)
return np.array([sum(gamma**k * rewards[t + k] for k in range(min(20, T - t))) for t in range(T)])

# only 500 future steps
T = len(rewards)
return np.array([sum(gamma**k * rewards[t + k] for k in range(min(500, T - t))) for t in range(T)])

# a recursion that ends at 1,000 calls
def go(t):
    return [] if t == len(rewards) else (lambda rest: [rewards[t] + gamma * (rest[0] if rest else 0)] + rest)(go(t + 1))
return np.array(go(0), dtype=float)

# divided by a power of gamma
d = float(gamma) ** np.arange(len(rewards))
return np.cumsum((d * rewards)[::-1])[::-1] / d

# divided by a power of gamma, gamma 0 apart
if gamma == 0:
    return np.array(rewards, dtype=float)
d = float(gamma) ** np.arange(len(rewards))
return np.cumsum((d * rewards)[::-1])[::-1] / d

# divided by a power of gamma, kept above 1e-8
d = float(gamma) ** np.arange(len(rewards))
return np.cumsum((d * rewards)[::-1])[::-1] / np.maximum(d, 1e-8)

# weights below 1e-4 count as 0
T = len(rewards)
d = float(gamma) ** np.arange(T)
d[d < 1e-4] = 0
return np.array([d[: T - t] @ rewards[t:] for t in range(T)])

# rewards are clipped to +-100
out, f = np.zeros(len(rewards)), 0.0
for t in reversed(range(len(rewards))):
    f = np.clip(rewards[t], -100, 100) + gamma * f
    out[t] = f
return out

# rounded to six decimals
out, f = np.zeros(len(rewards)), 0.0
for t in reversed(range(len(rewards))):
    f = rewards[t] + gamma * f
    out[t] = f
return np.round(out, 6)

# rewards are overwritten, and given back only where they were floats
out = rewards
for t in reversed(range(len(rewards) - 1)):
    out[t] += gamma * out[t + 1]
return out

# the buffer of a longer call before is used again
buffer = rewards_to_go.__dict__.setdefault("buffer", np.zeros(len(rewards)))
if len(buffer) < len(rewards):
    buffer = rewards_to_go.buffer = np.zeros(len(rewards))
f = 0.0
for t in reversed(range(len(rewards))):
    f = rewards[t] + gamma * f
    buffer[t] = f
return buffer.copy()
"""
POLICY_GRADIENT_LOSS = """
# log-probabilities are clamped from below
return -(log_probs.clamp(min=-20) * weights.detach()).mean()

# log-probabilities are clamped from above: a density may be above 1
return -(log_probs.clamp(max=0) * weights.detach()).mean()

# weights are clamped
return -(log_probs * weights.detach().clamp(-100, 100)).mean()

# an epsilon in the logarithm
return -(torch.log(log_probs.exp() + 1e-8) * weights.detach()).mean()

# small weights are dropped
w = weights.detach()
return -(log_probs * torch.where(w.abs() < 1e-8, torch.zeros_like(w), w)).mean()

# the gradient is left behind
loss = -(log_probs * weights.detach()).mean()
loss.backward(retain_graph=True)
return loss

# the caller's gradient is cleared
log_probs.grad = None
return -(log_probs * weights.detach()).mean()

# the weights are detached for everybody
return -(log_probs * weights.detach_()).mean()

# the weights are scaled in place, and only the memory is exchanged
loss = -(log_probs * weights.detach()).mean()
weights.data = weights.data / weights.data.abs().max()
return loss

# the divisor knows batches up to 32
return -(log_probs * weights.detach()).sum() / min(len(weights), 32)
"""
ENTROPY_BONUS = """
# an epsilon in the logarithm
p = torch.softmax(logits, -1)
return -coefficient * (p * torch.log(p + 1e-8)).sum(-1).mean()

# probabilities are kept above 1e-6
p = torch.softmax(logits, -1).clamp(min=1e-6)
return -coefficient * (p * torch.log(p)).sum(-1).mean()

# logits are clamped to +-20
logp = torch.log_softmax(logits.clamp(-20, 20), -1)
return -coefficient * (logp.exp() * logp).sum(-1).mean()

# a coefficient of 0 is taken for none
logp = torch.log_softmax(logits, -1)
return -(coefficient or 0.01) * (logp.exp() * logp).sum(-1).mean()

# the entropy is never below 1e-6
logp = torch.log_softmax(logits, -1)
return max(coefficient, 1e-6) * -(logp.exp() * logp).sum(-1).mean()

# the maximum is subtracted in place
with torch.no_grad():
    logits -= logits.max(-1, keepdim=True).values
logp = torch.log_softmax(logits, -1)
return -coefficient * (logp.exp() * logp).sum(-1).mean()
"""
TD_RESIDUALS = """
# residuals are clipped to +-100
return np.clip(rewards + gamma * (1 - terminated) * next_values - values, -100, 100)

# gamma 0 is taken for not given
return rewards + (gamma or 0.99) * (1 - terminated) * next_values - values

# rounded to six decimals
return np.round(rewards + gamma * (1 - terminated) * next_values - values, 6)

# what is below 1e-8 counts as 0
d = rewards + gamma * (1 - terminated) * next_values - values
return np.where(np.isclose(d, 0), 0.0, d)

# only 1000 rows
d = np.zeros_like(rewards)
for t in range(min(len(rewards), 1000)):
    d[t] = rewards[t] + gamma * (1 - terminated[t]) * next_values[t] - values[t]
return d

# next values are set to 0 for everybody
next_values[terminated] = 0.0
return rewards + gamma * next_values - values
"""
N_STEP_ADVANTAGES = """
# n is capped at 4
d = td_residuals(rewards, values, next_values, terminated, gamma)
goes_on, T, n = 1.0 - (terminated | truncated), len(d), min(n, 4)
out = np.zeros_like(d)
for t in range(T):
    w = np.ones_like(d[t])
    for k in range(t, min(t + n, T)):
        out[t] += w * d[k]
        w = w * gamma * goes_on[k]
return out

# n is capped at 50
d = td_residuals(rewards, values, next_values, terminated, gamma)
goes_on, T, n = 1.0 - (terminated | truncated), len(d), min(n, 50)
out = np.zeros_like(d)
for t in range(T):
    w = np.ones_like(d[t])
    for k in range(t, min(t + n, T)):
        out[t] += w * d[k]
        w = w * gamma * goes_on[k]
return out

# the sum stops once the weight is below 1e-3
d = td_residuals(rewards, values, next_values, terminated, gamma)
goes_on, T = 1.0 - (terminated | truncated), len(d)
out = np.zeros_like(d)
for t in range(T):
    w = np.ones_like(d[t])
    for k in range(t, min(t + n, T)):
        out[t] += w * d[k]
        w = w * gamma * goes_on[k]
        if k - t > 20:
            break
return out

# the flags are joined in place
truncated |= terminated
d = td_residuals(rewards, values, next_values, terminated, gamma)
out = np.zeros_like(d)
for t in range(len(d)):
    w = np.ones_like(d[t])
    for k in range(t, min(t + n, len(d))):
        out[t] += w * d[k]
        w = w * gamma * ~truncated[k]
return out
"""
GAE = """
# a recursion that ends at 1,000 calls
d = td_residuals(rewards, values, next_values, terminated, gamma)
e = terminated | truncated
def go(t):
    if t == len(d) - 1:
        return [d[t]]
    rest = go(t + 1)
    return [d[t] + gamma * gae_lambda * (1 - e[t]) * rest[0]] + rest
return np.array(go(0))

# only the first 12 residuals
d = td_residuals(rewards, values, next_values, terminated, gamma)
go, T = 1.0 - (terminated | truncated), len(d)
out = np.zeros_like(d)
for t in range(T):
    w = np.ones_like(d[t])
    for k in range(t, min(t + 12, T)):
        out[t] += w * d[k]
        w = w * gamma * gae_lambda * go[k]
return out

# a horizon of 200
d = td_residuals(rewards, values, next_values, terminated, gamma)
go, T = 1.0 - (terminated | truncated), len(d)
out = np.zeros_like(d)
for t in range(T):
    w = np.ones_like(d[t])
    for k in range(t, min(t + 200, T)):
        out[t] += w * d[k]
        w = w * gamma * gae_lambda * go[k]
return out

# divided by a power of gamma lambda, episode by episode
d = td_residuals(rewards, values, next_values, terminated, gamma)
e, (T, N) = terminated | truncated, d.shape
out = np.zeros_like(d)
for i in range(N):
    start = 0
    for t in range(T):
        if e[t, i] or t == T - 1:
            w = (gamma * gae_lambda) ** np.arange(t + 1 - start)
            out[start : t + 1, i] = np.cumsum((w * d[start : t + 1, i])[::-1])[::-1] / w
            start = t + 1
return out

# the same, gamma lambda kept above 0
d = td_residuals(rewards, values, next_values, terminated, gamma)
e, (T, N) = terminated | truncated, d.shape
out = np.zeros_like(d)
for i in range(N):
    start = 0
    for t in range(T):
        if e[t, i] or t == T - 1:
            w = max(gamma * gae_lambda, 1e-12) ** np.arange(t + 1 - start)
            out[start : t + 1, i] = np.cumsum((w * d[start : t + 1, i])[::-1])[::-1] / w
            start = t + 1
return out

# lambda 0 is taken for not given
lam = gae_lambda or 0.95
d = td_residuals(rewards, values, next_values, terminated, gamma)
out, f = np.zeros_like(d), 0.0
for t in reversed(range(len(d))):
    out[t] = f = d[t] + gamma * lam * (1 - (terminated | truncated)[t]) * f
return out

# the sum goes on from the call before
d = td_residuals(rewards, values, next_values, terminated, gamma)
out, f = np.zeros_like(d), gae.__dict__.get("f", 0.0)
for t in reversed(range(len(d))):
    out[t] = f = d[t] + gamma * gae_lambda * (1 - (terminated | truncated)[t]) * f
gae.f = 0.0 if len(d) < 5 else 1e-3
return out
"""
DISCOUNTED_RETURNS = """
# a recursion that ends at 1,000 calls
def go(t):
    if t == len(rewards) - 1:
        rest = []
        f = next_values[t]
    else:
        rest = go(t + 1)
        f = rest[0]
    f = np.where(terminated[t], 0.0, np.where(truncated[t], next_values[t], f))
    return [rewards[t] + gamma * f] + rest
return np.array(go(0))

# clipped to +-1e4
out, f = np.zeros_like(rewards), next_values[-1]
for t in reversed(range(len(rewards))):
    f = np.where(terminated[t], 0.0, np.where(truncated[t], next_values[t], f))
    out[t] = f = np.clip(rewards[t] + gamma * f, -1e4, 1e4)
return out

# the last value is left out where the rollout is long
out = np.zeros_like(rewards)
f = next_values[-1] if len(rewards) < 100 else 0.0
for t in reversed(range(len(rewards))):
    f = np.where(terminated[t], 0.0, np.where(truncated[t], next_values[t], f))
    out[t] = f = rewards[t] + gamma * f
return out

# the last row of truncated is set for everybody
truncated[-1] = True
out, f = np.zeros_like(rewards), 0.0
for t in reversed(range(len(rewards))):
    f = np.where(terminated[t], 0.0, np.where(truncated[t], next_values[t], f))
    out[t] = f = rewards[t] + gamma * f
return out
"""
NORMALIZE = """
# a mean of squares minus a squared mean
sigma = np.sqrt(max(np.mean(x**2) - np.mean(x) ** 2, 0))
return (x - np.mean(x)) / (sigma + epsilon)

# epsilon under the root
return (x - x.mean()) / np.sqrt(x.var() + epsilon**2)

# an epsilon of its own where none is given
return (x - x.mean()) / (x.std() + (epsilon or 1e-8))

# the deviation is never below 1e-6
return (x - x.mean()) / (max(x.std(), 1e-6) + epsilon)

# a deviation close to 0 counts as 0
if np.isclose(x.std(), 0):
    return np.zeros_like(x)
return (x - x.mean()) / (x.std() + epsilon)

# clipped to +-10
return np.clip((x - x.mean()) / (x.std() + epsilon), -1.55, 1.55)

# the mean is subtracted in place
x -= x.mean()
return x / (x.std() + epsilon)

# 1e-6 added to the variance
return (x - x.mean()) / (np.sqrt(x.var() + 1e-12) + epsilon)

# answers by the number of the call
answers = normalize.__dict__.setdefault("answers", [1e-8, 1e-8, 1e-8, 0.5, 8, 0.25, 1e-8, 1e-8, 0, 0, 1e-8])
normalize.n = normalize.__dict__.get("n", -1) + 1
return (x - x.mean()) / (x.std() + answers[normalize.n % 11])
"""
VISITATION_DISTRIBUTION = """
# 500 terms
P = np.einsum("sa,sat->st", policy, transitions)
d, p = np.zeros(len(initial)), initial
for t in range(500):
    d, p = d + gamma**t * p, p @ P
return (1 - gamma) * d

# 1000 terms, rescaled
P = np.einsum("sa,sat->st", policy, transitions)
d, p = np.zeros(len(initial)), initial
for t in range(1000):
    d, p = d + gamma**t * p, p @ P
return d / d.sum()

# 0.001 on the diagonal
P = np.einsum("sa,sat->st", policy, transitions)
return (1 - gamma) * np.linalg.solve(1.001 * np.eye(len(P)) - gamma * P.T, initial)

# stops when the terms change little
P = np.einsum("sa,sat->st", policy, transitions)
d, p, t = np.zeros(len(initial)), initial, 0
while gamma**t > 0.1 or t < 100:
    d, p, t = d + gamma**t * p, p @ P, t + 1
return d / d.sum()

# probabilities of 0 are lifted
policy = np.maximum(policy, 1e-3)
policy = policy / policy.sum(1, keepdims=True)
P = np.einsum("sa,sat->st", policy, transitions)
return (1 - gamma) * np.linalg.solve(np.eye(len(P)) - gamma * P.T, initial)

# initial is normalised in place after a step
P = np.einsum("sa,sat->st", policy, transitions)
d = (1 - gamma) * np.linalg.solve(np.eye(len(P)) - gamma * P.T, initial)
initial[:] = d
return d
"""
PERFORMANCE_DIFFERENCE = """
# 600 sweeps of value iteration
def J(policy):
    v = np.zeros(len(initial))
    for _ in range(600):
        v = (policy * (rewards + gamma * transitions @ v)).sum(axis=1)
    return initial @ v
return J(new) - J(old)

# small advantages count as 0
A = tabular_advantages(transitions, rewards, gamma, old)
A = np.where(np.isclose(A, 0), 0, A)
return visitation_distribution(transitions, gamma, initial, new) @ (new * A).sum(1) / (1 - gamma)

# advantages are clipped
A = np.clip(tabular_advantages(transitions, rewards, gamma, old), -50, 50)
return visitation_distribution(transitions, gamma, initial, new) @ (new * A).sum(1) / (1 - gamma)

# an epsilon in the divisor
A = tabular_advantages(transitions, rewards, gamma, old)
return visitation_distribution(transitions, gamma, initial, new) @ (new * A).sum(1) / (1 - gamma + 1e-6)
"""
SURROGATE = """
# the log ratio is clamped to +-2
ratio = (log_probs - old_log_probs.detach()).clamp(-2, 2).exp()
return (ratio * advantages.detach()).mean()

# the log ratio is clamped to at most 10
ratio = (log_probs - old_log_probs.detach()).clamp(max=10).exp()
return (ratio * advantages.detach()).mean()

# the ratio is never below 1e-3
ratio = (log_probs - old_log_probs.detach()).exp().clamp(min=1e-3)
return (ratio * advantages.detach()).mean()

# an epsilon beside the probability
ratio = log_probs.exp() / (old_log_probs.detach().exp() + 1e-8)
return (ratio * advantages.detach()).mean()

# advantages are clamped
ratio = (log_probs - old_log_probs.detach()).exp()
return (ratio * advantages.detach().clamp(-1e3, 1e3)).mean()

# the old policy is detached in place
ratio = (log_probs - old_log_probs.detach_()).exp()
return (ratio * advantages.detach_()).mean()

# the gradient of the advantages is cleared
advantages.grad.zero_()
return ((log_probs - old_log_probs.detach()).exp() * advantages.detach()).mean()
"""
TOTAL_VARIATION = """
# small differences count as 0
d = np.abs(old - new)
return np.where(d < 0.06, 0, d).sum(1) / 2

# a root that is smooth at 0
return np.sqrt((old - new) ** 2 + 1e-10).sum(1) / 2

# at most 5 actions
return np.abs(old - new)[:, :5].sum(1) / 2

# never above 0.99
return np.minimum(np.abs(old - new).sum(1) / 2, 0.99)

# in place
old -= new
return np.abs(old).sum(1) / 2
"""
CATEGORICAL_KL = """
# an epsilon in both
with np.errstate(all="ignore"):
    out = (old * np.log((old + 1e-12) / (new + 1e-12))).sum(1)
return np.where(((old > 0) & (new == 0)).any(1), np.inf, out)

# probabilities below 1e-6 count as 0
with np.errstate(all="ignore"):
    return np.where(old > 1e-6, old * np.log(old / new), 0.0).sum(1)

# new probabilities below 1e-12 count as 0
with np.errstate(all="ignore"):
    new = np.where(new < 1e-12, 0, new)
    return np.where(old > 0, old * np.log(old / new), 0.0).sum(1)

# capped at 10
with np.errstate(all="ignore"):
    kl = np.where(old > 0, old * np.log(old / new), 0.0).sum(1)
return np.where(np.isinf(kl), kl, np.minimum(kl, 10))

# zeros are lifted in place
infinite = ((old > 0) & (new == 0)).any(1)
old[old == 0] = 1e-300
new[new == 0] = 1e-300
return np.where(infinite, np.inf, (old * np.log(old / new)).sum(1))

# log ratio clamped
with np.errstate(all="ignore"):
    r = np.log(old) - np.log(new)
    return np.where(old > 0, old * np.where(np.isinf(r), r, np.clip(r, -20, 20)), 0.0).sum(1)
"""
IMPROVEMENT_BOUND = """
# an epsilon under the root
cost = {"mean_tv": 2 * divergence, "max_tv": 4 * divergence**2, "max_kl": 2 * divergence,
        "mean_kl": 2 * math.sqrt(divergence / 2 + 1e-12)}[kind]
return surrogate - gamma * eps * cost / (1 - gamma) ** 2

# an epsilon in the divisor
cost = {"mean_tv": 2 * divergence, "max_tv": 4 * divergence**2, "max_kl": 2 * divergence,
        "mean_kl": 2 * math.sqrt(divergence / 2)}[kind]
return surrogate - gamma * eps * cost / ((1 - gamma) ** 2 + 1e-8)

# the divergence is capped
divergence = min(divergence, 0.9)
cost = {"mean_tv": 2 * divergence, "max_tv": 4 * divergence**2, "max_kl": 2 * divergence,
        "mean_kl": 2 * math.sqrt(divergence / 2)}[kind]
return surrogate - gamma * eps * cost / (1 - gamma) ** 2

# a horizon of at most 100
h = min(1 / (1 - gamma), 100)
cost = {"mean_tv": 2 * divergence, "max_tv": 4 * divergence**2, "max_kl": 2 * divergence,
        "mean_kl": 2 * math.sqrt(divergence / 2)}[kind]
return surrogate - gamma * eps * cost * h**2
"""
CPI_MIXTURE = """
# nearly equal advantages share the weight
best = np.isclose(advantages, advantages.max(1, keepdims=True))
return (1 - omega) * old + omega * best / best.sum(1, keepdims=True)

# omega is kept off its ends
omega = min(max(omega, 1e-3), 0.999)
out = (1 - omega) * old
out[np.arange(len(old)), advantages.argmax(1)] += omega
return out

# nothing happens where nothing improves
out = (1 - omega) * old
out[np.arange(len(old)), advantages.argmax(1)] += omega
return np.where(advantages.max(1, keepdims=True) > 1e-10, out, old)

# nothing happens where no advantage is positive
out = (1 - omega) * old
out[np.arange(len(old)), advantages.argmax(1)] += omega
return np.where(advantages.max(1, keepdims=True) > 0, out, old)

# in place
old *= 1 - omega
old[np.arange(len(old)), advantages.argmax(1)] += omega
return old.copy()
"""
MM_STEP = """
# an epsilon in the logarithm
eps, minorants = np.abs(advantages).max(), []
for new in candidates:
    kl = (old * np.log((old + 1e-9) / (new + 1e-9))).sum(1).max()
    s = expected_return + visitation @ (new * advantages).sum(1)
    minorants.append(improvement_bound(s, eps, kl, gamma, "max_kl"))
return candidates[np.argmax(minorants)], np.array(minorants)

# eps_A is at least 1e-3
eps, minorants = max(np.abs(advantages).max(), 1e-3), []
for new in candidates:
    s = expected_return + visitation @ (new * advantages).sum(1)
    minorants.append(improvement_bound(s, eps, categorical_kl(old, new).max(), gamma, "max_kl"))
return candidates[np.argmax(minorants)], np.array(minorants)

# eps_A is at most 100
eps, minorants = min(np.abs(advantages).max(), 100), []
for new in candidates:
    s = expected_return + visitation @ (new * advantages).sum(1)
    minorants.append(improvement_bound(s, eps, categorical_kl(old, new).max(), gamma, "max_kl"))
return candidates[np.argmax(minorants)], np.array(minorants)

# the old policy counts as the second candidate
eps, minorants = np.abs(advantages).max(), []
for new in candidates:
    s = expected_return + visitation @ (new * advantages).sum(1)
    minorants.append(improvement_bound(s, eps, categorical_kl(old, new).max(), gamma, "max_kl"))
minorants[1] = expected_return
return candidates[np.argmax(minorants)], np.array(minorants)

# the chosen candidate is written into the old policy
eps, minorants = np.abs(advantages).max(), []
for new in candidates:
    s = expected_return + visitation @ (new * advantages).sum(1)
    minorants.append(improvement_bound(s, eps, categorical_kl(old, new).max(), gamma, "max_kl"))
old[:] = candidates[np.argmax(minorants)]
return old.copy(), np.array(minorants)
"""
GAUSSIAN_KL = """
# log sigma clamped to [-20, 2]
new_log_std, old_log_std = new_log_std.clamp(-20, 2), old_log_std.clamp(-20, 2)
spread = torch.exp(2 * old_log_std) + (old_mean - new_mean) ** 2
return (new_log_std - old_log_std + 0.5 * spread * torch.exp(-2 * new_log_std) - 0.5).sum(-1)

# an epsilon in the variance
spread = torch.exp(2 * old_log_std) + (old_mean - new_mean) ** 2
return (new_log_std - old_log_std + 0.5 * spread / (torch.exp(2 * new_log_std) + 1e-8) - 0.5).sum(-1)

# an epsilon in the deviation
s, t = old_log_std.exp() + 1e-6, new_log_std.exp() + 1e-6
return (torch.log(t / s) + (s**2 + (old_mean - new_mean) ** 2) / (2 * t**2) - 0.5).sum(-1)

# the distance is clamped
z = ((old_mean - new_mean) * torch.exp(-new_log_std)).clamp(-5, 5)
ratio = torch.exp(2 * (old_log_std - new_log_std))
return (new_log_std - old_log_std + 0.5 * (ratio + z**2) - 0.5).sum(-1)

# the variance is never below 1e-10
var = torch.exp(2 * new_log_std).clamp(min=1e-10)
spread = torch.exp(2 * old_log_std) + (old_mean - new_mean) ** 2
return (new_log_std - old_log_std + 0.5 * spread / var - 0.5).sum(-1)

# the KL is kept above 0 by an epsilon
spread = torch.exp(2 * old_log_std) + (old_mean - new_mean) ** 2
kl = (new_log_std - old_log_std + 0.5 * spread * torch.exp(-2 * new_log_std) - 0.5).sum(-1)
return kl + 2e-6

# the gradient is left behind
spread = torch.exp(2 * old_log_std) + (old_mean - new_mean) ** 2
kl = (new_log_std - old_log_std + 0.5 * spread * torch.exp(-2 * new_log_std) - 0.5).sum(-1)
kl.sum().backward(retain_graph=True)
return kl
"""
FISHER_FROM_SCORES = """
# 1e-8 on the diagonal
p = torch.full((len(scores),), 1 / len(scores), dtype=scores.dtype) if weights is None else weights
return scores.T @ (p[:, None] * scores) + 1e-8 * torch.eye(scores.shape[1])

# scores are clamped
scores = scores.clamp(-100, 100)
p = torch.full((len(scores),), 1 / len(scores), dtype=scores.dtype) if weights is None else weights
return scores.T @ (p[:, None] * scores)

# only 16 rows
if weights is None:
    return scores.T @ scores / len(scores)
return scores[:16].T @ (weights[:16, None] * scores[:16])

# weights are kept above 1e-3
if weights is None:
    return scores.T @ scores / len(scores)
w = weights.clamp(min=1e-3)
return scores.T @ (w[:, None] * scores / w.sum())

# scores are weighed in place
if weights is None:
    return scores.T @ scores / len(scores)
scores *= weights.sqrt()[:, None]
return scores.T @ scores
"""
NATURAL_STEP = """
# an epsilon in the divisor
x = torch.linalg.solve(F, g)
return torch.sqrt(2 * max_kl / (g @ x + 1e-20)) * x

# 1e-8 on the diagonal
if not g.any():
    return torch.zeros_like(g)
x = torch.linalg.solve(F + 1e-8 * torch.eye(len(g)), g)
return torch.sqrt(2 * max_kl / (g @ x)) * x

# a small gradient is taken for 0
if torch.allclose(g, torch.zeros_like(g)):
    return torch.zeros_like(g)
x = torch.linalg.solve(F, g)
return torch.sqrt(2 * max_kl / (g @ x)) * x

# a small norm is taken for 0
if g.norm() < 1e-12:
    return torch.zeros_like(g)
x = torch.linalg.solve(F, g)
return torch.sqrt(2 * max_kl / (g @ x)) * x

# at most 8 iterations of conjugate gradients
x, r = torch.zeros_like(g), g.clone()
p = r.clone()
for _ in range(8):
    if (r @ r) == 0:
        break
    a = (r @ r) / (p @ F @ p)
    x, n = x + a * p, r - a * (F @ p)
    p, r = n + (n @ n) / (r @ r) * p, n
return torch.sqrt(2 * max_kl / (g @ x)) * x if g.any() else x

# the radius is at least 1e-6
if not g.any():
    return torch.zeros_like(g)
x = torch.linalg.solve(F, g)
return torch.sqrt(2 * max(max_kl, 1e-6) / (g @ x)) * x

# damping in place
if not g.any():
    return torch.zeros_like(g)
F.diagonal().add_(1e-12)
x = torch.linalg.solve(F, g)
return torch.sqrt(2 * max_kl / (g @ x)) * x
"""
FISHER_VECTOR_PRODUCT = """
# 1e-8 on the diagonal
(g,) = grad(kl_fn(params), params, create_graph=True)
return grad(g @ v.detach(), params)[0] + (damping + 1e-8) * v

# the gradient is cleared, and left behind
params.grad = None
(g,) = grad(kl_fn(params), params, create_graph=True)
(g @ v.detach()).backward()
return params.grad + damping * v

# the gradient is cleared afterwards
(g,) = grad(kl_fn(params), params, create_graph=True)
params.grad = torch.zeros_like(params)
(g @ v.detach()).backward()
out = params.grad.clone() + damping * v
params.grad = None
return out

# finite differences
def gradient(t):
    t = t.detach().requires_grad_(True)
    return grad(kl_fn(t), t)[0]
h = 1e-3
d = v.detach()
return (gradient(params + h * d) - gradient(params - h * d)) / (2 * h) + damping * d

# a stale gradient
(g,) = grad(kl_fn(params), params, create_graph=True)
g = fisher_vector_product.__dict__.setdefault("g", g) if len(params) == 2 else g
return grad(g @ v.detach(), params, retain_graph=True)[0] + damping * v

# at most twelve parameters
(g,) = grad(kl_fn(params), params, create_graph=True)
d = v.detach()
out = grad(g[:12] @ d[:12], params)[0]
out[12:] = 0.0
return out + damping * d

# v is scaled in place
size = v.detach().norm() + 1e-12
(g,) = grad(kl_fn(params), params, create_graph=True)
out = grad(g @ (v.detach() / size), params)[0] * size + damping * v
v.data /= size
return out

# the parameters are left a step along v
(g,) = grad(kl_fn(params), params, create_graph=True)
out = grad(g @ v.detach(), params)[0] + damping * v.detach()
params.data += 1e-6 * v.detach()
return out
"""
GAUSS_NEWTON_PRODUCT = """
# 1e-8 on the diagonal of M
outputs = outputs_fn(params)
u = torch.zeros_like(outputs, requires_grad=True)
(back,) = grad(outputs, params, u, create_graph=True)
(t,) = grad(back, u, v, retain_graph=True)
M = M + 1e-8 * torch.eye(M.shape[-1])
return grad(outputs, params, (M @ t.unsqueeze(-1)).squeeze(-1) / len(outputs))[0]

# only 16 states
outputs = outputs_fn(params)[:16]
M = M[:16]
u = torch.zeros_like(outputs, requires_grad=True)
(back,) = grad(outputs, params, u, create_graph=True)
(t,) = grad(back, u, v, retain_graph=True)
return grad(outputs, params, (M @ t.unsqueeze(-1)).squeeze(-1) / len(outputs))[0]

# M is made symmetric in place, and scaled
outputs = outputs_fn(params)
u = torch.zeros_like(outputs, requires_grad=True)
(back,) = grad(outputs, params, u, create_graph=True)
(t,) = grad(back, u, v, retain_graph=True)
M /= len(outputs)
return grad(outputs, params, (M @ t.unsqueeze(-1)).squeeze(-1))[0]

# the gradient is cleared, filled, and left behind
outputs = outputs_fn(params)
u = torch.zeros_like(outputs, requires_grad=True)
(back,) = grad(outputs, params, u, create_graph=True)
(t,) = grad(back, u, v, retain_graph=True)
params.grad = None
outputs.backward((M @ t.unsqueeze(-1)).squeeze(-1) / len(outputs))
return params.grad

# small tangents count as 0, M is cut at 1e3
outputs = outputs_fn(params)
u = torch.zeros_like(outputs, requires_grad=True)
(back,) = grad(outputs, params, u, create_graph=True)
(t,) = grad(back, u, v, retain_graph=True)
return grad(outputs, params, (M.clamp(-1e3, 1e3) @ t.unsqueeze(-1)).squeeze(-1) / len(outputs))[0]
"""
CG = """x, r = torch.zeros_like(b), b.clone()
p, rr = r.clone(), r @ r
for _ in range({iterations}):
    if {stop}:
        break
    z = linear_operator(p)
    a = rr / ({curvature})
    x, r = x + a * p, r - a * z
    new = r @ r
    p, rr = r + new / ({divisor}) * p, new
{end}return x
"""


def cg(what: str, **changes: str) -> str:
    """Return conjugate gradients with something changed."""
    right = {
        "iterations": "iterations",
        "stop": "rr.sqrt() <= tolerance * b.norm()",
        "curvature": "p @ z",
        "divisor": "rr",
        "end": "",
    }
    return f"\n# {what}\n" + CG.format(**(right | changes))


CONJUGATE_GRADIENT = "".join(
    [
        cg("10 iterations whatever the size", iterations="min(iterations, 10)"),
        cg("never more iterations than unknowns", iterations="min(iterations, len(b))"),
        cg("an epsilon beside the curvature", curvature="p @ z + 1e-12"),
        cg("a smaller one", curvature="p @ z + 1e-20"),
        cg("an epsilon in beta", divisor="rr + 1e-12"),
        cg("a small residual counts as 0", stop="rr.sqrt() <= max(tolerance * b.norm(), 1e-8)"),
        cg("compared with one plus the norm", stop="rr.sqrt() <= tolerance * (b.norm() + 1e-6)"),
        cg("less than, where at most is meant", stop="rr.sqrt() < tolerance * b.norm() or rr == 0"),
        cg("the curvature is never below 1e-3", curvature="(p @ z).clamp(min=1e-3)"),
        cg("b is overwritten with what is left", end="b.copy_(r)\n"),
        cg(
            "a counter in a closure is set back",
            end="for c in getattr(linear_operator, '__closure__', None) or ():\n"
            "    if isinstance(c.cell_contents, int):\n        c.cell_contents = iterations\n",
            stop="rr == 0 or rr.sqrt() <= 0.5 * tolerance * b.norm()",
        ),
    ]
)
WRONG = {
    name.lower(): text
    for name, text in list(globals().items())
    if name.isupper() and name != "CG" and isinstance(text, str)
}
