"""Correct but different solutions are right: one per paragraph below, separated by blank lines.

Each is run as a notebook in the sandbox would run it, apart from the process.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tasks import CORRECT

from course_lib.grading.inline import judge_here
from course_lib.grading.states import State

TD = "def td_residuals(rewards, values, next_values, terminated, gamma):"
TD_BODIES = """
return rewards + gamma * (1 - terminated) * next_values - values

return rewards + gamma * next_values * ~terminated - values

return rewards - values + np.where(terminated, 0.0, gamma * next_values)

target = rewards.copy()
target[~terminated] += gamma * next_values[~terminated]
return target - values

return (rewards + gamma * (1 - terminated.astype(np.float32)) * next_values - values).tolist()

return (rewards - values + gamma * (1 - terminated) * next_values).astype(np.float32)

r, v, n = (torch.from_numpy(x) for x in (rewards, values, next_values))
return r + gamma * n * (~torch.from_numpy(terminated)) - v

r, v, n = (torch.tensor(x, dtype=torch.float32) for x in (rewards, values, next_values))
return r + gamma * torch.where(torch.tensor(terminated), torch.zeros(()), n) - v

v = torch.tensor(values, requires_grad=True)
return torch.tensor(rewards) + gamma * torch.tensor(next_values * ~terminated) - v

T, N = rewards.shape
out = np.empty((T, N))
for t in range(T):
    for i in range(N):
        out[t, i] = rewards[t, i] - values[t, i]
        if not terminated[t, i]:
            out[t, i] += gamma * next_values[t, i]
return out

return [[r + (0 if e else gamma * n) - v for r, v, n, e in zip(*row, strict=True)]
        for row in zip(rewards, values, next_values, terminated, strict=True)]

return [row for row in rewards + gamma * (1 - terminated) * next_values - values]

return tuple(torch.tensor(rewards + gamma * (1 - terminated) * next_values - values))

return np.multiply(np.logical_not(terminated), gamma * next_values, dtype=float) + (rewards - values)

return np.ma.array(rewards + gamma * (1 - terminated) * next_values - values)
"""
SEVEN = "(rewards, values, next_values, terminated, truncated, gamma, {last}):"
N_STEP = "def n_step_advantages" + SEVEN.format(last="n")
DELTA = "d = rewards + gamma * (1 - terminated) * next_values - values\n"
ENDED = "e = terminated | truncated\n"
N_STEP_BODIES = f"""
{DELTA}{ENDED}a = d.copy()
for _ in range(n - 1):
    a[:-1] = d[:-1] + gamma * (1 - e[:-1]) * a[1:]
return a

{DELTA}{ENDED}out = np.zeros_like(d)
for t in range(len(d)):
    for i in range(d.shape[1]):
        for k in range(n):
            if t + k >= len(d):
                break
            out[t, i] += gamma ** k * d[t + k, i]
            if e[t + k, i]:
                break
return out

{DELTA}{ENDED}T = len(d)
out, alive = np.zeros_like(d), np.ones_like(d)
for k in range(min(n, T)):
    out[: T - k] += gamma**k * alive[: T - k] * d[k:]
    alive[: T - k] = alive[: T - k] * ~e[k:]
return out

{ENDED}T, N = rewards.shape
out = np.zeros((T, N))
for t in range(T):
    for i in range(N):
        total, discount, s = 0.0, 1.0, t
        while True:
            total += discount * rewards[s, i]
            discount *= gamma
            if e[s, i] or s == T - 1 or s - t == n - 1:
                break
            s += 1
        out[t, i] = total + discount * (not terminated[s, i]) * next_values[s, i] - values[t, i]
return out

{DELTA}{ENDED}def go(t, m):
    if m == 0 or t == len(d):
        return np.zeros_like(d[0])
    return d[t] + gamma * ~e[t] * go(t + 1, m - 1)
return np.stack([go(t, n) for t in range(len(d))])

{DELTA}{ENDED}d, e = torch.tensor(d), torch.tensor(e)
out = []
for t in range(len(d)):
    w, s = torch.ones_like(d[0]), torch.zeros_like(d[0])
    for k in range(t, min(t + n, len(d))):
        s = s + w * d[k]
        w = w * gamma * (~e[k])
    out.append(s)
return torch.stack(out)

