"""A real Slurm of one node, started by this test on this machine and ended with it: a job of `phalanx
launch --on slurm` is preempted, requeued, and ends with the bits of an undisturbed run; and srun, with
PMIx and without. Needs root, slurmctld, slurmd and munged."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from support import (DONE, RunTest, free_port, main, read_metrics, tensors_of,
                     whole_lines)

NEEDED = ('slurmctld', 'slurmd', 'munged', 'sbatch', 'srun', 'scontrol', 'scancel')
START_SECONDS = 60
# Slurm holds a requeued job back for up to two minutes.
REQUEUE_SECONDS = 240
RUN = ('stages[0].phases[0].tokens=60K', 'data.sources.code.max_epochs=9',
       'data.sources.prose.max_epochs=9', 'checkpoint.keep_last=1')

CONF = '''\
ClusterName=phalanx
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
InactiveLimit=0
KillWait=30
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE OverSubscribe=FORCE:4 State=UP
'''


def why_not():
    """A reason to skip; empty: Slurm can be started here."""
    if os.geteuid() != 0:
        return 'a Slurm of its own needs root'
    missing = [name for name in NEEDED if shutil.which(name) is None]
    return f'no {missing[0]} here: ./launch/setup.sh --tests' if missing else ''


class Cluster:
    """munged, slurmctld and slurmd, in the foreground and in one folder; all end with it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix='phalanx-slurm-')
        self.folder = pathlib.Path(self._folder.name)
        self.folder.chmod(0o755)
        for name in ('state', 'spool'):
            (self.folder / name).mkdir()
        key = self.folder / 'munge.key'
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        conf = self.folder / 'slurm.conf'
        conf.write_text(CONF.format(host=socket.gethostname().split('.')[0], folder=self.folder,
                                    ctld_port=free_port(), slurmd_port=free_port(),
                                    cores=len(os.sched_getaffinity(0))))
        self.environment = {'SLURM_CONF': str(conf)}
        self.daemons = []
        try:
            self.start_daemons(key, conf)
        except BaseException:
            self.close()
            raise

    def start_daemons(self, key, conf):
        place = self.folder / 'munge'
        self.start('munged', '--foreground', '--force', f'--key-file={key}',
                   f'--socket={self.folder}/munge.socket', f'--pid-file={place}.pid',
                   f'--log-file={place}.log', f'--seed-file={place}.seed')
        self.wait_for((self.folder / 'munge.socket').exists, 'munged')
        self.start('slurmctld', '-D', '-f', str(conf))
        self.start('slurmd', '-D', '-f', str(conf))
        self.wait_for(lambda: 'idle' in self.call('sinfo', '-h', '-o', '%T', check=False),
                      'the node to be idle')

    def start(self, *command):
        with (self.folder / f'{command[0]}.out').open('w') as log:
            self.daemons.append(subprocess.Popen(command, stdout=log, stderr=log,
                                                 env=os.environ | self.environment))

    def wait_for(self, condition, what, limit=START_SECONDS):
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f'waited in vain for {what}\n{self.logs()}')
            time.sleep(0.2)

    def logs(self):
        return '\n'.join(f'--- {path.name}\n{path.read_text(errors="replace")[-3000:]}'
                         for path in sorted(self.folder.glob('*.out')) +
                         sorted(self.folder.glob('*.log')))

    def call(self, *command, check=True, folder=None, environment=None, limit=120):
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder,
                              timeout=limit, env=(environment or os.environ) | self.environment)
        if check and done.returncode != 0:
            raise AssertionError(f'{command}: {done.returncode}\n{done.stdout}\n{done.stderr}\n'
                                 f'{self.logs()}')
        return done.stdout + done.stderr

    def state_of(self, job):
        words = self.call('scontrol', 'show', 'job', job).split()
        return dict(word.split('=', 1) for word in words if '=' in word)

    def close(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._folder.cleanup()


class Slurm(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def call(self, *command, **options):
        return self.cluster.call(*command, folder=self.workspace.path,
                                 environment=self.workspace.environment, **options)

    def test_a_job_that_is_preempted_is_requeued_and_ends_with_the_same_bits(self):
        clean = self.train(2, 'undisturbed', *RUN)
        folder = self.workspace.run_folder('slurm')
        said = self.call(self.workspace.binary, 'launch', 'run.yaml', 'run.name=slurm', *RUN, '--on',
                         'slurm', '--ranks-per-node', '2', '--time', '1h')
        job = next(line.split()[-1] for line in said.splitlines() if 'Submitted batch job' in line)
        log = folder / 'launch' / f'slurm-{job}.log'
        try:
            self.cluster.wait_for(lambda: whole_lines(folder / 'metrics.jsonl') >= 5, 'five steps')
            self.call('scancel', '--signal=USR1', '--batch', job)
            self.cluster.wait_for(lambda: self.cluster.state_of(job)['Restarts'] == '1',
                                  'the requeue')
            stopped = whole_lines(folder / 'metrics.jsonl')
            self.assertLess(stopped, clean.metrics()[-1]['step'], 'it ended before the signal came')
            self.cluster.wait_for(
                lambda: self.cluster.state_of(job)['JobState'] not in (
                    'PENDING', 'RUNNING', 'COMPLETING', 'CONFIGURING', 'REQUEUED'),
                'the job to end', REQUEUE_SECONDS)
        finally:
            print(log.read_text() if log.exists() else 'no log', flush=True)
            self.call('scancel', job, check=False)
        self.assertEqual(self.cluster.state_of(job)['JobState'], 'COMPLETED')
        self.assertEqual(log.read_text().count('resume       sbatch runs/slurm/launch/train.sbatch'),
                         2)
        self.assertEqual({line['attempt'] for line in read_metrics(folder)}, {0, 1})
        fields = ('step', 'loss', 'grad_norm', 'sources')
        self.assertEqual([[line[field] for field in fields] for line in read_metrics(folder)],
                         [[line[field] for field in fields] for line in clean.metrics()])
        last = f'checkpoints/step-{clean.metrics()[-1]["step"]:06}'
        self.assertEqual(tensors_of(folder / last), tensors_of(clean.folder / last))

    def test_srun_with_pmix(self):
        kinds = self.call('srun', '--mpi=list')
        if 'pmix' not in kinds:
            self.skipTest('this srun has no PMIx')
        out = self.call('srun', '-n', '2', '--mpi=pmix', self.workspace.binary, 'train', 'run.yaml',
                        'run.name=srun')
        self.assertIn('runs/srun finished', out)
        self.assertRegex(out, r'resume +srun -N 1 -n 2 --mpi=pmix \S+ train run.yaml run.name=srun '
                              r'--resume auto')
        self.assertEqual(tensors_of(self.train(2, 'mpirun').checkpoint(20)),
                         tensors_of(self.workspace.run_folder('srun') / 'checkpoints/step-000020'))

    def test_srun_without_pmix_meets_at_a_store(self):
        out = self.call('srun', '-n', '2', '--mpi=none', self.workspace.binary, 'doctor')
        self.assertIn('2 ranks on 1 host, started by srun (SLURM_STEP_NUM_TASKS=2)', out)
        for kill in (0, 1):
            refused = self.call('srun', '-n', '2', '--mpi=none', f'--kill-on-bad-exit={kill}',
                                self.workspace.binary, 'train', 'run.yaml', 'run.name=none',
                                check=False)
            self.assertIn('start them with "srun --mpi=pmix" or "mpirun -n 2" instead of srun '
                          'without PMIx', refused)
            self.assertEqual(refused.count('phalanx: error: '), 1, refused)
        self.assertFalse(self.workspace.run_folder('none').exists(), refused)

    def test_a_lone_command_of_a_batch_script_is_alone(self):
        script = self.workspace.path / 'lone.sh'
        script.write_text(f'#!/bin/sh\n{self.workspace.binary} doctor > lone.txt\n')
        self.call('sbatch', '--wait', '--ntasks=2', str(script))
        self.assertIn('1 rank on 1 host, started by a lone process',
                      (self.workspace.path / 'lone.txt').read_text())


if __name__ == '__main__':
    reason = why_not()
    if reason:
        print(f'skipped: {reason}')
        raise SystemExit(77)
    main()
