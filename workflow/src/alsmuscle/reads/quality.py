"""Which libraries are flagged, by what is told of their reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alsmuscle.reads.quantify import STRANDED, UNSTRANDED

if TYPE_CHECKING:
    import pandas as pd


def flagged(table: pd.DataFrame, *, min_pct_aligned: float, max_pct_duplicated: float) -> list[str]:
    """Return why each library is flagged, empty where it is not: metric, value, threshold.

    Parameters
    ----------
    table
        Contract :data:`alsmuscle.reads.tables.READS`.
    min_pct_aligned, max_pct_duplicated
        Per cent of the reads.
    """
    layouts, strands = table["layout"].nunique(), table["strandedness"].nunique()
    found = []
    for row in table.itertuples():
        said = []
        if row.pct_aligned < min_pct_aligned:
            said.append(
                f"{row.pct_aligned:.1f} % of the reads belong to known transcripts, "
                f"below {min_pct_aligned:g} %"
            )
        if row.pct_duplicated > max_pct_duplicated:
            said.append(
                f"{row.pct_duplicated:.1f} % of the first reads are copies, "
                f"above {max_pct_duplicated:g} %"
            )
        odd = 1 - STRANDED < row.share_forward < UNSTRANDED[0]
        if odd or UNSTRANDED[1] < row.share_forward < STRANDED:
            said.append(
                f"{100 * row.share_forward:.0f} % of the reads lie forward: neither stranded "
                f"(at least {100 * STRANDED:.0f} % on one side) nor unstranded"
            )
        if layouts > 1 or strands > 1:
            said.append(
                f"the study's libraries differ in kind: this one is {row.layout}, "
                f"{row.strandedness or 'strand unknown'}"
            )
        if row.quantified < row.reads:
            said.append(f"a trial: {row.quantified:,} of {row.reads:,} reads were quantified")
        found.append("; ".join(said))
    return found
