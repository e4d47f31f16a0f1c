"""The command line ``alsmuscle``: find studies, propose and check cards, explain results.

The analysis itself is run by Snakemake (``make run``). Imports happen in the commands, so that
``alsmuscle --help`` answers at once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.core.redaction import Shown, on_terminal

if TYPE_CHECKING:
    from alsmuscle.data.check_online import Archives

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

CONFIG = "config/config.yaml"
SEARCHES = "config/discovery.yaml"
PRIVATE = "alsmuscle-private"

DONE, WRONG, USAGE, UNREACHED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = {
    DONE: "done",
    WRONG: "something has to be corrected: a card, a table, a name; the message says what",
    USAGE: "the command line itself is wrong",
    UNREACHED: "an archive could not be reached, or only in part; what was obtained is given",
    INTERRUPTED: "interrupted",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status, one of ``EXIT_CODES``."""
    from alsmuscle.core import log

    options = parser().parse_args(arguments)
    log.to_file(None)
    quiet = getattr(options, "json", False)
    try:
        # Titles and names come from archives: none may steer the terminal.
        with redirect_stdout(Shown(sys.stdout, on_terminal)):
            options.say = (lambda *_: None) if quiet else _say
            code, document = options.run(options)
            if quiet:
                print(json.dumps(document, indent=1, ensure_ascii=False, default=str))
        return int(code)
    except InputError as error:
        if quiet:
            parts = {key: getattr(error, key) for key in ("problem", "where", "expected", "remedy")}
            print(json.dumps({"error": parts}, indent=1, ensure_ascii=False))
        print(on_terminal(str(error)), file=sys.stderr)
        return UNREACHED if isinstance(error, PassingError) else WRONG
    except BrokenPipeError:  # `alsmuscle studies | head`
        sys.stderr.close()
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(line: str = "") -> None:
    print(line, flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the reference in the documentation is made of it."""
    made = argparse.ArgumentParser(
        prog="alsmuscle",
        description="Find public studies, propose and check study cards, and explain results. "
        "The analysis is run by `make run`.",
        epilog="exit codes:\n"
        + "\n".join(f"  {code:<4}{meaning}" for code, meaning in EXIT_CODES.items())
        + "\n\nNCBI answers faster to those who set NCBI_API_KEY in the environment; the key is "
        "sent to NCBI only,\nand never written anywhere.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = made.add_subparsers(metavar="command", required=True, dest="command")

    listed = _studies_command(commands)
    found, drafted = _discover_command(commands), _draft_command(commands)
    checked = _check_command(commands)
    registry = (listed, found, drafted, checked)
    explained = _explain_command(commands)
    _completion_command(commands)
    for one in registry:
        one.add_argument(
            "--registry",
            action="append",
            metavar="FOLDER",
            help="folder of cards, may be repeated; default: that of `--config`, else "
            "config/datasets here, else the project's",
        )
    for one in (listed, checked, explained):
        one.add_argument(
            "--config",
            action="append",
            default=[],
            metavar="FILE",
            help="configuration of your own, as `make run CONFIG=FILE` takes it: its registries, "
            "folders and results; may be repeated",
        )
    for one in (*registry, explained):
        one.add_argument(
            "--json", action="store_true", help="print one JSON document instead of text"
        )
    return made


def _command(
    commands: Commands, name: str, run: Any, about: str, *examples: str
) -> argparse.ArgumentParser:
    added = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  alsmuscle {line}" for line in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(run=run)
    return added


def _studies_command(commands: Commands) -> argparse.ArgumentParser:
    added = _command(
        commands, "studies", _studies, "list the registry", "studies", "studies --json"
    )
    added.add_argument("--markdown", action="store_true", help="as a table for a document")
    return added


def _discover_command(commands: Commands) -> argparse.ArgumentParser:
    added = _command(
        commands,
        "discover",
        _discover,
        "search GEO for studies that have no card yet",
        "discover --new",
        "discover --draft --to ../my-studies",
        "discover --term 'amyotrophic lateral sclerosis[All Fields] AND muscle[All Fields]'",
    )
    added.add_argument("--searches", metavar="FILE", help=f"default: {SEARCHES}")
    added.add_argument(
        "--term", metavar="TERM", help="one search of your own instead of the file's"
    )
    added.add_argument("--new", action="store_true", help="leave out what the registry has")
    added.add_argument(
        "--draft",
        action="store_true",
        help="propose a card for every series that the registry lacks; no run uses one unread",
    )
    added.add_argument(
        "--to",
        metavar="FOLDER",
        help=f"with --draft: where the cards go; default: the folder {PRIVATE} beside the checkout",
    )
    added.add_argument("--out", default="results/discovered.tsv", metavar="TSV", help="the table")
    return added


def _draft_command(commands: Commands) -> argparse.ArgumentParser:
    added = _command(
        commands,
        "draft",
        _draft,
        "propose a card for a GEO series, or for tables of your own",
        "draft GSE250455",
        "draft --from counts.csv sheet.xlsx --contrast als:healthy",
    )
    added.add_argument("accession", nargs="*", metavar="GSE…", help="series of GEO")
    added.add_argument(
        "--from",
        dest="tables",
        nargs=2,
        metavar=("COUNTS", "SHEET"),
        help="raw counts and sample sheet of your own, as text or workbooks; nothing leaves this "
        "machine",
    )
    added.add_argument(
        "--contrast",
        action="append",
        default=[],
        metavar="TARGET:REFERENCE",
        help="with --from: groups to compare, as the sheet or the card calls them; may be repeated",
    )
    added.add_argument(
        "--id", metavar="ID", help="with --from: the study's id; default: the file's name"
    )
    added.add_argument("--role", metavar="ROLE", help="with --from: what the contrasts stand for")
    added.add_argument("--title", metavar="WORDS", help="with --from: the study in one line")
    added.add_argument(
        "--to",
        metavar="FOLDER",
        help="where the card goes; default: the registry, with --from the folder "
        f"{PRIVATE} beside the checkout",
    )
    return added


def _check_command(commands: Commands) -> argparse.ArgumentParser:
    added = _command(
        commands,
        "check",
        _check,
        "check cards, offline or against the archives",
        "check gse250455",
        "check --all --json",
        "check gse250455 --online",
        "check gse250455 --read",
        "check mylab --read --config ../alsmuscle-private/config.yaml",
    )
    added.add_argument("id", nargs="*", help="study ids, accessions, or card files")
    added.add_argument("--all", action="store_true", help="every card of the registry")
    added.add_argument("--online", action="store_true", help="compare the cards with the archives")
    added.add_argument(
        "--read",
        action="store_true",
        help="read the studies as a run does, from files that are here (own, cache, mirror), and "
        "print what was found: samples, groups, genes, losses, warnings",
    )
    added.add_argument(
        "--bundle", metavar="ZIP", help="with --online: write what was seen into one file to share"
    )
    return added


def _explain_command(commands: Commands) -> argparse.ArgumentParser:
    added = _command(
        commands,
        "explain",
        _explain,
        "print what finished results say about a claim, gene, study or contrast",
        "explain C1",
        "explain MYOG",
        "explain gse184951",
        "explain gse184951.dm1_vs_healthy --json",
        "explain mylab --config ../alsmuscle-private/config.yaml",
    )
    added.add_argument(
        "what", help="id of a claim, study or contrast (study.contrast), or a gene's symbol or id"
    )
    added.add_argument(
        "--results", metavar="FOLDER", help="default: `results`, here or of `--config`"
    )
    return added


def _completion_command(commands: Commands) -> argparse.ArgumentParser:
    added = _command(
        commands,
        "completion",
        _completion,
        "print a completion script for a shell",
        "completion bash > ~/.local/share/bash-completion/completions/alsmuscle",
    )
    added.add_argument("shell", choices=("bash", "zsh"), help="your shell")
    return added


class _Version(argparse.Action):
    """Ask for the version only when somebody wants it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(version("alsmuscle"))
        parser.exit()


# --- commands: each returns its exit code and what `--json` prints ---

Answer = tuple[int, Any]


def _studies(options: argparse.Namespace) -> Answer:
    from alsmuscle.data import cards as registry

    cards = registry.load_cards(*_registries(options))
    if options.markdown:
        for line in registry.markdown(cards):
            options.say(line)
    shown = ("role", "organism", "modality", "title")
    rows = [
        {"id": name, "standing": registry.standing(card), **{key: card[key] for key in shown}}
        for name, card in cards.items()
    ]
    if not options.markdown:
        _table(options, rows)
    return DONE, rows


def _discover(options: argparse.Namespace) -> Answer:
    from alsmuscle.core import files
    from alsmuscle.data import cards as registry
    from alsmuscle.data.check_online import tsv
    from alsmuscle.data.discover import discover

    searches = options.searches or _here_or_ours(SEARCHES)
    asked = registry.load_yaml(searches)
    registry.validate(asked, "discovery", searches)
    own = {"own": options.term} if options.term else None
    if options.to and not options.draft:
        raise InputError("`--to` says where drafts go", expected="`--draft`")
    archives = _archives()
    table = discover(
        own or asked["searches"],
        archives,
        papers=[] if own else list(asked["papers"]),
        known=[card["accession"] for card in registry.load_cards(*_registries(options)).values()],
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
    rows = [dict(zip(shown, row, strict=True)) for row in zip(*shown.values(), strict=True)]
    _table(options, rows, list(shown))
    files.write_text(options.out, tsv(table))
    options.say(f"\n{len(table)} series, {int(table['in_registry'].sum())} of them in the registry")
    for problem in table.attrs["problems"]:
        options.say(f"  incomplete: {problem}")
    options.say(f"table: {options.out}")
    document = {"series": table.to_dict("records"), "problems": table.attrs["problems"]}
    unreached = bool(table.attrs["failed"])
    if options.draft:
        found = table.loc[~table["in_registry"], "accession"]
        document["drafts"] = drafts = _draft_all(options, found, archives)
        unreached |= any(one["unreached"] for one in drafts)
    return (UNREACHED if unreached else DONE), document


def _draft_all(
    options: argparse.Namespace, accessions: Iterable[str], archives: Archives
) -> list[dict[str, Any]]:
    """Draft a card for every series; one that cannot be drafted is named, and the others go on."""
    from alsmuscle.data.discover import write_draft

    folder = Path(options.to) if options.to else _beside_checkout()
    made: list[dict[str, Any]] = []
    for accession in accessions:
        row = {"accession": accession, "card": "", "notes": [], "problem": "", "unreached": False}
        try:
            path, row["notes"] = write_draft(accession, archives, folder)
            row["card"] = str(path)
            options.say(f"{accession}: {path}")
        except InputError as error:
            row |= {"problem": error.problem, "unreached": isinstance(error, PassingError)}
            options.say(f"{accession}: no draft: {error.problem}")
        made.append(row)
    options.say(
        f"\n{sum(bool(one['card']) for one in made)} drafts in {folder}, which no run uses: read "
        "each, set its `status` and `use`,\nand name the folder under `registry` of the "
        "configuration"
    )
    return made


def _draft(options: argparse.Namespace) -> Answer:
    if bool(options.accession) == bool(options.tables):
        raise InputError("nothing to draft, or too much", expected="accessions, or `--from`")
    if options.tables:
        return _draft_own(options)
    from alsmuscle.data.discover import write_draft

    folder = Path(options.to or _registries(options)[0])
    archives = _archives()
    made = []
    for accession in options.accession:
        path, notes = write_draft(accession, archives, folder)
        options.say(f"{path}: a draft, which no run uses before a person has read it")
        for line in notes:
            options.say(f"  - {line}")
        made.append({"card": str(path), "notes": notes})
    return DONE, made


def _draft_own(options: argparse.Namespace) -> Answer:
    from alsmuscle.data import own_study

    counts, sheet = map(Path, options.tables)
    made = own_study.write(
        counts,
        sheet,
        folder=Path(options.to) if options.to else _beside_checkout(),
        study=options.id,
        contrast=options.contrast,
        role=options.role,
        title=options.title,
    )
    options.say(f"{made.card}: a private card")
    for line in made.said:
        options.say(f"  - {line}")
    options.say(f"{made.sheet}: the sheet as it was read")
    options.say(f"read: {made.read}")
    options.say("\nLook at what was taken for what, then run")
    options.say(f"  {made.command}")
    return DONE, {**{key: str(value) for key, value in vars(made).items()}, "said": made.said}


def _check(options: argparse.Namespace) -> Answer:
    from alsmuscle.data import cards as registry

    if bool(options.id) == options.all:
        raise InputError("nothing to check, or too much", expected="ids of studies, or `--all`")
    if options.bundle and not options.online:
        raise InputError("`--bundle` holds what the archives said", expected="`--online`")
    folders = _registries(options)
    paths = [_path(name, folders) for name in options.id]
    paths = paths or sorted(path for folder in folders for path in Path(folder).glob("*.yaml"))
    if not paths:
        raise InputError("no study card found", where=", ".join(folders))
    cards: dict[str, registry.Card] = {}
    broken: dict[str, str] = {}
    for path in paths:
        try:
            cards[path.stem] = registry.load_card(path)
        except InputError as error:
            broken[path.stem] = str(error)
    if options.online:
        return _online(options, cards, broken)
    if options.read:
        return _read(options, folders, cards, broken)
    document = []
    for name in (path.stem for path in paths):
        options.say(f"{name}: " + (_state(cards[name]) if name in cards else "wrong"))
        if name in broken:
            options.say("  " + broken[name].replace("\n", "\n  "))
        elif not options.all:
            for line in _known(cards[name]):
                options.say(f"  {line}")
        state = {"passes": name in cards, "problem": broken.get(name, "")}
        document.append(
            {"id": name, **state, "known": _known(cards[name]) if name in cards else []}
        )
    options.say(f"\n{len(cards)} of {len(paths)} cards pass")
    return (WRONG if broken else DONE), document


def _read(
    options: argparse.Namespace,
    folders: Sequence[str],
    cards: dict[str, Any],
    broken: dict[str, str],
) -> Answer:
    from alsmuscle.data import admit, verify

    settings, _, local = _configured(options)
    data, document = settings["data"], []
    for name, problem in broken.items():
        options.say(f"{name}: wrong\n  " + problem.replace("\n", "\n  "))
        document.append({"id": name, "reads": False, "problems": [problem], "found": []})
    for name, card in cards.items():
        tried = verify.trial(
            card,
            cache=data["cache"],
            mirror=os.environ.get("ALSMUSCLE_MIRROR") or data["mirror"] or None,
            folders=[".", *folders, *local],
            min_replicates=settings["bulk"]["de"]["min_replicates"],
        )
        reads = tried.account is not None and not tried.failures
        state = tried.account.summary if tried.account else "a run would leave it out"
        options.say(f"{name}: {state}")
        problems = [f"{row['check']}: {admit.sentence(row)}" for row in tried.failures]
        for problem in problems:
            options.say(f"  {problem}")
        lines = tried.account.lines if tried.account else []
        for what, text in lines:
            options.say(f"  {what}: {text}")
        document.append({"id": name, "reads": reads, "problems": problems, "found": lines})
    out = sum(not one["reads"] for one in document)
    options.say(f"\n{len(document) - out} of {len(document)} studies would take part")
    return (WRONG if out else DONE), document


def _online(options: argparse.Namespace, cards: dict[str, Any], broken: dict[str, str]) -> Answer:
    from alsmuscle.core import files, provenance
    from alsmuscle.data.check_online import BROKEN, DIFFERS, Look, pack, survey
    from alsmuscle.data.check_online import UNREACHED as NOT_REACHED

    archives = _archives()
    looks = [Look(name, broken=problem.split("\n")[0]) for name, problem in broken.items()]
    for look in itertools.chain(list(looks), survey(cards.values(), archives)):
        result, detail = look.result
        options.say(f"{look.id}: {result}" + (f" ({detail})" if detail else ""))
        for fact in look.facts:
            if not fact["agrees"]:
                options.say(
                    f"  {fact['field']}: card “{fact['card']}”, archive “{fact['archive']}”"
                )
        looks += [] if look.broken else [look]
    document = [
        {"id": look.id, "result": look.result[0], "detail": look.result[1], "facts": look.facts}
        for look in looks
    ]
    found = {look.result[0] for look in looks}
    if options.bundle:
        versions = {**provenance.versions(), "commit": provenance.commit(".")}
        files.write_text(options.bundle, pack(looks, archives.asked, versions))
        options.say(f"\nto share: {options.bundle}")
        found -= {DIFFERS, BROKEN}  # the bundle is the result, whatever it says
    wrong = found & {DIFFERS, BROKEN}
    return (WRONG if wrong else UNREACHED if NOT_REACHED in found else DONE), document


def _explain(options: argparse.Namespace) -> Answer:
    from alsmuscle.report import explain

    found = explain.explain(options.what, _results(options))
    for line in explain.in_words(found):
        options.say(line)
    return DONE, found


def _completion(options: argparse.Namespace) -> Answer:
    import shtab

    script = shtab.complete(parser(), shell=options.shell)
    options.say(script)
    return DONE, script


# --- helpers --------------------------------------------------------------------------------------


def _archives() -> Archives:
    from alsmuscle.data.check_online import Archives

    return Archives()


def _project() -> Path:
    """Return the checkout that this package belongs to."""
    return Path(__file__).resolve().parents[3]


def _here_or_ours(name: str) -> str:
    """Return a file or folder of the project: the working folder's, else that of the checkout."""
    ours = _project() / name
    if Path(name).exists() or not ours.exists():
        return name
    return str(ours)


def _configured(options: argparse.Namespace) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the configuration that a run would use,
    its registries and its folders of local files.
    """
    from alsmuscle.core import config
    from alsmuscle.data import cards as registry

    files = [Path(_here_or_ours(CONFIG)), *map(Path, options.config)]
    given: dict[str, Any] = {}
    for path in files:
        given = config.laid_over(given, registry.load_yaml(path))
    settings = registry.load_config(given, files[-1])
    registries, _, local = config.places(settings, files, registry.load_yaml)
    return settings, registries, local


def _registries(options: argparse.Namespace) -> list[str]:
    if options.registry:
        return list(options.registry)
    if getattr(options, "config", None):
        return _configured(options)[1]
    return [_here_or_ours("config/datasets")]


def _beside_checkout() -> Path:
    """Return the folder for private cards: never inside the project, which is shared."""
    here = Path.cwd()
    inside = next((p for p in (here, *here.parents) if (p / "workflow" / "schemas").is_dir()), None)
    return Path(os.path.relpath(inside.parent if inside else here)) / PRIVATE


def _results(options: argparse.Namespace) -> Path:
    """Return the folder of finished results, or say where some are."""
    given = options.results or (_configured(options)[0]["results"] if options.config else "results")
    folder = Path(given)
    if (folder / "synthesis").is_dir():
        return folder
    near = sorted(
        {
            str(path.parent)
            for depth in ("", "*/", "*/*/")
            for path in Path().glob(f"{depth}synthesis")
        }
    )
    raise InputError(
        "no finished results",
        where=folder,
        expected="the folder that a run has written, with `synthesis/` in it",
        remedy=f"name it: `--results {near[0]}`"
        if near
        else "run `make run` (or `make demo`) first, or go to the folder where it ran",
    )


def _path(name: str, folders: Sequence[str]) -> Path:
    """Return the card that an argument names: a file, an id or an accession."""
    from alsmuscle.data import cards as registry

    if name.endswith((".yaml", ".yml")):
        return Path(name)
    paths = [Path(folder) / f"{registry.plain(name)}.yaml" for folder in folders]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        known = sorted(item.stem for folder in folders for item in Path(folder).glob("*.yaml"))
        raise InputError(
            f"no card '{name}'", where=", ".join(folders), expected=f"one of: {', '.join(known)}"
        )
    return found


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


def _table(
    options: argparse.Namespace, rows: Sequence[dict[str, Any]], head: Iterable[str] = ()
) -> None:
    """Print rows as a table; in a terminal its lines are cut to the width."""
    import shutil

    names = list(rows[0]) if rows else list(head)
    text = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(names) - 1)]
    widths = [min(width, 28) for width in widths]
    for row in text:
        cells = [
            cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"
            for cell, width in zip(row, widths, strict=False)
        ]
        line = "  ".join([*cells, row[-1]])
        options.say(line[: shutil.get_terminal_size().columns] if sys.stdout.isatty() else line)
