"""What separates the fields of a table whose card does not say it."""

from __future__ import annotations

import pytest

from alsmuscle.data.readers import tables

SHEETS = {
    "semicolons between words": "run,title\nSRR1,GSM1: a; Mus musculus; RNA-Seq\nSRR2,GSM2: b; Mus "
    "musculus; RNA-Seq\n",
    "commas between words": "run;title\nSRR1;muscle, left, old\nSRR2;muscle, right, young\n",
    "quoted words": 'run,title\nSRR1,"a; b; c"\nSRR2,"d; e; f"\n',
    "decimal commas": "run;age;weight\nSRR1;61,5;70,2\nSRR2;44,0;81,9\n",
    "one line of words": "run,title,note\nSRR1,a,x; y; z; u; v; w\nSRR2,b,\nSRR3,c,\n",
}


@pytest.mark.parametrize("text", SHEETS.values(), ids=SHEETS)
def test_what_stands_in_words_and_numbers_separates_nothing(text):
    shape = tables.Form(key="samples.sheet", text=True)
    frame = tables.parse(text, "sheet.csv", shape)
    assert frame.columns[0] == "run"
    assert frame["run"].tolist()[:2] == ["SRR1", "SRR2"]
    assert (
        frame.shape[1] == text.split("\n")[0].count("," if "," in text.split("\n")[0] else ";") + 1
    )
