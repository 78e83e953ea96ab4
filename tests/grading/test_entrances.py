"""One notebook, three entrances, one verdict: `check`, `pytest exercises/` and a class run.

The notebooks below are right and unusual. "===" begins one, with its task and what is unusual about
it; "---" begins a cell. Where nothing else stands, NORM is a right `normalize`.
"""

import contextlib
import decimal
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.grading import specs
from course_lib.grading.classroom.run import grade

ROOT = Path(__file__).resolve().parents[2]
NORM = "def normalize(x, epsilon=1e-8):\n    return (x - x.mean()) / (x.std() + epsilon)"
NOTEBOOKS = r'''
=== normalize: a quantile
from scipy.stats import norm
Z = norm.ppf(0.975)
---
def normalize(x, epsilon=1e-8):
    return Z * (x - x.mean()) / (x.std() + epsilon) / norm.ppf(0.975)
=== normalize: a namedtuple
from collections import namedtuple
Moments = namedtuple("Moments", "mean std")
---
def normalize(x, epsilon=1e-8):
    m = Moments(x.mean(), x.std())
    return (x - m.mean) / (m.std + epsilon)
=== normalize: vmap
import torch
scale = torch.vmap(lambda v, m, s: (v - m) / s, in_dims=(0, None, None))
---
def normalize(x, epsilon=1e-8):
    x = torch.as_tensor(x)
    return scale(x.flatten(), x.mean(), x.std(correction=0) + epsilon).reshape(x.shape)
=== normalize: a NormalDist
from statistics import NormalDist
UNIT = NormalDist(0, 1)
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon) * UNIT.stdev
=== normalize: a device
import torch
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
---
def normalize(x, epsilon=1e-8):
    x = torch.as_tensor(x, device=device)
    return (x - x.mean()) / (x.std(correction=0) + epsilon)
=== normalize: a device chosen in a block that prints
import torch
if torch.cuda.is_available():
    device = torch.device("cuda")
    print("on the GPU")
else:
    device = torch.device("cpu")
    print("on the CPU")
---
def normalize(x, epsilon=1e-8):
    x = torch.as_tensor(x).to(device)
    return (x - x.mean()) / (x.std(correction=0) + epsilon)
=== normalize: a random generator
import numpy as np
rng = np.random.default_rng(0)
---
def normalize(x, epsilon=1e-8):
    order = rng.permutation(x.size)
    flat = x.ravel()[order]
    return (x - flat.mean()) / (flat.std() + epsilon)
=== normalize: a torch generator
import torch
generator = torch.Generator().manual_seed(3)
---
def normalize(x, epsilon=1e-8):
    flat = torch.as_tensor(x).flatten()
    flat = flat[torch.randperm(len(flat), generator=generator)]
    return (torch.as_tensor(x) - flat.mean()) / (flat.std(correction=0) + epsilon)
=== normalize: a generator that runs out of nothing
from itertools import count
numbers = (n for n in count())
---
def normalize(x, epsilon=1e-8):
    next(numbers)
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: augmented assignments
parts = 1
parts += 1
parts *= 2
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon) * parts / 4
=== normalize: attributes of the function
def normalize(x, epsilon=1e-8):
    normalize.calls += 1
    return (x - x.mean()) / (x.std() + epsilon)
normalize.calls = 0
=== normalize: a counter as a global
calls = 0
---
def normalize(x, epsilon=1e-8):
    global calls
    calls += 1
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: a counter that a function sets
def reset():
    global calls
    calls = 0
reset()
---
def normalize(x, epsilon=1e-8):
    global calls
    calls += 1
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: a Counter and a deque
from collections import Counter, deque
seen, recent = Counter(), deque(maxlen=3)
---
def normalize(x, epsilon=1e-8):
    seen[x.shape] += 1
    recent.append(x.size)
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: a default dtype in the first cell
import torch
torch.set_default_dtype(torch.float64)
---
def normalize(x, epsilon=1e-8):
    y = torch.eye(len(x)) @ torch.as_tensor(x)
    return (y - y.mean()) / (y.std(correction=0) + epsilon)
=== gae: a deeper recursion
import sys
import numpy as np
sys.setrecursionlimit(50_000)
---
def gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda):
    d = rewards + gamma * next_values * ~terminated - values
    go = gamma * gae_lambda * ~(terminated | truncated)
    out = np.zeros_like(d)
    def fill(t):
        if t < len(d):
            following = fill(t + 1)
            out[t] = d[t] + go[t] * following
            return out[t]
        return 0
    fill(0)
    return out
=== normalize: extended precision
import numpy as np
---
def normalize(x, epsilon=1e-8):
    x = np.asarray(x, dtype=np.longdouble)
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: a list of extended numbers
import numpy as np
def normalize(x, epsilon=1e-8):
    x = x.astype(np.longdouble)
    return list((x - x.mean()) / (x.std() + epsilon))
=== improvement_bound: an extended scalar
import numpy as np
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    gamma, half = np.longdouble(gamma), np.sqrt(np.longdouble(divergence) / 2)
    factor = dict(mean_tv=divergence, max_tv=2 * divergence**2, max_kl=divergence, mean_kl=half)
    return surrogate - 2 * gamma * eps * factor[kind] / (1 - gamma) ** 2
=== normalize: decimals with a precision of their own
import decimal
import numpy as np
decimal.getcontext().prec = 50
---
def normalize(x, epsilon=1e-8):
    flat = [decimal.Decimal(float(v)) for v in x.flat]
    mean = sum(flat) / len(flat)
    std = (sum((v - mean) ** 2 for v in flat) / len(flat)).sqrt()
    scaled = [float((v - mean) / (std + decimal.Decimal(epsilon))) for v in flat]
    return np.array(scaled).reshape(x.shape)
=== normalize: mpmath
from mpmath import mp
import numpy as np
mp.dps = 40
---
def normalize(x, epsilon=1e-8):
    flat = [mp.mpf(float(v)) for v in x.flat]
    mean = sum(flat) / len(flat)
    std = mp.sqrt(sum((v - mean) ** 2 for v in flat) / len(flat))
    return np.array([float((v - mean) / (std + epsilon)) for v in flat]).reshape(x.shape)
=== n_step_advantages: a variable named open
import numpy as np
def n_step_advantages(rewards, values, next_values, terminated, truncated, gamma, n):
    d = rewards + gamma * next_values * ~terminated - values
    open = ~(terminated | truncated)
    out = d.copy()
    for _ in range(min(n, len(d)) - 1):
        out[:-1] = d[:-1] + gamma * open[:-1] * out[1:]
    return out
=== normalize: variables named vars, compile, eval, globals and modules
def normalize(x, epsilon=1e-8):
    vars = ((x - x.mean()) ** 2).mean()
    compile = vars**0.5
    eval, globals = x - x.mean(), epsilon
    modules = [compile + globals]
    return eval / modules[0]
=== normalize: a module's variables named vars and exec
import numpy as np
vars = np.array([1.0])
def exec(x): return x.mean()
---
def normalize(x, epsilon=1e-8):
    return (x - exec(x)) / (x.std() + epsilon) * vars[0]
=== normalize: parameters and attributes named like Python's own
class Box:
    def __init__(self, open, modules=()):
        self.open, self.modules = open, modules
    def compile(self):
        return self.open
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (Box(x.std(), [x]).compile() + epsilon)
=== normalize: a network's modules
import torch
net = torch.nn.Sequential(torch.nn.Linear(1, 1))
for module in net.modules():
    module.requires_grad_(False)
---
def normalize(x, epsilon=1e-8):
    count = len(list(net.modules())) - 1
    return (x - x.mean()) / (x.std() + epsilon) * count
=== normalize: solutions in a docstring and a message
def normalize(x, epsilon=1e-8):
    """There are many solutions/ways; see also course_lib/advantages."""
    assert epsilon >= 0, "no solutions for a negative epsilon"
    solutions = {"solutions": (x - x.mean()) / (x.std() + epsilon)}
    return solutions["solutions"]
=== normalize: LaTeX in a docstring
def normalize(x, epsilon=1e-8):
    """Return (x - \mu) / (\sigma + \epsilon)."""
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: a table filled in a loop
table = {}
for power in range(5):
    table[power] = 0.5**power
    print(power)
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.var() ** table[1] + epsilon)
=== normalize: a mask filled in
import numpy as np
ones = np.zeros((1, 1))
np.fill_diagonal(ones, 1.0)
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon) * ones[0, 0]
=== normalize: weights initialised in place
import torch
layer = torch.nn.Linear(1, 1, bias=False).double()
torch.nn.init.ones_(layer.weight)
layer.requires_grad_(False)
---
def normalize(x, epsilon=1e-8):
    y = (x - x.mean()) / (x.std() + epsilon)
    return layer(torch.as_tensor(y)[..., None])[..., 0]
=== normalize: a buffer made without gradients
import torch
with torch.no_grad():
    one = torch.ones(1, requires_grad=True) * 1
---
def normalize(x, epsilon=1e-8):
    x = torch.as_tensor(x)
    return (x - x.mean()) / (x.std(correction=0) + epsilon) * one
=== normalize: single dispatch
from functools import singledispatch
import numpy as np
@singledispatch
def centre(x):
    raise TypeError(x)
@centre.register
def _(x: np.ndarray):
    return x - x.mean()
---
def normalize(x, epsilon=1e-8):
    return centre(x) / (x.std() + epsilon)
=== normalize: a cache
from functools import lru_cache, partial
@lru_cache
def power(p):
    return p / 2
half = partial(power, 1)
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.var() ** half() + epsilon)
=== normalize: a dataclass, an enum and a TypeVar
import enum
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
T = TypeVar("T")
class Kind(enum.Enum):
    STD = enum.auto()
@dataclass(frozen=True)
class Settings:
    kind: Kind = Kind.STD
    powers: list = field(default_factory=lambda: [0.5])
class Moments(NamedTuple):
    mean: float
    std: float
SETTINGS = Settings()
---
def normalize(x: T, epsilon: float = 1e-8) -> T:
    m = Moments(x.mean(), x.var() ** SETTINGS.powers[0] if SETTINGS.kind is Kind.STD else 0)
    return (x - m.mean) / (m.std + epsilon)
=== normalize: what is defined below its use
LIMIT = make_limit()
---
def make_limit():
    return helper() / 3
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon) * LIMIT
---
def helper():
    return 3
=== normalize: composed by a call
from operator import methodcaller
import numpy as np
mean, std = methodcaller("mean"), methodcaller("std")
normalize = np.frompyfunc(lambda *_: 0, 2, 1)
normalize = lambda x, epsilon=1e-8: (x - mean(x)) / (std(x) + epsilon)
=== normalize: a method of an object
class Scaler:
    def __init__(self, power):
        self.power = power
    def normalize(self, x, epsilon=1e-8):
        return (x - x.mean()) / (x.var() ** self.power + epsilon)
scaler = Scaler(0.5)
normalize = scaler.normalize
=== normalize: compiled expressions
import re
PATTERN = re.compile(r"(\d+)")
TWO = int(PATTERN.search("2 halves").group())
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.var() ** (1 / TWO) + epsilon)
=== normalize: floating-point errors raised
import numpy as np
np.seterr(all="raise", under="ignore")
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: a warning filter and an environment
import warnings
warnings.filterwarnings("ignore")
---
def normalize(x, epsilon=1e-8):
    with warnings.catch_warnings():
        return (x - x.mean()) / (x.std() + epsilon)
=== normalize: a comment that asks
!pip --version
def normalize(x, epsilon=1e-8):
    y = x - x.mean()  # over all entries?
    return y / (x.std() + epsilon)
=== normalize: a docstring that asks, below %%time
%%time
def normalize(x, epsilon=1e-8):
    """What is it for?

    % of what
    !
    """
    k = (
        len(x)
        % 7
    )
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: magics of all kinds
%matplotlib inline
---
%precision 3
import numpy as np
---
%%capture out
%%time
HALF = np.sqrt(0.25)
---
%time TWO = 1 / HALF
files = !echo a?
len?
---
%%bash
echo "it's"
---
def normalize(x, epsilon=1e-8):
    %timeit -n1 -r1 3
    return (x - x.mean()) / (x.var() ** (1 / TWO) + epsilon)
=== normalize: a shell command over two lines
!echo one \
    'two
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon)
=== normalize: an indented cell
    def normalize(x, epsilon=1e-8):
        return (x - x.mean()) / (x.std() + epsilon)
    normalize?
=== normalize: prompts that were pasted
>>> def normalize(x, epsilon=1e-8):
...     return (x - x.mean()) / (x.std() + epsilon)
...
=== normalize: other cells that are broken, deep or long
x = = 3
def broken(:
BLANK
---
deep = DEEP
---
NORM
=== normalize: a letter in two Unicode forms
ﬁnal = 1.0
µ = 2
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon) * final * μ / 2
=== entropy_bonus: a distribution made outside
import torch
from torch.distributions import Categorical
from torch.func import vmap
entropies = vmap(lambda row: -(row.softmax(-1) * row.log_softmax(-1)).sum())
---
def entropy_bonus(logits, coefficient):
    return coefficient * entropies(logits).mean()
=== approx_kl: functions in a table
import torch
ESTIMATORS = {}
def estimator(name):
    def add(function):
        ESTIMATORS[name] = function
        return function
    return add
ESTIMATORS.update(
    k1=lambda r: -r, k2=lambda r: r**2 / 2, k3=lambda r: torch.expm1(r) - r
)
---
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    return ESTIMATORS[estimator](log_probs - old_log_probs).mean()
=== normalize: a registry
PARTS = {}
def part(function):
    PARTS[function.__name__] = function
    return function
@part
def centre(x): return x - x.mean()
@part
def scale(x): return x.std()
---
def normalize(x, epsilon=1e-8):
    return PARTS["centre"](x) / (PARTS["scale"](x) + epsilon)
=== normalize: a list that a function fills
powers = []
def fill(some):
    some.append(0.5)
fill(powers)
---
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.var() ** powers[0] + epsilon)
=== normalize: what IPython gives, and a name that NumPy had
import numpy as np
np.float = float
IN_COLAB = "google.colab" in str(get_ipython())
---
def normalize(x, epsilon=1e-8):
    display(x.shape, IN_COLAB)
    return (x.astype(np.float) - x.mean()) / (x.std() + epsilon)
=== normalize: stars of two modules
from numpy import *
from math import *
---
def normalize(x, epsilon=1e-8):
    return (asarray(x) - x.mean()) / (sqrt(x.var()) + epsilon)
=== surrogate: a loss module
import torch
mean = torch.nn.AvgPool1d(1)
EXP = torch.exp
---
def surrogate(log_probs, old_log_probs, advantages):
    ratio = EXP(log_probs - old_log_probs.detach())
    return mean((ratio * advantages.detach())[None]).mean()
=== rewards_to_go: a filter from scipy
from scipy.signal import lfilter
import numpy as np
ONE = np.ones(1)
---
def rewards_to_go(rewards, gamma):
    return lfilter(ONE, np.array([1.0, -gamma]), np.asarray(rewards, float)[::-1])[::-1]
'''


