"""Bytes of downloaded files as text, and the limits on what they unpack to."""

from __future__ import annotations

import gzip
import io
import os

import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.download import decode


def test_bounded_reads_all_within_and_nothing_beyond_the_limit():
    content = os.urandom(3000)
    assert decode.bounded(io.BytesIO(content), lambda seen: None).read() == content

    def object_to(seen):
        if decode.bomb(seen, 3, max_unpacked=2999):
            raise InputError("too much")

    with pytest.raises(InputError, match="too much"):
        decode.bounded(io.BytesIO(content), object_to).read()


@pytest.mark.parametrize(
    ("unpacked", "packed", "words"),
    [
        (1000, 1, ""),  # a small file may shrink a thousandfold
        (2 << 30, 6 << 20, ""),
        (2 << 30, 5 << 20, "unpacks to more than 2.1 GB from 5.2 MB: refused"),
        ((1 << 36) + 1, 1 << 36, "decompression bomb"),
    ],
)
def test_what_counts_as_a_bomb(unpacked, packed, words):
    said = decode.bomb(unpacked, packed)
    assert words in said
    assert bool(said) == bool(words)


def test_a_packed_text_that_outgrows_its_size_is_refused_with_its_name(monkeypatch):
    content = gzip.compress(b"0" * 5000)
    assert decode.unpacked(content, "x") == b"0" * 5000
    monkeypatch.setattr(decode, "bomb", lambda seen, packed: "a bomb" if seen > 4000 else "")
    with pytest.raises(InputError, match="x: a bomb"):
        decode.unpacked(content, "x")


def test_text_in_latin_1_is_read_as_such(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes("Größe".encode("latin-1"))
    assert decode.read_text(path) == "Größe"
