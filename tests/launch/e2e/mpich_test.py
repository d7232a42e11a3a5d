"""phalanx with MPICH beside Open MPI: a build of its own passes the tests of MPI ranks and trains the
same bits; a launcher of the other MPI is refused on both sides, instead of starting lone runs."""

import os
import pathlib
import shutil
import subprocess

from support import BAD_INPUT, DONE, RunTest, main, tensors_of

COMPILER, LAUNCHER = 'mpicxx.mpich', 'mpiexec.mpich'
TARGETS = ('phalanx', 'mpi_communicator_test', 'session_mpi_test')


def build():
    """The folder of the second build; nothing is done when it is up to date."""
    first = pathlib.Path(os.environ['PHALANX_BUILD'])
    folder = first / 'mpich'
    source = pathlib.Path(__file__).resolve().parents[3]
    settings = [f'-DMPI_CXX_COMPILER={COMPILER}', f'-DMPIEXEC_EXECUTABLE={shutil.which(LAUNCHER)}',
                f'-DPHALANX_DEPS={os.environ["PHALANX_DEPS"]}', '-DPHALANX_CUDA=OFF',
                '-DPHALANX_TESTS=ON']
    cmake = os.environ['PHALANX_CMAKE']
    for command in ([cmake, '-S', str(source), '-B', str(folder), '-G', 'Ninja', *settings],
                    [cmake, '--build', str(folder), '-j', '2', '--target', *TARGETS]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f'{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}')
    return folder


class Mpich(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.build = build()
        cls.program = str(cls.build / 'phalanx')

    def run_command(self, *command, limit=120):
        done = subprocess.run(command, cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, check=False, timeout=limit)
        return done.returncode, done.stdout, done.stderr

    def test_the_suite_of_communicators_and_the_session(self):
        for ranks, name in ((3, 'mpi_communicator_test'), (4, 'session_mpi_test')):
            program = next(self.build.rglob(name))
            code, out, err = self.run_command(LAUNCHER, '-n', str(ranks), str(program))
            self.assertEqual(code, 0, f'{name}\n{out[-3000:]}\n{err[-3000:]}')
            self.assertIn('[  PASSED  ]', out)

    def test_a_training_has_the_same_bits(self):
        clean = self.train(2, 'open-mpi')
        code, out, err = self.run_command(self.program, 'launch', 'run.yaml', 'run.name=mpich',
                                          '--on', 'mpirun', '--mpirun', LAUNCHER,
                                          '--ranks-per-node', '2')
        self.assertEqual(code, DONE, f'{out}\n{err}')
        self.assertIn(f'{LAUNCHER} -n 2 -ppn 2 -bind-to', err)
        last = f'checkpoints/step-{clean.metrics()[-1]["step"]:06}'
        self.assertEqual(tensors_of(self.workspace.run_folder('mpich') / last),
                         tensors_of(clean.folder / last))

    def test_the_doctor_says_which_mpi_it_is(self):
        code, out, err = self.run_command(LAUNCHER, '-n', '2', self.program, 'doctor')
        self.assertEqual(code, DONE, f'{out}\n{err}')
        self.assertRegex(out, r'ok +mpi +MPICH .*MPI_THREAD_')
        self.assertIn('2 ranks on 1 host', out)

    def test_a_launcher_of_the_other_mpi_is_refused(self):
        mpirun = os.environ['PHALANX_MPIEXEC']
        for program, launcher, names in ((self.program, mpirun, ('MPICH', 'Open MPI')),
                                         (self.workspace.binary, LAUNCHER, ('Open MPI', 'MPICH'))):
            code, _, err = self.run_command(program, 'launch', 'run.yaml', 'run.name=other', '--on',
                                            'mpirun', '--mpirun', launcher, '--ranks-per-node', '2')
            self.assertEqual(code, BAD_INPUT, err)
            self.assertIn(f'expected a launcher of {names[0]}', err)
            self.assertIn(f'found one of {names[1]}', err)
            code, out, err = self.run_command(launcher, '-n', '2', program, 'train', 'run.yaml',
                                              'run.name=other')
            self.assertNotEqual(code, DONE, f'{out}\n{err}')
            self.assertIn('started 2 ranks, but MPI sees a world of 1', out + err)
            self.assertFalse(self.workspace.run_folder('other').exists())


if __name__ == '__main__':
    missing = [name for name in (COMPILER, LAUNCHER) if shutil.which(name) is None]
    if missing:
        print(f'skipped: no {missing[0]} here: ./launch/setup.sh --tests')
        raise SystemExit(77)
    main()
