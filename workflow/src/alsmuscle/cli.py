"""The command line ``alsmuscle``: find studies, propose cards, check cards.

The analysis itself is run by Snakemake (``make run``). Imports happen in the commands, so that
``alsmuscle --help`` answers at once.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import Shown, shown

if TYPE_CHECKING:
    from alsmuscle.data.check_online import Archives

REGISTRY = "config/datasets"
SEARCHES = "config/discovery.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, or 1 for what a user has to mend."""
    from alsmuscle.core import log

    options = _parser().parse_args(arguments)
    log.to_file(None)
    try:
        # Titles and names come from archives: none may steer the terminal.
        with redirect_stdout(Shown(sys.stdout)):
            return int(options.run(options))
    except InputError as error:
        print(shown(str(error)), file=sys.stderr)
        return 1
    except BrokenPipeError:  # `alsmuscle studies | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alsmuscle",
        description="Find public studies, propose study cards, and check them. "
        "The analysis is run by `make run`.",
        epilog="NCBI answers faster to those who set NCBI_API_KEY in the environment; "
        "the key is sent to NCBI only, and never written anywhere.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="command", required=True)

    studies = commands.add_parser("studies", help="list the registry")
    studies.add_argument("--markdown", action="store_true", help="as the table of the README")
    studies.set_defaults(run=_studies)

    find = commands.add_parser("discover", help="search GEO for studies that nobody listed")
    find.add_argument("--searches", default=SEARCHES, metavar="FILE", help=f"default: {SEARCHES}")
    find.add_argument("--term", metavar="TERM", help="one search of your own instead of the file's")
    find.add_argument("--new", action="store_true", help="leave out what the registry has")
    find.add_argument("--out", default="results/discovered.tsv", metavar="TSV", help="the table")
    find.set_defaults(run=_discover)

    draft = commands.add_parser("draft", help="propose a card for a GEO series")
    draft.add_argument("accession", nargs="+", metavar="GSE…")
    draft.add_argument("--to", metavar="FOLDER", help="where the card goes; default: the registry")
    draft.set_defaults(run=_draft)

    check = commands.add_parser("check", help="check cards, offline or against the archives")
    check.add_argument("id", nargs="*", help="study ids, accessions, or card files")
    check.add_argument("--all", action="store_true", help="every card of the registry")
    check.add_argument("--online", action="store_true", help="hold the cards against the archives")
    check.add_argument(
        "--bundle", metavar="ZIP", help="with --online: write what was seen into one file to share"
    )
    check.set_defaults(run=_check)

    for command in (studies, find, draft, check):
        command.add_argument(
            "--registry", default=REGISTRY, metavar="FOLDER", help=f"cards; default: {REGISTRY}"
        )
    return parser


