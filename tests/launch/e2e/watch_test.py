"""What is seen of a run while it trains: event files, read by TensorBoard, weights and epochs, the
panel on a terminal, lines, --quiet and --json."""

import contextlib
import json
import logging
import math
import os
import pty
import re
import struct
import subprocess
import termios
from fcntl import ioctl

import pyte
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from support import DONE, STEPS, STOPPED, RunTest, main, read_metrics

SOURCES = ('code', 'prose', 'sums')


def last_lines(folder):
    """The last line of each step."""
    return {line['step']: line for line in read_metrics(folder)}


def events_of(folder):
    """{tag: {step: value}} as TensorBoard shows a run."""
    logging.disable(logging.WARNING)  # it says how much it drops after a restart
    events = event_accumulator.EventAccumulator(
        str(folder / 'tensorboard'),
        size_guidance=event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE)
    events.Reload()
    tags = {tag: {event.step: event.value for event in events.Scalars(tag)}
            for tag in events.Tags()['scalars']}
    for tag in events.Tags()['tensors']:
        tags[tag] = {event.step: tensor_util.make_ndarray(event.tensor_proto).flatten()[0]
                     for event in events.Tensors(tag)}
    return tags


def expected_values(line):
    """Tags of a step and what metrics.jsonl has for them."""
    values = {f'train/{field}': line[field] for field in
              ('loss', 'grad_norm', 'learning_rate', 'tokens', 'skipped', 'skipped_steps')}
    values |= {f'perf/{field}': line[field] for field in
               ('tokens_per_second', 'flops_per_second', 'step_seconds', 'data_wait_seconds',
                'data_wait_share')}
    values |= {'memory/peak_bytes': line['peak_memory_bytes'], 'save/saving': line['saving'],
               'save/skipped': line['saves_skipped'], 'save/failed': line['saves_failed'],
               'save/stall_seconds': line['save_stall_seconds']}
    if 'mfu' in line:
        values['perf/mfu'] = line['mfu']
    for name, source in line['sources'].items():
        values |= {f'data/{field}/{name}': source[field]
                   for field in ('weight', 'planned_weight', 'epochs')}
        values[f'data/tokens/{name}'] = source['total_tokens']
        if 'loss' in source:
            values[f'train/loss_by_source/{name}'] = source['loss']
    values |= {f'train/loss_by_kind/{kind}': sums['loss'] for kind, sums in line['kinds'].items()
               if 'loss' in sums}
    for name, result in line.get('validation', {}).items():
        values |= {f'validation/{name}/{field}': result[field]
                   for field in ('loss', 'bits_per_byte')}
    return values


