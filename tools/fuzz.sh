#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target under libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   tools/fuzz.sh [SECONDS per target, default 60]
# What it finds new goes to build/fuzz/corpus/; an input that fails stays in build/fuzz/ and is named.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}

if ! command -v clang++-14 >/dev/null; then
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get install -y --no-install-recommends clang-14 libclang-rt-14-dev >/dev/null ||
    { echo "fuzz: clang-14 and libclang-rt-14-dev are needed" >&2; exit 69; }
fi
cmake -S . -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++-14 -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DTRIBUTARY_BUILD_FUZZERS=ON -DTRIBUTARY_WITH_TORCH=OFF
targets=$(sed -n 's/^add_fuzz_target(\([a-z]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
for target in $targets; do
  cmake --build build/fuzz --target "libfuzzer_$target"
done
for target in $targets; do
  seeds=tests/fuzz/corpus/$target
  [ "$target" = configuration ] && seeds=configs
  mkdir -p "build/fuzz/corpus/$target"
  echo "== $target, $seconds s"
  build/fuzz/bin/libfuzzer_"$target" -max_total_time="$seconds" -rss_limit_mb=2048 -artifact_prefix="build/fuzz/$target-" \
    -print_final_stats=1 "build/fuzz/corpus/$target" "$seeds" 2>&1 | tail -n 8
done