class _Version(argparse.Action):
    """Ask for the version only when somebody wants it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(version("alsmuscle"))
        parser.exit()


# --- commands -------------------------------------------------------------------------------------


def _studies(options: argparse.Namespace) -> int:
    from alsmuscle.data import cards as registry

    cards = registry.load_cards(options.registry)
    if options.markdown:
        print("\n".join(registry.markdown(cards)))
        return 0
    shown = ("role", "organism", "modality", "title")
    rows = [
        (name, registry.standing(card), *(card[key] for key in shown))
        for name, card in cards.items()
    ]
    _print(("id", "standing", *shown), rows)
    return 0


def _discover(options: argparse.Namespace) -> int:
    from alsmuscle.core import files
    from alsmuscle.data import cards as registry
    from alsmuscle.data.check_online import tsv
    from alsmuscle.data.discover import discover

    asked = registry.load_yaml(options.searches)
    registry.validate(asked, "discovery", options.searches)
    own = {"own": options.term} if options.term else None
    table = discover(
        own or asked["searches"],
        _archives(),
        papers=[] if own else list(asked["papers"]),
        known=[card["accession"] for card in registry.load_cards(options.registry).values()],
        limit=asked["limit"],
    )
    if options.new:
        table = table[~table["in_registry"]]
    shown = {
        "accession": table["accession"],
        "organism": table["organism"],
        "type": table["study_type"].str.replace("Expression profiling by ", ""),
        "samples": table["n_samples"],
        "NCBI counts": table["ncbi_counts"],
        "files": table["files"],
        "registry": table["in_registry"].map({True: "yes", False: ""}),
        "title": table["title"],
    }
    _print(shown, list(zip(*shown.values(), strict=True)))
    files.write_text(options.out, tsv(table))
    print(f"\n{len(table)} series, {int(table['in_registry'].sum())} of them in the registry")
    for problem in table.attrs["problems"]:
        print(f"  incomplete: {problem}")
    print(f"table: {options.out}")
    return 1 if table.attrs["failed"] else 0


def _draft(options: argparse.Namespace) -> int:
    from alsmuscle.core import files
    from alsmuscle.data import cards as registry
    from alsmuscle.data.discover import card_text, draft

    folder = Path(options.to or options.registry)
    archives = _archives()
    for accession in options.accession:
        path = folder / f"{registry.plain(accession)}.yaml"
        if path.exists():
            raise InputError(
                "a card is there already",
                where=path,
                remedy="write the draft elsewhere with `--to`, and compare",
            )
        card = draft(accession, archives)
        registry.validate(card, "dataset", path)
        registry.check_card(card, path)
        files.write_text(path, card_text(card))
        print(f"{path}: a draft, which no run uses before a person has read it")
        for line in (*card.get("missing", {}).values(), *card["caveats"]):
            print(f"  - {line}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from alsmuscle.data import cards as registry

    if bool(options.id) == options.all:
        raise InputError("nothing to check, or too much", expected="ids of studies, or `--all`")
    if options.bundle and not options.online:
        raise InputError("`--bundle` holds what the archives said", expected="`--online`")
    paths = [_path(name, options.registry) for name in options.id]
    paths = paths or sorted(Path(options.registry).glob("*.yaml"))
    if not paths:
        raise InputError("no study card found", where=options.registry)
    cards: dict[str, registry.Card] = {}
    broken: dict[str, str] = {}
    for path in paths:
        try:
            cards[path.stem] = registry.load_card(path)
        except InputError as error:
            broken[path.stem] = str(error)
    if options.online:
        return _online(cards, broken, options.bundle)
    for name in (path.stem for path in paths):
        print(f"{name}: " + (_state(cards[name]) if name in cards else "wrong"))
        if name in broken:
            print("  " + broken[name].replace("\n", "\n  "))
        elif not options.all:
            for line in _known(cards[name]):
                print(f"  {line}")
    print(f"\n{len(cards)} of {len(paths)} cards pass")
    return 1 if broken else 0


def _online(cards: dict[str, Any], broken: dict[str, str], bundle: str | None) -> int:
    from alsmuscle.core import files, provenance
    from alsmuscle.data.check_online import BROKEN, DIFFERS, Look, pack, survey

    archives = _archives()
    looks = [Look(name, broken=problem.split("\n")[0]) for name, problem in broken.items()]
    for look in itertools.chain(list(looks), survey(cards.values(), archives)):
        result, detail = look.result
        print(f"{look.id}: {result}" + (f" ({detail})" if detail else ""), flush=True)
        for fact in look.facts:
            if not fact["agrees"]:
                print(f"  {fact['field']}: card “{fact['card']}”, archive “{fact['archive']}”")
        looks += [] if look.broken else [look]
    if bundle:
        versions = {**provenance.versions(), "commit": provenance.commit(".")}
        files.write_text(bundle, pack(looks, archives.asked, versions))
        print(f"\nto share: {bundle}")
        return 0  # the bundle is the result, whatever it says
    return 1 if any(look.result[0] in (DIFFERS, BROKEN) for look in looks) else 0


# --- helpers --------------------------------------------------------------------------------------


def _archives() -> Archives:
    from alsmuscle.data.check_online import Archives

    return Archives()


def _path(name: str, folder: str) -> Path:
    """Return the card that an argument names: a file, an id or an accession."""
    from alsmuscle.data import cards as registry

    if name.endswith((".yaml", ".yml")):
        return Path(name)
    path = Path(folder) / f"{registry.plain(name)}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(item.stem for item in Path(folder).glob("*.yaml")))
        raise InputError(f"no card '{name}'", where=folder, expected=f"one of: {known}")
    return path


def _state(card: dict[str, Any]) -> str:
    """Return a card's standing in a few words: status, facts by how they are known, gaps."""
    from collections import Counter

    from alsmuscle.data import cards as registry

    known = Counter(verified for _, verified, _ in registry.facts(card))
    words = {"file": "from its files", "page": "seen on a page", "no": "not verified"}
    parts = [f"{known[key]} {word}" for key, word in words.items() if known[key]]
    gaps = ", ".join(card.get("missing", {}))
    return f"{card['status']}; facts: {', '.join(parts)}" + (f"; missing: {gaps}" if gaps else "")


def _known(card: dict[str, Any]) -> list[str]:
    from alsmuscle.data import cards as registry

    lines = [
        f"{verified:5}{name}" + (f": {seen}" if seen else "")
        for name, verified, seen in registry.facts(card)
    ]
    lines += [f"missing: {part}: {what}" for part, what in card.get("missing", {}).items()]
    reason = card.get("use_reason")
    return lines + ([f"not used: {reason}"] if reason else [])


def _print(head: Sequence[str] | dict[str, Any], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; in a terminal its lines are cut to the width."""
    import shutil

    text = [[str(cell) for cell in row] for row in (tuple(head), *rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(text[0]) - 1)]
    widths = [min(width, 28) for width in widths]
    for row in text:
        cells = [
            cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"
            for cell, width in zip(row, widths, strict=False)
        ]
        line = "  ".join([*cells, row[-1]])
        print(line[: shutil.get_terminal_size().columns] if sys.stdout.isatty() else line)
