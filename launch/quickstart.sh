#!/usr/bin/env bash
# From a fresh clone to a trained model: sets up, builds, makes real text, trains a tokenizer, packs
# token shards, trains in two parts (stopped on purpose, then resumed) and ends with the run's report.
# Everything it makes lies in this folder: .deps/, build/, quickstart/ and runs/.
set -euo pipefail

readonly SOURCES=(books code problems)
readonly VOCABULARY=8192
readonly VALIDATION=0.05   # share of each source that is held out
readonly STOP_AFTER=150    # of the 293 steps in configs/quickstart.yaml

usage() {
  cat <<'TEXT'
Usage: launch/quickstart.sh [--fresh] [--help] [key=value...]

Trains configs/quickstart.yaml on this machine, stops in the middle, resumes and reports. A second
call redoes only what has changed, continues a run that did not end, and else starts a new one.
  --fresh       makes text, tokenizer and shards again (finished runs are kept)
  key=value     overrides a field of the configuration, e.g. stages[0].learning_rate.peak=1e-3

kill -USR1 to mpirun saves and stops; the same command goes on.

PHALANX_DEPS names another folder for the wheels, PHALANX_BUILD another build folder, PHALANX_RANKS
the number of ranks (default: 1, 2 or 4, by the cores). Exit code: 0, or that of the step that failed.
TEXT
}

say() { printf '%s\n' "$*"; }
fail() {
  printf 'quickstart: %s\n' "$*" >&2
  exit 2
}

# stage TITLE COMMAND...: runs it and says how long it took. The command is tested, so `set -e` does
# not act inside it: what it must not go past it checks itself.
stage() {
  local title=$1 start=$SECONDS code=0
  shift
  say "==> $title"
  "$@" || code=$?
  if ((code)); then
    printf 'quickstart: %s failed (exit code %d)\n' "$title" "$code" >&2
    exit "$code"
  fi
  say "    $((SECONDS - start)) s"
}

# made NAME KEY OUTPUT COMMAND...: makes OUTPUT unless its stamp says that it was made for this KEY.
made() {
  local name=$1 key=$2 output=$3 stamp=quickstart/.stamps/$1
  shift 3
  if [[ -e $output && -r $stamp && $(<"$stamp") == "$key" ]]; then return; fi
  rm -rf "$stamp" "$output"
  stage "$name" "$@"
  mkdir -p quickstart/.stamps
  printf '%s' "$key" >"$stamp"
}

# One hash of the contents of the files and folders named.
hash_of() { find "$@" -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64; }

build_phalanx() {
  # Whether the build folder also holds the tests is left as it is: test.sh may share it.
  if [[ ! -e $build/build.ninja ]] || ! grep -qxF "PHALANX_DEPS:PATH=$deps" "$build/CMakeCache.txt"; then
    local tests=()
    if [[ ! -e $build/CMakeCache.txt ]]; then tests=(-DPHALANX_TESTS=OFF); fi
    cmake -S . -B "$build" -G Ninja -DPHALANX_DEPS="$deps" -UTORCH_ROOT ${tests[@]+"${tests[@]}"} \
      >/dev/null || return
  fi
  cmake --build "$build" --target phalanx -j "$(nproc)"
}

make_text() { "$deps/bin/python" -B "launch/corpora/$1.py" "quickstart/text/$1"; }

train_tokenizer() {
  "$phalanx" tokenizer train --input "${SOURCES[@]/#/quickstart/text/}" \
    --vocab-size "$VOCABULARY" --output quickstart/tokenizer
}

pack() {
  local kind=organic licence
  case $1 in
    books) licence="public domain (Project Gutenberg)" ;;
    code) licence="Python Software Foundation License" ;;
    problems) kind=synthetic licence="Apache-2.0 (made with reasoning-gym)" ;;
  esac
  "$phalanx" data pack --input "quickstart/text/$1" --tokenizer quickstart/tokenizer \
    --output "quickstart/data/$1" --kind "$kind" --name "$1" --licence "$licence" \
    --validation-fraction "$VALIDATION"
}

prepare_data() {
  local source text_key tokenizer_key
  text_key="$(hash_of launch/corpora) $("$deps/bin/python" -V) $(<"$deps/.installed-text")"
  for source in "${SOURCES[@]}"; do
    made "text of $source" "$text_key" "quickstart/text/$source" make_text "$source"
  done
  made "tokenizer of $VOCABULARY tokens" "$(hash_of quickstart/text) $VOCABULARY" \
    quickstart/tokenizer train_tokenizer
  tokenizer_key=$(hash_of quickstart/tokenizer)
  for source in "${SOURCES[@]}"; do
    made "token shards of $source" \
      "$(hash_of "quickstart/text/$source") $tokenizer_key $VALIDATION" \
      "quickstart/data/$source" pack "$source"
  done
}

