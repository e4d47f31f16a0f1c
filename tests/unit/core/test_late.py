from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import types
from pathlib import Path

import numpy as np

from alsmuscle.core import annotated
from alsmuscle.core.late import put_off

PACKAGE = {
    "heavy/__init__.py": "import loaded\nloaded.names.append('heavy')\nfrom heavy.inner import f\n",
    "heavy/inner.py": (
        "import loaded\nloaded.names.append('inner')\nVALUE = 3\ndef f(x): return x + 1\n"
    ),
    "loaded.py": "names = []\n",
    "user.py": (
        "from heavy import inner, f\nfrom heavy.inner import f as again\n"
        "def use(x): return f(x), again(x), inner.VALUE\n"
    ),
}


def write(folder, monkeypatch):
    for name, text in PACKAGE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("heavy", "heavy.inner", "loaded", "user"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_library_s_imports_are_loaded_when_they_are_used_and_give_what_they_give(
    tmp_path, monkeypatch
):
    write(tmp_path, monkeypatch)
    loaded = importlib.import_module("loaded")

    with put_off("heavy", "heavy.inner"):
        user = importlib.import_module("user")
    assert loaded.names == []
    assert "heavy" not in sys.modules
    assert user.use(1) == (2, 2, 3)
    assert loaded.names == ["heavy", "inner"]
    assert isinstance(sys.modules["heavy"].f, types.FunctionType)


def test_what_is_loaded_already_stays(tmp_path, monkeypatch):
    write(tmp_path, monkeypatch)
    heavy = importlib.import_module("heavy")

    with put_off("heavy", "heavy.inner"):
        user = importlib.import_module("user")
    assert user.f is heavy.f
    assert sys.modules["heavy"] is heavy


def test_pydeseq2_comes_without_plots_and_scikit_learn_and_still_regresses():
    code = """
import sys
import numpy as np
from alsmuscle.bulk.pydeseq import utils
assert not {"matplotlib", "sklearn"} & set(sys.modules), set(sys.modules)
design = np.array([[1.0, 0], [1, 0], [1, 1], [1, 1]])
counts = np.array([[2.0], [4], [9], [11]])
found = utils.fit_lin_mu(counts[:, 0], np.ones(4), design, 0.5)
np.testing.assert_allclose(found, [3, 3, 10, 10])
assert "sklearn" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def loaded_by(code):
    """Modules of a process of its own after ``code``."""
    code += "\nimport sys\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(ran.stdout.split())


def test_anndata_comes_without_other_stores_and_reads_what_it_writes(tmp_path):
    code = f"""
from alsmuscle.core.annotated import AnnData, anndata, read_elem, write_elem
import h5py, numpy as np, pandas as pd
from scipy import sparse
obs = pd.DataFrame({{"who": pd.Categorical(["a", "b"]), "n": [1.5, 2]}}, index=["x", "y"])
made = AnnData(sparse.csr_matrix(np.eye(2)), obs=obs, uns={{"k": {{"v": 1}}, "s": "text"}})
made.layers["twice"] = 2 * np.eye(2)
made.write_h5ad({str(tmp_path / "one.h5ad")!r})
again = anndata.concat([anndata.read_h5ad({str(tmp_path / "one.h5ad")!r}), made[::-1].copy()])
assert again.obs["n"].tolist() == [1.5, 2, 2, 1.5]
assert again.layers["twice"].sum() == 8 and again.X.sum() == 4
with h5py.File({str(tmp_path / "two.h5")!r}, "w") as file:
    write_elem(file, "it", made)
    assert read_elem(file["it"]).uns["k"]["v"] == 1
"""
    loaded = loaded_by(code)
    assert "anndata" in loaded
    assert {"zarr", "xarray", "numpy.f2py"} & loaded == set()


def test_what_is_left_out_can_be_imported_afterwards():
    code = """
from alsmuscle.core import annotated
import numpy as np, xarray, zarr
from numpy import f2py
assert zarr.Array.__module__.startswith("zarr") and callable(f2py.run_main) and np.f2py is f2py
assert xarray.DataArray([1.0, 2]).sum() == 3
"""
    assert {"zarr", "xarray", "numpy.f2py"} <= loaded_by(code)


def test_no_module_imports_anndata_by_itself():
    """The first import decides: it would bring along all that the others leave out."""
    package = Path(annotated.__file__).parents[1]
    alone = []
    for path in package.rglob("*.py"):
        if "anndata" not in (text := path.read_text()):
            continue
        tree = ast.parse(text)
        # For types alone: nothing is loaded.
        for node in list(ast.walk(tree)):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
        for node in ast.walk(tree):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "anndata" for name in named):
                alone.append(path.relative_to(package).as_posix())
    assert sorted(set(alone)) == ["core/annotated.py"]


def test_scipy_s_distributions_are_not_loaded_for_a_fit_and_its_quantiles_are_theirs():
    from scipy import stats

    from alsmuscle.bulk import pydeseq

    asked = "inference.utils.mean_absolute_deviation([1.0, 2, 4]), inference.DeseqDataSet"
    assert "scipy.stats" not in loaded_by(f"from alsmuscle.bulk import inference\n{asked}")
    for p in (0.01, 0.25, 0.75, 0.99):
        assert pydeseq.utils.norm.ppf(p) == stats.norm.ppf(p)
        for numerator in (1, 2, 5, 9):
            for denominator in (1, 2, 7, 30, 200):
                expected = stats.f.ppf(p, numerator, denominator)
                assert pydeseq.dds.f.ppf(p, numerator, denominator) == expected
    z = np.linspace(-3, 40, 100)
    assert (pydeseq.utils.norm.sf(z) == stats.norm.sf(z)).all()


def test_a_ranking_loads_neither_a_web_service_nor_plots():
    code = """
import pandas as pd
from alsmuscle.genesets import pathways
ranked = pd.Series([3.0, 2, 1, 0.5, -1, -2, -3, -4], index=list("abcdefgh"))
options = {"permutations": 101, "seed": 1, "eps": 1e-10, "min_size": 1, "max_size": 8}
found = pathways.gsea(ranked, {"both": {"up": ["a", "b"], "down": ["g", "h"]}}, **options)
assert found.set_index("term")["leading_edge"].to_dict() == {"up": "a;b", "down": "h;g"}
"""
    assert {"requests", "urllib3", "scipy.stats", "matplotlib"} & loaded_by(code) == set()


def test_a_fit_loads_neither_workers_nor_searches_that_it_does_not_use():
    from scipy import optimize

    code = """
import sys
from alsmuscle.bulk import inference
unused = {"joblib", "scipy.spatial", "scipy.fft", "scipy.optimize._shgo"}
assert not unused & set(sys.modules), unused & set(sys.modules)
from scipy import optimize
found = optimize.linprog([1.0, 2.0], A_ub=[[-1.0, -1.0]], b_ub=[-3.0])
assert found.x.tolist() == [3.0, 0.0], found
assert abs(optimize.root_scalar(lambda x: x * x - 2, bracket=(0, 2)).root - 2**0.5) < 1e-9
"""
    assert "scipy.optimize._linprog" in loaded_by(code)
    assert optimize.linprog([1.0, 2.0], A_ub=[[-1.0, -1.0]], b_ub=[-3.0]).x.tolist() == [3.0, 0.0]
