"""Bad submissions, in real processes: each is answered on its own, and the others are graded."""

import ast
import dataclasses
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from course_lib.grading import specs
from course_lib.grading.judge import judge_notebook
from course_lib.grading.notebook import read_code_cells
from course_lib.grading.sandbox.client import Sandbox
from course_lib.grading.sandbox.preload import modules_for, names_of, needed
from course_lib.grading.states import State

# Only what never ends meets the time limit; everything else has all the time it needs.
GAE = dataclasses.replace(specs.SPECS["gae"], seconds=600.0, megabytes=200)
ENDLESS_GAE = dataclasses.replace(GAE, seconds=0.6)
TD = specs.SPECS["td_residuals"]
SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks only on Linux")

HEAD = "def gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda):\n"
BAD = {
    "endless loop": ("while True: pass", State.TIMEOUT),
    "loop that swallows everything": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        State.TIMEOUT,
    ),
    "sleep": ("import time\ntime.sleep(60)", State.TIMEOUT),
    "ignored signals": (
        "import signal\n"
        "for s in (2, 15, 24, 14):\n    signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
        State.TIMEOUT,
    ),
    "sys.exit": ("import sys\nsys.exit(0)", State.RAISED),
    "SystemExit": ("raise SystemExit", State.RAISED),
    "exit": ("exit()", State.RAISED),
    "keyboard interrupt": ("raise KeyboardInterrupt", State.RAISED),
    "os._exit": ("import os\nos._exit(0)", State.CRASHED),
    "abort": ("import os\nos.abort()", State.CRASHED),
    "segfault": ("import ctypes\nctypes.string_at(0)", State.CRASHED),
    "memory in one piece": ("x = bytearray(1 << 36)\nreturn x", State.MEMORY),
    "memory in small pieces": ("x = []\nwhile True: x.append(bytearray(1 << 20))", State.MEMORY),
    "memory in numpy": ("import numpy as np\nreturn np.ones((1 << 34,))", State.MEMORY),
    "memory in torch": ("import torch\nreturn torch.ones(1 << 34)", State.MEMORY),
    "printing for ever": ("while True: print('x' * 1000)", State.OUTPUT),
    "huge file": (
        "with open('x', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
        State.OUTPUT,
    ),
    "enormous answer": ("import numpy as np\nreturn np.zeros((2000, 2000))", State.OUTPUT),
    "enormous list": ("return [0.0] * 10_000_000", State.OUTPUT),
    "enormous string": ("return 'x' * 10_000_000", State.WRONG),
    "fork bomb": ("import os\nwhile True: os.fork()", State.RAISED),
    "subprocess": ("import subprocess\nsubprocess.run(['true'])", State.RAISED),
    "shell": ("import os\nos.system('true')", State.RAISED),
    "network": (
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        State.RAISED,
    ),
    "a file elsewhere": ("open('/tmp/left-behind-by-a-submission', 'w')", State.RAISED),
    "kills the judge": ("import os\nos.kill(os.getppid(), 9)", State.RAISED),
    "kills the group": ("import os\nos.killpg(1, 9)", State.RAISED),
    "input": ("return float(input('value? '))", State.RAISED),
    "recursion": ("return gae(rewards, 0, 0, 0, 0, 0, 0)", State.RAISED),
    "an exception that cannot be printed": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        State.RAISED,
    ),
    "None": ("x = rewards", State.UNFINISHED),
    "an object": ("return object()", State.WRONG),
    "a generator": ("return (x for x in rewards)", State.WRONG),
    "text": ("return 'forty-two'", State.WRONG),
    "ragged": ("return [[1.0], [1.0, 2.0]]", State.WRONG),
    "wrong shape": ("return rewards[:, 0]", State.WRONG),
    "NaN": ("return rewards * float('nan')", State.WRONG),
    "complex": ("return rewards * 1j", State.WRONG),
    "a cycle": ("x = []\nx.append(x)\nreturn x", State.WRONG),
}
GOOD_GAE = """\
import numpy as np
def gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda):
    delta = rewards + gamma * (1 - terminated) * next_values - values
    out, following = np.zeros_like(delta), 0.0
    for t in reversed(range(len(delta))):
        following = delta[t] + gamma * gae_lambda * ~(terminated | truncated)[t] * following
        out[t] = following
    return out
"""
GOOD_TD = """\
def td_residuals(rewards, values, next_values, terminated, gamma):
    return rewards + gamma * (1 - terminated) * next_values - values
"""