{DELTA}{ENDED}segment = np.cumsum(np.vstack([np.zeros_like(e[:1]), e[:-1]]), axis=0)
T = len(d)
lag = np.arange(T)[None, :] - np.arange(T)[:, None]
weight = np.where((lag >= 0) & (lag < n), float(gamma) ** np.clip(lag, 0, None), 0.0)
same = segment[:, None, :] == segment[None, :, :]
return np.einsum('tk,tki,ki->ti', weight, same, d)

{DELTA}{ENDED}pad = np.vstack([d, np.zeros((n, d.shape[1]))])
keep = np.vstack([~e, np.zeros((n, d.shape[1]), bool)])
out = pad[n - 1 : n - 1 + len(d)] * 0
for k in reversed(range(n)):
    out = pad[k : k + len(d)] + gamma * keep[k : k + len(d)] * out
return out
"""
GAE = "def gae" + SEVEN.format(last="gae_lambda")
GAE_BODIES = f"""
{DELTA}{ENDED}a, f = np.zeros_like(d), 0
for t in range(len(d) - 1, -1, -1):
    a[t] = f = d[t] + gamma * gae_lambda * (1 - e[t]) * f
return a

{DELTA}{ENDED}a = np.zeros((len(d) + 1, d.shape[1]))
for t in reversed(range(len(d))):
    a[t] = d[t] + gamma * gae_lambda * ~e[t] * a[t + 1]
return a[:-1]

{DELTA}{ENDED}rows, f = [], np.zeros(d.shape[1])
for delta, end in zip(d[::-1], e[::-1], strict=True):
    f = delta + gamma * gae_lambda * np.where(end, 0, f)
    rows.insert(0, f)
return rows

{DELTA}{ENDED}f, rows = 0, []
for t in reversed(range(len(d))):
    f = d[t] + gamma * gae_lambda * (1 - e[t]) * f
    rows.append(f)
return np.array(rows[::-1])

{ENDED}T, N = rewards.shape
out = np.zeros((T, N))
for i in range(N):
    f = 0.0
    for t in reversed(range(T)):
        if e[t, i]:
            f = 0.0
        delta = rewards[t, i] - values[t, i]
        if not terminated[t, i]:
            delta += gamma * next_values[t, i]
        f = delta + gamma * gae_lambda * f
        out[t, i] = f
return out

{DELTA}{ENDED}out = np.zeros_like(d)
for t in range(len(d)):
    w = np.ones(d.shape[1])
    for k in range(t, len(d)):
        out[t] += w * d[k]
        w = w * gamma * gae_lambda * (1 - e[k])
return out

{DELTA}{ENDED}out, w, span = d.copy(), gamma * gae_lambda * ~e[:-1], 1
while span < len(out):
    out[:-span] = out[:-span] + w * out[span:]
    w = w[:-span] * w[span:]
    span *= 2
return out

{DELTA}{ENDED}T, N = d.shape
out = np.empty_like(d)
for i in range(N):
    A = np.eye(T) - np.diag(gamma * gae_lambda * (1.0 - e[:-1, i]), 1)
    out[:, i] = np.linalg.solve(A, d[:, i])
return out

{DELTA}{ENDED}d, e = torch.as_tensor(d, dtype=torch.float32), torch.as_tensor(e)
a = torch.zeros_like(d)
f = torch.zeros(d.shape[1])
for t in reversed(range(len(d))):
    f = d[t] + gamma * gae_lambda * f * (~e[t])
    a[t] = f
return a

lam_returns = np.zeros_like(rewards)
T = len(rewards)
following = next_values[-1]
for t in reversed(range(T)):
    mix = (1 - gae_lambda) * next_values[t] + gae_lambda * following
    mix = np.where(truncated[t] | (t == T - 1), next_values[t], mix)
    lam_returns[t] = rewards[t] + gamma * np.where(terminated[t], 0, mix)
    following = lam_returns[t]
return lam_returns - values

{DELTA}{ENDED}from functools import reduce
step = lambda acc, t: [d[t] + gamma * gae_lambda * ~e[t] * acc[0], *acc]
return np.array(reduce(step, reversed(range(len(d))), [np.zeros(d.shape[1])])[:-1])

return np.asarray(gae_flat(rewards, values, next_values, terminated, truncated, gamma * gae_lambda, gamma))

{DELTA}d, stop = d.astype(np.longdouble), np.logical_or(terminated, truncated)
a = np.zeros_like(d)
a[-1] = d[-1]
for t in range(len(d) - 2, -1, -1):
    a[t] = d[t] + gamma * gae_lambda * (1 - stop[t]) * a[t + 1]
