"""What a download is told and how it fails: policy, URLs, errors; no message holds a secret."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import (
    parse_qsl,
    quote,
    unquote,
    unquote_to_bytes,
    urlsplit,
    urlunsplit,
)

from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.core.redaction import secrets as redact
from alsmuscle.download import decode

EUTILS_HOST = "eutils.ncbi.nlm.nih.gov"
KEY_VARIABLE = "NCBI_API_KEY"
_FTP_AS_HTTPS = (".ncbi.nlm.nih.gov", ".ebi.ac.uk")
_ARCHIVES = (*_FTP_AS_HTTPS, ".cziscience.com")


class FetchError(InputError):
    """A file could not be obtained or is not what was asked for; names study and URL.

    ``status`` is the HTTP status where the server's answer was the reason, else None.
    """

    def __init__(
        self,
        problem: str,
        *,
        url: str = "",
        study: str = "",
        status: int | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Take the parts of the message; secrets are removed from each."""
        self.url, self.study, self.status = redact(url), study, status
        where = ": ".join(part for part in (study, self.url) if part)
        super().__init__(
            redact(problem),
            where=where or None,
            expected=redact(expected) if expected else None,
            remedy=redact(remedy) if remedy else None,
        )


class TransferError(FetchError, PassingError):
    """The bytes did not come for a reason that may pass: no network, a busy server, a full disk."""


class ContentError(FetchError):
    """The bytes arrived and are refused: nothing of them is worth keeping."""


class PageError(ContentError, PassingError):
    """A page came in place of the file: maintenance, a login, or the file was moved."""


class MismatchError(ContentError):
    """The bytes fail verification; worth another try if they came in pieces."""


class TransientError(Exception):
    """Something that often passes: a time-out, a reset, HTTP 503."""

    def __init__(
        self,
        problem: str,
        *,
        wait: float = 0.0,
        status: int | None = None,
        unconnected: bool = False,
    ) -> None:
        self.wait, self.status, self.unconnected = wait, status, unconnected
        super().__init__(redact(problem))


@dataclass(frozen=True)
class FetchPolicy:
    """How patient, how polite and how careful a download is.

    Attributes
    ----------
    attempts
        Tries in a row that bring nothing new before giving up.
    connect_timeout, read_timeout
        Seconds without a connection, or without a byte.
    slow_bytes_per_second, slow_seconds
        A connection that stays below this rate over this time is dropped and resumed.
    wait_initial, wait_max
        First and largest mean pause between tries, in seconds; doubled each time, with jitter.
    retry_after_max
        Longest ``Retry-After`` that is waited for, in seconds; a longer one is reported.
    per_host, per_second
        Simultaneous connections and requests per second to one host, over all processes of this
        user on this machine.
    max_redirects
        Redirects followed. From https only to https.
    max_bytes
        Largest file accepted, as downloaded.
    max_unpacked, max_ratio
        Largest size of a compressed file's content, and largest ratio to its packed size (looked
        at above 256 MiB of content).
    max_members
        Largest number of members of an archive.
    keep_free
        Bytes that stay free on the disk.
    progress_seconds
        Time between progress lines.
    offline
        Never use the network: mirror, local paths and files already there only.
    pinned_only
        Refuse files whose hash is neither in the card nor in the lock file.
    folders
        Local files are read below these folders only; the first is the project's.
    """

    attempts: int = 6
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    slow_bytes_per_second: float = 1024.0
    slow_seconds: float = 60.0
    wait_initial: float = 1.0
    wait_max: float = 60.0
    retry_after_max: float = 600.0
    per_host: int = 3
    per_second: float = 5.0
    max_redirects: int = 10
    max_bytes: int = 1 << 40
    max_unpacked: int = decode.MAX_UNPACKED
    max_ratio: float = decode.MAX_RATIO
    max_members: int = 200_000
    keep_free: int = 100_000_000
    progress_seconds: float = 10.0
    offline: bool = False
    pinned_only: bool = False
    folders: tuple[str, ...] = (".",)


