import io
import os
import stat
import struct
import zipfile

import pytest

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers import archive
from rldistill.teachers.archive import Archive, Limits, read_file, safe_text


def packed(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return stream.getvalue()


def with_info(name: str, **fields: object) -> bytes:
    """A zip of one entry whose directory record is tampered with."""
    info = zipfile.ZipInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(info, b"x")
    return stream.getvalue()


def test_names_and_bytes_come_back():
    found = Archive(packed({"data": b"one", "a/b": b"two"}, zipfile.ZIP_DEFLATED), "x.zip")
    assert found.names == ("data", "a/b")
    assert found.read("data") == b"one"
    assert found.read("a/b") == b"two"


@pytest.mark.parametrize("data", [b"not a zip at all", b"\x80\x04K\x01.", b"<html>"])
def test_what_is_not_a_zip_is_called_so(data):
    with pytest.raises(TeacherFileError, match="is not a zip file: it begins with"):
        Archive(data, "x.zip")


def test_a_zip_cut_off_anywhere_is_an_error():
    """A truncated archive has lost its directory, which is at its end."""
    data = packed({"data": b"1" * 50, "policy.pth": b"2" * 50})
    for length in range(1, len(data)):
        with pytest.raises(TeacherFileError):
            Archive(data[:length], "x.zip")


def test_a_zip_cut_off_behind_an_archive_inside_it_is_called_truncated():
    """The directory that is found there is the inner archive's: its names would mislead."""
    inner = packed({"archive/data.pkl": b"3" * 50})
    data = packed({"data": b"1" * 50, "policy.pth": inner, "more": b"4" * 50})
    end = data.index(inner) + len(inner)
    for length in (end, end + 20, end + 60):
        with pytest.raises(TeacherFileError, match=r"x.zip is a truncated zip file: its directory"):
            Archive(data[:length], "x.zip")
    assert Archive(data, "x.zip").names == ("data", "policy.pth", "more")


@pytest.mark.parametrize(
    "name", ["../data", "a/../../data", "/etc/passwd", "C:/data", "a\\b", "..", "a/..", "//x"]
)
def test_a_name_that_leaves_the_archive_is_refused(name):
    with pytest.raises(UnsafeFileError, match="leaves the archive"):
        Archive(with_info(name), "x.zip")


def test_ten_to_the_five_entries_are_refused_before_they_are_listed(monkeypatch):
    """The directory is not even parsed: parsing it is what would take time and memory."""
    small = packed({"a": b""})
    start, end = small.index(archive.CENTRAL_ENTRY), small.index(b"PK\x05\x06")
    data = small[:start] + small[start:end] * 100_000 + small[end:]
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(UnsafeFileError, match="entries"):
        Archive(data, "x.zip")


def test_more_entries_than_allowed_are_refused():
    with pytest.raises(UnsafeFileError, match="3 entries, at most 2"):
        Archive(packed({"a": b"", "b": b"", "c": b""}), "x.zip", Limits(entries=2))


def test_a_bomb_is_refused_by_its_ratio():
    bomb = packed({"data": b"\0" * (20 << 20)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(UnsafeFileError, match="zip bomb"):
        Archive(bomb, "x.zip")


def test_the_sum_of_unpacked_sizes_is_bounded():
    data = packed({"a": b"1" * 600, "b": b"2" * 600})
    with pytest.raises(UnsafeFileError, match="unpacks to 1,200 bytes, at most 1,000"):
        Archive(data, "x.zip", Limits(unpacked_bytes=1_000))


def test_one_entry_is_bounded_by_what_the_reader_asks_for():
    found = Archive(packed({"data": b"1" * 600}), "x.zip")
    with pytest.raises(UnsafeFileError, match="more than 599"):
        found.read("data", 599)
    assert len(found.read("data", 600)) == 600


def test_two_entries_of_one_name_are_refused():
    """Two readers could disagree on which of them counts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("data", b"one")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("data", b"two")
    with pytest.raises(UnsafeFileError, match="two entries are called 'data'"):
        Archive(stream.getvalue(), "x.zip")


def test_an_encrypted_entry_is_refused():
    data = bytearray(packed({"data": b"secret"}))
    at = data.index(archive.CENTRAL_ENTRY)
    data[at + 8] |= 1
    with pytest.raises(UnsafeFileError, match="encrypted"):
        Archive(bytes(data), "x.zip")


def test_a_link_is_refused():
    with pytest.raises(UnsafeFileError, match="symbolic link"):
        Archive(with_info("data", external_attr=(stat.S_IFLNK | 0o777) << 16), "x.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_than_deflate_is_refused(method):
    with pytest.raises(UnsafeFileError, match="packed by method"):
        Archive(packed({"data": b"1" * 100}, method), "x.zip")


def test_a_wrong_checksum_is_damage():
    data = bytearray(packed({"data": b"abcdefgh"}))
    data[data.index(b"abcdefgh")] ^= 1
    with pytest.raises(TeacherFileError, match="data is damaged"):
        Archive(bytes(data), "x.zip").read("data")


def test_a_size_that_lies_is_damage():
    """The directory claims more bytes than are packed."""
    data = bytearray(packed({"data": b"1" * 40}, zipfile.ZIP_DEFLATED))
    at = data.index(archive.CENTRAL_ENTRY)
    data[at + 24 : at + 28] = struct.pack("<I", 41)
    with pytest.raises(TeacherFileError):
        Archive(bytes(data), "x.zip").read("data")


def test_a_missing_entry_is_named_with_those_that_are_there():
    with pytest.raises(TeacherFileError, match="no entry 'data'; it holds readme"):
        Archive(packed({"readme": b""}), "x.zip").read("data")


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    assert read_file(tmp_path / "f", 5) == b"12345"
    with pytest.raises(UnsafeFileError, match="larger than 4 bytes"):
        read_file(tmp_path / "f", 4)


def test_an_empty_file_is_called_so(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(TeacherFileError, match="is empty"):
        read_file(tmp_path / "f")


def test_a_missing_file_is_answered_with_near_names(tmp_path):
    (tmp_path / "model.zip").touch()
    with pytest.raises(TeacherFileError, match=r"does not exist\. Did you mean model\.zip\?"):
        read_file(tmp_path / "modle.zip")
    with pytest.raises(TeacherFileError, match="does not exist, nor does the folder"):
        read_file(tmp_path / "no" / "model.zip")


def test_a_folder_is_answered_with_the_zips_in_it(tmp_path):
    (tmp_path / "best.zip").touch()
    with pytest.raises(TeacherFileError, match=r"is a folder.*holds best\.zip"):
        read_file(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang_the_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TeacherFileError, match="not a regular file"):
        read_file(tmp_path / "pipe")


def test_text_from_a_file_cannot_steer_the_terminal():
    assert safe_text("a\x1b[31mb\n\u202e") == "a?[31mb??"
    assert len(safe_text("x" * 1_000)) == 80


def test_a_run_without_a_student_says_how_to_get_one(tmp_path):
    """It was killed before its first save: a folder of ours, and no file is "required"."""
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(TeacherFileError, match="has not saved a student yet: continue it with"):
        read_file(tmp_path)
