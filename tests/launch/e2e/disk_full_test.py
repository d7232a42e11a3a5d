"""A disk that fills up while checkpoints are written: exit code 2, one message, and the checkpoint
saved before is whole and resumable once there is room.

On a file system of a megabyte where the machine lets a test have one (a mount of its own user
namespace), and with a limit on the size of files, which any machine has."""

import os
import resource
import subprocess
import sys

from support import BAD_INPUT, DONE, STEPS, STOPPED, RunTest, main
from stop_test import LONG

INSIDE = 'PHALANX_E2E_INSIDE'  # set: the test has its own mounts


def enter_own_mounts():
    """Starts this test again where it may mount; goes on without where it may not."""
    if INSIDE in os.environ:
        return
    own = ['unshare', '--user', '--map-root-user', '--mount']
    try:
        allowed = subprocess.run([*own, 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], check=False,
                                 capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    os.environ[INSIDE] = 'yes' if allowed else 'no'
    if allowed:
        os.execvp(own[0], [*own, sys.executable, '-B', *sys.argv])


# With steps so long that files can be limited before the next save.
LATE = (*LONG, 'stages[0].global_batch_size=128', 'stages[0].micro_batch_size=8')


class DiskFull(RunTest):

    def assert_refused(self, result, error):
        self.assertEqual(result.code, BAD_INPUT, str(result))
        self.assertEqual(len(result.our_errors()), 1, str(result))
        message = result.our_errors()[0]
        self.assertIn('phalanx: error: ', message)
        self.assertIn('.tmp/', message)
        self.assertIn(error, message)

    def assert_whole(self, checkpoint):
        path = str(checkpoint.relative_to(self.workspace.path))
        verified = self.workspace.program('checkpoint', 'verify', path)
        self.assertIn('all hashes as expected', verified)

    def test_full_file_system(self):
        if os.environ[INSIDE] != 'yes':
            self.skipTest('this machine lets no test mount a file system')
        # Its metrics lie elsewhere: the run's own lines may not be what finds the disk full.
        full = self.workspace.path / 'runs' / 'full' / 'checkpoints'
        full.mkdir(parents=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1000k', 'tmpfs', full], check=True)
        self.addCleanup(subprocess.run, ['umount', full], check=True)
        result = self.workspace.train(2, 'full', 'checkpoint.interval=2 steps', limit=60)
        self.assert_refused(result, 'No space left on device')
        checkpoints = sorted((result.folder / 'checkpoints').glob('step-*'))
        self.assertEqual(checkpoints, [result.checkpoint(2)], str(result))
        self.assert_whole(result.checkpoint(2))
        subprocess.run(['mount', '-o', 'remount,size=16m', full], check=True)
        again = self.train(2, 'full', '--resume', 'auto', code=DONE)
        self.assertEqual(sorted({line['step'] for line in again.metrics()}),
                         list(range(1, STEPS + 1)))

    def test_limit_on_file_sizes(self):
        self.train(2, 'limit', *LATE, 'run.stop_after_steps=2', code=STOPPED)
        training = self.workspace.start(2, 'limit', *LATE, 'checkpoint.interval=20 steps',
                                        '--resume', 'auto')
        training.wait_for_steps(5)  # MPI has the files it needs
        size = (training.folder / 'metrics.jsonl').stat().st_size
        for process in training.ranks():
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size + 200_000, size + 200_000))
        result = training.finish(60)
        self.assert_refused(result, 'File too large')
        checkpoints = sorted((result.folder / 'checkpoints').glob('step-*'))
        self.assertEqual(checkpoints, [result.checkpoint(2)], str(result))
        self.assert_whole(result.checkpoint(2))
        self.train(2, 'limit', *LATE, 'run.stop_after_steps=4', '--resume', 'auto', code=STOPPED)


if __name__ == '__main__':
    enter_own_mounts()
    main()
