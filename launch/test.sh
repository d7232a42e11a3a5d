#!/usr/bin/env bash
# Sets up what the tests need, builds everything and runs ctest. Ends with ctest's own summary and the
# number of skipped tests, by reason; the exit code is ctest's.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/test.sh [--all] [--help] [CTEST ARGUMENT...]

Sets up what is missing, builds into build/ and runs every test that this machine can run.
  --all          also the tests with the label `slow`
  CTEST ARGUMENT passed to ctest, e.g. -L unit, -R tokenizer, --rerun-failed

PHALANX_BUILD names another build folder, PHALANX_JOBS the number of jobs (default: the cores).
Exit code: ctest's own; 2 when the set-up fails.
Example: ./launch/test.sh -L 'unit|ranks'
TEXT
}

run_all=0
arguments=()
for argument in "$@"; do
  case $argument in
    --all) run_all=1 ;;
    -h | --help) usage && exit 0 ;;
    *) arguments+=("$argument") ;;
  esac
done
if ((!run_all)); then arguments+=(-LE '^slow$'); fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${PHALANX_BUILD:-$root/build}
jobs=${PHALANX_JOBS:-$(nproc)}
deps=${PHALANX_DEPS:-$root/.deps}
cd "$root"

./launch/setup.sh --tests --quickstart
start=$SECONDS
cmake -S . -B "$build" -G Ninja -DPHALANX_TESTS=ON -DPHALANX_DEPS="$deps" >/dev/null
cmake --build "$build" -j "$jobs"
printf 'test: built in %d s\n' $((SECONDS - start))

# A skipped test is none that passed: skips are counted from ctest's report and printed.
report=$build/ctest.xml
rm -f "$report"
code=0
ctest --test-dir "$build" -j2 --no-tests=error --output-on-failure --output-junit "$report" \
  ${arguments[@]+"${arguments[@]}"} || code=$?
python3 -B launch/skipped_tests.py "$report" || code=$((code ? code : 1))
exit "$code"
