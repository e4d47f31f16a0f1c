"""Tables of studies, their samples and files. What their columns mean is in
``schemas/columns.tsv``.
"""

from __future__ import annotations

from alsmuscle.core.contracts import Table

CHECKS = Table(
    name="checks",
    columns={
        "dataset": "text",
        "check": "text",
        "state": "text",
        "card": "text",
        "found": "text",
        "remedy": "text",
    },
    key=("dataset", "check"),
)
COMPLETENESS = Table(
    name="completeness",
    columns={
        "dataset": "text",
        "sample_id": "text",
        "sample_label": "text",
        "in_record": "flag",
        "obtained": "flag",
        "analysed": "flag",
        "reason": "text",
        "counts_sha256": "text",
        "identical_to": "text",
    },
    key=("dataset", "sample_label"),
)
ADMISSION = Table(
    name="admission",
    columns={"dataset": "text", "admitted": "flag", "reason": "text"},
    key=("dataset",),
)
MANIFEST = Table(
    name="manifest",
    columns={
        "study": "text",
        "name": "text",
        "url": "text",
        "path": "text",
        "sha256": "text",
        "bytes": "count",
        "retrieved": "text",
        "source": "text",
        "pinned": "text",
    },
    key=("study", "name"),
)
SAMPLES = Table(
    name="samples",
    columns={
        "dataset": "text",
        "sample_id": "text",
        "subject_id": "text",
        "condition": "text",
        "stage": "text",
        "sex": "text",
        "age": "number",
        "age_unit": "text",
        "muscle": "text",
        "material": "text",
        "batch": "text",
    },
    key=("sample_id",),
)
EXCLUDED = Table(
    name="excluded",
    columns={"dataset": "text", "sample_id": "text", "reason": "text"},
    key=("dataset", "sample_id"),
)
WARNINGS = Table(
    name="warnings",
    columns={
        "dataset": "text",
        "contrast": "text",
        "kind": "text",
        "column": "text",
        "text": "text",
    },
)
IMPORTED = Table(
    name="imported",
    columns={
        "dataset": "text",
        "contrast": "text",
        "metric": "text",
        "value": "number",
        "text": "text",
        "flagged": "flag",
    },
    key=("dataset", "contrast", "metric"),
)
# Metric of a published table: how far its control probes moved, which no biology moves.
CONTROL_PROBES = "control_probes"
# Metric of a published table or list: genes that one sex expresses differ between its sides.
SEX_GENES_MOVE = "sex_genes"
