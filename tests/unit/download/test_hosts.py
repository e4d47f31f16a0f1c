from __future__ import annotations

import socket
import time

import pytest

from alsmuscle.download import download, hosts, transport
from alsmuscle.download.policy import FetchPolicy, TransferError


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(transport, "_shared_folder", lambda: tmp_path)
    monkeypatch.setenv(hosts.RUN_VARIABLE, "one")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_dead_host_is_asked_once_in_a_run_and_again_in_the_next(monkeypatch):
    port, policy = _closed_port(), FetchPolicy(wait_initial=0.2)
    tried = []
    real = transport.request
    monkeypatch.setattr(transport, "request", lambda *a, **k: tried.append(a) or real(*a, **k))

    def ask(name):
        with pytest.raises(TransferError) as caught:
            download.get_text(f"http://127.0.0.1:{port}/{name}", policy=policy)
        return str(caught.value)

    start = time.monotonic()
    said = [ask(name) for name in range(10)]
    assert time.monotonic() - start < 3
    assert len(tried) == hosts.TRIES
    assert all("found out once for this run" in text for text in said)
    monkeypatch.setenv(hosts.RUN_VARIABLE, "two")
    ask("again")
    assert len(tried) == 2 * hosts.TRIES


def test_a_host_that_has_answered_is_never_given_up(tmp_path):
    hosts.answered("archive", tmp_path)
    hosts.gave_up("archive", "refused", tmp_path)
    assert hosts.dead("archive", tmp_path) == ""
    hosts.gave_up("other", "refused", tmp_path)
    assert hosts.dead("other", tmp_path) == "refused"


def test_what_older_runs_found_is_forgotten(tmp_path):
    hosts.gave_up("other", "refused", tmp_path)
    hosts.forget(tmp_path, older_than=-1)
    assert hosts.dead("other", tmp_path) == ""
