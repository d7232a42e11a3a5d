"""`phalanx report` in a real browser: every chart is there and drawn, nothing is said on the console
and nothing asked of the network, keys work, dark is dark, and a broken run is shown beside the rest.

PHALANX_SCREENSHOTS names a folder for pictures of the pages, to be looked at.
"""

import os
import pathlib
import shutil
import subprocess
import unittest

from browser import Browser, find_browser
from support import BAD_INPUT, DONE, STOPPED, RunTest, main, read_metrics

SOURCES = ('code', 'prose', 'sums')
ODD_NAME = '<img src=x onerror=document.title=1>'
OF_ANY = {'Loss', 'Gradient norm', 'Learning rate', 'Throughput', 'Planned and realised mixture',
          'Checkpoints and faults',
          *(f'Loss by source: {name}' for name in SOURCES),
          *(f'Bits per byte by source: {name}' for name in SOURCES),
          *(f'Epochs by source: {name}' for name in SOURCES)}
OF_SEVERAL = {f'Difference in bits per byte: {name}' for name in SOURCES} | {
    f'bits per byte, {name}' for name in SOURCES}
CHARTS = '[...document.querySelectorAll("figure[data-chart]")]'
LOSS = 'document.querySelector("figure[data-chart=Loss]")'
TIMELINE = 'document.querySelector("figure[data-chart=\'Checkpoints and faults\']")'


