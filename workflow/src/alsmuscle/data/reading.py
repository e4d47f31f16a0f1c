"""What the Snakefile reads before anything runs: configuration, cards, collections, the code's
digests.

All of it is kept by the bytes of the files (:mod:`alsmuscle.core.memory`), so that a job of a
cluster, which reads the Snakefile anew, neither parses nor checks again what has not changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from alsmuscle.core import config, memory
from alsmuscle.core.digest import PACKAGE, Code
from alsmuscle.data import cards


class Reading:
    """The effective configuration, and what follows from it.

    Parameters
    ----------
    workflow
        Folder of scripts, schemas and the package.
    config_files
        Configuration files, the project's own first, each laid over those before it.
    given
        What Snakemake made of all but the first.
    store
        Files that keep what was read begin so.
    check
        Module whose ``check`` takes the paths of programmes and claims, which every study is asked
        about, and raises InputError where they are wrong, before anything runs. It is imported
        where they have changed.

    Attributes
    ----------
    settings
        The effective configuration.
    registries, tables, folders
        Folders of study cards, name → path of tables, folders of local files.
    cards, collections
        Study id → card; name → gene-set collection.
    digests
        Rule → digest of the code that its script reaches.

    Raises
    ------
    InputError
        The configuration, a card or the list of collections is not as its schema says, or
        programmes or claims are not as ``check`` expects.
    """

    def __init__(
        self,
        workflow: Path,
        config_files: Sequence[Path],
        given: Mapping[str, Any],
        *,
        store: str,
        check: str,
    ) -> None:
        code = [*PACKAGE.rglob("*.py"), *(workflow / "schemas").glob("*.yaml")]
        scripts = sorted((workflow / "scripts").glob("*.py"))
        every = memory.digest_of([*code, *scripts])
        self.digests: dict[str, str] = memory.remembered(
            f"{store}-digests", every, lambda: _digests(scripts, f"{store}-parsed")
        )
        key = memory.digest_of(config_files, every, json.dumps(given, default=str))
        found = memory.remembered(f"{store}-config", key, lambda: _settings(config_files, given))
        self.settings: dict[str, Any] = found["settings"]
        self.registries, self.tables, self.folders = found["places"]
        paths = [path for folder in self.registries for path in Path(folder).glob("*.yaml")]
        key = memory.digest_of([*paths, self.tables["collections"]], key, *map(str, paths))
        found = memory.remembered(f"{store}-cards", key, self._documents)
        self.cards: dict[str, dict[str, Any]] = found["cards"]
        self.collections: dict[str, dict[str, Any]] = found["collections"]
        asked = [str(self.tables[name]) for name in ("programmes", "claims")]
        key = memory.digest_of(asked, every)
        memory.remembered(f"{store}-asked", key, lambda: import_module(check).check(*asked))

    def _documents(self) -> dict[str, Any]:
        names = self.settings["enrichment"]["collections"]
        return {
            "cards": cards.load_cards(*self.registries),
            "collections": cards.load_collections(self.tables["collections"], names),
        }


def _settings(files: Sequence[Path], given: Mapping[str, Any]) -> dict[str, Any]:
    whole = config.laid_over(cards.load_yaml(files[0]), given)
    settings = cards.load_config(whole, files[-1])
    return {
        "settings": settings,
        "places": list(config.places(settings, files, cards.load_yaml)),
    }


def _digests(scripts: Sequence[Path], store: str) -> dict[str, str]:
    code = Code(store)
    return {script.stem: code.digest(script) for script in scripts}