# Sets ranks, and launcher: the command that starts them here.
choose_launcher() {
  local cores
  cores=$(nproc)
  ranks=${PHALANX_RANKS:-}
  if [[ -z $ranks ]]; then
    # The global batch of 8 rows goes in micro-batches of 2, so four replicas at most; more cores
    # become threads.
    ranks=$((cores >= 4 ? 4 : cores >= 2 ? 2 : 1))
  fi
  export OMP_NUM_THREADS=$((cores > ranks ? cores / ranks : 1))
  launcher=(mpirun -np "$ranks")
  if [[ $(mpirun --version 2>/dev/null) == *"Open MPI"* ]]; then
    # Unbound, because one rank would otherwise get one core for all its threads; -q, because exit
    # code 75 is no failure that mpirun should explain.
    launcher+=(-q --oversubscribe --bind-to none)
    if ((EUID == 0)); then launcher+=(--allow-run-as-root); fi
  fi
}

# Sets run to the run to go on with: the one that is named, one that did not end, or a new name.
choose_run() {
  local number=2
  run=${name:-quickstart}
  if [[ -n $name ]]; then return; fi
  while [[ -e runs/$run/.quickstart-ended || ($fresh == 1 && -e runs/$run) ]]; do
    run=quickstart-$((number++))
  done
}

train() { "${launcher[@]}" "$phalanx" train configs/quickstart.yaml run.name="$run" "$@"; }

train_until_stopped() {
  local code=0
  train --resume auto run.stop_after_steps="$STOP_AFTER" "$@" || code=$?
  if ((code == 75)); then
    if [[ ! -e $(printf 'runs/%s/checkpoints/step-%06d' "$run" "$STOP_AFTER") ]]; then
      say "quickstart: stopped on request before step $STOP_AFTER; the same command goes on from there"
      exit 75
    fi
    say "    stopped as asked (exit code 75); the checkpoint is in runs/$run/checkpoints"
  elif ((code)); then
    return "$code"
  fi
}

train_to_the_end() { train --resume auto "$@" && : >"runs/$run/.quickstart-ended"; }

main() {
  local fresh=0 name="" root build deps phalanx ranks launcher run overrides=()
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  while (($#)); do
    case $1 in
      --fresh) fresh=1 ;;
      -h | --help) usage && exit 0 ;;
      run.name=*) name=${1#*=} ;;
      *=*) overrides+=("$1") ;;
      *) fail "unknown argument '$1'; launch/quickstart.sh --help lists what there is" ;;
    esac
    shift
  done
  cd "$root"
  build=${PHALANX_BUILD:-$root/build}
  deps=${PHALANX_DEPS:-$root/.deps}
  phalanx=$build/phalanx
  # A machine that has no compiler cache yet gets it in the build folder, not in the home folder.
  if [[ -z ${CCACHE_DIR:-} && ! -d ${XDG_CACHE_HOME:-$HOME/.cache}/ccache ]]; then
    export CCACHE_DIR=$build/.ccache
  fi
  if ((fresh)); then rm -rf quickstart; fi

  stage "set-up" ./launch/setup.sh --quickstart
  stage "build" build_phalanx
  prepare_data
  choose_launcher
  choose_run
  set -- ${overrides[@]+"${overrides[@]}"}
  if ! compgen -G "runs/$run/checkpoints/step-*" >/dev/null; then
    stage "training run $run on $ranks ranks x $OMP_NUM_THREADS threads, first part" \
      train_until_stopped "$@"
  fi
  stage "training run $run on $ranks ranks x $OMP_NUM_THREADS threads, resumed" \
    train_to_the_end "$@"
  say "quickstart: done in $SECONDS s; all of it is in quickstart/ and runs/$run/"
  say "To train on, give the last phase more tokens and the problems more epochs, and resume:"
  say "  OMP_NUM_THREADS=$OMP_NUM_THREADS ${launcher[*]} ${phalanx#"$root"/} train" \
    "configs/quickstart.yaml run.name=$run${*:+ $*} 'stages[0].phases[1].tokens=1.2M'" \
    "data.sources.problems.max_epochs=20 curriculum_from=resume --resume auto"
}

main "$@"
