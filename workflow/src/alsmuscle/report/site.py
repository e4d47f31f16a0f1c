"""The one layout around every page, its content-security policy, and its glossary."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from alsmuscle.core.errors import InputError
from alsmuscle.report import model
from alsmuscle.report.html import components as c

SCRIPTS = ("genes.js", "pdf.js", "pictures.js", "pool.js", "scatter.js")
"""Scripts that pages load when they need them."""
NEEDED = {
    *("layout.html.j2", "style.css", "app.js", *SCRIPTS),
    *("glossary.tsv", "methods.tsv", "names.tsv"),
}

MENU = (
    ("index.html", "Findings"),
    ("specificity.html", "Specificity"),
    ("calls.html", "Called genes"),
    ("time.html", "Time"),
    ("changes.html", "Changes"),
    ("programmes.html", "Programmes"),
    ("pathways.html", "Pathways"),
    ("gene.html", "Genes"),
    ("geneset.html", "Sets of genes"),
    ("shared.html", "Shared changes"),
    ("methods.html", "Methods"),
    ("provenance.html", "Provenance"),
    ("glossary.html", "Glossary"),
)
OPTIONAL = frozenset(
    ["specificity.html", "calls.html", "time.html", "changes.html", "pathways.html"]
)
"""Pages of the menu that not every report has."""


class Site:
    """Renders templates inside the layout.

    ``templates`` maps the file names of ``workflow/report`` to their text; raises
    :class:`InputError` when one that every page needs is missing.
    """

    def __init__(
        self,
        templates: Mapping[str, str],
        title: str,
        present: Collection[str] = (),
        commit: str = "",
    ) -> None:
        """Check the templates and fix the security policy by the hashes of script and style.

        ``present``: those of :data:`OPTIONAL` that this report has. ``commit``: of the code, for
        the captions of figures.
        """
        if missing := NEEDED - set(templates):
            raise InputError(
                f"report templates missing: {', '.join(sorted(missing))}",
                where="workflow/report",
                remedy="pass every file of that folder",
            )
        self.title = title
        self._version = f"alsmuscle ({commit})" if commit else "alsmuscle"
        self.glossary = _rows(templates["glossary.tsv"])
        self.methods = _rows(templates["methods.tsv"])
        self.names = _rows(templates["names.tsv"])
        self._menu = [x for x in MENU if x[0] not in OPTIONAL or x[0] in present]
        self._script, self._style = templates["app.js"], templates["style.css"]
        self._env = Environment(
            loader=DictLoader({k: v for k, v in templates.items() if k.endswith(".j2")}),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._env.globals.update(
            badge=c.badge,
            callout=c.callout,
            folded=c.folded,
            not_computed=c.not_computed,
            link=c.link,
            local=c.local,
            term=self.term,
        )
        # Inline code is allowed by hash; 'strict-dynamic' lets that code, and nothing else, add
        # the data scripts. 'self' does not match files opened from disk in every browser.
        self._policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src '{c.digest(self._script)}' 'strict-dynamic'",
                f"style-src '{c.digest(self._style)}'",
                "img-src 'self' file: data:",
                "base-uri 'none'",
                "form-action 'none'",
                "object-src 'none'",
            )
        )

    def term(self, key: str, to_root: str, text: str | None = None) -> Markup:
        """Return a link to a glossary entry; by default its own name in running text."""
        name = next(e["term"] for e in self.glossary if e["key"] == key)
        return Markup('<a class="term" href="{}glossary.html#{}">{}</a>').format(
            to_root, key, text or name[0].lower() + name[1:]
        )

    def render(self, template: str, *, path: str, heading: str, **values: Any) -> str:
        """Return the page at ``path``, relative to the report folder."""
        return self._env.get_template(template).render(
            site=self.title,
            heading=heading,
            root=model.root(path),
            path=path,
            menu=self._menu,
            policy=self._policy,
            version=self._version,
            script=Markup(self._script),
            style=Markup(self._style),
            **values,
        )


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
