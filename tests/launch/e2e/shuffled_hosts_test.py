"""reproducible: same_mesh on two hosts: ranks that lie elsewhere give the same bits. Needs root."""

import subprocess

from hosts import HOSTS, Network, skip_without_hosts
from reproducible_test import exact
from support import DONE, RunTest, main, read_metrics, tensors_of

RANKS, STEPS = 4, 200
RUN = ('reproducible=same_mesh', 'parallel.tensor_parallel_size=2', 'checkpoint.keep_last=1',
       'stages[0].phases[0].tokens=49152', 'data.sources.code.max_epochs=99',
       'data.sources.prose.max_epochs=99')
# Tensor groups, ranks 0 and 1 and ranks 2 and 3, within a host, and over both.
IN_ORDER = [f'{host}:2' for host in HOSTS], ()
SHUFFLED = [f'{host}:2' for host in reversed(HOSTS)], ('--map-by', 'node')


class ShuffledHosts(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)
        cls.rsh = cls.workspace.path / 'rsh'
        cls.network.write_rsh(cls.rsh)

    def run_on(self, layout, *words):
        hosts, options = layout
        command = self.network.mpirun(self.rsh, hosts, RANKS, *options, *words)
        # Into a file: daemons of the launcher would keep a pipe open.
        with (self.workspace.path / 'out').open('w+') as out:
            done = subprocess.run(command, cwd=self.workspace.path, stdout=out, timeout=900,
                                  stderr=subprocess.STDOUT, env=self.workspace.environment,
                                  check=False)
            out.seek(0)
            text = out.read()
        self.assertEqual(done.returncode, DONE, text)
        return text

    def hosts_of_ranks(self, layout):
        text = self.run_on(layout, 'sh', '-c', 'echo $OMPI_COMM_WORLD_RANK $(hostname)')
        return [line.split()[1] for line in sorted(text.splitlines()) if line[:1].isdigit()]

    def test_two_runs_of_two_hundred_steps(self):
        a, b = (f'host-{self.network.namespace(letter)}' for letter in 'ab')
        self.assertEqual(self.hosts_of_ranks(IN_ORDER), [a, a, b, b])
        self.assertEqual(self.hosts_of_ranks(SHUFFLED), [b, a, b, a])
        folders = []
        for name, layout in (('in-order', IN_ORDER), ('shuffled', SHUFFLED)):
            self.run_on(layout, self.workspace.binary, 'train', 'run.yaml', f'run.name={name}', *RUN)
            folders.append(self.workspace.run_folder(name))
        first, second = (list(map(exact, read_metrics(folder))) for folder in folders)
        self.assertEqual(len(first), STEPS)
        self.assertEqual(first, second)
        last = f'checkpoints/step-{STEPS:06}'
        self.assertEqual(tensors_of(folders[0] / last), tensors_of(folders[1] / last))
        print(f'{STEPS} steps on {RANKS} ranks of two hosts, shuffled: 0 bits differ', flush=True)


if __name__ == '__main__':
    skip_without_hosts()
    main()
