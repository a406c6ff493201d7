#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a bare Debian 12 machine to a three-tier federation that trains on the real Fashion-MNIST, in one command:
# installs the Debian packages, builds, runs configs/quickstart.yaml. Later calls build only what changed. The program is
# build/release/bin/tributary; README.md says how to install it.
#
#   tools/quickstart.sh [arguments for `tributary run`, e.g. --set rounds=5]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in -h | --help)
  sed -n '3,8s/^# \{0,1\}//p' "$0"
  exit 0
  ;;
esac

echo "== 1/3 Debian packages"
tools/packages.sh

echo "== 2/3 build (a few minutes the first time)"
log=build/quickstart.log
mkdir -p build
if ! { cmake --preset release && cmake --build --preset release --target tributary_program tributary_libtorch; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "quickstart: the build failed; the whole log is in $log" >&2
  exit 70
fi

echo "== 3/3 run build/release/bin/tributary"
exec build/release/bin/tributary run configs/quickstart.yaml "$@"
