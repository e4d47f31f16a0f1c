"""Write the fixed inputs of the comparison: keys × studies, NA where a study is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

STUDIES = [f"s{i + 1:02d}" for i in range(20)]


def inputs() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return effects and standard errors, with the cases that are easy to get wrong by name."""
    rng = np.random.default_rng(8)
    effects: dict[str, np.ndarray] = {}
    errors: dict[str, np.ndarray] = {}

    def add(name: str, y: np.ndarray | list[float], s: np.ndarray | list[float]) -> None:
        for table, values in ((effects, y), (errors, s)):
            row = np.full(len(STUDIES), np.nan)
            row[: len(values)] = values
            table[name] = row

    add("k2_agree", [0.4, 0.5], [0.2, 0.3])
    add("k2_differ", [1.5, -0.5], [0.1, 0.2])
    add("k3_collapse", [0.50, 0.51, 0.505], [0.3, 0.2, 0.25])  # q near 0: plain intervals collapse
    add("k3_tau2_zero", [0.1, 0.2, 0.05], [0.4, 0.5, 0.3])
    add("extreme_weights", [0.2, 1.4, -0.9, 0.8], [1e-3, 0.7, 0.9, 1.1])
    add("one_precise_outlier", [3.0, 0.1, 0.0, -0.1, 0.05], [0.01, 0.3, 0.3, 0.3, 0.3])
    add("huge_errors", [5.0, -4.0, 3.0, 0.2], [10.0, 9.0, 12.0, 8.0])
    add("tiny_scale", [1e-4, 3e-4, -2e-4, 5e-4], [1e-4, 1e-4, 2e-4, 1e-4])
    for i in range(60):
        k = int(rng.integers(2, 21))
        s = np.exp(rng.normal(-1.5, rng.uniform(0.1, 1.2), size=k))
        tau = rng.choice([0.0, 0.05, 0.3, 1.0])
        y = rng.normal(rng.normal(0, 0.5), np.sqrt(tau**2 + s**2))
        row_y, row_s = np.full(20, np.nan), np.full(20, np.nan)
        where = np.sort(rng.choice(20, size=k, replace=False))  # studies missing anywhere
        row_y[where], row_s[where] = y, s
        add(f"random_{i:02d}", row_y, row_s)
    frame = [pd.DataFrame(table, index=STUDIES).T for table in (effects, errors)]
    return frame[0].round(6), frame[1].round(6)


if __name__ == "__main__":
    here = Path(__file__).parent
    for table, name in zip(inputs(), ("effect", "se"), strict=True):
        table.to_csv(here / f"{name}.csv", index_label="key", na_rep="NA")
