"""Fixtures: the misbehaving servers, and a policy that does not try anybody's patience."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from alsmuscle.download.policy import FetchPolicy
from faultserver import Archives, FaultServer, FtpServer, certificate


@pytest.fixture
def server() -> Iterator[FaultServer]:
    server = FaultServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def archive_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    return certificate(tmp_path_factory.mktemp("archives"))


@pytest.fixture
def archives(archive_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archives]:
    """The public archives, as far as the environment lets this process see."""
    server = Archives(archive_certificate)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, server.url(""))
    monkeypatch.setenv("SSL_CERT_FILE", str(archive_certificate))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def own_limits(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the limits per host of one test away from all others; no proxies, no key."""
    folder = str(tmp_path_factory.mktemp("limits"))
    monkeypatch.setattr("tempfile.tempdir", folder)
    monkeypatch.setenv("TMPDIR", folder)
    for name in ("http_proxy", "https_proxy", "all_proxy", "NCBI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def policy() -> FetchPolicy:
    return FetchPolicy(
        attempts=3,
        connect_timeout=2,
        read_timeout=1,
        slow_seconds=0.4,
        slow_bytes_per_second=20_000,
        wait_initial=0.01,
        wait_max=0.05,
        retry_after_max=2,
        per_host=20,
        per_second=5000,
        keep_free=0,
    )


@pytest.fixture
def ftp() -> Iterator[FtpServer]:
    with FtpServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