class ReportRuns(RunTest):
    """Two variants of two seeds, a broken run and one that has hardly begun."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.workspace.hold_out(0.2)
        for variant, share in (('few', 0.1), ('many', 0.5)):
            for seed in (1, 2):
                cls.one_run(f'{variant}-seed-{seed}', f'model.seed={seed}', f'data.seed={seed}',
                            f'stages[0].phases[0].mix.sums={share}',
                            'evaluation.interval=4 steps', 'checkpoint.interval=5 steps')
        broken = cls.workspace.run_folder(ODD_NAME)
        shutil.copytree(cls.workspace.run_folder('few-seed-1'), broken)
        (broken / 'config.yaml').write_text('run: {name: [')
        with (broken / 'metrics.jsonl').open('a') as file:
            file.write('{"step": 21, "lo')
        (cls.workspace.run_folder('half') / 'checkpoints').mkdir(parents=True)
        (cls.workspace.run_folder('half') / 'metrics.jsonl').write_text('')

    @classmethod
    def one_run(cls, name, *overrides):
        cls.workspace.program('train', 'run.yaml', f'run.name={name}', *overrides)

    def report(self, *arguments, code=0):
        done = subprocess.run([self.workspace.binary, 'report', *arguments],
                              cwd=self.workspace.path, env=self.workspace.environment,
                              capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def all_runs(self):
        self.report('runs', '--out', 'report.html', '--baseline', 'few', '--title', 'A </script> b')
        return self.workspace.path / 'report.html'


class Report(ReportRuns):

    def test_a_baseline_that_is_not_there(self):
        done = self.report('runs', '--baseline', 'fev', code=BAD_INPUT)
        self.assertIn("found 'fev'; did you mean 'few'?", done.stderr)

    def test_a_run_that_is_named_twice_counts_once(self):
        self.report('runs/few-seed-1', 'runs/few-seed-1/', 'runs/few-seed-2', '--out', 'twice.html')
        page = (self.workspace.path / 'twice.html').read_text()
        self.assertEqual(page.count('"label":"few-seed-1"'), 1)

    def test_a_folder_that_is_not_there(self):
        done = self.report('runs/none', code=BAD_INPUT)
        self.assertIn("runs/none: expected a run's folder, found nothing", done.stderr)

    def test_broken_runs_are_named(self):
        notes = self.report('runs', '--out', 'report.html').stderr
        self.assertIn(f'note: {ODD_NAME}: config.yaml: ', notes)
        self.assertIn(f'note: {ODD_NAME}: metrics.jsonl: 1 broken line left out, the first is '
                      'line 21', notes)
        self.assertIn('note: half: metrics.jsonl: no step in it yet', notes)


@unittest.skipUnless(find_browser(), 'no Chromium here (launch/setup.sh --tests)')
class ReportInABrowser(ReportRuns):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def open(self, page):
        self.browser.console.clear()
        self.browser.requests.clear()
        self.browser.open(page, 'document.documentElement?.dataset.drawn > 0')

    def picture(self, name):
        folder = os.environ.get('PHALANX_SCREENSHOTS')
        if folder:
            self.browser.screenshot(pathlib.Path(folder) / f'{name}.png')

    def assert_quiet(self, page):
        self.assertEqual(self.browser.console, [])
        self.assertEqual(set(self.browser.requests), {f'file://{page}'})

    def assert_drawn(self, expected):
        titles = self.browser.evaluate(f'{CHARTS}.map((one) => one.dataset.chart)')
        self.assertEqual(sorted(titles), sorted(expected))
        bad = self.browser.evaluate(
            f'{CHARTS}.filter((one) => /NaN|undefined|Infinity/.test(one.innerHTML) || '
            'one.querySelectorAll("svg path").length === 0).map((one) => one.dataset.chart)')
        self.assertEqual(bad, [])

    def test_every_chart_of_several_runs(self):
        page = self.all_runs()
        self.open(page)
        self.assert_drawn(OF_ANY | OF_SEVERAL)
        self.assert_quiet(page)
        self.picture('report-light')
        self.assertEqual(self.browser.evaluate('document.title'), 'A </script> b')
        text = self.browser.evaluate('document.body.innerText')
        self.assertIn(ODD_NAME, text)
        self.assertIn('half (broken): metrics.jsonl: no step in it yet', text)
        fields = self.browser.evaluate('document.querySelector("[data-table=config]").innerText')
        self.assertIn('stages[0].phases[0].mix.sums', fields)

    def test_every_chart_of_one_run(self):
        self.report('runs/few-seed-1', '--out', 'one.html')
        page = self.workspace.path / 'one.html'
        self.open(page)
        self.assert_drawn(OF_ANY)
        self.assert_quiet(page)
        self.picture('report-one')

    def test_figures_are_those_of_the_metrics(self):
        self.open(self.all_runs())
        lines = [self.workspace.run_folder(f'few-seed-{seed}') for seed in (1, 2)]
        last = [self.last_bits(folder) for folder in lines]
        row = self.browser.evaluate(
            '[...document.querySelectorAll("[data-table=figures] tbody tr")]'
            '.find((row) => row.innerText.startsWith("few")).innerText')
        self.assertIn(f'{sum(last) / 2:.4f} \u00b1', row)

    @staticmethod
    def last_bits(folder):
        found = [line['validation'] for line in read_metrics(folder) if 'validation' in line]
        return found[-1]['prose']['bits_per_byte']

    def test_keys(self):
        self.open(self.all_runs())
        for _ in range(60):
            self.browser.press('Tab')
            if self.browser.evaluate(f'{LOSS}.querySelector("svg") === document.activeElement'):
                break
        else:
            self.fail('Tab does not reach the chart of the loss')
        tip = f'{LOSS}.querySelector(".tip")'
        self.assertTrue(self.browser.evaluate(f'{tip}.hidden'))
        said = []
        for key in ('ArrowRight', 'ArrowRight', 'End', 'ArrowLeft'):
            self.browser.press(key)
            said.append(self.browser.evaluate(f'{tip}.innerText'))
            self.assertFalse(self.browser.evaluate(f'{tip}.hidden'))
        self.assertEqual(len(set(said)), 4, said)
        self.assertIn('few train', said[-1])
        self.assertIn('tokens: ', self.browser.evaluate(
            f'{LOSS}.querySelector("[aria-live]").textContent'))
        self.picture('report-keys')
        self.browser.press('Escape')
        self.assertTrue(self.browser.evaluate(f'{tip}.hidden'))
        self.browser.press('Tab')
        self.browser.press('Enter')  # the table below the chart
        self.browser.wait_for(f'{LOSS}.querySelectorAll("details tbody tr").length > 5')

    def tip_after(self, figure, key):
        self.browser.press(key)
        return '' if self.browser.evaluate(f'{figure}.querySelector(".tip").hidden') else \
            self.browser.evaluate(f'{figure}.querySelector(".tip").innerText')

    def test_keys_of_every_chart(self):
        """The same keys do the same in all of them."""
        self.open(self.all_runs())
        count = self.browser.evaluate(f'{CHARTS}.length')
        for i in range(count):
            figure = f'{CHARTS}[{i}]'
            title = self.browser.evaluate(f'{figure}.dataset.chart')
            self.browser.evaluate(f'{figure}.querySelector("svg[tabindex]").focus()')
            first = self.tip_after(figure, 'ArrowRight')
            self.assertNotEqual(first, '', title)
            self.assertNotEqual(self.tip_after(figure, 'ArrowRight'), first, title)
            self.assertEqual(self.tip_after(figure, 'Home'), first, title)
            self.assertEqual(self.tip_after(figure, 'ArrowLeft'), first, title)
            last = self.tip_after(figure, 'End')
            self.assertNotEqual(last, first, title)
            self.assertEqual(self.tip_after(figure, 'ArrowRight'), last, title)
            self.assertEqual(self.tip_after(figure, 'Escape'), '', title)
            self.assertEqual(self.tip_after(figure, 'ArrowLeft'), last, title)
            self.browser.evaluate('document.activeElement.blur()')
            self.assertTrue(self.browser.evaluate(f'{figure}.querySelector(".tip").hidden'), title)
        self.assertEqual(self.browser.console, [])

    def test_lanes_of_the_timeline(self):
        self.open(self.all_runs())
        tip = f'{TIMELINE}.querySelector(".tip")'
        self.browser.evaluate(f'{TIMELINE}.querySelector("svg[tabindex]").focus()')
        lanes = self.browser.evaluate('report.groups.flatMap((group) => group.runs)'
                                      '.map((run) => report.runs[run].label)')
        self.assertIn(lanes[0], self.tip_after(TIMELINE, 'ArrowRight'))
        self.assertIn(lanes[1], self.tip_after(TIMELINE, 'ArrowDown'))
        self.assertIn(lanes[0], self.tip_after(TIMELINE, 'ArrowUp'))
        self.assertIn(lanes[0], self.tip_after(TIMELINE, 'ArrowUp'))
        for _ in range(lanes.index('half')):
            tip_of_half = self.tip_after(TIMELINE, 'ArrowDown')
        self.assertEqual(tip_of_half, '', 'nothing has happened in it')
        # The pointer on a mark, and on the axis below all lanes.
        self.browser.evaluate(f'void {TIMELINE}.scrollIntoView()')
        mark = self.browser.evaluate(
            f'{TIMELINE}.querySelector("svg[tabindex] g path").getBoundingClientRect().toJSON()')
        middle = mark['x'] + mark['width'] / 2
        self.browser.move_pointer(middle, mark['y'] + mark['height'] / 2)
        self.browser.wait_for(f'!{tip}.hidden')
        below = self.browser.evaluate(
            f'{TIMELINE}.querySelector("svg[tabindex]").getBoundingClientRect().bottom - 3')
        self.browser.move_pointer(middle, below)
        self.browser.wait_for(f'{tip}.hidden')
        self.assertEqual(self.browser.console, [])

    def test_switches(self):
        self.open(self.all_runs())
        lines = f'[...{LOSS}.querySelectorAll("svg path")].map((p) => p.getAttribute("d")).join()'
        before = self.browser.evaluate(lines)
        self.browser.evaluate('document.getElementById("smoothing").focus()')
        self.browser.press('End')
        smooth = self.browser.evaluate(lines)
        self.assertNotEqual(smooth, before)
        self.browser.press('Home')
        self.assertNotIn(self.browser.evaluate(lines), (before, smooth))
        count = f'{LOSS}.querySelectorAll("svg path").length'
        shown = self.browser.evaluate(count)
        self.browser.evaluate('document.querySelector("button.key").focus()')
        self.browser.press('Enter')
        self.assertLess(self.browser.evaluate(count), shown)
        self.browser.press('Enter')
        self.assertEqual(self.browser.evaluate(count), shown)

    def test_dark(self):
        paper = 'getComputedStyle(document.body).backgroundColor'
        self.browser.scheme('light')
        self.open(self.all_runs())
        light = self.browser.evaluate(paper)
        self.browser.scheme('dark')
        dark = self.browser.evaluate(paper)
        self.assertNotEqual(light, dark)
        self.picture('report-dark')
        for expected in (light, dark, dark):  # light, dark, as the system has it
            self.browser.evaluate('document.querySelector("button.theme").click()')
            self.assertEqual(self.browser.evaluate(paper), expected)
        self.browser.scheme('light')

    def test_without_javascript(self):
        page = self.all_runs()
        self.browser.call('Emulation.setScriptExecutionDisabled', value=True)
        self.addCleanup(self.browser.call, 'Emulation.setScriptExecutionDisabled', value=False)
        self.browser.open(page)
        text = self.browser.evaluate('document.body.innerText')
        for word in ('few', 'many', 'bits per byte, prose', ODD_NAME):
            self.assertIn(word, text)

    def test_a_run_that_was_resumed(self):
        options = ('run.dir=others', 'checkpoint.interval=5 steps')
        stopped = self.workspace.train(1, 'again', *options, 'run.stop_after_steps=12')
        self.assertEqual(stopped.code, STOPPED, str(stopped))
        resumed = self.workspace.train(1, 'again', *options, '--resume', 'auto')
        self.assertEqual(resumed.code, DONE, str(resumed))
        self.report('others/again', '--out', 'again.html')
        self.open(self.workspace.path / 'again.html')
        self.browser.evaluate(f'{TIMELINE}.querySelector("svg[tabindex]").focus()')
        self.assertIn('step-000020', self.tip_after(TIMELINE, 'End'))
        events = self.browser.evaluate('report.runs[0].curves.events.map((one) => one.kind)')
        self.assertIn('resume', events)


if __name__ == '__main__':
    main()
