#!/usr/bin/env bash
# Installs R with the packages that numbers are held against, and any further package named, from
# Debian's packages (root needed). What is there already is left alone. `--no-r`: the named ones only.
set -euo pipefail

wanted=(r-bioc-deseq2 r-bioc-edger r-bioc-limma r-cran-metafor r-cran-statmod)
if [ "${1:-}" = --no-r ]; then
    wanted=()
    shift
fi
packages=()
for name in "${wanted[@]}" "$@"; do
    case $name in
        npm | chromium) command -v "$name" >/dev/null || packages+=("$name") ;;
        *) dpkg -s "$name" >/dev/null 2>&1 || packages+=("$name") ;;
    esac
done
if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
