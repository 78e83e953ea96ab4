"""Files that are written whole or not at all."""

import json
import os

import pytest

from course_lib import files
from course_lib.files import write_atomically
from course_lib.language import study as language
from course_lib.training import exact_studies
from course_lib.training.study_records import write_run


def exact(record, file):
    """The record of a study on exact MDPs, of one row."""
    file.parent.mkdir(exist_ok=True)
    exact_studies.run_exact_study({"driver": "one row"}, file.parent)


@pytest.mark.parametrize("write", [write_run, language.write_whole, exact])
def test_every_record_is_on_the_disk_before_it_has_its_name(write, tmp_path, monkeypatch):
    monkeypatch.setitem(exact_studies.DRIVERS, "one row", lambda: [{"a": 1}])
    done, synced, replaced = [], os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda file: (done.append("synced"), synced(file)))
    monkeypatch.setattr(
        files.os, "replace", lambda old, new: (done.append("named"), replaced(old, new))
    )
    write({"a": 1}, tmp_path / "arm" / "one row.json")
    assert done == ["synced", "named"]
    (file,) = (tmp_path / "arm").iterdir()
    assert json.loads(file.read_text())


def test_processes_that_write_one_file_do_not_write_into_each_others(tmp_path, monkeypatch):
    def meanwhile(file):
        monkeypatch.undo()
        monkeypatch.setattr(files.os, "getpid", lambda: -1)  # as another process
        write_atomically(tmp_path / "a", b"the other's")

    monkeypatch.setattr(files.os, "fsync", meanwhile)
    write_atomically(tmp_path / "a", b"ours")
    assert (tmp_path / "a").read_bytes() == b"ours"
    assert len(list(tmp_path.iterdir())) == 1
