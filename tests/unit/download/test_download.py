"""Fetching without a network: local files, mirror, lock, formats, URLs. Faults: tests/faults."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import ssl
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.download import certificates, transport
from alsmuscle.download.containers import check_content, hash_file
from alsmuscle.download.download import fetch, fetch_first, get_text
from alsmuscle.download.lock import read_lock, read_mirror, record_lock
from alsmuscle.download.policy import FetchError, FetchPolicy, canonical, redact

OFFLINE = FetchPolicy(offline=True, keep_free=0)
URL = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE1nnn/GSE1234/suppl/GSE1234_counts.txt.gz"
PACKED = gzip.compress(b"gene\ts1\nA\t1\n", mtime=0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local files are read below the working directory only."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "counts.gz").write_bytes(PACKED)
    (folder / "index.tsv").write_text(
        "url\tpath\tsha256\tbytes\tnote\n"
        f"{URL}\tfiles/counts.gz\t{sha256(PACKED)}\t{len(PACKED)}\tfor tests\n"
    )
    return folder


def test_a_file_from_the_mirror_is_copied_verified_and_recorded(
    mirror: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "data.lock.tsv"
    got = fetch(URL, tmp_path / "d" / "c.gz", mirror=mirror, lock=lock, policy=OFFLINE)
    assert (got.source, got.bytes, got.sha256) == ("mirror", len(PACKED), sha256(PACKED))
    assert got.path.read_bytes() == PACKED
    assert read_lock(lock)[URL]["sha256"] == sha256(PACKED)
    assert [item.name for item in got.path.parent.iterdir()] == ["c.gz"]
    again = fetch(URL, got.path, mirror=mirror, lock=lock, policy=OFFLINE)
    assert again.source == "present"
    assert again.retrieved == got.retrieved
    assert (mirror / "files" / "counts.gz").read_bytes() == PACKED


def test_a_present_pinned_file_needs_neither_network_nor_mirror(tmp_path: Path) -> None:
    path = tmp_path / "c.gz"
    path.write_bytes(PACKED)
    for pin in ({"sha256": sha256(PACKED)}, {"md5": hashlib.md5(PACKED).hexdigest()}):
        assert fetch(URL, path, policy=OFFLINE, **pin).source == "present"


def test_a_present_file_without_any_hash_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.gz"
    path.write_bytes(b"left over from something else")
    with pytest.raises(FetchError, match="network is switched off"):
        fetch(URL, path, policy=OFFLINE, study="GSE1234")
    assert path.read_bytes() == b"left over from something else"


@pytest.mark.parametrize(
    "spelling",
    [
        URL.replace("https://", "ftp://"),
        URL.replace("ftp.ncbi", "FTP.NCBI"),
        URL + "#part",
        URL.replace("_counts", "%5Fcounts"),
    ],
)
def test_the_mirror_knows_other_spellings_of_a_url(
    mirror: Path, tmp_path: Path, spelling: str
) -> None:
    got = fetch(spelling, tmp_path / "c.gz", mirror=mirror, policy=OFFLINE)
    assert got.sha256 == sha256(PACKED)


def test_offline_and_absent_from_the_mirror_is_an_error_that_names_both(
    mirror: Path, tmp_path: Path
) -> None:
    url = URL.replace("1234", "1235")
    with pytest.raises(FetchError) as caught:
        fetch(url, tmp_path / "c.gz", mirror=mirror, policy=OFFLINE, study="GSE1235")
    assert isinstance(caught.value, InputError)
    assert "GSE1235" in str(caught.value)
    assert url in str(caught.value)
    assert not (tmp_path / "c.gz").exists()


def test_pinned_only_refuses_the_unknown_and_takes_card_or_lock(
    mirror: Path, tmp_path: Path
) -> None:
    strict = FetchPolicy(offline=True, pinned_only=True, keep_free=0)
    lock, path = tmp_path / "lock.tsv", tmp_path / "c.gz"
    with pytest.raises(FetchError, match="no recorded hash"):
        fetch(URL, path, mirror=mirror, lock=lock, policy=strict, study="GSE1234")
    fetch(URL, path, mirror=mirror, lock=lock, policy=OFFLINE)
    assert fetch(URL, path, mirror=mirror, lock=lock, policy=strict).source == "present"
    other = tmp_path / "other.gz"
    assert fetch(URL, other, mirror=mirror, sha256=sha256(PACKED), policy=strict).bytes


def test_card_and_lock_that_disagree_are_an_error(mirror: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.tsv"
    fetch(URL, tmp_path / "c.gz", mirror=mirror, lock=lock, policy=OFFLINE)
    with pytest.raises(FetchError, match=sha256(PACKED)):
        fetch(URL, tmp_path / "c.gz", mirror=mirror, lock=lock, sha256="0" * 64, policy=OFFLINE)
    assert (tmp_path / "c.gz").read_bytes() == PACKED


def test_a_changed_local_file_disagrees_with_the_lock(tmp_path: Path) -> None:
    source, lock = tmp_path / "in.csv", tmp_path / "lock.tsv"
    source.write_text("a,b\n1,2\n")
    got = fetch(str(source), tmp_path / "out.csv", lock=lock)
    assert got.source == "local"
    source.write_text("a,b\n1,3\n")
    (tmp_path / "out.csv").unlink()
    with pytest.raises(FetchError, match="sha256"):
        fetch(str(source), tmp_path / "out.csv", lock=lock)
    assert not (tmp_path / "out.csv").exists()
    assert source.exists()


def test_file_urls_with_escapes_and_missing_files(tmp_path: Path) -> None:
    source = tmp_path / "ä b.csv"
    source.write_text("a\n")
    assert fetch(source.as_uri(), tmp_path / "out.csv").bytes == 2
    with pytest.raises(FetchError, match="no such file"):
        fetch(str(tmp_path / "none.csv"), tmp_path / "x.csv", study="S1")


def test_a_malformed_pin_is_named(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="sha256 is not a hash"):
        fetch(URL, tmp_path / "x", sha256="abc", study="S1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("\tsha256", ""), "no column sha256"),
        (lambda text: text.replace("files/counts.gz", "../counts.gz"), "malformed"),
        (lambda text: text.replace("files/counts.gz", "/etc/passwd"), "malformed"),
        (lambda text: text.replace(sha256(PACKED), "beef"), "malformed"),
        (lambda text: text.replace(f"\t{len(PACKED)}\t", "\tmany\t"), "malformed"),
        (lambda text: text + f"{URL}\tx\t{'0' * 64}\t1\t\n", "malformed"),
        (lambda text: text + "https://only.a/url\n", "too few fields"),
        (lambda _: "", "no column"),
    ],
)
def test_a_bad_mirror_index_is_an_error(mirror: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    index = mirror / "index.tsv"
    index.write_text(change(index.read_text()))
    with pytest.raises(FetchError, match=message):
        read_mirror(mirror)


def test_a_mirror_without_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"no index\.tsv"):
        fetch(URL, tmp_path / "x.gz", mirror=tmp_path / "nowhere", study="S1")


def test_lock_keeps_the_first_record_and_is_sorted(tmp_path: Path, mirror: Path) -> None:
    lock = tmp_path / "lock.tsv"
    assert read_lock(lock) == {}
    first = fetch(URL, tmp_path / "c.gz", mirror=mirror, policy=OFFLINE)
    record_lock(lock, first)
    source = tmp_path / "a.csv"
    source.write_text("a\n")
    record_lock(lock, fetch(str(source), tmp_path / "b.csv"))
    record_lock(lock, first)
    lines = lock.read_text().splitlines()
    assert lines[0].split("\t") == ["url", "sha256", "bytes", "retrieved", "source"]
    assert lines[1:] == sorted(lines[1:])
    assert len(lines) == 3


@pytest.mark.parametrize("bad", ["url\tsha\n", f"{URL}\t1\n", "\0\n"])
def test_a_malformed_lock_is_an_error(tmp_path: Path, bad: str) -> None:
    lock = tmp_path / "lock.tsv"
    lock.write_text(bad)
    with pytest.raises(FetchError):
        read_lock(lock)


def test_canonical_maps_ftp_drops_key_and_fragment_and_keeps_escapes() -> None:
    assert canonical("ftp://ftp.ebi.ac.uk/pub/a b.txt") == "https://ftp.ebi.ac.uk/pub/a%20b.txt"
    assert canonical("ftp://example.org/a") == "ftp://example.org/a"
    assert (
        canonical("HTTPS://Example.ORG/A?x=1&api_key=s3&y=2#f") == "https://example.org/A?x=1&y=2"
    )
    assert canonical("https://e.org/GEO%20data/x.csv") == "https://e.org/GEO%20data/x.csv"
    assert canonical("data/local file.csv") == "data/local file.csv"


def test_redact_removes_key_password_and_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCBI_API_KEY", "0123456789abcdef")
    text = redact(
        "https://user:pw@h.org/x?api_key=zzz&X-Amz-Signature=abc&acc=GSE1 key 0123456789abcdef"
    )
    for secret in ("pw", "zzz", "abc", "0123456789abcdef"):
        assert secret not in text
    assert "acc=GSE1" in text
    assert "h.org/x" in text


def test_fetch_first_reports_every_address(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text("a\n")
    missing = [str(tmp_path / name) for name in ("one.csv", "two.csv")]
    assert fetch_first([*missing, str(good)], tmp_path / "out.csv").source == "local"
    with pytest.raises(FetchError, match=r"one\.csv.*two\.csv"):
        fetch_first(missing, tmp_path / "out2.csv", study="S1")


def test_get_text_from_mirror_and_file(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("hé")
    assert get_text(str(tmp_path / "t.txt")).text == "hé"
    with pytest.raises(FetchError, match="network is not to be used"):
        get_text("https://example.org/a", mirror=mirror, policy=OFFLINE)
    (mirror / "files" / "counts.gz").write_bytes(b"other")
    with pytest.raises(FetchError, match="sha256"):
        get_text(URL, mirror=mirror, policy=OFFLINE)


def _pin(*names: str) -> dict[str, str]:
    return {name: sha256(b"x" * 700) for name in names}


def test_an_archive_pinned_by_its_members_may_be_packed_anew(tmp_path: Path) -> None:
    strict = FetchPolicy(pinned_only=True, keep_free=0)
    source, dest, lock = tmp_path / "in.tar", tmp_path / "out.tar", tmp_path / "lock.tsv"
    source.write_bytes(_tar("a.txt", "b.txt"))
    pin = _pin("a.txt", "b.txt")
    fetch(str(source), dest, members=pin, policy=strict, lock=lock)
    assert fetch(str(source), dest, members=pin, policy=strict).source == "present"
    source.write_bytes(_tar("b.txt", "readme.txt", "a.txt"))
    dest.unlink()
    new = fetch(str(source), dest, members=pin, policy=strict, lock=lock)
    assert read_lock(lock)[str(source)]["sha256"] == new.sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: _tar("a.txt"), "lacks 1 of 2 members: b.txt"),
        (lambda: _tar("a.txt", "b.txt").replace(b"xx", b"xy", 1), "member a.txt has sha256"),
        (lambda: _tar("a.txt", "b.txt")[:1200], "truncated"),
    ],
)
def test_an_archive_with_other_members_is_refused(tmp_path: Path, content, message: str) -> None:  # type: ignore[no-untyped-def]
    source, dest = tmp_path / "in.tar", tmp_path / "out.tar"
    source.write_bytes(content())
    with pytest.raises(FetchError, match=message):
        fetch(str(source), dest, members=_pin("a.txt", "b.txt"), study="S1")
    assert not dest.exists()
    dest.write_bytes(content())  # one that was there before is replaced by a good one
    source.write_bytes(_tar("a.txt", "b.txt"))
    assert fetch(str(source), dest, members=_pin("a.txt", "b.txt")).source == "local"


def test_members_are_checked_beside_the_mirrors_hash(tmp_path: Path, mirror: Path) -> None:
    with pytest.raises(FetchError, match=r"cannot be read|lacks"):
        fetch(URL, tmp_path / "x.tar", members=_pin("a.txt"), mirror=mirror, policy=OFFLINE)


def test_a_file_system_without_locks_is_no_obstacle(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_locks)
    lock = tmp_path / "lock.tsv"
    assert fetch(URL, tmp_path / "c.gz", mirror=mirror, lock=lock, policy=OFFLINE).bytes
    assert "no locks" in caplog.text
    assert {item.name for item in tmp_path.iterdir()} == {"c.gz", "lock.tsv", "mirror"}


# --- formats --------------------------------------------------------------------------------------


def _tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(b"x" * 700))
    return buffer.getvalue()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b" * 100)
    return buffer.getvalue()


def _hdf5(folder: Path) -> bytes:
    import h5py

    with h5py.File(folder / "x.h5", "w") as handle:
        handle["x"] = list(range(5000))
    return (folder / "x.h5").read_bytes()


@pytest.mark.parametrize("kind", ["gz", "tar", "tar.gz", "xlsx", "h5ad"])
def test_whole_files_pass_and_every_truncation_is_found(tmp_path: Path, kind: str) -> None:
    content = {
        "gz": PACKED,
        "tar": _tar("a", "b"),
        "tar.gz": gzip.compress(_tar("a", "b")),
        "xlsx": _zip(),
        "h5ad": _hdf5(tmp_path),
    }[kind]
    path = tmp_path / f"file.{kind}"
    path.write_bytes(content)
    check_content(path)
    # A tar's data ends before its padding: 2 members of 512 + 1024 bytes, then the end mark.
    ends = [0, 1, 512, 600, 1536, 2048, 3072, 3500] if kind == "tar" else []
    step = max(1, len(content) // 9)
    for end in ends or range(0, len(content) - 1, step):
        path.write_bytes(content[:end])
        with pytest.raises(FetchError):
            check_content(path, study="S1")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.gz", b"gene\ts1\n", "content is text"),
        ("a.csv", PACKED, "content is gzip"),
        ("a.tsv", b"\xef\xbb\xbf <!-- x --><HTML><head><title>Not\n found</title>", "Not found"),
        ("a.h5", b"<!DOCTYPE html><h1>Sorry</h1>", "Sorry"),
        ("a.rds", b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "NoSuchKey"),
        ("a.tar", PACKED, "content is gzip"),
        ("a.xlsx", b"\0\1\2", "content is unknown"),
        ("a.txt", b"", "empty"),
    ],
)
def test_content_that_is_not_what_the_name_says(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FetchError, match=message):
        check_content(path, study="S1")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", b"<html>"),
        ("a.txt", b"<5 reads\n"),
        ("a.rds", PACKED),
        ("a.xml", b"<?xml version='1.0'?><STUDY_SET/>"),
        ("a.csv", "Größe,1\n".encode("latin-1")),
    ],
)
def test_unusual_but_sound_content_passes(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    check_content(path)


def test_hash_file_against_published_test_vectors(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, RFC 1321
    assert hash_file(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "900150983cd24fb0d6963f7d28e17f72",
    )


def test_certificates_are_loaded_once_for_all_files_and_anew_where_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(self: ssl.SSLContext, cafile: str, *rest: Any) -> None:
        loaded.append(cafile)
        load(self, cafile, *rest)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    certificates._loaded.cache_clear()
    for _ in range(3):
        transport.http_client(OFFLINE).close()
    (roots,) = loaded
    other = tmp_path / "roots.pem"
    other.write_bytes(Path(roots).read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    transport.http_client(OFFLINE).close()
    assert loaded == [roots, str(other)]