class TensorBoard(RunTest):

    def assert_same(self, folder):
        """Every tag of every step, and no other, with the values of metrics.jsonl."""
        found, lines = events_of(folder), last_lines(folder)
        expected = {}
        for step, line in lines.items():
            for tag, value in expected_values(line).items():
                expected.setdefault(tag, {})[step] = value
        first = lines[1]['validation_before']
        for name, result in first.items():
            for field in ('loss', 'bits_per_byte'):
                expected[f'validation/{name}/{field}'][0] = result[field]
        self.assertEqual(set(found) - {'data/phase', 'run/config', 'work/median_seconds',
                                       'work/slowest_seconds'}, set(expected))
        for tag, values in expected.items():
            self.assertEqual(sorted(found[tag]), sorted(values), tag)
            for step, value in values.items():
                self.assertTrue(math.isclose(found[tag][step], value, rel_tol=1e-6, abs_tol=1e-30),
                                f'{tag} of step {step}: {found[tag][step]}, expected {value}')
        return found

    def test_a_run_and_its_resumes(self):
        """A start that was cut off behind its last checkpoint, one from an earlier checkpoint, and
        steps that are passed over: curves go on where the checkpoint was."""
        options = ('evaluation.interval=4 steps', 'logging.peak_tflops=0.01',
                   'checkpoint.asynchronous=false')
        run = self.train(1, 'curves', 'run.stop_after_steps=8', 'checkpoint.interval=3 steps',
                         *options, code=STOPPED)
        found = self.assert_same(run.folder)
        self.assertEqual(sorted(found['train/loss']), list(range(1, 9)))
        self.assertEqual(found['data/phase'][1], b'pretrain/foundation')
        self.assertIn(b'name: curves', found['run/config'][0])

        # What was written after step 6 is lost: as if the start had been killed behind it.
        self.train(1, 'curves', 'run.stop_after_steps=7', *options, '--resume',
                   str(run.checkpoint(6)), code=STOPPED)
        found = self.assert_same_up_to(run.folder, 7)
        self.assertEqual(found['train/loss'][7], find_loss(run.folder, 7))

        # Steps 4 to 6 are passed over; of the branch that was left nothing stays.
        last = self.train(1, 'curves', *options, '--resume', str(run.checkpoint(3)),
                          '--skip-steps', '3')
        found = events_of(last.folder)
        self.assertEqual(sorted(found['train/loss']), [1, 2, 3, *range(7, STEPS + 1)])
        self.assertEqual(found['data/phase'][13], b'pretrain/reasoning')
        self.assertEqual(len(list((last.folder / 'tensorboard').iterdir())), 3)

    def assert_same_up_to(self, folder, step):
        """Lines of later steps are of a branch that was left."""
        found = events_of(folder)
        lines = last_lines(folder)
        self.assertEqual(sorted(found['train/loss']), list(range(1, step + 1)))
        for number in range(1, step + 1):
            self.assertTrue(math.isclose(found['train/loss'][number], lines[number]['loss'],
                                         rel_tol=1e-6))
        return found

    def test_a_roll_back(self):
        """Of the steps that were passed over for a spike nothing stays, up to the checkpoint."""
        result = self.workspace.train(
            1, 'back', 'numbers.spikes.policy=roll_back', 'numbers.spikes.z_score=1.5',
            'numbers.spikes.window=6', 'numbers.spikes.max_roll_backs=1',
            'numbers.max_skipped_in_a_row=20', 'checkpoint.interval=3 steps',
            'checkpoint.asynchronous=false', 'checkpoint.keep_last=9')
        spike = next(line['step'] for line in result.metrics() if line.get('suspicion') == 'spike')
        before = 3 * ((spike - 1) // 3)
        last = result.metrics()[-1]['step']
        self.assertEqual(sorted(events_of(result.folder)['train/loss']),
                         [*range(1, before + 1), *range(spike + 1, last + 1)])
        self.assertEqual(len(list((result.folder / 'tensorboard').iterdir())), 2)

    def test_torn_files_and_none(self):
        run = self.train(1, 'torn', 'run.stop_after_steps=3', code=STOPPED)
        file, = (run.folder / 'tensorboard').iterdir()
        whole = file.read_bytes()
        file.write_bytes(whole[:-5])
        self.assertEqual(sorted(events_of(run.folder)['train/loss']), [1, 2])
        self.train(1, 'torn', 'run.stop_after_steps=5', '--resume', 'auto', code=STOPPED)
        self.assertEqual(sorted(events_of(run.folder)['train/loss']), [1, 2, 4, 5])
        none = self.train(1, 'none', 'run.stop_after_steps=1', 'logging.tensorboard=false',
                          code=STOPPED)
        self.assertFalse((none.folder / 'tensorboard').exists())

    def test_realised_weights_and_epochs(self):
        """Against the configuration, the ledger's totals and the report."""
        run = self.train(2, 'weights')
        lines = last_lines(run.folder)
        for line in lines.values():
            sources = line['sources']
            self.assertAlmostEqual(sum(one['weight'] for one in sources.values()), 1)
            self.assertAlmostEqual(sum(one['planned_weight'] for one in sources.values()), 1)
            for name, one in sources.items():
                self.assertEqual(one['weight'], one['tokens'] / 256, name)
            kinds = line['kinds']
            self.assertEqual(kinds['synthetic']['targets'], sources['sums']['targets'])
            self.assertEqual(kinds['organic']['targets'],
                             sources['code']['targets'] + sources['prose']['targets'])
        for step in range(1, 13):  # the first phase: sums 0.1, the rest in two halves
            self.assertAlmostEqual(lines[step]['sources']['sums']['planned_weight'], 0.1)
            self.assertAlmostEqual(lines[step]['sources']['code']['planned_weight'], 0.45)
        ramp = [lines[step]['sources']['sums']['planned_weight'] for step in range(13, 17)]
        self.assertEqual(ramp, sorted(ramp))
        self.assertTrue(0.1 < ramp[0] < 0.3, ramp)
        reported = {line.split()[0]: float(line.split()[4]) for line in run.out.splitlines()
                    if line.split()[:1] and line.split()[0] in SOURCES}
        self.assertEqual({name: round(one['epochs'], 2) for name, one in
                          lines[STEPS]['sources'].items()}, reported)


def find_loss(folder, step):
    value = last_lines(folder)[step]['loss']
    return struct.unpack('f', struct.pack('f', value))[0]


class Terminal:
    """A program on a terminal of its own; `screen` is what a person sees."""

    def __init__(self, command, columns, rows, **options):
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        stream = pyte.ByteStream(self.screen)
        leader, follower = pty.openpty()
        ioctl(follower, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        self.process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower,
                                        **options)
        os.close(follower)
        self.bytes = b''
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := os.read(leader, 65536):
                self.bytes += chunk
                stream.feed(chunk)
        os.close(leader)
        self.code = self.process.wait(60)

    def lines(self):
        """All that scrolled by, and the screen."""
        above = [''.join(row[column].data for column in range(self.screen.columns))
                 for row in self.screen.history.top]
        return [line.rstrip() for line in [*above, *self.screen.display]]


class Panel(RunTest):

    def terminal(self, name, *options, columns=80, rows=40, environment=(), stop=STEPS):
        workspace = self.workspace
        command = [workspace.binary, 'train', 'run.yaml', f'run.name={name}', *options]
        if stop < STEPS:
            command.append(f'run.stop_after_steps={stop}')
        return Terminal(command, columns, rows, cwd=workspace.path,
                        env=workspace.environment | {'TERM': 'xterm-256color'} | dict(environment))

    def test_is_drawn_in_place_and_fits(self):
        seen = self.terminal('panel', 'evaluation.interval=5 steps', 'logging.peak_tflops=0.01')
        self.assertEqual(seen.code, DONE, seen.lines())
        lines = seen.lines()
        text = '\n'.join(lines)
        places = [number for number, line in enumerate(lines)
                  if line.startswith('step ') and '%' in line]
        self.assertEqual(len(places), 1, text)  # one panel is left
        panel = lines[places[0]:places[0] + 4]
        self.assertRegex(panel[0], rf'^step {STEPS}/{STEPS}  \[=+\]  100.0 %  0s left$')
        self.assertRegex(panel[1], r'^loss \d\.\d{4}  organic \d\.\d{4}  synthetic \d\.\d{4}  norm '
                                   r'\d+\.\d{3}  lr \d\.\d\de-\d\d$')
        self.assertRegex(panel[2], r'^\S+ tok/s  MFU \d+\.\d %  data wait \d+ %  memory '
                                   r'\d\.\d\d GiB  tokens 5.1K/5.1K')
        self.assertRegex(panel[3], r'^phase pretrain/reasoning  \w+ \d+\.\d %  \w+ \d+\.\d %')
        self.assertTrue(all(len(line) < 80 for line in panel))
        # Notes scroll by above it, each once, and the report comes below.
        notes = [number for number, line in enumerate(lines) if ' validation ' in line]
        self.assertEqual(len(notes), len(set(lines[number] for number in notes)))
        self.assertTrue(notes and max(notes) < places[0], text)
        self.assertTrue(any(line.startswith('source ') for line in lines[places[0] + 4:]), text)
        self.assertIn(b'\x1b[32m', seen.bytes)

    def test_narrow_without_colours_and_off(self):
        narrow = self.terminal('narrow', columns=40, environment={'NO_COLOR': '1'}, stop=4)
        self.assertEqual(narrow.code, STOPPED)
        self.assertNotIn(b'm', b''.join(re.findall(rb'\x1b\[[0-9;]*(.)', narrow.bytes)))
        first = next(line for line in narrow.lines() if line.startswith('step 4/20'))
        self.assertLess(len(first), 40)
        dumb = self.terminal('dumb', environment={'TERM': 'dumb'}, stop=2)
        self.assertNotIn(b'\x1b', dumb.bytes)
        self.assertIn(b'step 1/20  tokens 256  loss', dumb.bytes)
        quiet = self.terminal('quiet', '--quiet', stop=2)
        self.assertEqual((quiet.code, quiet.bytes), (
            STOPPED, b'saved runs/quiet/checkpoints/step-000002\r\n'))

    def test_lines_where_there_is_no_terminal(self):
        run = self.train(2, 'lines', 'logging.interval=0', 'run.stop_after_steps=3', code=STOPPED)
        self.assertNotIn('\x1b', run.err + run.out)
        shown = [line for line in run.err.splitlines() if line.startswith('step ')]
        self.assertEqual(len(shown), 3)
        self.assertRegex(
            shown[0], r'^step 1/20  tokens 256  loss \S+ \(organic \S+, synthetic \S+\)  norm \S+  '
                      r'lr \S+  \S+ tok/s.*  \d+s left  pretrain/foundation: code 45.0 %, '
                      r'prose 45.0 %, sums 10.0 %$')
        forced = self.train(2, 'forced', '--panel', 'run.stop_after_steps=2', code=STOPPED)
        self.assertIn('\x1b[4A', forced.err)

    def test_quiet_and_json(self):
        quiet = self.train(2, 'silent', '--quiet', 'run.stop_after_steps=2', code=STOPPED)
        self.assertEqual(quiet.out, '')
        self.assertNotRegex(quiet.err, 'plan:|step |memory|attention|source')
        run = self.train(2, 'json', '--json', 'run.stop_after_steps=3', code=STOPPED)
        *steps, end = [json.loads(line) for line in run.out.splitlines()]
        self.assertEqual(steps, run.metrics())
        self.assertEqual((end['state'], end['reason'], end['step'], end['num_steps']),
                         ('stopped', 'run.stop_after_steps', 3, STEPS))
        self.assertTrue(end['checkpoint'].endswith('step-000003'))
        self.assertIn('--resume auto', end['resume'])
        self.assertNotIn('plan:', run.err)
        refused = self.workspace.train(1, 'both', '--json', '--quiet')
        self.assertEqual(refused.code, 2, str(refused))


if __name__ == '__main__':
    main()
