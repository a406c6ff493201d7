#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that Tributary needs, if any are missing. Nothing else is ever fetched.
#
#   tools/packages.sh            what building and running needs
#   tools/packages.sh --develop  also what tools/test.sh needs
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache pkgconf
  libtorch-dev libopenblas0-pthread
  libopenmpi-dev openmpi-bin
  libssl-dev libcereal-dev libboost-graph-dev libspdlog-dev libfmt-dev
  libyaml-cpp-dev libcli11-dev nlohmann-json3-dev zlib1g-dev libdeflate-dev
  dataset-fashion-mnist
)
if [ "${1:-}" = --develop ]; then
  packages+=(libgtest-dev libgmock-dev clang-format-19 clang-tidy-19 python3 git slurm-wlm munge)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all ${#packages[@]} are installed"
  exit 0
fi

echo "packages: installing ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null; then
  as_root=(sudo)
else
  echo "packages: you are not root and there is no sudo. Ask an administrator for: apt-get install ${missing[*]}" >&2
  exit 77
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  echo "packages: apt could not install them (full log: $log). Is this Debian 12 with its package sources reachable?" >&2
  exit 69
fi
rm -f "$log"
