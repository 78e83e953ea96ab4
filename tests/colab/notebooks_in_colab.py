"""Every notebook, alone in an empty folder, with the package versions that Colab has.

With NEWEST=1 in the environment it is the newest versions that pip finds, as Colab will have one
day. PYTHON_OF_COLAB names an interpreter other than the one at hand.

Slow (it builds an environment), and it needs the package index: `make colab` runs it. Its name is
not one that pytest looks for, so `make test` does not.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
NEWEST = os.environ.get("NEWEST", "") == "1"
PYTHON = os.environ.get("PYTHON_OF_COLAB", sys.executable)
NOTEBOOKS = sorted(
    path
    for folder in ("appendices", "chapters", "exercises", "solutions")
    for path in (ROOT / folder).glob("*.ipynb")
)
# What a Colab runtime has before the first cell runs, of all that the course could need.
PREINSTALLED = """torch==2.13.0 gymnasium ipywidgets ipython ipykernel nbclient nbformat matplotlib
seaborn imageio scipy pandas tqdm pygame safetensors""".split()
MAY_APPEAR = {"course-lib", "box2d"}

# All cells, those with an ipywidgets panel included, as "Run all" does.
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


def run(*command, **options):
    """Run a command; show its output if it fails."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def package_of(line):
    """The name in a line of `pip freeze`."""
    return line.split("==")[0].split(" @ ")[0].strip().lower()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository whose one commit is the working tree as it is now."""
    folder = tmp_path_factory.mktemp("repository") / "trust-regions"
    files = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run("git", "init", "-q", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    identity = ["-c", "user.name=colab", "-c", "user.email=colab@example.org"]
    run("git", *identity, "commit", "-q", "-m", "the working tree", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The Python of an environment with Colab's versions, without the course library."""
    folder = tmp_path_factory.mktemp("colab")
    run(PYTHON, "-m", "venv", folder)
    python = folder / "bin" / "python"
    packages = [p.split("==")[0] for p in PREINSTALLED] if NEWEST else PREINSTALLED
    constraints = [] if NEWEST else ["-c", CONSTRAINTS]
    run(python, "-m", "pip", "install", "-q", *constraints, *packages)
    return python


def test_the_lander_needs_no_compiler(colab, repository, tmp_path):
    """Colab has no Box2D: the library brings it, as a wheel, and the lander flies."""
    lander = (
        "from course_lib.experience.envs import make_env;"
        "env = make_env('LunarLanderContinuous-v3'); env.reset(seed=0);"
        "print(len(env.step(env.action_space.sample())[0]))"
    )
    without = {**os.environ, "CC": "false", "CXX": "false"}  # a build from source would fail
    run(
        colab,
        "-m",
        "pip",
        "install",
        "-q",
        "--only-binary=box2d",
        f"git+{repository.as_uri()}",
        env=without,
    )
    assert run(colab, "-c", lander, cwd=tmp_path).split()[-1] == "8"
    run(colab, "-m", "pip", "uninstall", "-q", "-y", *MAY_APPEAR)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_notebook_runs_alone_with_colabs_versions(path, colab, repository, tmp_path):
    address = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MPLBACKEND")},
        "PATH": f"{colab.parent}{os.pathsep}{os.environ['PATH']}",
        # pip asks git for the address in the first cell, and git looks here instead.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }
    before = set(run(colab, "-m", "pip", "freeze").splitlines())
    assert "course-lib" not in map(package_of, before)
    notebook = tmp_path / path.name
    shutil.copy(path, notebook)

    run(colab, "-c", RUN, notebook.name, cwd=tmp_path, env=environment)

    after = set(run(colab, "-m", "pip", "freeze").splitlines())
    assert {package_of(line) for line in before ^ after} <= MAY_APPEAR
    assert "course-lib" in map(package_of, after)
    run(colab, "-m", "pip", "uninstall", "-q", "-y", *MAY_APPEAR)
