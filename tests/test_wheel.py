"""The wheel, alone: it is built, installed, and used in an empty folder far from the repository.

Here its dependencies are those of the tests, so that nothing is fetched. `make wheel` does the same
in a fresh environment, with what pip brings along for the wheel.
"""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import course_lib

ROOT = Path(__file__).resolve().parent.parent
ALONE = Path(__file__).with_name("alone.py")
SOURCES = ("pyproject.toml", "README.md", "LICENSE")


def run(*command, **options):
    """Run a command; show its output if it fails."""
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def build_wheel(folder, *options):
    """Build the wheel from a copy of the sources, because a build leaves files beside them."""
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "course_lib", source / "course_lib", ignore=ignore)
    for name in SOURCES:
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder)
    run(*pip, *options, source)
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def used_alone(python, folder):
    """What `alone.py` found, with this Python, in an empty folder; and what it printed."""
    folder.mkdir()
    program = shutil.copy(ALONE, folder.parent / "program.py")
    # -P: the program's own folder is not searched; -W error: nobody wants to see our warnings.
    strictly = ["-P", "-W", "error", "-W", "ignore:builtin type [sS]wig:DeprecationWarning"]
    printed = run(python, *strictly, program, cwd=folder, env={"PATH": "/usr/bin:/bin"})
    *lines, last = printed.splitlines()
    return json.loads(last), "\n".join(lines)


def assert_it_works(found, printed, environment):
    """The library is the installed one, it trains, and it judges."""
    assert Path(found["file"]).is_relative_to(environment)
    assert not Path(found["file"]).is_relative_to(ROOT)
    assert found["version"] == course_lib.__version__
    assert found["modules"] > 100
    assert found["steps"] == 8192
    assert found["kl"]
    assert "grpo" in found["language"]
    right, wrong = re.findall(r"^gae: (.*)$", printed, re.M)
    assert right.startswith("right.")
    assert wrong == "known mistake."
    assert "Your trace runs across the end of an episode" in printed
    assert found["graded"] == 0
    assert "gae: 1 right" in found["report"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built with the setuptools that torch brings along."""
    return build_wheel(tmp_path_factory.mktemp("wheel"), "--no-build-isolation")


def test_the_wheel_trains_and_grades_without_the_repository(wheel, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    variables = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=variables))
    packages = [p for p in sys.path if p.rstrip("/").endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(packages))
    run(
        sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install",
        "--quiet", "--no-deps", wheel,
    )  # fmt: skip
    found, printed = used_alone(environment / "bin" / "python", tmp_path / "empty")
    assert_it_works(found, printed, environment)


def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (ROOT / "course_lib").rglob("*")
    expected = {f.relative_to(ROOT).as_posix() for f in files if f.is_file()}
    assert names == {name for name in expected if "__pycache__" not in name}


def test_one_version_is_written_everywhere():
    version = course_lib.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert f"version {version}." in (ROOT / "README.md").read_text()
    released = re.search(r"^## (\S+)(?: \((\S+)\))?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released.groups() == (version, str(citation["date-released"]))
