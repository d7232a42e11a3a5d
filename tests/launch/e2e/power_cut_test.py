"""A power cut on ext4 in the middle of a save and after it (A5): the file system is shut down at once,
with or without what its journal holds, and mounted again. The newest valid checkpoint is the old or the
new one, and once a save has ended it is the new one."""

import fcntl
import os
import pathlib
import shutil
import struct
import subprocess

from support import STOPPED, RunTest, main, report_faults
from save_faults_test import ALL, LAST, STRACE, written_paths

EXT4_SHUTDOWN = 0x8004587d  # EXT4_IOC_SHUTDOWN
# Everything is synced first (a control); the journal is flushed, data is not; neither.
FLAGS = {'all synced': 0, 'journal flushed': 1, 'nothing flushed': 2}
# Where the program is killed: the system call and which of its thread, on what the save writes.
MOMENTS = [('mkdir', 1), ('pwrite64', 1), ('fsync', 1), ('fsync', 3), ('fsync', 4), ('rename', 1),
           ('fsync', 5), ('rename', 2), None]
if not ALL:
    MOMENTS = [('fsync', 3), ('rename', 1), ('fsync', 5), None]


class PowerCut(RunTest):

    def setUp(self):
        if STRACE is None:
            self.skipTest('strace is not installed (launch/setup.sh --tests installs it)')
        self.mounted = self.workspace.path / 'disk'
        self.mounted.mkdir(exist_ok=True)
        self.image = self.workspace.path / 'image'

    def call(self, *command):
        return subprocess.run(command, check=False, capture_output=True, text=True)

    def mount(self):
        done = self.call('mount', '-o', 'loop', str(self.image), str(self.mounted))
        if done.returncode != 0:
            self.skipTest(f'this machine lets no test mount an ext4 image: {done.stderr.strip()}')

    def new_disk(self, content):
        self.image.unlink(missing_ok=True)
        with open(self.image, 'wb') as file:
            file.truncate(96 << 20)
        if shutil.which('mkfs.ext4') is None:
            self.skipTest('mkfs.ext4 is not installed')
        subprocess.run(['mkfs.ext4', '-q', '-F', self.image], check=True)
        self.mount()
        shutil.copytree(content, self.mounted / 'run')
        os.sync()

    def cut_power(self, flag):
        folder = os.open(self.mounted, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_SHUTDOWN, struct.pack('I', flag))
        finally:
            os.close(folder)
        subprocess.run(['umount', self.mounted], check=True)

    def train(self, *options, code=None, dir=None, trace=()):
        command = [*trace, self.workspace.binary, 'train', 'run.yaml', 'run.name=run',
                   f'run.dir={dir or self.mounted}', *options]
        done = subprocess.run(command, cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, timeout=100, check=False)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stderr)
        return done

    def newest_valid(self):
        """Its name, and what was said of those that are not."""
        valid, said = [], ''
        for path in sorted(pathlib.Path(self.mounted / 'run/checkpoints').glob('step-??????')):
            verified = self.call(self.workspace.binary, 'checkpoint', 'verify', str(path))
            if verified.returncode == 0:
                valid.append(path.name)
            else:
                said += f'{path}: {verified.returncode}: {verified.stdout}{verified.stderr}\n'
        return valid[-1] if valid else None, said

    def test_at_each_stage_of_a_save(self):
        base = self.workspace.path / 'base'
        self.train('run.stop_after_steps=2', code=STOPPED, dir=base)
        killed = 0
        for moment in MOMENTS:
            for name, flag in FLAGS.items():
                with self.subTest(moment=moment, flag=name):
                    self.new_disk(base / 'run')
                    trace = []
                    if moment is not None:
                        call, number = moment
                        folder = self.mounted / 'run'
                        trace = [STRACE, '-f', '-qq', '-o', '/dev/null', '-e', f'trace={call}', '-e',
                                 f'inject={call}:signal=SIGKILL:when={number}']
                        for path in written_paths(folder, folder, [LAST]):
                            trace += ['-P', str(path)]
                    done = self.train('run.stop_after_steps=3', '--resume', 'auto', trace=trace)
                    self.cut_power(flag)
                    self.mount()
                    newest, said = self.newest_valid()
                    subprocess.run(['umount', self.mounted], check=True)
                    self.assertIn(newest, ('step-000002', 'step-000003'), said + done.stderr)
                    if done.returncode == STOPPED:
                        self.assertEqual(newest, 'step-000003')
                    else:
                        killed += 1
        self.assertGreaterEqual(killed, len(FLAGS) * (len(MOMENTS) - 2))
        report_faults(len(FLAGS) * len(MOMENTS), 'power cuts on ext4')


if __name__ == '__main__':
    main()
