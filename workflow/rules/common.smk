# In:  the configuration and the study cards.
# Out: names for the other files of this folder, such as STUDIES, result(), card_part(), code()
import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Everything is found from this file, so that the workflow runs from any folder and as a module.
WORKFLOW = Path(str(workflow.current_basedir)).parent
SOURCE = str(WORKFLOW / "src")
# Scripts run in processes of their own, with the Snakefile's folder but not the package on their
# path; an installed package, perhaps that of another checkout, would come first: run what is
# digested.
if SOURCE not in sys.path:
    sys.path.insert(0, SOURCE)

from alsmuscle.core.config import placed, to_share
from alsmuscle.data import cards
from alsmuscle.core.digest import put_first
from alsmuscle.core.errors import InputError
from alsmuscle.data.plan import Plan, joined, one_of
from alsmuscle.data.reading import Reading

put_first(SOURCE)
ENVIRONMENT = str(WORKFLOW.parent / "envs" / "analysis.yaml")

# The project's own values, then the working folder's, then those of the command line.
CONFIG_FILES = [WORKFLOW.parent / "config" / "config.yaml"]
CONFIG_FILES += sorted(
    map(Path, workflow.configfiles),
    key=lambda path: path in workflow.overwrite_configfiles,
)
STORE, CHECK = ".snakemake/alsmuscle-read", "alsmuscle.synthesis.targets"
try:
    READ = Reading(WORKFLOW, CONFIG_FILES, config, store=STORE, check=CHECK)
    SETTINGS, CARDS, COLLECTIONS = READ.settings, READ.cards, READ.collections
    REGISTRIES, TABLES, FOLDERS = READ.registries, READ.tables, READ.folders
    STUDIES = cards.select(CARDS, SETTINGS["studies"])
except InputError as error:
    raise WorkflowError(str(error)) from None

# Processes of one run share what they find out about hosts; those of the next run ask again.
os.environ.setdefault("ALSMUSCLE_RUN", f"{os.getpid()}-{int(time.time())}")

# A machine fact, not an analysis value: changing it must rerun nothing, so it goes by environment.
if SETTINGS["data"]["mirror"]:
    os.environ.setdefault("ALSMUSCLE_MIRROR", SETTINGS["data"]["mirror"])

PLAN = Plan(SETTINGS, STUDIES, COLLECTIONS, TABLES, [*REGISTRIES, *FOLDERS])

# Whole tissue with a matrix of its own: read counts, or intensities of arrays.
COUNTS, ARRAYS = PLAN.of("bulk"), PLAN.of("array")
BULK, CELLS = COUNTS + ARRAYS, PLAN.of("cells")
# Published effects, and published lists of called genes.
PUBLISHED, LISTS = PLAN.of("effects"), PLAN.of("calls")
NUCLEI, DESCRIBED = PLAN.described()  # and the tissue that nuclei describe
SIMULATED, FETCHED = PLAN.simulated, PLAN.fetched

result, log_of, time_of = PLAN.result, PLAN.log_of, PLAN.time_of
growing, expected_samples = PLAN.growing, PLAN.expected_samples
card_part, contrast_of, archive_of = PLAN.card_part, PLAN.contrast_of, PLAN.archive_of
local_files, folders, manifests = PLAN.local_files, PLAN.folders, PLAN.manifests
facts_of_cards, claim_targets = PLAN.facts_of_cards, PLAN.claim_targets
last_failure, last_mark, compared = PLAN.last_failure, PLAN.last_mark, PLAN.compared
fetching = {key: SETTINGS["data"][key] for key in ("cache", "pinned_only", "offline")}
fetching |= {"folders": folders, "last_failure": last_failure}


wildcard_constraints:
    dataset="[a-z][a-z0-9]*",
    contrast="[a-z][a-z0-9_]*",


def resource(name):
    """Path of a table that belongs to the workflow."""
    return placed(name, WORKFLOW / "resources")


def code(rule):
    """Digest of the code that a rule's script reaches; a change of it reruns the rule."""
    return READ.digests[rule]


def of_admitted(pattern, datasets):
    """Input function: a path per admitted study, and per contrast where the pattern has one."""
    return PLAN.of_admitted(
        pattern, datasets, lambda: checkpoints.data_admit.get().output.admission
    )


def of_sound(pattern, datasets):
    """Input function: as `of_admitted`, without what failed later."""
    return PLAN.of_sound(
        pattern, datasets, lambda: checkpoints.data_outcome.get().output.outcome
    )


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
