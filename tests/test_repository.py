"""The repository's one address, and everything that repeats it."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from book import repository
from book.repository import address, check, is_unset, set_address, slug, text_files

ROOT = Path(__file__).resolve().parent.parent
OLD = "https://github.com/somebody/old-name"
NEW = "https://github.com/somebody-else/new.name"
TEXTS = {
    "_config.yml": "repository:\n  url: {url}\n  branch: main\n",
    "README.md": "[badge](https://colab.research.google.com/github/{slug}/blob/main/chapters/a.ipynb)",
    "pyproject.toml": 'Repository = "{url}"\nIssues = "{url}/issues"\n',
    "CITATION.cff": "repository-code: '{url}'\n",
    "chapters/a.ipynb": '{{"source": ["%pip install git+{url}.git\\n", "λ"]}}\n',
    ".github/workflows/test.yml": "# {url}\n",
}


@pytest.fixture(params=["git", "no git"])
def root(request, tmp_path):
    """A small repository that repeats its address."""
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.format(url=OLD, slug=slug(OLD)).encode())
    if request.param == "git":
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def test_the_new_address_is_written_everywhere(root):
    assert sorted(set_address(root, NEW)) == sorted(TEXTS)
    for name, text in TEXTS.items():
        assert (root / name).read_bytes().decode() == text.format(url=NEW, slug=slug(NEW))
    assert address(root) == NEW


def test_a_second_time_changes_nothing_and_the_way_back_restores_all(root):
    set_address(root, NEW)
    assert set_address(root, NEW) == []
    set_address(root, OLD)
    for name, text in TEXTS.items():
        assert (root / name).read_bytes().decode() == text.format(url=OLD, slug=slug(OLD))


def test_text_that_only_looks_like_the_address_stays(root):
    others = f"{OLD}-solutions somebody/old-name /github/somebody/old-names"
    (root / "notes.md").write_text(others)
    set_address(root, NEW)
    assert (root / "notes.md").read_text() == others


def test_pictures_and_built_files_stay(root):
    picture = b"\x89PNG\xff" + OLD.encode()
    (root / "picture.png").write_bytes(picture)
    (root / "_build").mkdir()
    (root / ".gitignore").write_text("_build\n")
    (root / "_build" / "index.html").write_text(OLD)
    set_address(root, NEW)
    assert (root / "picture.png").read_bytes() == picture
    assert (root / "_build" / "index.html").read_text() == OLD


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/owner/name",
        "https://github.com/a/b.c_d-e",
        "https://gitlab.example.org/group/sub/name",
        "https://git.example.org:8443/owner/name",
    ],
)
def test_good_addresses_are_accepted(url):
    check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "owner/name",
        "http://github.com/owner/name",
        "git@github.com:owner/name.git",
        "https://github.com/owner/name.git",
        "https://github.com/owner/name/",
        "https://github.com/owner",
        "https://github.com/owner/name/tree/main",
        "https://github.com/owner//name",
        "https://github.com/owner/name?tab=x",
        "https://github.com/owner/na me",
        f"https://github.com/{'o' * 40}/name",
    ],
)
def test_bad_addresses_are_refused_and_nothing_changes(url, tmp_path):
    (tmp_path / "_config.yml").write_text(TEXTS["_config.yml"].format(url=OLD))
    with pytest.raises(ValueError, match=r"expected something like https://github\.com/owner/name"):
        set_address(tmp_path, url)
    assert address(tmp_path) == OLD


def test_an_owner_that_nobody_can_register_means_unset():
    assert is_unset(f"https://github.com/{'o' * 40}/name")
    assert not is_unset(f"https://github.com/{'o' * 39}/name")


def test_the_command_says_what_changed(tmp_path, monkeypatch, capsys):
    (tmp_path / "book").mkdir()
    (tmp_path / "_config.yml").write_text(TEXTS["_config.yml"].format(url=OLD))
    monkeypatch.setattr(repository, "__file__", str(tmp_path / "book" / "repository.py"))
    assert repository.main([NEW]) == 0
    assert repository.main([NEW]) == 0
    assert capsys.readouterr().out == "changed _config.yml\nnothing to change\n"
    assert repository.main(["https://gitlab.com/a/b"]) == 0
    assert "Colab opens notebooks from github.com only" in capsys.readouterr().out
    assert repository.main(["nonsense"]) == 1
    assert "expected something like" in capsys.readouterr().err


def test_the_address_is_written_once_in_the_configuration():
    assert (ROOT / "_config.yml").read_text().count(slug(address(ROOT)).split("/")[0]) == 1


REPEATS = {
    re.compile(r"git\+(https://[^\s\"'\\@#`]+)"): address(ROOT),
    re.compile(r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)"): slug(address(ROOT)),
}


def test_every_file_that_names_the_repository_names_this_address():
    for path in text_files(ROOT):
        if ROOT / "tests" in path.parents:
            continue
        for pattern, expected in REPEATS.items():
            for found in pattern.findall(path.read_text()):
                assert found == expected, (
                    f"{path.relative_to(ROOT)} (make repository URL=... mends it)"
                )


NOTEBOOKS = [
    p for folder in ("chapters", "exercises", "solutions") for p in ROOT.glob(f"{folder}/*.ipynb")
]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_notebook_knows_where_the_library_is(notebook):
    assert address(ROOT) in notebook.read_text()


def test_the_metadata_names_this_address():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Repository"] == address(ROOT)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["repository-code"] == address(ROOT)
