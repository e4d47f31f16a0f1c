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
    axe=results/.axe version=4.14.1
    known=FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==
    if [ ! -e "$axe/package/axe.min.js" ]; then
        mkdir -p "$axe"
        npm pack --silent --pack-destination "$axe" "axe-core@$version" >/dev/null
        found=$(openssl dgst -sha512 -binary "$axe/axe-core-$version.tgz" | base64 -w0)
        if [ "$found" != "$known" ]; then
            echo "axe-core $version has sha512 $found, not $known: not used" >&2
            exit 1
        fi
        tar -xzf "$axe/axe-core-$version.tgz" -C "$axe" package/axe.min.js
    fi
    export ALSMUSCLE_AXE=$PWD/$axe/package/axe.min.js
fi

make --no-print-directory .venv/.docs  # the site and the bundles are tested, too
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