def notebooks():
    """Return (task, what is unusual, cells) of each notebook."""
    found = []
    deep, blank = "1" + " + 1" * 3000, "\n" * 40_000
    for text in re.split(r"^=== ", NOTEBOOKS.strip(), flags=re.MULTILINE)[1:]:
        head, _, body = text.rstrip("\n").partition("\n")
        body = body.replace("NORM", NORM).replace("DEEP", deep).replace("BLANK", blank)
        found.append((*head.split(": ", 1), body.split("\n---\n")))
    return found


CASES = notebooks()
LABELS = [f"{task}, {what}" for task, what, _ in CASES]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Every notebook in a folder of its own, below a copy of the settings of `exercises/`."""
    top = tmp_path_factory.mktemp("entrances")
    (top / "exercises").mkdir()
    shutil.copy(ROOT / "pyproject.toml", top)
    shutil.copy(ROOT / "exercises" / "conftest.py", top / "exercises")
    for number, (task, _, cells) in enumerate(CASES):
        document = [{"cell_type": "code", "source": cell} for cell in cells]
        path = top / "exercises" / f"n{number}" / f"{specs.SPECS[task].exercise}.ipynb"
        path.parent.mkdir()
        path.write_text(json.dumps({"cells": document, "nbformat": 4}), encoding="utf-8")
    return top / "exercises"


@pytest.fixture(scope="module")
def class_run(folders):
    """What a class run says of each task, by student."""
    result = grade(folders)
    return {(g.student, v.task): v for g in result.graded for v in g.verdicts}


@pytest.fixture(scope="module")
def pytest_run(folders):
    """What ``pytest exercises/`` says of each task, by folder."""
    report = folders.parent / "report.xml"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "exercises/", "-q", f"--junitxml={report}"]
    done = subprocess.run(
        command, cwd=folders.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert report.exists(), done.stdout + done.stderr
    states = {}
    for test in ElementTree.parse(report).iter("testcase"):
        values = {p.get("name"): p.get("value") for p in test.iter("property")}
        states[test.get("classname").split(".")[1], test.get("name")] = values["state"]
    return states


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """An IPython, as a notebook's kernel holds one."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        main = sys.modules["__main__"]
        instance = InteractiveShell.instance(config=config)
        sys.modules["__main__"] = main  # IPython has put its own there
        yield instance
        InteractiveShell.clear_instance()


