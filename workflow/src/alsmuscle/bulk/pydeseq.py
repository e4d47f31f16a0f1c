"""PyDESeq2, without what only its plots, formulas, tests and regression of means load.

Importing this module takes about a CPU second: import it where it is used.
"""

from alsmuscle.core.late import put_off

with put_off("matplotlib", "sklearn.linear_model", "formulaic_contrasts", "scipy.stats"):
    from pydeseq2 import utils
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats
    from pydeseq2.inference import Inference
    from pydeseq2.preprocessing import deseq2_norm

__all__ = [
    "DefaultInference",
    "DeseqDataSet",
    "DeseqStats",
    "Inference",
    "deseq2_norm",
    "utils",
]
