"""The roots that are trusted over TLS, loaded once per process.

Loading them takes longer than fetching a small file, and a client is made for every file.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def trusted() -> ssl.SSLContext:
    """Return httpx's own context: its roots, or those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``."""
    return _loaded(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.cache
def _loaded(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Load what the environment names at the moment, which is these two."""
    import httpx

    return httpx.create_ssl_context()
