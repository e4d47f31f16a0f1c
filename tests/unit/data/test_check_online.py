"""Every study card can be held against something: its archive's record, or the addresses of its
files.
"""

from __future__ import annotations

import dataclasses

import pytest

from alsmuscle.data import cards, check_online
from alsmuscle.download.policy import TransferError
from support import ROOT

CARDS = [cards.load_card(path) for path in sorted((ROOT / "config" / "datasets").glob("*.yaml"))]


@dataclasses.dataclass
class Unreachable(check_online.Archives):
    """Archives of which none answers; what was asked is kept."""

    urls: list[str] = dataclasses.field(default_factory=list)

    def _noted(self, url, ask):
        self.urls.append(url)
        raise TransferError("does not answer", url=url)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card["id"])
def test_each_card_asks_for_its_files_or_its_record_and_says_what_was_not_reached(card):
    client = Unreachable()
    (look,) = check_online.survey([card], client)
    if not card.get("files"):  # a study whose data cannot be had: nothing to ask for
        assert card["missing"]
        return
    assert client.urls
    assert look.result[0] == check_online.UNREACHED


@pytest.mark.parametrize("study", ["gse3307calls", "gse3307published"])
def test_lists_and_tables_that_are_published_elsewhere_are_asked_for_by_address(study):
    (card,) = (card for card in CARDS if card["id"] == study)
    client = Unreachable()
    list(check_online.survey([card], client))
    assert {file["url"] for file in card["files"].values()} <= set(client.urls)
