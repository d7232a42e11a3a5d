#!/usr/bin/env bash
#SBATCH --job-name=phalanx
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
# A training as a Slurm job: what dies or hangs is restarted inside the allocation, and before its
# time is over the run saves, stops, and is put into the queue again.
set -uo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/slurm_train.sh CONFIG [key=value...]

For sbatch, with the options of your cluster before the script:
  sbatch --nodes=4 --ntasks-per-node=8 --time=24:00:00 launch/slurm_train.sh my/run.yaml
Slurm sends USR1 to this script 300 s before the end (#SBATCH --signal), which passes it on; the run
saves and ends with 75, and the job is requeued. Any other end is that of the job.

PHALANX_LAUNCH is the launcher with its options (default: mpirun -q --bind-to none), PHALANX_BINARY
the program (default: build/phalanx).
TEXT
}

case ${1-} in
  -h | --help) usage && exit 0 ;;
  '' | -*)
    printf 'slurm_train: expected a configuration, found "%s" (see --help)\n' "${1-}" >&2
    exit 2
    ;;
esac

phalanx=${PHALANX_BINARY:-build/phalanx}
read -ra launcher <<<"${PHALANX_LAUNCH:-mpirun -q --bind-to none}"

"$phalanx" supervise -- "${launcher[@]}" "$phalanx" train "$@" --resume auto &
supervisor=$!
trap 'kill -USR1 "$supervisor"' USR1
trap 'kill -TERM "$supervisor"' TERM
code=0
# A signal ends the wait, not the supervisor.
while :; do
  wait "$supervisor"
  code=$?
  kill -0 "$supervisor" 2>/dev/null || break
done

if ((code == 75)); then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
