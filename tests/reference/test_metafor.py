"""Pooling against R metafor: frozen values, see tests/reference/meta/README.md."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.stats import meta_analysis

HERE = Path(__file__).parent / "meta"
TESTS = {"z": "none", "knha": "plain", "adhoc": "modified"}
COMPARED = [
    *("effect", "se", "ci_low", "ci_high", "pvalue", "tau2", "i2", "q", "q_pvalue"),
    *("pi_low", "pi_high", "loo_low", "loo_high"),
]
TOLERANCE = 1e-6  # absolute for values below 1 in size, relative above


def _inputs() -> tuple[pd.DataFrame, pd.DataFrame]:
    return (
        pd.read_csv(HERE / "effect.csv", index_col="key"),
        pd.read_csv(HERE / "se.csv", index_col="key"),
    )


@pytest.mark.parametrize("estimator", ["REML", "PM"])
@pytest.mark.parametrize("test", list(TESTS))
def test_every_number_agrees_with_metafor(estimator: str, test: str) -> None:
    effect, se = _inputs()
    truth = pd.read_csv(HERE / "values.csv")
    truth = truth[(truth["estimator"] == estimator) & (truth["test"] == test)].set_index("key")
    ours = meta_analysis.random_effects(effect, se, estimator=estimator, knapp_hartung=TESTS[test])
    assert list(truth.index) == list(effect.index)
    assert (ours["k"] == truth["k"]).all()
    for column in COMPARED:
        size = np.maximum(1.0, truth[column].abs())
        error = ((ours[column] - truth[column]).abs() / size).fillna(np.inf)
        assert error.max() < TOLERANCE, f"{column}: {error.idxmax()} is off by {error.max():.2e}"


def test_tau2_agrees_relative_to_its_own_scale() -> None:
    effect, se = _inputs()
    truth = pd.read_csv(HERE / "values.csv").query("test == 'adhoc'")
    scale = (se**2).mean(axis=1)
    for estimator, rows in truth.groupby("estimator"):
        ours = meta_analysis.random_effects(
            effect, se, estimator=str(estimator), leave_one_out=False
        )
        error = (ours["tau2"] - rows.set_index("key")["tau2"]).abs() / (scale + ours["tau2"])
        assert error.max() < TOLERANCE


def test_the_frozen_inputs_cover_the_hard_cases() -> None:
    effect, se = _inputs()
    truth = pd.read_csv(HERE / "values.csv")
    assert (truth["k"] == 2).any() and (truth["k"] >= 15).any()
    assert (truth["tau2"] < 1e-9).any() and (truth["i2"] > 99).any()
    assert effect.isna().any().any()
    assert ((se.max(axis=1) / se.min(axis=1)) > 100).any()


def test_frozen_inputs_are_what_their_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("make_inputs", HERE / "make_inputs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for written, frozen in zip(module.inputs(), _inputs(), strict=True):
        pd.testing.assert_frame_equal(written, frozen, check_names=False, atol=1e-9)


@pytest.mark.verify
def test_metafor_still_gives_the_frozen_values(tmp_path: Path) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    for name in ("effect.csv", "se.csv", "script.R"):
        shutil.copy(HERE / name, tmp_path / name)
    subprocess.run(["Rscript", "script.R"], cwd=tmp_path, check=True, capture_output=True)
    new, frozen = (pd.read_csv(folder / "values.csv") for folder in (tmp_path, HERE))
    pd.testing.assert_frame_equal(new, frozen, rtol=1e-6, atol=1e-8)
