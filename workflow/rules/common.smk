# In:  the configuration and the study cards.
# Out: names for the other files of this folder, such as STUDIES, result(), card_part(), code()
import functools
import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Everything is found from this file, so that the workflow runs from any folder and as a module.
WORKFLOW = Path(str(workflow.current_basedir)).parent
SOURCE = str(WORKFLOW / "src")
# Scripts run in processes of their own, with the Snakefile's folder but not the package on their path;
# an installed package, perhaps that of another checkout, would come first: run what is digested.
if SOURCE not in sys.path:
    sys.path.insert(0, SOURCE)

from alsmuscle.core.config import laid_over, places, placed, to_share
from alsmuscle.core import outcome
from alsmuscle.data import admit, cards
from alsmuscle.core.digest import Code, put_first
from alsmuscle.core.errors import InputError

put_first(SOURCE)
CODE = Code(store=".snakemake/alsmuscle-digests")
ENVIRONMENT = str(WORKFLOW.parent / "envs" / "analysis.yaml")

# The project's own values, then the working folder's, then those of the command line.
CONFIG_FILES = [WORKFLOW.parent / "config" / "config.yaml"]
CONFIG_FILES += sorted(
    map(Path, workflow.configfiles),
    key=lambda path: path in workflow.overwrite_configfiles,
)
try:
    SETTINGS = cards.load_config(
        laid_over(cards.load_yaml(CONFIG_FILES[0]), config), CONFIG_FILES[-1]
    )
    REGISTRIES, TABLES, FOLDERS = places(SETTINGS, CONFIG_FILES, cards.load_yaml)
    CARDS = cards.load_cards(*REGISTRIES)
    STUDIES = cards.select(CARDS, SETTINGS["studies"])
    COLLECTIONS = cards.load_collections(
        TABLES["collections"], SETTINGS["enrichment"]["collections"]
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

# Processes of one run share what they find out about hosts; those of the next run ask again.
os.environ.setdefault("ALSMUSCLE_RUN", f"{os.getpid()}-{int(time.time())}")

# A machine fact, not an analysis value: changing it must rerun nothing, so it goes by environment.
if SETTINGS["data"]["mirror"]:
    os.environ.setdefault("ALSMUSCLE_MIRROR", SETTINGS["data"]["mirror"])

# Whole tissue with a matrix of its own: read counts, or intensities of arrays.
ARRAYS = [name for name, card in STUDIES.items() if card["modality"] == "array"]
COUNTS = [name for name, card in STUDIES.items() if card["modality"] == "bulk"]
BULK = COUNTS + ARRAYS
CELLS = [name for name, card in STUDIES.items() if card["modality"] == "cells"]
PUBLISHED = [name for name, card in STUDIES.items() if card["modality"] == "effects"]
# Published lists of called genes: no effects, never pooled.
LISTS = [name for name, card in STUDIES.items() if card["modality"] == "calls"]
# A card marked `simulated` may still name files; these are made here.
SIMULATED = [
    name
    for name, card in STUDIES.items()
    if all(
        file.get("url", "").startswith("simulated:") for file in card["files"].values()
    )
]
FETCHED = [
    *(name for name in STUDIES if name not in SIMULATED),
    *(["collections"] if COLLECTIONS else []),
]


wildcard_constraints:
    dataset="[a-z][a-z0-9]*",
    contrast="[a-z][a-z0-9_]*",


def resource(name):
    """Path of a table that belongs to the workflow."""
    return placed(name, WORKFLOW / "resources")


def result(path):
    """Path below the results folder."""
    return f"{SETTINGS['results']}/{path}"


def one_of(names):
    """Wildcard constraint: one of these names, or nothing at all."""
    return "|".join(names) or "(?!)"


# Jobs that failed for their study in a former run.
MARKED = outcome.before(result("logs"))


def log_of(rule, key=""):
    """Log file of a rule's job."""
    return result(f"logs/{rule}/{key or 'all'}.log")


def time_of(rule, key=""):
    """Benchmark file of a rule's job."""
    return result(f"benchmarks/{rule}/{key or 'all'}.tsv")


def expected_samples(wildcards):
    """Samples that a study's card expects; published effects have none."""
    return STUDIES[wildcards.dataset].get("samples", {}).get("expected", 0)


def growing(amount, per_sample=0, per_contrast=0):
    """Resource function: what a job needs, doubled with every further attempt.

    ``per_sample`` counts the samples that the study's card expects, ``per_contrast`` all contrasts.
    """

    def needed(wildcards, attempt):
        need = amount
        if per_sample:
            need += per_sample * expected_samples(wildcards)
        if per_contrast:
            need += per_contrast * sum(
                len(card["contrasts"]) for card in STUDIES.values()
            )
        return need * 2 ** (attempt - 1)

    return needed


def code(rule):
    """Digest of the code that a rule's script reaches; a change of it reruns the rule."""
    return CODE.digest(WORKFLOW / "scripts" / f"{rule}.py")


def card_part(*keys):
    """Params function: the keys of a study's card that its job depends on, and no others."""
    return lambda wildcards: {
        key: STUDIES[wildcards.dataset][key]
        for key in keys
        if key in STUDIES[wildcards.dataset]
    }


@functools.cache
def claim_targets(_wildcards=None):
    """Params function: genes and ratios that claims test; an edit of the claims' prose reruns nothing."""
    claims = cards.load_yaml(TABLES["claims"])["claims"]
    found = {test["target"] for claim in claims for test in claim["tests"]}
    return sorted(name for name in found if name.startswith(("GENE/", "RATIO/")))


def contrast_of(wildcards):
    """Params function: one contrast with all its keys."""
    return cards.contrast(STUDIES[wildcards.dataset], wildcards.contrast)


def archive_of(wildcards):
    """Params function: what to fetch for a study; `collections` stands for the gene sets."""
    if wildcards.dataset != "collections":
        keys = (
            "id",
            "accession",
            "organism",
            "files",
            "samples",
            "archive",
            "citation",
        )
        return card_part(*keys)(wildcards)
    files = {
        name: {key: entry[key] for key in ("url", "sha256") if entry[key]}
        for name, entry in COLLECTIONS.items()
    }
    return {"id": "collections", "accession": "", "organism": "", "files": files}


def local_files(wildcards):
    """Input function: files of one's own that a card names and that are there."""
    files = STUDIES.get(wildcards.dataset, {}).get("files", {})
    paths = [entry["url"] for entry in files.values() if cards.is_local(entry)]
    return [path for path in paths if Path(path).is_file()]


def folders(wildcards):
    """Params function: where files of one's own may lie; nothing to studies without any."""
    return [".", *REGISTRIES, *FOLDERS] if local_files(wildcards) else ["."]


def last_failure(wildcards):
    """Params function: when a download last failed; a failure is thus tried again by the next run."""
    mark = Path(SETTINGS["data"]["cache"]) / wildcards.dataset / "unreachable"
    return mark.read_text() if mark.is_file() else ""


def manifests():
    """Manifests of all that the selected studies need."""
    return [result(f"provenance/data/{name}.tsv") for name in [*FETCHED, *SIMULATED]]


def last_mark(rule, key):
    """Params function: when a job last failed for its study; each run thus tries it again."""
    log = log_of(rule, key)
    return lambda wildcards: MARKED.get(log.format(**dict(wildcards.items())), "")


def of_admitted(pattern, datasets):
    """Input function: a path per admitted study, and per contrast where the pattern has one.

    Asking for it waits until every study has been downloaded and looked at.
    """

    def paths(wildcards):
        table = checkpoints.data_admit.get().output.admission
        kept = set(admit.admitted(table))
        names = [name for name in datasets if name in kept]
        return paths_of(
            pattern,
            [
                (name, entry["id"])
                for name in names
                for entry in STUDIES[name]["contrasts"]
            ],
        )

    return paths


def of_sound(pattern, datasets):
    """Input function: as `of_admitted`, without what failed later.

    Asking for it waits until every study has been analysed. A rule that asks has the table itself as
    an input, too: where a run finds the one of a former run, the rule is looked at again after it.
    """

    def paths(wildcards):
        table = checkpoints.data_outcome.get().output.outcome
        kept = set(outcome.kept(table))
        named = [
            (name, entry["id"])
            for name in datasets
            for entry in STUDIES[name]["contrasts"]
        ]
        return paths_of(pattern, [pair for pair in named if pair in kept])

    return paths


def paths_of(pattern, pairs):
    """A path per pair of study and contrast, once where the pattern has no contrast."""
    paths = [
        pattern.format(dataset=name, contrast=contrast) for name, contrast in pairs
    ]
    return [result(path) for path in dict.fromkeys(paths)]


def facts_of_cards(wildcards):
    """Params function: what the synthesis depends on in the cards, and no more."""
    keys = (
        "id",
        "role",
        "organism",
        "modality",
        "platform",
        "cluster",
        "simulated",
        "route_of",
        "marks",
    )
    kept = (
        "id",
        "kind",
        "variable",
        "across",
        "at",
        "against",
        "unit",
        "target",
        "reference",
        "adjust",
        "block",
        "within",
        "role",
    )
    return {
        name: {
            **{key: card[key] for key in keys if key in card},
            "contrasts": [
                {key: entry[key] for key in (*kept, "stage", "tag") if key in entry}
                for entry in card["contrasts"]
            ],
            **(
                {"calls": {"comparisons": card["calls"]["comparisons"]}}
                if "calls" in card
                else {}
            ),
        }
        for name, card in STUDIES.items()
    }


def joined(*functions):
    """Input function: the paths of several input functions."""
    return lambda wildcards: [
        path for function in functions for path in function(wildcards)
    ]


def tissue_de():
    """Input function: the `de` tables of contrasts of whole tissue."""
    return of_sound("bulk/{dataset}/{contrast}/de.tsv", BULK + PUBLISHED)


def all_de():
    """Input function: the `de` tables of all contrasts."""
    return joined(tissue_de(), of_sound("cells/{dataset}/{contrast}/de.tsv", CELLS))


def per_study(table):
    """Input function: a table of every study that has samples."""
    return joined(
        of_sound(f"bulk/{{dataset}}/{table}", BULK),
        of_sound(f"cells/{{dataset}}/{table}", CELLS),
    )


def all_effects():
    """Input function: block effects of all contrasts that have samples."""
    return of_sound("programmes/{dataset}/{contrast}/block_effects.tsv", BULK + CELLS)


def compared():
    """Studies with a matrix that hold an ALS or a denervation contrast."""
    roles = {"als_patient", "als_model", "als_cells", "denervation"}
    return [
        name
        for name in BULK
        if roles
        & {
            entry.get("role", STUDIES[name]["role"])
            for entry in STUDIES[name]["contrasts"]
        }
    ]
