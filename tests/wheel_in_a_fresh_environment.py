"""The wheel in an environment with nothing else: pip brings what the wheel asks for.

It needs the package index and takes some minutes: `make wheel` runs it. Its name is not one that
pytest looks for, so `make test` does not.
"""

import sys

from tests.test_wheel import assert_it_works, build_wheel, run, used_alone


def test_the_wheel_alone_trains_and_grades(tmp_path):
    wheel = build_wheel(tmp_path)
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    assert len(run(python, "-m", "pip", "freeze").splitlines()) == 0
    run(python, "-m", "pip", "install", "--quiet", wheel)
    found, printed = used_alone(python, tmp_path / "empty")
    assert_it_works(found, printed, environment)
