#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything a change must pass, from a bare Debian 12 machine on. Exits 0 if all of it did.
#
#   tools/test.sh                packages, build with warnings as errors, format, clang-tidy, tests, installed tree (half an
#                                hour on two cores)
#   tools/test.sh --long         all of that, and then every long part
#   tools/test.sh --long=PARTS   these long parts alone, separated by commas; each builds what it needs:
#       sweeps      the fault sweeps and whatever else is labelled `long`
#       promises    the measured promises of docs/benchmarks.md
#       analyzer    the static analyzer and the slow checks of clang-tidy, and each public header alone
#       asan        every suite under AddressSanitizer and UndefinedBehaviorSanitizer, libtorch included
#       tsan        the same under ThreadSanitizer
#       sanitizers  asan and tsan
#       fuzzing     every fuzz target, a minute each
#       mutations   small mistakes in the code, each of which a test must notice (tools/mutate.py)
#   tools/test.sh --long=PARTS --resume   leaves out the parts that have passed for these very files before
#
# CONTRIBUTING.md says how long each part takes.
set -uo pipefail
cd "$(dirname "$0")/.."

readonly every_part="sweeps promises analyzer asan tsan fuzzing mutations"
usage() {
  sed -n '3,21s/^# \{0,1\}//p' "$0"
  exit 64
}

quick=yes
parts=""
resume=no
for argument in "$@"; do
  case "$argument" in
    --long) parts=$every_part ;;
    --long=*)
      quick=no
      parts=${argument#--long=}
      parts=${parts//,/ }
      parts=${parts//sanitizers/asan tsan}
      ;;
    --resume) resume=yes ;;
    *) usage ;;
  esac
done
for part in $parts; do
  case " $every_part " in
    *" $part "*) ;;
    *) usage ;;
  esac
done

passed=0
failed=0
failures=()
started=$SECONDS
mkdir -p build
logs=$(pwd)/build/test-logs
rm -rf "$logs"
mkdir -p "$logs"

# step NAME COMMAND...: runs a command with its output in a log, which is shown if it fails.
step() {
  local name=$1 begin=$SECONDS
  shift
  local log="$logs/${name//[^a-zA-Z0-9]/-}.log"
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    printf 'ok      %-44s %4d s\n' "$name" $((SECONDS - begin))
    return 0
  fi
  failed=$((failed + 1))
  failures+=("$name ($log)")
  printf 'FAILED  %-44s %4d s\n' "$name" $((SECONDS - begin))
  tail -n 60 "$log"
  return 1
}

# Counts the cases of every test program beside the steps themselves.
count_cases() {
  local report
  for report in "$1"/*.xml; do
    [ -e "$report" ] || continue
    local tests bad
    tests=$(sed -n 's/.*<testsuites tests="\([0-9]*\)".*/\1/p' "$report" | head -n 1)
    bad=$(sed -n 's/.*<testsuites tests="[0-9]*" failures="\([0-9]*\)".*/\1/p' "$report" | head -n 1)
    passed=$((passed + ${tests:-0} - ${bad:-0}))
    failed=$((failed + ${bad:-0}))
  done
}

# The ends of what the failed tests of a log of ctest printed: each test's output follows the line with its result.
show_failed_tests() {
  awk '
    function show(  i) { for (i = count > 100 ? count - 100 : 0; i < count; ++i) print lines[i % 100] }
    / Test +#[0-9]+: | Start +[0-9]+: |^[0-9]+% tests passed/ {
      if (failed) show()
      failed = /\*\*\*/ && !/Skipped/
      count = 0
      if (failed) print "---- " $0
      next
    }
    failed { lines[count++ % 100] = $0; }
    END { if (failed) show() }' "$1"
}

# run_ctest NAME PRESET ARGUMENTS...
run_ctest() {
  local name=$1 preset=$2
  shift 2
  local reports="$logs/cases-${name//[^a-zA-Z0-9]/-}"
  mkdir -p "$reports"
  GTEST_OUTPUT="xml:$reports/" step "$name" ctest --preset "$preset" --no-tests=error "$@" ||
    show_failed_tests "$logs/${name//[^a-zA-Z0-9]/-}.log"
  count_cases "$reports"
}

sources() { git ls-files '*.cpp' '*.hpp'; }

check_format() { sources | xargs clang-format-19 --dry-run -Werror; }

