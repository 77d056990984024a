import os

import pytest

from labutils import files


def test_what_is_written_is_there_at_the_end_and_not_before(tmp_path):
    path = tmp_path / "new" / "notes.txt"
    with files.aside(path) as place:
        place.write_text("all of it")
        assert place.parent == path.parent and place.suffix == ".txt" and not path.exists()
    assert path.read_text() == "all of it" and os.listdir(path.parent) == ["notes.txt"]


def test_a_block_that_raises_leaves_all_as_it_was(tmp_path):
    files.write(tmp_path / "notes.txt", b"old")
    with pytest.raises(OSError, match="disk full"), files.aside(tmp_path / "notes.txt") as place:
        place.write_text("hal")
        raise OSError("disk full")
    assert (tmp_path / "notes.txt").read_bytes() == b"old" and os.listdir(tmp_path) == ["notes.txt"]


def test_a_folder_takes_the_place_of_a_folder_but_a_file_does_not(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old.txt").touch()
    with files.aside(tmp_path / "set") as place:
        place.mkdir()
        (place / "new.txt").touch()
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["new.txt"]
    with pytest.raises(IsADirectoryError):
        files.write(tmp_path / "set", b"")
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["new.txt"]
