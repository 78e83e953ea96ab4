"""`check` in a real Jupyter kernel and in IPython's terminal shell, as readers use it."""

import ast
import os
import re
import subprocess
import sys

import pytest
from class_of_eight import ROOT

KERNEL = pytest.importorskip("jupyter_client", reason="comes with the extra [book]")
SETUP = """\
import time
import numpy as np
import course_lib.grading.inline as inline
from course_lib.grading import check
inline.judge_here.__defaults__ = (None, 600.0)  # no busy machine decides

def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon)

check(normalize)
"""
# Processor time: what else the machine does must not count.
RIGHT = "start = time.process_time(); check(normalize); took = time.process_time() - start"
MISTAKE = "def normalize(x, epsilon=1e-8):\n    return x / (x.std() + epsilon)\ncheck(normalize)"
ENDLESS = (
    "inline.judge_here.__defaults__ = (None, 0.5)\n"
    "def normalize(x, epsilon=1e-8):\n    while True:\n        pass\n"
    "check(normalize)\n"
    "inline.judge_here.__defaults__ = (None, 600.0)"
)
RAISES = "def normalize(x, epsilon=1e-8):\n    return x / undefined\ncheck(normalize)"
EXITS = "def normalize(x, epsilon=1e-8):\n    exit()\ncheck(normalize)"
HINT = "The scale of your answer is right, but its mean is not 0."


def environment(folder):
    """Return the variables of a session whose settings lie in an empty folder."""
    own = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder), "JUPYTER_CONFIG_DIR": str(folder)}
    return {**os.environ, **own, "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel in which `check` has run once, so that it is warm."""
    folder = tmp_path_factory.mktemp("kernel")
    manager = KERNEL.KernelManager(kernel_name="")
    # The kernel of this very Python, not the one that some kernelspec names.
    manager._kernel_spec = KERNEL.kernelspec.KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        language="python",
    )
    manager.start_kernel(env=environment(folder), cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=600)
        execute(client, SETUP)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def execute(client, code, value="None"):
    """Run a cell; return what it displayed, and the value of an expression after it."""
    shown = []

    def remember(message):
        kind, content = message["header"]["msg_type"], message["content"]
        assert kind != "error", content
        if kind == "display_data":
            shown.append(content["data"])
        assert kind != "stream", content

    reply = client.execute_interactive(
        code, user_expressions={"value": value}, output_hook=remember, timeout=600
    )["content"]
    assert reply["status"] == "ok", reply
    return shown, ast.literal_eval(reply["user_expressions"]["value"]["data"]["text/plain"])


def test_in_a_kernel_right_is_shown_in_colour_within_a_second(kernel):
    shown, took = execute(kernel, RIGHT, "took")
    (data,) = shown
    assert set(data) == {"text/html", "text/plain"}
    assert "<b>normalize: right.</b>" in data["text/html"]
    assert data["text/plain"].startswith("normalize: right. It agrees on all")
    assert took < 1.0


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (MISTAKE, "known mistake", HINT),
        (ENDLESS, "timeout", "It did not finish within 0.5 seconds."),
        (RAISES, "raised", "NameError"),
        (EXITS, "raised", "Your function ended Python."),
    ],
)
def test_in_a_kernel_the_cause_is_shown_and_nothing_is_raised(kernel, code, state, words):
    shown, alive = execute(kernel, code, "6 * 7")
    (data,) = shown
    assert f"normalize: {state}." in data["text/html"]
    assert words in data["text/html"]
    assert words in data["text/plain"]
    assert alive == 42


def test_in_ipythons_shell_everything_is_plain_text(tmp_path):
    pytest.importorskip("IPython")
    cells = [RIGHT + '; print("under a second" if took < 1 else took)', MISTAKE, ENDLESS, RAISES]
    script = tmp_path / "session.py"
    texts = [SETUP, *cells, "print('still here')"]
    # One cell after the other, as if typed; an exception would be shown and counted.
    runs = "".join(f"failed += not shell.run_cell({text!r}).success\n" for text in texts)
    script.write_text(
        "from IPython.terminal.interactiveshell import TerminalInteractiveShell\n"
        f"shell, failed = TerminalInteractiveShell.instance(), 0\n{runs}print(failed, 'failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    out = done.stdout
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.findall(r"^normalize: ([a-z ]+)\.", out, re.MULTILINE) == [
        "right",
        "right",
        "known mistake",
        "timeout",
        "raised",
    ]
    assert "under a second" in out
    assert HINT in out
    assert "within 0.5 seconds" in out
    assert out.endswith("still here\n0 failed\n")
    assert "Traceback" not in out
    assert "<div" not in out
