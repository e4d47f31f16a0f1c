"""Studies on the log2 scale: planted lambda and block effects."""

from __future__ import annotations

from by_config import log_scale


def test_planted_lambda_and_blocks_are_recovered_with_honest_intervals() -> None:
    # a fast version of the calibration: wide bounds for 16 data sets
    out = log_scale.calibrate_axis(n_datasets=16, seed=11)
    assert abs(out["lambda_bias"]) < 0.06
    assert out["lambda_uncorrected"] < 0.42  # planted: 0.5
    assert 0.8 <= out["lambda_coverage"] <= 1
    assert 0.92 <= out["delta_coverage"] <= 0.995
    assert out["delta_null_rejected"] < 0.06
    assert out["delta_power"] > 0.8
