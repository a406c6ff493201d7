#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs a build into a directory of its own, builds the examples against it as an outside project, and runs them.
#
#   tests/install/run.sh BUILD
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
cmake -S examples -B "$work/examples" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/examples"

# What the header comment of an example promises between "Output:" and the first other line.
expected() { sed -n '/^\/\/ Output:/,/^#include/{s/^\/\/   //p}' "$1"; }

diff <(expected examples/01_hello/main.cpp) <("$work/examples/hello")
echo "01_hello printed what it says it prints"

diff <(expected examples/05_policy/main.cpp) <("$work/examples/policy")
echo "05_policy printed what it says it prints"

if [ -e "$work/examples/hello_mpi" ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  diff <(expected examples/04_mpi/main.cpp) <(mpirun --oversubscribe --bind-to none -n 3 "$work/examples/hello_mpi")
  echo "04_mpi printed what it says it prints"
fi

# The installed tree may be moved.
mv "$work/prefix" "$work/moved"
"$work/moved/bin/tributary" version
"$work/moved/bin/tributary" run examples/02_trainer_library/federation.yaml --quiet \
  --set "trainer.library=$work/examples/mean_trainer.so" --output "$work/run" &>"$work/run.log" || {
  cat "$work/run.log"
  exit 1
}
value=$(python3 -c "
import json, struct, sys
data = open(sys.argv[1], 'rb').read()
size = struct.unpack('<Q', data[:8])[0]
print(struct.unpack('<f', data[8 + size:12 + size])[0])" "$work/run/model.safetensors")
[ "$value" = 3.5 ] || { echo "02_trainer_library trained $value, not 3.5"; exit 1; }
echo "02_trainer_library trained $value"
