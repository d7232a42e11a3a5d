#!/usr/bin/env bash
# Sets up what the tests need, builds everything and runs ctest. Ends with ctest's own summary and the
# number of skipped tests, by reason, and of faults that were borne; the exit code is ctest's.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/test.sh [--all] [--sanitize address|thread] [--fuzz SECONDS] [--help]
                      [CTEST ARGUMENT...]

Sets up what is missing, builds into build/ and runs every test that this machine can run.
  --all          also the tests with the label `slow`
  --sanitize KIND
                 builds with a sanitizer (address: with undefined behaviour; thread), into
                 build-KIND/ and without CUDA, and runs the tests of the labels unit and ranks
  --fuzz SECONDS only fuzzes, each reader of bad input so long (in the usual run: 10 s each)
  CTEST ARGUMENT passed to ctest, e.g. -L unit, -R tokenizer, --rerun-failed

PHALANX_BUILD names another build folder, PHALANX_JOBS the number of jobs (default: the cores).
Exit code: ctest's own; 2 when the set-up fails.
Example: ./launch/test.sh -L 'unit|ranks'
TEXT
}
fail() {
  printf 'test: %s\n' "$*" >&2
  exit 2
}

run_all=0
sanitize=""
fuzz=""
arguments=()
while (($#)); do
  case $1 in
    --all) run_all=1 ;;
    --sanitize)
      sanitize=${2:-}
      [[ $sanitize == address || $sanitize == thread ]] ||
        fail "--sanitize: expected address or thread, found '$sanitize'"
      shift
      ;;
    --fuzz)
      fuzz=${2:-}
      [[ $fuzz =~ ^[1-9][0-9]*$ ]] || fail "--fuzz: expected seconds, found '$fuzz'"
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
if ((!run_all)); then arguments+=(-LE '^slow$'); fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${PHALANX_BUILD:-$root/build${sanitize:+-$sanitize}}
jobs=${PHALANX_JOBS:-$(nproc)}
deps=${PHALANX_DEPS:-$root/.deps}
cd "$root"

./launch/setup.sh --tests --quickstart
start=$SECONDS
settings=(-DPHALANX_TESTS=ON -DPHALANX_DEPS="$deps")
targets=()
without_aslr=()
if [[ -n $sanitize ]]; then
  # gcc warns of more, and of what is none, in instrumented code.
  settings+=(-DPHALANX_SANITIZE="$sanitize" -DPHALANX_CUDA=OFF -DPHALANX_WERROR=OFF)
  targets=(--target build_unit build_ranks)
  arguments+=(-L '^(unit|ranks)$')
  # One thread a rank: LibTorch's OpenMP is not instrumented, and its barriers are not seen.
  export OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1
  # Leaks are looked for with ptrace, which containers forbid.
  export ASAN_OPTIONS=detect_leaks=0
  export TSAN_OPTIONS="ignore_noninstrumented_modules=1 suppressions=$root/tests/sanitize/thread.supp"
  # The thread sanitizer of gcc 12 finds no room for its shadow where addresses are spread far.
  if [[ $sanitize == thread ]]; then without_aslr=(setarch "$(uname -m)" -R); fi
fi
if [[ -n $fuzz ]]; then targets=(--target fuzz_targets); fi
cmake -S . -B "$build" -G Ninja "${settings[@]}" >/dev/null
${without_aslr[@]+"${without_aslr[@]}"} cmake --build "$build" -j "$jobs" ${targets[@]+"${targets[@]}"}
printf 'test: built in %d s\n' $((SECONDS - start))
if [[ -n $fuzz ]]; then exec python3 -B tests/fuzz/run_fuzz.py "$build/fuzz" "$fuzz"; fi

# A skipped test is none that passed: skips are counted from ctest's report and printed, and faults too.
report=$build/ctest.xml
rm -f "$report"
code=0
${without_aslr[@]+"${without_aslr[@]}"} ctest --test-dir "$build" -j2 --no-tests=error --output-on-failure --output-junit "$report" \
  --test-output-size-passed 10000000 ${arguments[@]+"${arguments[@]}"} || code=$?
python3 -B launch/test_summary.py "$report" || code=$((code ? code : 1))
exit "$code"