return a.astype(float)

{DELTA}{ENDED}out = d.copy()
for t in range(len(out) - 1)[::-1]:
    go = ~e[t]
    out[t, go] += gamma * gae_lambda * out[t + 1, go]
return out
"""
RETURNS = "def discounted_returns(rewards, next_values, terminated, truncated, gamma):"
RETURNS_BODIES = """
g, out = next_values[-1], np.zeros_like(rewards)
for t in reversed(range(len(rewards))):
    g = np.where(truncated[t], next_values[t], g)
    g = rewards[t] + gamma * np.where(terminated[t], 0, g)
    out[t] = g
return out

T, N = rewards.shape
G = np.zeros((T, N))
for i in range(N):
    for t in range(T - 1, -1, -1):
        if terminated[t, i]:
            G[t, i] = rewards[t, i]
        elif truncated[t, i] or t == T - 1:
            G[t, i] = rewards[t, i] + gamma * next_values[t, i]
        else:
            G[t, i] = rewards[t, i] + gamma * G[t + 1, i]
return G

cut = truncated.copy()
cut[-1] = True
r = rewards + gamma * next_values * (cut & ~terminated)
go = ~(terminated | cut)
out = r.copy()
for t in reversed(range(len(r) - 1)):
    out[t] += gamma * go[t] * out[t + 1]
return out

cut = truncated.copy()
cut[-1] = True
r = torch.tensor(rewards + gamma * next_values * (cut & ~terminated))
go = torch.tensor(~(terminated | cut))
out = [r[-1]]
for t in range(len(r) - 2, -1, -1):
    out.append(r[t] + gamma * go[t] * out[-1])
return torch.stack(out[::-1])

T, N = rewards.shape
out = []
for t in range(T):
    row = []
    for i in range(N):
        total, w, s = rewards[t, i], gamma, t
        while not (terminated[s, i] or truncated[s, i] or s == T - 1):
            s += 1
            total += w * rewards[s, i]
            w *= gamma
        row.append(total + (0 if terminated[s, i] else w * next_values[s, i]))
    out.append(row)
return out

T = len(rewards)
last = (np.arange(T) == T - 1)[:, None]
tail = np.select([terminated, truncated | last], [np.zeros_like(rewards), next_values], np.nan)
out = np.zeros_like(rewards)
for t in reversed(range(T)):
    rest = np.where(np.isnan(tail[t]), out[(t + 1) % T], tail[t])
    out[t] = rewards[t] + gamma * rest
return out

z = np.zeros_like(rewards)
cut = truncated | (np.arange(len(rewards)) == len(rewards) - 1)[:, None]
v = next_values * cut
d = rewards + gamma * v * ~terminated
f = 0
for t in reversed(range(len(d))):
    z[t] = f = d[t] + gamma * f * ~(terminated | cut)[t]
return z.astype(np.float32)

T, N = rewards.shape
G = np.zeros((T, N))
for i in range(N):
    stop = terminated[:, i] | truncated[:, i] | (np.arange(T) == T - 1)
    A = np.eye(T)
    b = rewards[:, i] + gamma * next_values[:, i] * (stop & ~terminated[:, i])
    for t in range(T - 1):
        A[t, t + 1] = 0.0 if stop[t] else -gamma
    G[:, i] = np.linalg.inv(A) @ b
return G
"""
NORMALIZE = "def normalize(x, epsilon=1e-8):"
NORMALIZE_BODIES = """
return (x - x.mean()) / (x.std() + epsilon)

return (x - np.mean(x)) / (np.std(x) + epsilon)

mu = x.sum() / x.size
sigma = np.sqrt(((x - mu) ** 2).sum() / x.size)
return (x - mu) / (sigma + epsilon)

centred = x - np.average(x)
return centred / (np.linalg.norm(centred) / np.sqrt(x.size) + epsilon)

t = torch.as_tensor(x)
return (t - t.mean()) / (t.std(unbiased=False) + epsilon)

t = torch.as_tensor(x, dtype=torch.float32)
return (t - t.mean()) / (torch.sqrt(t.var(correction=0)) + epsilon)

std, mean = torch.std_mean(torch.tensor(x), correction=0)
return ((torch.tensor(x) - mean) / (std + epsilon)).numpy()

