"""Which contrasts are pooled: every mark that bars one, and the sentence that says so."""

from __future__ import annotations

from typing import Any

import pytest

from alsmuscle.synthesis import eligibility


def reasons(include_confounded: bool = False, real: bool = True, **changed: Any) -> list[str]:
    base: dict[str, Any] = {
        "role": "als_patient", "n_target": 8, "n_reference": 7, "simulated": False, "problem": "",
    }  # fmt: skip
    return eligibility.reasons(
        base | changed, min_donors=3, include_confounded=include_confounded, real_studies=real
    )


def test_a_clean_contrast_is_pooled() -> None:
    assert reasons() == []
    assert reasons(**dict.fromkeys(eligibility.MARKS, "")) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_reference": 2}, "8 v 2 donors, fewer than 3 a side"),
        ({"confounded": "batch"}, "condition is confounded with batch"),
        ({"near_confounded": "Condition and site agree (Cramer's V 0.8)."}, "Cramer's V 0.8"),
        (
            {"ages_apart": "Mean ages are 66 and 29 years, 4 standard deviations apart."},
            "66 and 29",
        ),
        ({"library_sizes_apart": "21-31 against 41-65 million reads."}, "41-65 million"),
        ({"probes_chosen": "One probe per gene, that of smallest p."}, "smallest p"),
        ({"labels_in_doubt": "Declared sex contradicted in 3 of 20 samples."}, "3 of 20"),
        ({"simulated": True}, "simulated"),
        ({"role": "not_muscle"}, "not a muscle study"),
        ({"role": ""}, "no role given"),
        ({"problem": "file hash differs"}, "hash"),
    ],
)
def test_every_bar_states_its_reason(changed: dict[str, Any], words: str) -> None:
    found = reasons(**changed)
    assert len(found) == 1 and words in found[0] and not found[0].endswith(".")


def test_marks_are_set_aside_only_when_asked_for_and_few_donors_never() -> None:
    marked = dict.fromkeys(eligibility.MARKS, "something")
    assert len(reasons(**marked)) == len(eligibility.MARKS)
    assert reasons(include_confounded=True, **marked) == []
    assert len(reasons(include_confounded=True, n_target=1, **marked)) == 1
    assert reasons(real=False, simulated=True) == []
