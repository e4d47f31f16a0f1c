"""Small derived tables that come with the project, used where the originals cannot be obtained.

They are what the workflow makes of the pinned originals (``workflow/resources/published``, with
sources and licences beside them), so that reading one gives what importing the original gives. A
manifest marks them by ``source``: ``embedded``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alsmuscle.data.published import NOT_PUBLISHED, Imported, note
from alsmuscle.data.readers.calls import Called

if TYPE_CHECKING:
    import pandas as pd

SOURCE = "embedded"
FOLDER = Path(__file__).resolve().parents[3] / "resources" / "published"


def table_of(dataset: str) -> Path | None:
    """Return the embedded table of a study, or None where the project holds none."""
    path = FOLDER / f"{dataset}.tsv.gz"
    return path if path.is_file() else None


def is_embedded(manifest: pd.DataFrame, name: str) -> bool:
    """Say whether a study's file is the project's own derived table."""
    row = manifest[manifest["name"] == name]
    return bool(len(row)) and str(row["source"].iloc[0]) == SOURCE


def read_effects(path: str | Path, dataset: str, contrast: str) -> Imported:
    """Read embedded effects as importing the original would give them."""
    frame = _of_contrast(path, contrast).drop(columns=["direction"], errors="ignore")
    frame[list(NOT_PUBLISHED)] = float("nan")
    frame["n_replaced"] = 0
    for side in ("target", "reference"):
        frame[f"donors_{side}"] = frame[f"n_{side}"]
    return Imported(frame, _notes(path, dataset, contrast))


def read_calls(path: str | Path, dataset: str, contrast: str) -> Called:
    """Read an embedded list of called genes as importing the original would give it."""
    notes = _notes(path, dataset, contrast)
    said = {str(r.metric): (float(r.value), str(r.text)) for r in notes.itertuples()}
    return Called(_of_contrast(path, contrast), said)


def _of_contrast(path: str | Path, contrast: str) -> pd.DataFrame:
    import pandas as pd

    text = dict.fromkeys(("gene_id", "symbol", "probe_id", "threshold", "direction"), str)
    frame = pd.read_csv(
        path,
        sep="\t",
        dtype=text,
        keep_default_na=False,
        na_values={
            name: [""] for name in ("base_mean", "log2fc", "lfc_se", "stat", "df", "pvalue", "padj")
        },
    )
    return frame[frame["contrast"] == contrast].reset_index(drop=True)


def _notes(path: str | Path, dataset: str, contrast: str) -> pd.DataFrame:
    import pandas as pd

    notes = pd.read_csv(str(path).replace(".tsv.gz", ".imported.tsv"), sep="\t")
    own = notes[notes["contrast"] == contrast].reset_index(drop=True)
    text = (
        "The original could not be obtained: this is the project's own table, derived from it "
        f"(workflow/resources/published/{Path(path).name})."
    )
    said = pd.DataFrame([note(SOURCE, float("nan"), text)])
    said = said.assign(dataset=dataset, contrast=contrast)[list(own.columns)]
    return pd.concat([said, own], ignore_index=True)