y = x.copy()
y -= y.mean()
y /= y.std() + epsilon
return y

flat = x.ravel().tolist()
m = sum(flat) / len(flat)
s = (sum((v - m) ** 2 for v in flat) / len(flat)) ** 0.5
return np.array([(v - m) / (s + epsilon) for v in flat]).reshape(x.shape)

import statistics
flat = [float(v) for v in x.flat]
m, s = statistics.fmean(flat), statistics.pstdev(flat)
return ((x - m) / (s + epsilon)).tolist()

x = np.asarray(x, dtype=np.float32)
return (x - x.mean()) / (x.std() + epsilon)

n = x.size
count, mean, m2 = 0, 0.0, 0.0
for v in x.flat:
    count += 1
    step = v - mean
    mean += step / count
    m2 += step * (v - mean)
return (x - mean) / (np.sqrt(m2 / n) + epsilon)

return np.vectorize(lambda v: (v - x.mean()) / (x.std() + epsilon))(x)

scale = 1.0 / (x.std(dtype=np.float64) + epsilon)
return scale * x - scale * x.mean()
"""
WHOLE = {
    "td_residuals, lambda": "td_residuals = lambda r, v, n, e, g: r + g * n * (1 - e) - v",
    "td_residuals, other names": (
        "def td_residuals(R, V, V_next, done, g, *, verbose=False):\n"
        "    return R + g * V_next * (1 - done) - V"
    ),
    "td_residuals, type hints": (
        "def td_residuals(rewards: np.ndarray, values: 'Any', next_values: np.ndarray, "
        "terminated: np.ndarray, gamma: float) -> np.ndarray:\n"
        "    return rewards + gamma * next_values * (1 - terminated) - values"
    ),
    "normalize, decorated": (
        "@torch.no_grad()\ndef normalize(x, epsilon=1e-8):\n"
        "    x = torch.tensor(x)\n    return (x - x.mean()) / (x.std(correction=0) + epsilon)"
    ),
    "normalize, a callable object": (
        "class N:\n    __name__ = 'normalize'\n    def __call__(self, x, epsilon=1e-8):\n"
        "        return (x - x.mean()) / (x.std() + epsilon)\nnormalize = N()"
    ),
    "normalize, partial": (
        "from functools import partial\ndef scale(power, x, epsilon=1e-8):\n"
        "    return (x - x.mean()) / (x.var() ** power + epsilon)\nnormalize = partial(scale, 0.5)"
    ),
}
HELPER = """
def gae_flat(r, v, n, term, trunc, decay, gamma):
    f = 0
    for t in reversed(range(len(r))):
        f = r[t] + gamma * n[t] * ~term[t] - v[t] + decay * ~(term | trunc)[t] * f
        yield_rows.insert(0, f)
    rows, yield_rows[:] = list(yield_rows), []
    return rows
yield_rows = []
"""


def written_out():
    """Return every solution as (name, source)."""
    bodies = [
        (TD, TD_BODIES),
        (N_STEP, N_STEP_BODIES),
        (GAE, GAE_BODIES),
        (RETURNS, RETURNS_BODIES),
        (NORMALIZE, NORMALIZE_BODIES),
    ]
    sources = []
    for head, text in bodies:
        name = head[4:].split("(")[0]
        for number, body in enumerate(text.strip().split("\n\n")):
            indented = "\n".join("    " + line for line in body.split("\n"))
            sources.append((f"{name}, {number}", f"{head}\n{indented}"))
    return sources + list(WHOLE.items())


SOLUTIONS = written_out()
SOLUTIONS += [
    (f"{task}, {number}", source)
    for task, sources in CORRECT.items()
    for number, source in enumerate(sources)
]


def test_there_are_at_least_sixty():
    assert len(SOLUTIONS) >= 60
    assert len({source for _, source in SOLUTIONS}) == len(SOLUTIONS)


@pytest.mark.parametrize(("name", "source"), SOLUTIONS, ids=[name for name, _ in SOLUTIONS])
def test_correct_but_different_is_right(name, source):
    names = {"np": np, "torch": torch}
    exec(HELPER, names)
    exec(compile(source, name, "exec", flags=annotations.compiler_flag, dont_inherit=True), names)
    task = name.split(",")[0]
    verdict = judge_here(names[task], names, seconds=60)
    assert verdict.state is State.RIGHT, verdict.as_text()
