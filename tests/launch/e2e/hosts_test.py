"""`phalanx launch` on two hosts, made of network namespaces with a command in the place of ssh: it
trains, and names the host that has another program, configuration or data. Needs root."""

import shutil
import subprocess

from hosts import HOSTS, Network, skip_without_hosts
from support import BAD_INPUT, DONE, RunTest, main, tensors_of


class Hosts(RunTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)
        cls.network.join()
        cls.rsh = cls.workspace.path / 'rsh'
        cls.program = cls.workspace.path / 'phalanx'
        cls.program.symlink_to(cls.workspace.binary)

    def launch(self, name, *arguments, mounts=(), hosts=tuple(HOSTS)):
        self.network.write_rsh(self.rsh, mounts)
        command = [self.workspace.binary, 'launch', 'run.yaml', f'run.name={name}', '--on', 'mpirun',
                   '--hosts', ','.join(hosts), '--ranks-per-node', '1', '--cores-per-rank', '1',
                   '--rsh-agent', str(self.rsh), '--interface', '10.77.0.0/24', '--program',
                   str(self.program), *arguments]
        # Both hosts are this machine, and each would bind its rank to the first core.
        environment = self.workspace.environment | {'OMPI_MCA_btl': 'tcp,self'}
        out, err = self.workspace.path / 'out', self.workspace.path / 'err'
        with out.open('w') as stdout, err.open('w') as stderr:  # daemons would keep pipes open
            code = subprocess.run(command, cwd=self.workspace.path, env=environment, stdout=stdout,
                                  stderr=stderr, timeout=100, check=False).returncode
        return code, out.read_text(), err.read_text()

    def refuse(self, words, mounts=(), **options):
        code, out, err = self.launch('refused', mounts=mounts, **options)
        self.assertEqual(code, BAD_INPUT, f'{out}\n{err}')
        self.assertEqual(err.count('phalanx: error: '), 1, err)
        for word in words:
            self.assertIn(word, err)

    def other_host(self):
        return f'host-{self.network.namespace("b")}'

    def test_the_bits_are_those_of_one_host(self):
        clean = self.train(2, 'one-host')
        code, out, err = self.launch('two-hosts')
        self.assertEqual(code, DONE, f'{out}\n{err}')
        last = f'checkpoints/step-{clean.metrics()[-1]["step"]:06}'
        self.assertEqual(tensors_of(self.workspace.run_folder('two-hosts') / last),
                         tensors_of(clean.folder / last))

    def test_another_program_on_one_host(self):
        other = self.workspace.path / 'other-phalanx'
        shutil.copy(self.workspace.binary, other)
        with other.open('ab') as file:
            file.write(b'another build')
        self.refuse(['program: expected the same phalanx on all hosts', self.other_host(),
                     'copy one build'], [(other, self.workspace.binary)])

    def test_another_configuration_on_one_host(self):
        other = self.workspace.path / 'other.yaml'
        other.write_text((self.workspace.path / 'run.yaml').read_text().replace(
            'seed: 1234', 'seed: 4321'))
        self.refuse(['configuration: expected the same', self.other_host(),
                     "'data.seed: 4321' where rank 0 has 'data.seed: 1234'"],
                    [(other, self.workspace.path / 'run.yaml')])

    def test_other_data_on_one_host(self):
        data = self.workspace.path / 'data'
        self.refuse(['data: expected the same on all ranks', 'data.sources.sums=',
                     self.other_host()], [(data / 'code', data / 'sums')])

    def test_data_that_one_host_lacks(self):
        empty = self.workspace.path / 'empty'
        empty.mkdir()
        self.refuse(['data/sums: expected a data set', f'(on rank 1, host {self.other_host()})'],
                    [(empty, self.workspace.path / 'data' / 'sums')])

    def test_a_host_that_is_not_there(self):
        self.refuse(['host 10.77.0.9: rsh: connect to host 10.77.0.9: No route to host'],
                    hosts=(next(iter(HOSTS)), '10.77.0.9'))

    def test_the_doctor_names_hosts(self):
        self.network.write_rsh(self.rsh)
        command = self.network.mpirun(self.rsh, [f'{host}:1' for host in HOSTS], 2,
                                      str(self.program), 'doctor', 'run.yaml', '--stress', '2s')
        done = subprocess.run(command, cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, DONE, f'{done.stdout}\n{done.stderr}')
        self.assertIn('2 ranks on 2 hosts', done.stdout)
        self.assertRegex(done.stdout, r'all-reduce +pairs of hosts reduce')
        self.assertRegex(done.stdout, r'clock +at most 0\.0')


if __name__ == '__main__':
    skip_without_hosts()
    main()