# check_tidy ARGUMENTS...: clang-tidy on the sources whose names it is given. libtorch's headers alone take it half a minute
# a file: those few files are left to the compiler's warnings. Every check looks at all headers of every file: the quick
# run has those that find mistakes which compilers and tests miss, in what a federation runs on; all of .clang-tidy and
# all sources have their turn in the long run. Warnings are g++'s business: clang knows others.
readonly quick_checks='-*,bugprone-use-after-move,bugprone-dangling-handle,bugprone-integer-division,'\
'bugprone-branch-clone,bugprone-unused-return-value,bugprone-sizeof-expression,bugprone-inc-dec-in-conditions,'\
'misc-redundant-expression,modernize-use-override,performance-for-range-copy,performance-move-const-arg,'\
'performance-unnecessary-copy-initialization,performance-noexcept-move-constructor,'\
'readability-container-size-empty,readability-duplicate-include'
check_tidy() {
  xargs -P "$(nproc)" -n 4 clang-tidy-19 -p build/dev --quiet --warnings-as-errors='*' --extra-arg=-w "$@"
}
# What decides about updates, and then everything that clang-tidy looks at.
heart() { git ls-files 'core/nodes/src/*.cpp' 'aggregators/src/*.cpp' 'transport/runtime/*.cpp' 'transport/simulation/*.cpp'; }
all_but_libtorch() {
  git ls-files 'core/*/src/*.cpp' ':!core/torch/*' 'topology/src/*.cpp' 'aggregators/src/*.cpp' 'privacy/src/*.cpp' \
    'transport/*/src/*.cpp' 'cli/*.cpp'
}
quick_tidy() { heart | check_tidy "--checks=$quick_checks"; }
full_tidy() { all_but_libtorch | check_tidy; }

# build PRESET [CMAKE OPTIONS...]
build() {
  local preset=$1
  shift
  step "configure $preset" cmake --preset "$preset" "$@" && step "build $preset" cmake --build --preset "$preset"
}

part_sweeps() { build dev -DTRIBUTARY_BUILD_FUZZERS=OFF && run_ctest "long tests" dev -L long; }
part_promises() {
  build dev -DTRIBUTARY_BUILD_FUZZERS=OFF &&
    step "measured promises" python3 benchmarks/promises.py --program build/dev/bin/tributary
}
part_analyzer() {
  step "configure dev" cmake --preset dev -DTRIBUTARY_BUILD_FUZZERS=OFF || return
  step "public headers stand alone" cmake --build --preset dev --target all_verify_interface_header_sets
  step "clang-tidy, all of it" full_tidy
}
part_asan() { build asan && run_ctest "tests under asan" asan -LE long; }
part_tsan() { build tsan && run_ctest "tests under tsan" tsan -LE long; }
part_fuzzing() { step "long fuzzing" tools/fuzz.sh 60; }
part_mutations() { step "mutations" tools/mutate.py; }

# These very files, whether committed or not.
state() {
  git rev-parse HEAD
  git diff HEAD
  git ls-files --others --exclude-standard -z | xargs -0 -r sha256sum
}

# long_part NAME: runs it, and notes that it has passed.
long_part() {
  local stamp=build/test-passed/$1 now before=$failed
  now=$(state | sha256sum)
  if [ "$resume" = yes ] && [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then
    printf 'before  %s\n' "$1"
    return
  fi
  rm -f "$stamp"
  "part_$1"
  if [ "$failed" -eq "$before" ]; then
    mkdir -p build/test-passed
    printf '%s\n' "$now" >"$stamp"
  fi
}

step "packages" tools/packages.sh --develop || exit 69
if [ "$quick" = yes ]; then
  step "configure" cmake --preset dev -DTRIBUTARY_BUILD_FUZZERS=OFF || exit 70
  if step "build, warnings are errors" cmake --build --preset dev; then
    run_ctest "tests" dev -LE long -j "$(nproc)"  # those that measure time run alone
    step "installed tree serves another project" tests/install/run.sh build/dev
  fi
  step "clang-format" check_format
  step "clang-tidy" quick_tidy
fi
for part in $parts; do long_part "$part"; done

printf '\n%d s\n' $((SECONDS - started))
for failure in "${failures[@]:-}"; do [ -n "$failure" ] && echo "failed: $failure"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
