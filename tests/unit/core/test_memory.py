"""What was worked out before is used as long as nothing that it rests on has changed."""

from __future__ import annotations

import pytest

from alsmuscle.core.memory import digest_of, remembered


@pytest.fixture
def made():
    return []


def _make(made, value):
    def make():
        made.append(value)
        return value

    return make


def test_the_same_key_is_worked_out_once(tmp_path, made):
    store = tmp_path / "folder" / "store"
    value = {"a": [1, None, True, "ä"], "b": {"c": 0.1}}
    assert remembered(store, "k", _make(made, value)) == value
    assert remembered(store, "k", _make(made, {"other": 1})) == value
    assert made == [value]
    assert remembered(store, "k2", _make(made, 2)) == 2
    assert [path.name for path in store.parent.iterdir()] == ["store"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text.replace("1", "7"),
        lambda text: "\x00" + text,
    ],
    ids=["empty", "cut", "edited", "binary"],
)
def test_a_damaged_store_costs_time_only(tmp_path, made, damage):
    store = tmp_path / "store"
    remembered(store, "k", _make(made, {"a": 1}))
    store.write_text(damage(store.read_text()))
    assert remembered(store, "k", _make(made, {"a": 1})) == {"a": 1}
    assert len(made) == 2


def test_what_json_does_not_give_back_is_not_kept(tmp_path, made):
    for value in ({1: "a"}, ("a",), {"a"}, float("nan")):
        store = tmp_path / "store"
        assert remembered(store, "k", _make(made, value)) is value
        assert not store.exists()


def test_a_store_that_cannot_be_written_is_none(tmp_path, made):
    (tmp_path / "file").touch()
    assert remembered(tmp_path / "file" / "store", "k", _make(made, 1)) == 1


def test_an_error_is_raised_every_time(tmp_path):
    def make():
        raise ValueError("x")

    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            remembered(tmp_path / "store", "k", make)


def test_the_key_follows_bytes_names_texts_and_place(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    monkeypatch.chdir(tmp_path)
    keys = [digest_of([one]), digest_of([one, two]), digest_of([one], "config")]
    two.write_text("missing?")
    keys.append(digest_of([one, two]))
    one.write_text("b")
    keys.append(digest_of([one]))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    keys.append(digest_of([one]))
    assert len(set(keys)) == len(keys)
    assert digest_of([one, two]) == digest_of([two, one, one])
