"""`phalanx launch` on one host, and what launchers do to a run: the same bits as under mpirun by hand,
signals that reach the ranks, and for each thing that may be wrong one message and no rank left."""

import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

from support import BAD_INPUT, CONFIG, DONE, STOPPED, RunTest, free_port, main, tensors_of

SECONDS = 30  # for all ranks to be gone


def write_program(path, text):
    path.write_text('#!/bin/bash\n' + text)
    path.chmod(stat.S_IRWXU)
    return str(path)


def write_rank(path, text):
    """In the place of phalanx; mpirun's ranks are only started where that answers."""
    return write_program(path, 'if [[ $1 == --version ]]; then exec '
                               f'{os.environ["PHALANX_BINARY"]} --version; fi\n' + text)


def processes_of(words):
    """Command lines of all processes that hold each of the words."""
    found = []
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            line = (folder / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(line)
    return found


class LaunchTest(RunTest):

    def start(self, command, environment=None):
        return subprocess.Popen(command, cwd=self.workspace.path, text=True,
                                env=self.workspace.environment | (environment or {}),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run_command(self, command, environment=None, limit=SECONDS + 30):
        process = self.start(command, environment)
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
        return process.returncode, out, err

    def launch_command(self, name, *arguments):
        return [self.workspace.binary, 'launch', 'run.yaml', f'run.name={name}', '--on', 'mpirun',
                *arguments]

    def refuse(self, words, command, environment=None, code=BAD_INPUT):
        """One message with all the words, and nobody is left within the time."""
        begin = time.monotonic()
        found, out, err = self.run_command(command, environment)
        text = f'exit code {found}\n{out}\n{err}'
        self.assertEqual(found, code, text)
        messages = [line for line in err.splitlines() if 'phalanx: ' in line]
        self.assertEqual(len(messages), 1, text)
        for word in words:
            self.assertIn(word, err, text)
        while processes_of([str(self.workspace.path)]):
            self.assertLess(time.monotonic() - begin, SECONDS, text)
            time.sleep(0.1)
        return err


class Mpirun(LaunchTest):

    def test_the_bits_are_those_of_mpirun_by_hand(self):
        clean = self.train(2, 'by-hand')
        code, out, err = self.run_command(self.launch_command('launched', '--ranks-per-node', '2'),
                                          limit=120)
        self.assertEqual(code, DONE, f'{out}\n{err}')
        self.assertIn('phalanx launch: mpirun -q -np 2 --map-by ppr:2:node', err)
        folder = self.workspace.run_folder('launched')
        last = f'checkpoints/step-{clean.metrics()[-1]["step"]:06}'
        self.assertEqual(tensors_of(folder / last), tensors_of(clean.folder / last))

    def test_a_signal_reaches_the_ranks(self):
        process = self.start(self.launch_command(
            'stopped', '--ranks-per-node', '2', 'stages[0].phases[0].tokens=2M',
            'data.sources.code.max_epochs=100', 'data.sources.prose.max_epochs=100'))
        metrics = self.workspace.run_folder('stopped') / 'metrics.jsonl'
        end = time.monotonic() + 60
        while not (metrics.exists() and metrics.read_text().count('\n') >= 3):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, STOPPED, f'{out}\n{err}')

    def test_print_writes_and_runs_nothing(self):
        code, out, err = self.run_command(self.launch_command('printed', '--print', '--nodes', '2',
                                                              '--hosts', 'a,b'))
        self.assertEqual(code, DONE, err)
        self.assertIn('a slots=1\nb slots=1\n', out)
        self.assertFalse(self.workspace.run_folder('printed').exists())

    def test_each_rank_has_its_cores_and_as_many_threads(self):
        """Open MPI by itself would bind each of two ranks to one core; here a rank gets two."""
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest('one core here')
        program = write_rank(self.workspace.path / 'cores.sh',
                             'echo "$(nproc) cores, $OMP_NUM_THREADS threads" >> cores.txt\n')
        code, _, err = self.run_command(self.launch_command(
            'cores', '--ranks-per-node', '1', '--cores-per-rank', '2', '--program', program),
            {'OMP_NUM_THREADS': '1'})
        self.assertEqual(code, DONE, err)
        self.assertEqual((self.workspace.path / 'cores.txt').read_text(), '2 cores, 2 threads\n')


class Refused(LaunchTest):

    def test_ranks_that_the_configuration_does_not_divide(self):
        self.refuse(['parallel.tensor_parallel_size', 'divisor of the 3 ranks'],
                    self.launch_command('mesh', '--ranks-per-node', '3',
                                        'parallel.tensor_parallel_size=2'))

    def test_too_few_slots(self):
        (self.workspace.path / 'hosts').write_text('node1 slots=8\nnode2 slots=1\n')
        self.refuse(['hosts: host node2', 'at least 2 slots', 'found 1'],
                    self.launch_command('slots', '--ranks-per-node', '2', '--hostfile', 'hosts'))

    def test_more_nodes_than_hosts(self):
        self.refuse(['--nodes 2', '--hosts or --hostfile'], self.launch_command('n', '--nodes', '2'))
        self.refuse(['--hosts: expected at least 2 hosts', 'found 1'],
                    self.launch_command('n', '--nodes', '2', '--hosts', 'a'))

    def test_torchrun_without_the_hosts_to_meet_on(self):
        self.refuse(['--nodes 2', '--hosts or --hostfile'],
                    [self.workspace.binary, 'launch', 'run.yaml', '--on', 'torchrun', '--nodes', '2',
                     '--gpus-per-node', '2', '--print', 'parallel.device=cuda'])

    def test_cores_of_this_machine_for_another_are_told(self):
        command = [self.workspace.binary, 'launch', 'run.yaml', '--on', 'slurm', '--ranks-per-node',
                   '1', '--print']
        self.assertRegex(self.run_command(command)[2],
                         r'note: --cores-per-rank: \d+, from the cores of this machine')
        for told in (['--cores-per-rank', '3'], ['parallel.threads_per_rank=3']):
            self.assertNotIn('note: --cores-per-rank', self.run_command(command + told)[2])

    def test_hosts_that_are_named_twice(self):
        (self.workspace.path / 'hosts').write_text('node1\n')
        self.refuse(['--hosts excludes --hostfile'],
                    self.launch_command('twice', '--hosts', 'a', '--hostfile', 'hosts'))

    def test_a_host_that_cannot_be_reached(self):
        agent = write_program(self.workspace.path / 'agent',
                              'echo "ssh: connect to host $1 port 22: No route to host" >&2\n'
                              'exit 255\n')
        self.refuse(['host far1, far2, far3: ssh: connect to host', 'No route to host', 'password'],
                    self.launch_command('far', '--hosts', 'localhost,far1,far2,far3', '--rsh-agent',
                                        write_program(self.workspace.path / 'agent2',
                                                      f'exec {agent} far\n')))

    def test_a_program_that_is_not_there(self):
        self.refuse(['host localhost: no such program', '/nowhere/phalanx'],
                    self.launch_command('nowhere', '--program', '/nowhere/phalanx'))

    def test_an_mpirun_of_another_mpi(self):
        hydra = write_program(
            self.workspace.path / 'hydra',
            'printf "HYDRA build details:\\n    Version:                 4.0.2\\n"\n')
        err = self.refuse(['--mpirun', 'expected a launcher of', 'found one of'],
                          self.launch_command('flavour', '--mpirun', hydra))
        self.assertTrue('Open MPI' in err and 'HYDRA Version:' in err, err)

    def test_a_rank_that_dies_in_its_first_moments(self):
        program = write_rank(
            self.workspace.path / 'dies',
            'if [[ ${OMPI_COMM_WORLD_RANK:-$PMI_RANK} == 1 ]]; then kill -9 $$; fi\n'
            f'exec {self.workspace.binary} "$@"\n')
        self.refuse(['launch: mpirun ended with exit code 137', 'killed by signal 9'],
                    self.launch_command('dies', '--ranks-per-node', '2', '--program', program),
                    code=137)

    def test_configurations_and_data_that_differ(self):
        """Two ranks in folders of their own, as on hosts that share nothing."""
        root = self.workspace.path
        for name in ('here', 'there'):
            (root / name).mkdir()
            for part in ('tokenizer', 'run.yaml'):
                (root / name / part).symlink_to(root / part)
        (root / 'here' / 'data').symlink_to(root / 'data')
        mpirun = [os.environ['PHALANX_MPIEXEC'], '--oversubscribe', '--bind-to', 'none']

        def ranks(*arguments):
            train = [self.workspace.binary, 'train', 'run.yaml', f'run.dir={root}/runs',
                     'run.name=differs']
            return [*mpirun, '-n', '1', '-wdir', str(root / 'here'), *train, ':', '-n', '1',
                    '-wdir', str(root / 'there'), *train, *arguments]

        (root / 'there' / 'data').symlink_to(root / 'data')
        self.refuse(['configuration: expected the same on all ranks', 'on rank 1',
                     "'data.seed: 5' where rank 0 has 'data.seed: 1234'"], ranks('data.seed=5'))
        (root / 'there' / 'data').unlink()
        shutil.copytree(root / 'data', root / 'there' / 'data')
        shutil.rmtree(root / 'there' / 'data' / 'sums')
        shutil.copytree(root / 'data' / 'code', root / 'there' / 'data' / 'sums')
        self.refuse(['data: expected the same on all ranks', 'data.sources.sums=', 'on rank 1'],
                    ranks())


class Variables(LaunchTest):
    """Ranks that a plain script starts with torchrun's variables, and torchrun itself."""

    def ranks(self, size, *arguments, port, address='127.0.0.1'):
        """A shell that starts the ranks and ends them all when one fails, as torchrun does."""
        script = write_program(self.workspace.path / 'ranks.sh', f'''
export WORLD_SIZE={size} MASTER_ADDR={address} MASTER_PORT={port} LOCAL_WORLD_SIZE={size}
for rank in $(seq 0 {size - 1}); do
  RANK=$rank LOCAL_RANK=$rank {self.workspace.binary} "$@" &
done
code=0
for rank in $(seq {size}); do
  wait -n || {{ code=$?; sleep 2; kill $(jobs -p) 2>/dev/null; break; }}
done
wait
exit $code
''')
        return [script, *arguments]

    def test_the_doctor_sees_all_ranks_and_their_clocks(self):
        code, out, err = self.run_command(self.ranks(3, 'doctor', port=free_port()))
        self.assertEqual(code, DONE, f'{out}\n{err}')
        self.assertEqual(out.count('launch '), 1, out)
        self.assertIn('3 ranks on 1 host, started by torchrun (WORLD_SIZE=3)', out)
        self.assertRegex(out, r'ok +clock +at most 0\.00')

    def test_torchrun_itself(self):
        torchrun = pathlib.Path(os.environ['PHALANX_TORCHRUN'])
        if not torchrun.exists():
            self.skipTest('no torchrun here')
        code, out, err = self.run_command(
            [str(torchrun), '--no-python', '--nnodes=1', '--nproc-per-node=2',
             '--rdzv-backend=c10d', f'--rdzv-endpoint=localhost:{free_port()}',
             self.workspace.binary, 'doctor'], limit=120)
        self.assertEqual(code, DONE, f'{out}\n{err}')
        self.assertIn('2 ranks on 1 host, started by torchrun (WORLD_SIZE=2)', out)

    def test_a_device_that_is_not_there_is_one_message_of_all_ranks(self):
        self.refuse(['parallel.device: expected cpu', 'got cuda'],
                    self.ranks(2, 'train', 'run.yaml', 'run.name=torchrun', 'parallel.device=cuda',
                               port=free_port()))

    def test_ranks_on_cpu_are_told_to_take_mpirun(self):
        code, _, err = self.run_command(self.ranks(2, 'train', 'run.yaml', 'run.name=cpu',
                                                   port=free_port()))
        self.assertEqual(code, BAD_INPUT, err)
        self.assertIn('start them with "mpirun -n 2" instead of torchrun', err)

    def test_ranks_that_srun_lets_live_say_it_once(self):
        """Without --kill-on-bad-exit nobody ends them when the first has spoken."""
        step = {'SLURM_STEP_NUM_TASKS': '3', 'SLURM_JOB_ID': '7', 'SLURM_STEP_ID': '0',
                'SLURM_STEP_NODELIST': socket.gethostname(), 'MASTER_ADDR': '127.0.0.1'}
        script = write_program(self.workspace.path / 'step.sh', f'''
for rank in 2 1 0; do SLURM_PROCID=$rank RANK=$rank {self.workspace.binary} "$@" & done
code=0
for rank in 2 1 0; do wait -n || code=$?; done
exit $code
''')
        command = [script, 'train', 'run.yaml', 'run.name=step']
        self.refuse(['found srun (SLURM_STEP_NUM_TASKS=3) and RANK and WORLD_SIZE=5'], command,
                    step | {'WORLD_SIZE': '5', 'MASTER_PORT': str(free_port())})
        self.refuse(['start them with "srun --mpi=pmix" or "mpirun -n 3"'], command,
                    step | {'MASTER_PORT': str(free_port())})

    def test_a_port_in_use(self):
        with socket.socket(socket.AF_INET6) as taken:
            taken.bind(('::', 0))
            taken.listen()
            port = taken.getsockname()[1]
            begin = time.monotonic()
            code, _, err = self.run_command(self.ranks(2, 'doctor', port=port))
            self.assertNotEqual(code, DONE, err)
            self.assertIn(f'MASTER_PORT: expected a port of {socket.gethostname()} that is free', err)
            self.assertIn(f'found {port} in use', err)
            self.assertLess(time.monotonic() - begin, SECONDS)

    def test_launchers_that_contradict_each_other(self):
        step = {'SLURM_STEP_NUM_TASKS': '2', 'SLURM_PROCID': '0'}
        mpirun = [os.environ['PHALANX_MPIEXEC'], '-n', '1', self.workspace.binary]
        code, _, err = self.run_command([*mpirun, 'train', 'run.yaml'], step)
        self.assertEqual(code, BAD_INPUT, err)
        self.assertIn('found mpirun (OMPI_COMM_WORLD_SIZE=1) and srun (SLURM_STEP_NUM_TASKS=2)', err)
        code, out, err = self.run_command([*mpirun, 'doctor', '--launcher', 'mpi'], step)
        self.assertEqual(code, DONE, f'{out}\n{err}')


class Doctor(LaunchTest):

    def test_alone(self):
        code, out, err = self.run_command([self.workspace.binary, 'doctor'])
        self.assertEqual(code, DONE, f'{out}\n{err}')
        names = [line[9:23].strip() for line in out.splitlines() if not line.startswith(' ')]
        self.assertEqual(names, ['launch', 'program', 'cores', 'gpus', 'cuda', 'mpi', 'network',
                                 'shared memory', 'limits', 'variables', 'run folder', 'data',
                                 'clock'])
        self.assertIn('started by a lone process', out)

    def test_a_run_on_two_ranks_with_a_moment_of_stress(self):
        mpirun = self.workspace.command(2)[:-2]
        code, out, err = self.run_command([*mpirun, self.workspace.binary, 'doctor', 'run.yaml',
                                           '--stress', '2s'])
        self.assertEqual(code, DONE, f'{out}\n{err}')
        for pattern in (r'mpi +Open MPI v4|mpi +MPICH', r'run folder +runs: \d+ MB/s by rank 0',
                        r'ok +data +all sources open', r'products +a rank multiplies at',
                        r'all-reduce +pairs of ranks reduce'):
            self.assertRegex(out, pattern)
        self.assertFalse(self.workspace.run_folder('').exists(), 'the doctor left a folder')

    def test_what_is_wrong_is_an_error_with_its_remedy(self):
        code, out, err = self.run_command([self.workspace.binary, 'doctor', 'run.yaml',
                                           'data.sources.sums.path=nowhere', 'run.dir=run.yaml/r'])
        self.assertEqual(code, BAD_INPUT, f'{out}\n{err}')
        self.assertRegex(out, r'error +data +data\.sources\.sums\.path.*nowhere.* on rank 0')
        self.assertRegex(out, r'error +run folder +.*Not a directory on rank 0')
        self.assertEqual(out.count('try: '), 2 + out.count('warning '), out)

    def test_ranks_bound_to_one_core_for_two_threads(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest('one core here')
        mpirun = [os.environ['PHALANX_MPIEXEC'], '-n', '1', '--bind-to', 'core']
        code, out, err = self.run_command([*mpirun, self.workspace.binary, 'doctor'],
                                          {'OMP_NUM_THREADS': '2'})
        self.assertEqual(code, DONE, f'{out}\n{err}')
        self.assertRegex(out, r'warning +cores +a rank may use 1 core of \d+ for 2 threads: bound too '
                              r'tightly: rank 0')


class DryRun(LaunchTest):

    def plan_for(self, gpus, tensor_parallel):
        code, _, err = self.run_command(
            [self.workspace.binary, 'train', 'big.yaml', '--dry-run', '--gpus', str(gpus),
             'parallel.device=cuda', f'parallel.tensor_parallel_size={tensor_parallel}',
             'stages[0].global_batch_size=480', 'stages[0].micro_batch_size=1',
             'stages[0].learning_rate.warmup_steps=0', 'stages[0].phases[0].tokens=60K',
             'data.sources.code.max_epochs=9', 'data.sources.prose.max_epochs=9'])
        self.assertEqual(code, DONE, err)
        return err

    def test_a_configuration_for_1920_gpus(self):
        """On a machine without any: only the data must be there."""
        begin, end = CONFIG.index('model:\n'), CONFIG.index('parallel:')
        (self.workspace.path / 'big.yaml').write_text(
            CONFIG[:begin] + 'model: {preset: phi4-14b}\n' + CONFIG[end:])
        err = self.plan_for(1920, 8)
        self.assertIn('ranks: 1920 = 240 replicas x 8 tensor-parallel', err)
        self.assertIn('480 rows = 240 replicas x 2 micro-batches x 1 row', err)
        self.assertIn('launch lines for 240 hosts of 8 ranks', err)
        self.assertIn('--on slurm --nodes 240 --ranks-per-node 8', err)
        self.assertRegex(err, r'memory of a rank: [\d.]+ .iB by plan')
        # As many on each host as all hosts can hold alike, of eight GPUs.
        self.assertIn('launch lines for 2 hosts of 6 ranks', self.plan_for(12, 4))

    def test_ranks_are_those_of_a_dry_run_only(self):
        self.refuse(['--ranks: expected --dry-run'],
                    [self.workspace.binary, 'train', 'run.yaml', '--ranks', '8'])


if __name__ == '__main__':
    main()
