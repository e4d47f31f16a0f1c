"""What a file is that should be a table of text, by its first bytes: said, with what to do."""

from __future__ import annotations

from alsmuscle.core.errors import InputError
from alsmuscle.download.decode import utf_16

_ARCHIVES = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x28\xb5\x2f\xfd": "packed with Zstandard",
    b"\x1f\x9d": "packed with compress (.Z)",
}
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_SAVE = "open it in a spreadsheet, save it as .xlsx or text, and give that file's path as `url`"


def refuse_other_content(content: bytes, where: str) -> None:
    """Say what a file is that is no text.

    Raises
    ------
    InputError
        A web page, a workbook of another kind, a document, another packing, or something binary.
    """
    head = content[:4096].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if head.startswith((b"<!doctype", b"<html")):
        if b"<table" in head:
            raise InputError(
                "a table that was saved as a web page, whatever its name says",
                where=where,
                expected="text, or .xlsx",
                remedy=_SAVE,
            )
        raise InputError(
            "a web page, not a table",
            where=where,
            remedy="look at the address in a browser: the archive may have moved the file",
        )
    if content.startswith(_OLD_WORKBOOK) or b"office:spreadsheet" in head:
        raise InputError(
            "a workbook of the old kind (.xls)",
            where=where,
            expected="text, or .xlsx",
            remedy=_SAVE,
        )
    if head.startswith(b"%pdf"):
        raise InputError(
            "a PDF, not a table",
            where=where,
            expected="text, or a workbook (.xlsx)",
            remedy="ask the authors for the table itself: numbers out of a PDF are not to be "
            "trusted",
        )
    for magic, what in _ARCHIVES.items():
        if content.startswith(magic):
            raise InputError(
                what,
                where=where,
                expected="text or a workbook, packed as gzip, bzip2, xz, zip or tar or not at all",
                remedy="unpack it, and give the path of the file that is meant as `url`",
            )
    if b"\0" in content[:4096] and not utf_16(content):
        raise InputError(
            "not text (some binary file)",
            where=where,
            expected="text, or a workbook (.xlsx), packed or not",
            remedy="name the layout that the file has on the card: R data and single-cell files "
            "have layouts of their own",
        )