@contextlib.contextmanager
def as_in_a_kernel(shell):
    """Let a notebook's cells be `__main__`, and put back what its first cell sets for all."""
    shell.user_ns.clear()
    shell.history_manager.reset()
    shell.init_user_ns()
    dtype, errors, depth = torch.get_default_dtype(), np.geterr(), sys.getrecursionlimit()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), decimal.localcontext():
        warnings.simplefilter("ignore")
        patch.setitem(sys.modules, "__main__", shell.user_module)
        yield
    torch.set_default_dtype(dtype)
    np.seterr(**errors)
    sys.setrecursionlimit(depth)
    vars(np).pop("float", None)


def test_there_are_at_least_forty():
    assert len(CASES) >= 40
    assert len(set(LABELS)) == len(LABELS)


@pytest.mark.parametrize("number", range(len(CASES)), ids=LABELS)
def test_check_says_right(number, shell, capsys):
    task, _, cells = CASES[number]
    cells = [cell for cell in cells if len(cell) < 9000]  # IPython itself gives up on the others
    with as_in_a_kernel(shell):
        failed = [cell for cell in cells if not shell.run_cell(cell, store_history=True).success]
        for cell in failed:  # once more, when the cells below it have run
            shell.run_cell(cell, store_history=True)
        capsys.readouterr()
        source = f"from course_lib.grading import check\ncheck({task})"
        shell.run_cell(source, store_history=True).raise_error()
    assert capsys.readouterr().out.startswith(f"{task}: right.")


@pytest.mark.parametrize("number", range(len(CASES)), ids=LABELS)
def test_pytest_says_right(number, pytest_run):
    assert pytest_run[f"n{number}", CASES[number][0]] == "right"


@pytest.mark.parametrize("number", range(len(CASES)), ids=LABELS)
def test_a_class_run_says_right(number, class_run):
    verdict = class_run[f"n{number}", CASES[number][0]]
    assert verdict.state.value == "right", verdict.as_text()
