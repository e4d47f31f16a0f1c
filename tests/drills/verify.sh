#!/usr/bin/env bash
# Everything that `make test` leaves out: R, Chromium and the mirror of public data. What is missing is
# installed from Debian's packages (root needed); a skipped test is a failure here. With `pages` as
# first argument only the pages are opened, which needs neither R nor the mirror.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" = pages ]; then
    shift
    set -- "$@" tests/project/test_page_browser.py
    tests/drills/install_r.sh --no-r npm chromium
else
    set -- "$@" tests
    mirror=${ALSMUSCLE_MIRROR:-../shared/mirror}
    if [ ! -e "$mirror/index.tsv" ]; then
        echo "no data mirror at '$mirror': set ALSMUSCLE_MIRROR to a folder with an index.tsv" >&2
        exit 1
    fi
    export ALSMUSCLE_MIRROR=$mirror
    tests/drills/install_r.sh npm chromium
fi
if [ -z "${ALSMUSCLE_AXE:-}" ]; then
    # The accessibility checker (MPL-2.0) is a tool of this check, not a part of the project.
    axe=results/.axe
    [ -e "$axe/node_modules/axe-core/axe.min.js" ] || npm install --silent --no-save --prefix "$axe" axe-core@4.14.1
    export ALSMUSCLE_AXE=$PWD/$axe/node_modules/axe-core/axe.min.js
fi

source .venv/bin/activate
report=$(mktemp)
trap 'rm -f "$report"' EXIT
python -m pytest -n 2 --dist loadfile --junit-xml "$report" "$@"
python - "$report" <<'PYTHON'
import sys
import xml.etree.ElementTree as ET

skipped = [
    f"{case.get('classname')}::{case.get('name')}: {case.find('skipped').get('message')}"
    for case in ET.parse(sys.argv[1]).iter("testcase")
    if case.find("skipped") is not None
]
if skipped:
    sys.exit("skipped, which counts as failed here:\n" + "\n".join(skipped))
PYTHON
