"""Hosts on one machine, for tests of what lies between hosts: network namespaces on a bridge, each with a
name of its own, and a script in the place of ssh. Needs root."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time

BRIDGE = '10.77.0.1'  # the machine itself
HOSTS = {'10.77.0.2': 'a', '10.77.0.3': 'b'}

# Is the other side there? It has no such service, and says so at once.
REACHES = """
import errno, socket, sys
with socket.socket() as probe:
    probe.settimeout(2)
    sys.exit(probe.connect_ex((sys.argv[1], 9)) not in (0, errno.ECONNREFUSED))
"""

# In the place of ssh: the first argument is the host. Each host has a name of its own.
RSH = '''#!/bin/bash
case $1 in {cases} *) echo "rsh: connect to host $1: No route to host" >&2; exit 255 ;; esac
shift
exec ip netns exec "$namespace" unshare --uts --mount bash -c "hostname host-$namespace; $mount $*"
'''


def sh(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


def why_not():
    """A reason to skip; empty: namespaces can be made here."""
    if os.geteuid() != 0:
        return 'network namespaces need root'
    if shutil.which('ip') is None:
        return 'no ip command here'
    made = sh('ip', 'netns', 'add', 'pxprobe', check=False)
    sh('ip', 'netns', 'del', 'pxprobe', check=False)
    return '' if made.returncode == 0 else f'network namespaces cannot be made: {made.stderr}'


class Network:
    """A bridge with a namespace for each host; names carry the process id."""

    def __init__(self):
        self.id = os.getpid() % 10000
        self.bridge = f'pxb{self.id}'
        sh('ip', 'link', 'add', self.bridge, 'type', 'bridge')
        sh('ip', 'addr', 'add', f'{BRIDGE}/24', 'dev', self.bridge)
        sh('ip', 'link', 'set', self.bridge, 'up')
        for address, letter in HOSTS.items():
            name, wire = self.namespace(letter), self.wire(letter)
            sh('ip', 'netns', 'add', name)
            sh('ip', 'link', 'add', wire, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
            sh('ip', 'link', 'set', wire, 'master', self.bridge, 'up')
            sh('ip', '-n', name, 'addr', 'add', f'{address}/24', 'dev', 'eth0')
            sh('ip', '-n', name, 'link', 'set', 'eth0', 'up')
            sh('ip', '-n', name, 'link', 'set', 'lo', 'up')

    def namespace(self, letter):
        return f'px{self.id}{letter}'

    def wire(self, letter):
        return f'pxv{self.id}{letter}'

    def set_link(self, letter, state):
        sh('ip', 'link', 'set', self.wire(letter), state)

    def join(self):
        """All links up, and the machine within reach of each host: a link needs a moment."""
        end = time.monotonic() + 30
        for letter in HOSTS.values():
            self.set_link(letter, 'up')
            while sh('ip', 'netns', 'exec', self.namespace(letter), sys.executable, '-c', REACHES,
                     BRIDGE, check=False).returncode != 0:
                if time.monotonic() > end:
                    raise RuntimeError(f'host {letter} does not reach {BRIDGE}')
                time.sleep(0.1)

    def pids(self):
        """Of all processes in the namespaces."""
        return [int(word) for letter in HOSTS.values()
                for word in sh('ip', 'netns', 'pids', self.namespace(letter),
                               check=False).stdout.split()]

    def close(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        for letter in HOSTS.values():
            sh('ip', 'netns', 'del', self.namespace(letter), check=False)
        sh('ip', 'link', 'del', self.bridge, check=False)

    def write_rsh(self, path, mounts=()):
        """`mounts` are (from, to) of files or folders that the last host sees in the place of its
        own."""
        last = ' '.join(f'mount --bind {source} {target};' for source, target in mounts)
        cases = ' '.join(
            f'{address}) namespace={self.namespace(letter)}; '
            f'mount="{last if address == list(HOSTS)[-1] else ""}" ;;'
            for address, letter in HOSTS.items())
        path.write_text(RSH.format(cases=cases))
        path.chmod(stat.S_IRWXU)

    def mpirun(self, rsh, hosts, ranks, *words):
        """The words that start `ranks` ranks on `hosts`, each given as mpirun has it."""
        return [os.environ['PHALANX_MPIEXEC'], '-n', str(ranks), '--host', ','.join(hosts),
                '--bind-to', 'none', '--mca', 'plm_rsh_agent', str(rsh),
                '--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', '10.77.0.0/24',
                '--mca', 'oob_tcp_if_include', '10.77.0.0/24', '-x', 'OMP_NUM_THREADS', *words]


def skip_without_hosts():
    """Ends the test with the reason, where there can be none."""
    reason = why_not()
    if reason:
        print(f'skipped: {reason}')
        raise SystemExit(77)
