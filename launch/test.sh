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

./launch/setup.sh --tests
start=$SECONDS
cmake -S . -B "$build" -G Ninja -DPHALANX_TESTS=ON -DPHALANX_DEPS="$deps" >/dev/null
cmake --build "$build" -j "$jobs"
printf 'test: built in %d s\n' $((SECONDS - start))

# A skipped test counts as passed for ctest's exit code, so the skips are counted here from its report.
report=$build/ctest.xml
rm -f "$report"
code=0
ctest --test-dir "$build" -j2 --no-tests=error --output-on-failure --output-junit "$report" \
  ${arguments[@]+"${arguments[@]}"} || code=$?
python3 - "$report" <<'PYTHON' || code=$((code ? code : 1))
import collections
import re
import sys
import xml.etree.ElementTree as tree

reasons = collections.Counter()
for case in tree.parse(sys.argv[1]).getroot().iter('testcase'):
    # ctest calls a test that says skip 'skipped', and one that could not be started 'notrun'.
    if case.get('status') in ('notrun', 'disabled') or case.find('skipped') is not None:
        output = case.findtext('system-out') or ''
        # A test gives its reason as the line "skipped: REASON" or as GoogleTest's message.
        found = re.search(r'^skipped: (.+)$', output, re.M) or re.search(
            r'Skipped\n(.+?)\n', output)
        reasons[found.group(1).strip() if found else f'no reason given by {case.get("name")}'] += 1
total = sum(reasons.values())
detail = '; '.join(f'{count} x {reason}' if count > 1 else reason
                   for reason, count in sorted(reasons.items()))
print(f'{total} test{"" if total == 1 else "s"} skipped' + (f' ({detail})' if total else ''))
PYTHON
exit "$code"
