from __future__ import annotations

import importlib
import subprocess
import sys
import types

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
