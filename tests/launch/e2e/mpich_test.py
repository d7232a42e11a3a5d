"""phalanx with MPICH beside Open MPI: linked with it, it trains the same bits; a launcher of the other
MPI is refused on both sides, instead of starting lone runs."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

from support import BAD_INPUT, DONE, RunTest, main, tensors_of

COMPILER, LAUNCHER = 'mpicxx.mpich', 'mpiexec.mpich'
SEES_MPI = re.compile(r'#include (<mpi\.h>|"parallel/mpi_(runtime|communicator|window)\.h")')
OPEN_MPI = re.compile(r'openmpi/lib/libmpi(_cxx)?\.so')


def words_of(build, target):
    """The last command with which ninja makes a target, as words."""
    lines = subprocess.run(['ninja', '-C', str(build), '-t', 'commands', target], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return shlex.split(lines[-1].split(' && ')[1] if ' && ' in lines[-1] else lines[-1])


def run(words, build):
    done = subprocess.run(words, cwd=build, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f'{shlex.join(words)}\n{done.stderr[-4000:]}')


def mpich_flags():
    return shlex.split(subprocess.run([COMPILER, '-show'], check=True, capture_output=True,
                                      text=True).stdout)[1:]


def build_program():
    """phalanx linked with MPICH: the files that see mpi.h are compiled once more, and come before the
    libraries of the usual build, in which they are then not looked for."""
    build = pathlib.Path(os.environ['PHALANX_BUILD'])
    source = pathlib.Path(__file__).resolve().parents[3]
    folder = build / 'mpich'
    folder.mkdir(exist_ok=True)
    flags = mpich_flags()
    objects = []
    for path in sorted((source / 'parallel').glob('*.cc')):
        if not SEES_MPI.search(path.read_text()):
            continue
        words = words_of(build, f'parallel/CMakeFiles/phalanx_parallel.dir/{path.name}.o')
        words = [word for word in words if 'openmpi' not in word or not word.startswith('/')]
        drop_dangling(words)
        del words[words.index('-MD'):words.index('-o')]  # what it depends on, for ninja
        objects.append(str(folder / f'{path.stem}.o'))
        words[words.index('-o') + 1] = objects[-1]
        run([*words, *(flag for flag in flags if flag.startswith('-I'))], build)
    words = [word for word in words_of(build, 'phalanx') if not OPEN_MPI.search(word)]
    program = folder / 'phalanx'
    words[words.index('-o') + 1] = str(program)
    first = next(i for i, word in enumerate(words) if word.endswith('.a'))
    run([*words[:first], *objects, *words[first:],
         *(flag for flag in flags if not flag.startswith('-I'))], build)
    return str(program)


def drop_dangling(words):
    """An -isystem whose folder was left out goes as well."""
    for i in reversed(range(len(words))):
        if words[i] == '-isystem' and words[i + 1].startswith('-'):
            del words[i]


class Mpich(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.program = build_program()

    def run_command(self, *command, limit=120):
        done = subprocess.run(command, cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, check=False, timeout=limit)
        return done.returncode, done.stdout, done.stderr

    def test_a_training_has_the_same_bits(self):
        clean = self.train(2, 'open-mpi')
        code, out, err = self.run_command(self.program, 'launch', 'run.yaml', 'run.name=mpich',
                                          '--on', 'mpirun', '--mpirun', LAUNCHER,
                                          '--ranks-per-node', '2')
        self.assertEqual(code, DONE, f'{out}\n{err}')
        self.assertIn(f'{LAUNCHER} -n 2 -ppn 2 -bind-to', err)
        self.assertRegex(out + err, r'resume +mpirun -n 2 \S+ train run.yaml run.name=mpich --resume')
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
