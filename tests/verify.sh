#!/usr/bin/env bash
# Everything that `make test` leaves out: R, Chromium and the mirror of public data. What is missing is
# installed from Debian's packages (root needed); a skipped test is a failure here.
set -euo pipefail
cd "$(dirname "$0")/.."

mirror=${ALSMUSCLE_MIRROR:-../shared/mirror}
if [ ! -e "$mirror/index.tsv" ]; then
    echo "no data mirror at '$mirror': set ALSMUSCLE_MIRROR to a folder with an index.tsv" >&2
    exit 1
fi
export ALSMUSCLE_MIRROR=$mirror

packages=()
command -v chromium >/dev/null || packages+=(chromium)
for name in r-bioc-deseq2 r-bioc-edger r-bioc-limma r-cran-metafor r-cran-statmod; do
    dpkg -s "$name" >/dev/null 2>&1 || packages+=("$name")
done
if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

source .venv/bin/activate
report=$(mktemp)
trap 'rm -f "$report"' EXIT
python -m pytest -n 2 --dist loadfile --junit-xml "$report" "$@" tests
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
