"""What processes leave for their launcher."""

import os

import pytest

from taxonomy.launch_folder import FOLDER_VARIABLE, is_word_left, launch_folder, leave_word, say_word


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a launcher that started this process."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_the_first_word_is_said_and_its_code_the_code(folder, capsys, monkeypatch):
    assert launch_folder() == folder
    assert (say_word(folder), is_word_left()) == (None, False)
    assert capsys.readouterr().err == ""
    assert leave_word("taxaflow: no such thing", 2)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert leave_word("taxaflow: another", 1)  # of another process
    assert (say_word(folder), is_word_left()) == (2, True)
    assert capsys.readouterr().err == "taxaflow: no such thing\n"


def test_without_a_launcher_no_word_is_left(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert not leave_word("x", 1)
    assert not is_word_left()
    assert launch_folder() is None