def body(text):
    return HEAD + "\n".join("    " + line for line in text.splitlines())


def spec_for(state):
    """Return the task with a time limit that decides only what is to run out of time."""
    return ENDLESS_GAE if state is State.TIMEOUT else GAE


def grade(write_notebook, sandbox, *sources, spec=GAE):
    return judge_notebook(write_notebook(*sources), [spec], sandbox)[0]


@linux
@pytest.mark.parametrize("name", BAD)
def test_bad_submission_is_answered_on_that_exercise_alone(name, write_notebook, sandbox):
    text, state = BAD[name]
    path = write_notebook(body(text), GOOD_TD)
    bad, good = judge_notebook(path, [spec_for(state), TD], sandbox)
    assert bad.state is state, bad.as_text()
    assert good.state is State.RIGHT
    assert len(bad.as_text()) < 3000


@linux
@pytest.mark.parametrize("name", ["sys.exit", "SystemExit", "exit", "os._exit"])
def test_ending_python_is_called_that(name, write_notebook, sandbox):
    verdict = grade(write_notebook, sandbox, body(BAD[name][0]))
    assert verdict.headline.startswith("Your function ended Python")


@linux
def test_nothing_is_left_behind(write_notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with Sandbox(fork=True) as own:
        for name in ("endless loop", "os._exit", "huge file", "memory in small pieces"):
            text, state = BAD[name]
            grade(write_notebook, own, body(text), spec=spec_for(state))
        scratch = Path(own._scratch)
        worker = own._worker._process.pid
        assert list(scratch.iterdir()) == []
        with open(f"/proc/{worker}/task/{worker}/children", encoding="ascii") as file:
            assert file.read() == ""
        descriptors = len(os.listdir(f"/proc/{worker}/fd"))
        grade(write_notebook, own, GOOD_GAE)
        assert len(os.listdir(f"/proc/{worker}/fd")) == descriptors
    assert not scratch.exists()
    assert not Path(f"/proc/{worker}").exists()
    assert not Path("/tmp/left-behind-by-a-submission").exists()


@linux
def test_a_process_that_escapes_its_session_is_ended(write_notebook):
    """The kernel lets a submission start no process; where it cannot, none is left behind."""
    code = body(
        "import ctypes, os, time\n"
        "if ctypes.CDLL(None).fork() == 0:\n"
        "    ctypes.CDLL(None).setsid()\n"
        "    time.sleep(600)\n"
        "return rewards"
    )
    for kernel in (True, False):
        with Sandbox(fork=True, kernel=kernel) as own:
            grade(write_notebook, own, code)
            worker = own._worker._process.pid
            with open(f"/proc/{worker}/task/{worker}/children", encoding="ascii") as file:
                assert file.read() == ""


@linux
@pytest.mark.parametrize("victim", ["the worker", "the child"])
def test_an_innocent_that_is_ended_from_outside_is_tried_again(victim, write_notebook):
    """The first try hangs until its process is killed; the second has a fresh worker."""
    code = GOOD_GAE.replace("    delta", "    import time\n    time.sleep(0.5)\n    delta", 1)
    with Sandbox(fork=True) as own:
        grade(write_notebook, own, GOOD_GAE)
        first = own._worker._process.pid

        def kill():
            children = Path(f"/proc/{first}/task/{first}/children")
            while not (found := children.read_text().split()):
                time.sleep(0.005)
            os.kill(int(found[0]) if victim == "the child" else first, 9)

        killer = threading.Thread(target=kill)
        killer.start()
        verdict = grade(write_notebook, own, code)
        killer.join()
        assert verdict.state is State.RIGHT, verdict.as_text()
        assert own._worker._process.pid != first


@linux
def test_a_folder_that_overflows_is_output(write_notebook, sandbox):
    many = "i = 0\nwhile True:\n    i += 1\n    open(f'f{i}', 'wb').write(bytes(100_000))"
    deep = "import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')"
    grade(
        write_notebook, sandbox, body("return rewards")
    )  # the worker has what it keeps for itself
    before = set(Path(sandbox._scratch).iterdir())
    for text in (many, deep):
        verdict = grade(write_notebook, sandbox, body(text))
        assert verdict.state is State.OUTPUT, verdict.as_text()
        assert set(Path(sandbox._scratch).iterdir()) == before


# Where there is no kernel's fence: each is refused by the audit hook, and ends the process.
PAST_THE_HOOK = {
    "its module's names": (
        "import sys\nguard = sys.modules['sandbox.guard']\n"
        "for name in ('REFUSED', 'CHANGES_PATH', 'GETS_AT_THE_HOOK', 'IMPORT'):\n"
        "    setattr(guard, name, {})\n"
        "guard.WRITING = 0\nguard.frozen_paths = None"
    ),
    "builtins": (
        "import builtins\nbuiltins.any = lambda *a: False\n"
        "builtins.isinstance = lambda *a: False\nbuiltins.bool = lambda *a: False"
    ),
    "paths": (
        "import os, posixpath, stat\nhere = os.getcwd()\n"
        "os.readlink = os.fspath = os.path.realpath = os.path.abspath = lambda *a, **k: here\n"
        "posixpath._joinrealpath = lambda *a, **k: (here, True)\nposixpath.join = lambda *a: here"
    ),
    "collected objects": "import gc\ngc.get_objects()",
    "frames": "import sys\nsys._current_frames()",
    "tracing": "import sys\nsys.setprofile(print)",
    "C": "import ctypes\nctypes.CDLL(None).system",
    "a folder's descriptor": "import os\nos.open('/', os.O_RDONLY)",
    "a climbing name": "open('../../x', 'w')",
    "a link": "import os\nos.symlink('/etc', 'link')",
    "a sub-interpreter": (
        "try: import _xxsubinterpreters as i\nexcept ImportError: import _interpreters as i\n"
        "i.create()"
    ),
}


@pytest.fixture(scope="module")
def hook_only():
    """A sandbox as on systems whose kernel holds no fence."""
    with Sandbox(fork=True, kernel=False) as own:
        yield own


@linux
@pytest.mark.parametrize("name", PAST_THE_HOOK)
def test_the_audit_hook_alone_cannot_be_switched_off(name, write_notebook, tmp_path, hook_only):
    mark = tmp_path / "mark"
    last = f"\ntry: open({str(mark)!r}, 'w')\nexcept BaseException: pass\nreturn rewards"
    verdict = grade(write_notebook, hook_only, body(PAST_THE_HOOK[name] + last))
    assert verdict.state is State.RAISED, verdict.as_text()
    assert "PermissionError" in verdict.headline
    assert not mark.exists()


CHEATS = {
    "patched comparison": "import numpy as np\nnp.allclose = lambda *a, **k: True\nreturn rewards",
    "patched everything": (
        "import builtins, json, numpy as np\n"
        "builtins.abs = builtins.max = lambda *a, **k: 0\n"
        'json.dumps = lambda *a, **k: \'{"outcomes": ["right"]}\'\nreturn rewards'
    ),
    "forged result": (
        'import os\nos.write(3, b\'{"state": "right", "outcomes": []}\')\nos._exit(0)'
    ),
    "forged nonsense": "import os\nos.write(3, b'[' * 100000)\nos._exit(0)",
    "forged outcomes": (
        "import os, json\n"
        "os.write(3, json.dumps({'outcomes': [{'value': {'kind': 'array', 'dtype': 'O',"
        " 'data': [None], 'shape': 7}}] * 7}).encode())\nos._exit(0)"
    ),
    "equal to everything": (
        "import numpy as np\n"
        "class Yes(np.ndarray):\n"
        "    def __eq__(self, other): return True\n"
        "return rewards.view(Yes)"
    ),
}


@linux
@pytest.mark.parametrize("name", CHEATS)
def test_a_submission_cannot_mark_itself_right(name, write_notebook, sandbox):
    verdict = grade(write_notebook, sandbox, body(CHEATS[name]))
    assert verdict.state in (State.WRONG, State.KNOWN_MISTAKE, State.CRASHED), verdict.as_text()


ROOT = Path(__file__).resolve().parents[2]
REACHES = {
    "imports the answer": "from course_lib.advantages import gae",
    "imports inside": body("from course_lib import advantages\nreturn advantages.gae(rewards)"),
    "imports the oracle": body("import course_lib.grading.specs\nreturn rewards"),
    "imports by name": body("import importlib\nimportlib.import_module('course_lib.advantages')"),
    "removes the hook": body(
        "import sys\nsys.meta_path.pop(0)\n"
        f"sys.path.insert(0, {str(ROOT)!r})\nimport course_lib.advantages as a\n"
        "return a.gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda)"
    ),
    "swallows": body("try:\n    import course_lib.grading\nexcept BaseException: pass\nreturn 1"),
    "reads the library": body(f"open({str(ROOT / 'course_lib' / 'advantages.py')!r}).read()"),
    "reads the solutions": body(
        f"import pathlib\npathlib.Path({str(ROOT / 'solutions')!r}, "
        "'02_advantage_estimation.ipynb').read_text()"
    ),
    "right, but opens its eyes": GOOD_GAE.replace("    delta", "    globals()\n    delta"),
    "right, but patches": GOOD_GAE.replace("    delta", "    np.abs = 3\n    delta"),
}


@linux
@pytest.mark.parametrize("name", REACHES)
def test_reaching_for_answers_needs_review(name, write_notebook, sandbox):
    verdict = grade(write_notebook, sandbox, REACHES[name])
    assert verdict.state is State.NEEDS_REVIEW, verdict.as_text()


@linux
def test_helpers_of_a_task_are_importable_and_nothing_else_is(write_notebook, sandbox):
    code = GOOD_GAE.replace("import numpy as np", "import numpy as np\nimport course_lib.surrogate")
    code = code.replace("    delta", "    course_lib.surrogate\n    delta", 1)
    assert grade(write_notebook, sandbox, code).state is State.NEEDS_REVIEW
    helpers = ("course_lib.surrogate", "course_lib.distributions")
    allowed = dataclasses.replace(GAE, helpers=helpers)
    verdict = grade(write_notebook, sandbox, code, spec=allowed)
    assert verdict.state is State.RIGHT, verdict.as_text()
    code = code.replace("    course_lib", "    import course_lib.advantages\n    course_lib", 1)
    assert grade(write_notebook, sandbox, code, spec=allowed).state is State.NEEDS_REVIEW


@linux
@pytest.mark.parametrize("task", [spec.name for spec in specs.TASKS if spec.helpers])
def test_the_helpers_that_a_task_lists_can_be_imported(task, sandbox, tmp_path):
    spec = specs.SPECS[task]
    (source,) = SOLUTIONS.glob(f"{spec.exercise}.*")
    tree = ast.parse("\n\n".join(cell.source for cell in read_code_cells(source)))
    (function,) = [node for node in tree.body if getattr(node, "name", "") == task]
    function.body[1:1] = [ast.Import([ast.alias(helper)]) for helper in spec.helpers]
    changed = tmp_path / f"{spec.exercise}.py"
    changed.write_text(ast.unparse(ast.fix_missing_locations(tree)), "utf-8")
    (verdict,) = judge_notebook(changed, [spec], sandbox)
    assert verdict.state is State.RIGHT, verdict.as_text()


def test_single_use_workers_give_the_same_verdicts(write_notebook):
    with Sandbox(fork=False) as single:
        assert grade(write_notebook, single, GOOD_GAE).state is State.RIGHT
        for name in ("endless loop", "os._exit", "enormous list", "segfault", "sleep"):
            text, state = BAD[name]
            verdict = grade(write_notebook, single, body(text), spec=spec_for(state))
            assert verdict.state is state, name
        assert grade(write_notebook, single, GOOD_GAE).state is State.RIGHT


def indented(lines):
    return lines.replace("\n", "\n    ")


SLOW_IMPORTS = {
    "scipy": ("scipy.stats", "import scipy.stats\nscipy.stats.norm.cdf(0.0)"),
    "optimiser": (
        "torch._dynamo",
        "import torch\n"
        "w = torch.zeros(2, requires_grad=True)\n"
        "steps = torch.optim.SGD([w], lr=0.1)\n"
        "w.sum().backward()\n"
        "steps.step()",
    ),
    "torch.func": (
        "torch._dynamo",
        "import torch\nfrom torch.func import grad\ngrad(lambda w: (w**2).sum())(torch.ones(2))",
    ),
    "multivariate": (
        "torch.fx.experimental.symbolic_shapes",
        "import torch\n"
        "torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2)).log_prob(torch.ones(2))",
    ),
}


@pytest.mark.parametrize(
    ("fork", "names"),
    [pytest.param(True, tuple(SLOW_IMPORTS), marks=linux), (False, ("scipy",))],
)
def test_a_slow_import_is_not_the_functions_time(fork, names, write_notebook):
    with Sandbox(fork=fork) as own:
        for name in names:
            module, lines = SLOW_IMPORTS[name]
            lines = f"import sys\nassert {module!r} in getattr(sys, 'modules')\n{lines}"
            code = GOOD_GAE.replace("    delta", f"    {indented(lines)}\n    delta", 1)
            verdict = grade(write_notebook, own, code)
            assert verdict.state is State.RIGHT, (name, verdict.as_text())


@linux
def test_forks_are_cheap(write_notebook, sandbox):
    """One worker, which has imported torch once, serves them all; forks share what it holds."""
    grade(write_notebook, sandbox, GOOD_GAE)
    loaded = GOOD_GAE.replace(
        "    delta", "    import sys\n    getattr(sys, 'modules')['torch']\n    delta", 1
    )
    assert grade(write_notebook, sandbox, loaded).state is State.RIGHT
    worker = sandbox._worker._process.pid
    for _ in range(3):
        assert grade(write_notebook, sandbox, loaded).state is State.RIGHT
    assert sandbox._worker._process.pid == worker


@linux
def test_torch_is_in_a_worker_of_its_own(write_notebook):
    look = "    import sys\n    assert {} getattr(sys, 'modules')\n    delta"
    without = GOOD_GAE.replace("    delta", look.format("'to' + 'rch' not in"), 1)
    with_it = GOOD_GAE.replace("    delta", look.format("'torch' in"), 1)
    with Sandbox(fork=True) as own:
        for code in (without, with_it, without, with_it):
            verdict = grade(write_notebook, own, code)
            assert verdict.state is State.RIGHT, verdict.as_text()


@pytest.mark.parametrize(
    ("code", "change", "expected"),
    [
        ("import numpy as np\nfrom math import exp", {}, False),
        ("x = 1\nimport torch", {}, True),
        ("m = __import__('torch')", {}, True),
        ("def f():\n    '''Uses no torch, and no scipy.stats.'''  # torch", {}, False),
        ("x = 'a torch'\ntorch_like = 1", {}, False),
        ("x = (", {}, True),  # whatever cannot be read
        ("def f():\n    from stable_baselines3 import PPO", {}, True),  # it imports torch itself
        ("x = 1", {"helpers": ["course_lib.kinds"]}, True),
        ("x = 1", {"probes": [[{"kind": "array"}], [{"kind": "tensor"}]]}, True),
        ("x = 1", {"probes": [[{"kind": "dict", "items": [["w", {"kind": "tensor"}]]}]]}, True),
        ("x = 1", {"harness": ["run", "def run(f, x): return f(tensor(x))"]}, True),
    ],
)
def test_what_may_need_torch(code, change, expected):
    job = {"fragments": [[1, 1, code]], "harness": None, "helpers": [], "probes": [], **change}
    assert (modules_for(job)[:1] == ["torch"]) is expected


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import torch\nfunction(x)", []),
        ("func(x)", []),
        ("import torch\ntorch.func.grad(f)", ["torch._dynamo"]),
        ("from torch.optim import Adam", ["torch._dynamo"]),
        (
            "import torch\ntorch.distributions.MultivariateNormal(m, c)",
            ["torch.fx.experimental.symbolic_shapes"],
        ),
        ("from scipy import stats", ["scipy.stats"]),
        ("'As scipy and the func of torch do.'\nimport torch  # torch.optim", []),
    ],
)
def test_only_what_the_code_uses_is_preloaded(code, modules):
    words, _ = names_of(code)
    assert needed(words) == modules
