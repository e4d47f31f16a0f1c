"""anndata, loaded without what only other formats than HDF5 need: import it from here.

Whoever imports anndata first decides what it brings along, so no module imports it by itself;
scanpy and PyDESeq2, which do, are imported after this module.
"""

from alsmuscle.core.late import light_scipy, without_array_stores

with light_scipy(), without_array_stores():
    import anndata
    from anndata import AnnData
    from anndata.io import read_elem, sparse_dataset, write_elem
    from scipy import sparse

__all__ = ["AnnData", "anndata", "read_elem", "sparse", "sparse_dataset", "write_elem"]
