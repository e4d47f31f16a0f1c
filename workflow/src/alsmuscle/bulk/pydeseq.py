"""PyDESeq2, without what only its plots, formulas, tests, workers and single searches load.

Importing this module takes about half a CPU second: import it where it is used. Of SciPy's
distributions every fit asks for three quantiles, whose import would take longer than the fit of a
small study: they are computed here by the same functions of ``scipy.special``.
"""

from typing import Any

from alsmuscle.core.late import light_scipy, put_off, without_array_stores

# Searches for global optima and linear programmes, half of what scipy.optimize takes to import.
_SEARCHES = [
    f"scipy.optimize.{name}"
    for name in (
        *("_shgo", "_linprog", "_milp", "_differentialevolution", "_dual_annealing", "_direct_py"),
        *("_qap", "_isotonic", "_lsap", "_cobyla_py"),
    )
]

with (
    light_scipy(),
    without_array_stores(),
    put_off("matplotlib", "sklearn.linear_model", "formulaic_contrasts", "scipy.stats"),
    put_off("joblib", *_SEARCHES),
):
    from pydeseq2 import dds, utils
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats
    from pydeseq2.inference import Inference
    from pydeseq2.preprocessing import deseq2_norm
    from scipy.special import fdtri, ndtr, ndtri


class _Normal:
    """``scipy.stats.norm`` as PyDESeq2 uses it."""

    @staticmethod
    def ppf(probability: float) -> float:
        return float(ndtri(probability))

    @staticmethod
    def sf(value: Any) -> Any:
        return ndtr(-value)


class _F:
    """``scipy.stats.f`` as PyDESeq2 uses it."""

    @staticmethod
    def ppf(probability: float, numerator: int, denominator: int) -> float:
        return float(fdtri(numerator, denominator, probability))


utils.norm, dds.f = _Normal, _F

__all__ = [
    "DefaultInference",
    "DeseqDataSet",
    "DeseqStats",
    "Inference",
    "deseq2_norm",
    "utils",
]
