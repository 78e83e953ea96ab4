"""The committed measurements that chapters read, in the repository and in the package."""

import json

import pytest

from course_lib.training import evidence as module
from course_lib.training.evidence import PACKAGED, SOURCES, evidence


@pytest.mark.parametrize("name", SOURCES)
def test_the_packages_copy_is_that_of_the_repository(name, monkeypatch, tmp_path):
    here = evidence(name)
    assert here
    monkeypatch.setattr(module, "RESULTS", tmp_path / "none")
    # As text, for NaN is not equal to itself.
    assert json.dumps(evidence(name)) == json.dumps(here)


def test_the_earlier_preset_comes_by_seed_and_alone():
    runs = evidence("swingup-seeds")
    assert [run["job"]["seed"] for run in runs] == list(range(110, 117))
    assert {run["job"]["settings"]["entropy_coef"] for run in runs} == {-0.005}


def test_an_unknown_name_is_told():
    with pytest.raises(ValueError, match="no evidence 'nothing'; there is: swingup-36"):
        evidence("nothing")


def test_the_copy_is_part_of_the_package():
    import tomllib

    settings = tomllib.loads((PACKAGED.parents[2] / "pyproject.toml").read_text())
    files = settings["tool"]["setuptools"]["package-data"]["course_lib.training"]
    assert PACKAGED.name in files
