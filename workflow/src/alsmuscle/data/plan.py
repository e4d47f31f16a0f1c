"""What a run consists of: its studies, where their files go, and what each job depends on.

The rules ask this module for paths, inputs, parameters and resources. It is imported while
Snakemake parses, in every job of a cluster too: standard library and cards only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from alsmuscle.core import outcome
from alsmuscle.data import admit, card_files, cards
from alsmuscle.reads import libraries, needs

# Snakemake's wildcards: attributes of a job, also to be asked as a mapping.
Wildcards = Any
Paths = Callable[[Wildcards], list[str]]

# What the fetching of a study depends on.
_ARCHIVE = ("id", "accession", "organism", "files", "cells", "samples", "archive", "citation")
# What the synthesis depends on in the cards, and in their contrasts.
_FACTS = (
    *("id", "role", "organism", "modality", "platform", "cluster", "simulated", "route_of"),
    "marks",
)
_CONTRAST_FACTS = (
    *("id", "kind", "variable", "across", "at", "against", "unit", "target", "reference"),
    *("adjust", "block", "within", "role", "stage", "tag"),
)
_COMPARED = {"als_patient", "als_model", "als_cells", "denervation"}


class Plan:
    """The studies of a run and their files.

    Parameters
    ----------
    settings
        The effective configuration.
    studies
        The selected cards, by id.
    collections
        Gene-set collections to fetch.
    tables
        Name → path of the configuration's tables.
    local_folders
        Folders in which files of one's own may lie.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        studies: Mapping[str, Mapping[str, Any]],
        collections: Mapping[str, Mapping[str, str]],
        tables: Mapping[str, str],
        local_folders: Sequence[str],
    ) -> None:
        self.settings, self.studies, self.collections = settings, studies, collections
        self.tables, self.local_folders = tables, local_folders

    # ---- which studies --------------------------------------------------------------------------

    def of(self, *modalities: str) -> list[str]:
        """Return the studies of these kinds, kind by kind."""
        return [n for m in modalities for n, card in self.studies.items() if card["modality"] == m]

    @cached_property
    def simulated(self) -> list[str]:
        """Studies whose files are made here; a card marked ``simulated`` may still name files."""
        return [
            name
            for name, card in self.studies.items()
            if all(file.get("url", "").startswith("simulated:") for file in card["files"].values())
        ]

    @cached_property
    def fetched(self) -> list[str]:
        """What is downloaded: the other studies, and the gene sets under a name of their own."""
        names = [name for name in self.studies if name not in self.simulated]
        return [*names, *([outcome.COLLECTIONS] if self.collections else [])]

    @property
    def from_reads(self) -> list[str]:
        """Studies that are quantified here."""
        return [name for name, card in self.studies.items() if libraries.file_of(card)]

    def libraries_of(self, dataset: str) -> list[str]:
        """Return the libraries of a study's reads; none where it has no reads."""
        files = self.studies.get(dataset, {}).get("files", {})
        return [name for file in files.values() for name in libraries.of_file(file)]

    def compared(self) -> list[str]:
        """Return studies with a matrix that hold an ALS or a denervation contrast."""
        return [
            name
            for name in self.of("bulk", "array")
            if _COMPARED
            & {c.get("role", self.studies[name]["role"]) for c in self._contrasts(name)}
        ]

    def described(self) -> tuple[list[str], list[str]]:
        """Return studies of nuclei, and studies of read counts of tissue that they describe.

        Both are of one species, and both simulated or neither; none where the other is missing.
        """

        def kind(name: str) -> tuple[str, bool]:
            card = self.studies[name]
            return card["organism"], bool(card.get("simulated", False))

        cells = self.of("cells")
        nuclei = [n for n in cells if self.studies[n]["cells"]["material"] == "nuclei"]
        shared = set(map(kind, nuclei)) & set(map(kind, self.of("bulk")))
        return (
            [name for name in nuclei if kind(name) in shared],
            [name for name in self.of("bulk") if kind(name) in shared],
        )

    def _contrasts(self, dataset: str) -> list[dict[str, Any]]:
        return list(self.studies[dataset]["contrasts"])

    # ---- paths ----------------------------------------------------------------------------------

    def result(self, path: str) -> str:
        """Return a path below the results folder."""
        return f"{self.settings['results']}/{path}"

    def log_of(self, rule: str, key: str = "") -> str:
        """Return the log file of a rule's job."""
        return self.result(f"logs/{rule}/{key or 'all'}.log")

    def time_of(self, rule: str, key: str = "") -> str:
        """Return the benchmark file of a rule's job."""
        return self.result(f"benchmarks/{rule}/{key or 'all'}.tsv")

    def manifests(self) -> list[str]:
        """Return the manifests of all that the selected studies need."""
        return [
            self.result(f"provenance/data/{name}.tsv") for name in (*self.fetched, *self.simulated)
        ]

    def paths_of(self, pattern: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
        """Return a path per pair of study and contrast, once where the pattern has no contrast.

        A study without contrasts (an empty one stands for it) has no path that needs one.
        """
        paths = [
            pattern.format(dataset=name, contrast=contrast)
            for name, contrast in pairs
            if contrast or "{contrast}" not in pattern
        ]
        return [self.result(path) for path in dict.fromkeys(paths)]

    def _pairs(self, datasets: Iterable[str]) -> list[tuple[str, str]]:
        return [(name, contrast) for name in datasets for contrast in self.parts(name)]

    def parts(self, dataset: str) -> list[str]:
        """Return the ids of a study's contrasts;
        one that compares nothing counts once, as ``""``.
        """
        return [entry["id"] for entry in self._contrasts(dataset)] or [""]

    # ---- inputs ---------------------------------------------------------------------------------

    def of_admitted(
        self, pattern: str, datasets: Collection[str], table: Callable[[], str]
    ) -> Paths:
        """Input function: a path per admitted study, and per contrast where the pattern has one.

        Asking for it waits until every study has been downloaded and looked at: ``table`` gives
        the admission table, at a checkpoint.
        """

        def paths(wildcards: Wildcards) -> list[str]:
            kept = set(admit.admitted(table()))
            return self.paths_of(pattern, self._pairs(n for n in datasets if n in kept))

        return paths

    def of_sound(self, pattern: str, datasets: Collection[str], table: Callable[[], str]) -> Paths:
        """Input function: as :meth:`of_admitted`, without what failed later.

        Asking for it waits until every study has been analysed: ``table`` gives the table of
        outcomes. A rule that asks has the table itself as an input, too: where a run finds the one
        of a former run, the rule is looked at again after it.
        """

        def paths(wildcards: Wildcards) -> list[str]:
            kept = set(outcome.kept(table()))
            return self.paths_of(pattern, [p for p in self._pairs(datasets) if p in kept])

        return paths

    def local_files(self, wildcards: Wildcards) -> list[str]:
        """Input function: files of one's own that a card names and that are there."""
        files = self.studies.get(wildcards.dataset, {}).get("files", {})
        paths = [entry["url"] for entry in files.values() if cards.is_local(entry)]
        return [path for path in paths if Path(path).is_file()]

    def local_reads(self, wildcards: Wildcards) -> list[str]:
        """Input function: a library's reads of one's own, that are there."""
        file = self.studies[wildcards.dataset]["files"]
        own = file[libraries.file_of(self.studies[wildcards.dataset])].get("libraries", {})
        return [path for path in own.get(wildcards.library, []) if Path(path).is_file()]

    def checks_of_reads(self, wildcards: Wildcards) -> list[str]:
        """Input function: what became of a study's reads; nothing to studies without any."""
        if not (names := self.libraries_of(wildcards.dataset)):
            return []
        folder = f"reads/{wildcards.dataset}"
        paths = [f"{folder}/reference.tsv", *(f"{folder}/checks/{name}.tsv" for name in names)]
        return [self.result(path) for path in paths]

    def begun(self, wildcards: Wildcards) -> int:
        """Priority function: reads that a killed run left go first, before others take room too."""
        name = libraries.file_of(self.studies[wildcards.dataset])
        folder = libraries.kept_in(self.settings["data"]["cache"], wildcards.dataset, name)
        return int((folder / wildcards.library).is_dir())

    def quality_of_reads(self, table: Callable[[], str]) -> Paths:
        """Input function: what is told of the reads of studies that came through."""

        def paths(wildcards: Wildcards) -> list[str]:
            kept = {name for name, _ in outcome.kept(table())}
            pairs = ((n, k) for n in self.from_reads if n in kept for k in self.libraries_of(n))
            return [self.result(f"reads/{name}/quality/{library}.tsv") for name, library in pairs]

        return paths

    # ---- parameters -----------------------------------------------------------------------------

    def card_part(self, *keys: str) -> Callable[[Wildcards], dict[str, Any]]:
        """Params function: the keys of a study's card that its job depends on, and no others."""

        def part(wildcards: Wildcards) -> dict[str, Any]:
            card = self.studies[wildcards.dataset]
            return {key: card[key] for key in keys if key in card}

        return part

    def contrast_of(self, wildcards: Wildcards) -> dict[str, Any]:
        """Params function: one contrast with all its keys."""
        return cards.contrast(dict(self.studies[wildcards.dataset]), wildcards.contrast)

    def archive_of(self, wildcards: Wildcards) -> dict[str, Any]:
        """Params function: what to fetch for a study, or for the gene sets."""
        if wildcards.dataset != outcome.COLLECTIONS:
            return self.card_part(*_ARCHIVE)(wildcards)
        files = {
            name: {key: entry[key] for key in ("url", "sha256") if entry[key]}
            for name, entry in self.collections.items()
        }
        return {"id": outcome.COLLECTIONS, "accession": "", "organism": "", "files": files}

    def folders(self, wildcards: Wildcards) -> list[str]:
        """Params function: where files of one's own may lie; nothing to studies without any."""
        files = self.studies.get(wildcards.dataset, {}).get("files", {})
        own = (path for file in files.values() for path in card_files.own_paths(file))
        return [".", *self.local_folders] if any(Path(path).is_file() for path in own) else ["."]

    def last_failure(self, wildcards: Wildcards) -> str:
        """Params function: when a download last failed; the next run thus tries it again."""
        mark = Path(self.settings["data"]["cache"]) / wildcards.dataset / "unreachable"
        return mark.read_text() if mark.is_file() else ""

    @cached_property
    def _marked(self) -> dict[str, str]:
        """Jobs that failed for their study in a former run."""
        return outcome.before(self.result("logs"))

    def last_mark(self, rule: str, key: str) -> Callable[[Wildcards], str]:
        """Params function: when a job last failed for its study; each run thus tries it again."""
        log, marked = self.log_of(rule, key), self._marked
        return lambda wildcards: marked.get(log.format(**dict(wildcards.items())), "")

    def claim_targets(self, wildcards: Wildcards) -> list[str]:
        """Params function: what claims test of genes; an edit of their prose reruns nothing."""
        return self._claim_targets

    @cached_property
    def _claim_targets(self) -> list[str]:
        claims = cards.load_yaml(self.tables["claims"])["claims"]
        found = {test["target"] for claim in claims for test in claim["tests"]}
        return sorted(name for name in found if name.startswith(("GENE/", "RATIO/")))

    def facts_of_cards(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """Params function: what the synthesis depends on in the cards, and no more."""
        facts: dict[str, dict[str, Any]] = {}
        for name, card in self.studies.items():
            facts[name] = {key: card[key] for key in _FACTS if key in card}
            facts[name]["contrasts"] = [
                {key: entry[key] for key in _CONTRAST_FACTS if key in entry}
                for entry in self._contrasts(name)
            ]
            if "calls" in card:
                facts[name]["calls"] = {"comparisons": card["calls"]["comparisons"]}
        return facts

    # ---- resources ------------------------------------------------------------------------------

    def expected_samples(self, wildcards: Wildcards) -> int:
        """Return the samples that a study's card expects; published effects have none."""
        return int(self.studies[wildcards.dataset].get("samples", {}).get("expected", 0))

    def index_mb(self, wildcards: Wildcards) -> int:
        """Return the memory for the index that a study's reads are held against."""
        return needs.index(self.studies[wildcards.dataset])[0]

    def index_minutes(self, wildcards: Wildcards) -> int:
        """Return the time for that index."""
        return needs.index(self.studies[wildcards.dataset])[1]

    def library_mb(self, wildcards: Wildcards) -> int:
        """Return the memory for a library of reads."""
        return needs.library(self.studies[wildcards.dataset], wildcards.library)[0]

    def library_minutes(self, wildcards: Wildcards) -> int:
        """Return the time for a library of reads."""
        return needs.library(self.studies[wildcards.dataset], wildcards.library)[1]

    def growing(
        self,
        amount: int | Callable[[Wildcards], int],
        per_sample: int = 0,
        per_contrast: int = 0,
    ) -> Callable[[Wildcards, int], int]:
        """Resource function: what a job needs, doubled with every further attempt.

        ``per_sample`` counts the samples that the study's card expects, ``per_contrast`` all
        contrasts.
        """

        def needed(wildcards: Wildcards, attempt: int) -> int:
            need = amount(wildcards) if callable(amount) else amount
            if per_sample:
                need += per_sample * self.expected_samples(wildcards)
            if per_contrast:
                need += per_contrast * sum(len(self._contrasts(name)) for name in self.studies)
            return int(need * 2 ** (attempt - 1))

        return needed


def one_of(names: Iterable[str]) -> str:
    """Return a wildcard constraint: one of these names, or nothing at all."""
    return "|".join(names) or "(?!)"


def joined(*functions: Paths) -> Paths:
    """Input function: the paths of several input functions."""
    return lambda wildcards: [path for function in functions for path in function(wildcards)]