@dataclass(frozen=True)
class Want:
    """What is known about a file before it is fetched."""

    url: str
    study: str
    sha256: str | None
    md5: str | None
    bytes: int | None
    members: Mapping[str, str] | None = None

    @property
    def hashed(self) -> bool:
        """Whether a hash of the whole file is known."""
        return self.sha256 is not None or self.md5 is not None

    @property
    def pinned(self) -> bool:
        """Whether any hash is known."""
        return self.hashed or bool(self.members)

    def error(self, problem: str, *, status: int | None = None, **more: str | None) -> FetchError:
        """Return an error that no other try will mend."""
        return FetchError(problem, url=self.url, study=self.study, status=status, **more)

    def passing(
        self, problem: str, *, status: int | None = None, remedy: str | None = None
    ) -> FetchError:
        """Return an error that may be gone by the next run."""
        return TransferError(problem, url=self.url, study=self.study, status=status, remedy=remedy)

    def refused(
        self, problem: str, *, expected: str | None = None, remedy: str | None = None
    ) -> FetchError:
        """Return an error about content that is not wanted."""
        return ContentError(
            problem, url=self.url, study=self.study, expected=expected, remedy=remedy
        )

    def page(self, problem: str, *, expected: str | None = None) -> FetchError:
        """Return an error about a page that came in place of the file."""
        remedy = "try again later, or open the address in a browser: it may need a login"
        return PageError(problem, url=self.url, study=self.study, expected=expected, remedy=remedy)

    def mismatch(
        self, problem: str, *, expected: str | None = None, remedy: str | None = None
    ) -> FetchError:
        """Return an error about content that is not the file's."""
        return MismatchError(
            problem, url=self.url, study=self.study, expected=expected, remedy=remedy
        )


# --- URLs and secrets ----------------------------------------------------------------------------


def canonical(url: str) -> str:
    """Return the URL that is requested, recorded and looked up.

    Scheme and host in lower case, no fragment, no ``api_key``, spaces quoted; ``ftp://`` of NCBI
    and EBI becomes ``https://`` on the same host. Local paths are returned as they are.
    """
    url = url.strip()
    if not re.match(r"(?i)^(https?|ftp)://", url):
        return url
    parts = urlsplit(url)
    scheme, netloc = parts.scheme.lower(), parts.netloc.lower()
    if "@" in parts.netloc:
        login, _, host = parts.netloc.rpartition("@")
        netloc = f"{login}@{host.lower()}"
    if scheme == "ftp" and (parts.hostname or "").endswith(_FTP_AS_HTTPS):
        scheme = "https"
    query = "&".join(
        item for item in parts.query.split("&") if not item.lower().startswith("api_key=")
    )
    keep = "%/:=&?~#+!$,;'@()*[]"
    return urlunsplit(
        (scheme, netloc, quote(parts.path or "/", safe=keep), quote(query, safe=keep), "")
    )


def lookup_key(url: str) -> str:
    """Make two spellings of one URL equal: escapes resolved, query in alphabetic order."""
    url = canonical(url)
    if "://" not in url:
        return url
    parts = urlsplit(url)
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc, unquote(parts.path), repr(query), ""))


@cache
def is_private(host: str) -> bool:
    """Say whether a host is this machine or one of a private network.

    A name that cannot be resolved is none: the request will say so itself.
    """
    host = host.strip("[]").rstrip(".").lower()
    if host.endswith(_ARCHIVES):
        return False  # asked for everywhere, and known by their certificates
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        # Numbers written oddly (127.1, 0x7f000001) are resolved, too.
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    places = [ipaddress.ip_address(place.partition("%")[0]) for place in found]
    return any(not one.is_global or one.is_multicast for place in places for one in _meant(place))


# Addresses of IPv6 that stand for one of IPv4, in their last 32 bits (RFC 4291, 6052, 8215).
_STANDING = [ipaddress.IPv6Network(net) for net in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")]


def _meant(
    place: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return an address with those of IPv4 that it stands for."""
    if isinstance(place, ipaddress.IPv4Address):
        return [place]
    inner = [place.ipv4_mapped, place.sixtofour, *(place.teredo or ())]
    if any(place in net for net in _STANDING):
        inner.append(ipaddress.IPv4Address(int(place) & 0xFFFFFFFF))
    return [place, *(one for one in inner if one is not None)]


def stated(url: str, where: str) -> str:
    """Return an address that an archive's answer states, if a card may be sent there by it.

    Raises
    ------
    InputError
        It is no https or ftp address, or leads into a private network.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("https", "ftp") or not parts.hostname:
        problem = "the answer names an address that is neither https nor ftp"
    elif is_private(parts.hostname):
        problem = "the answer names an address of a private network"
    else:
        return url
    raise InputError(
        f"{problem}: {redact(url)[:200]}",
        where=where,
        remedy="look at the archive's page; if it is right, give the address on the card as `url`",
    )


def local_path(url: str) -> Path | None:
    """Return the path that a ``file://`` URL or a plain path names; None for other schemes."""
    if url.lower().startswith("file://"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            return None
        return Path(os.fsdecode(unquote_to_bytes(parts.path)))
    return None if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+://", url) else Path(url)
