"""A disk of the cache that is smaller than the cache may be: what can go makes room; where nothing can,
the run ends with path and bytes."""

import os
import subprocess

from disk_full_test import INSIDE, enter_own_mounts
from store_test import WINDOWS, StoreTest, losses
from support import BAD_INPUT, main


class FullDisk(StoreTest):

    def setUp(self):
        super().setUp()
        if os.environ[INSIDE] == 'no':
            self.skipTest('this machine lets a test have no mounts of its own')

    def mount(self, size):
        """The cache lies on a file system of so many bytes; what pages do not fill is lost."""
        disk = self.workspace.path / 'disks' / self.cache.name
        disk.mkdir(parents=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', disk], check=True)
        self.addCleanup(subprocess.run, ['umount', disk], check=True)
        self.cache = disk / 'cache'

    def test_a_shard_that_finds_no_room(self):
        self.mount(32 * 1024)
        full = self.alone('full', *self.urls(), code=BAD_INPUT)
        self.one_error(full, 'phalanx: error: take ', f' bytes for {self.cache}/',
                       'No space left on device')
        self.assert_whole()

    def test_files_that_nobody_needs_make_room(self):
        local = self.alone('local', *WINDOWS)
        self.mount(360 * 1024)
        self.cache.mkdir(mode=0o700)
        old = self.cache / '0123456789abcdef-200000'
        old.write_bytes(bytes(200_000))
        self.assertEqual(losses(self.alone('room', *self.urls(*WINDOWS))), losses(local))
        self.assertFalse(old.exists())


if __name__ == '__main__':
    enter_own_mounts()
    main()
