"""`tokenizer encode` and `decode --jsonl` as a script uses them: a process that stays open and
answers line by line."""

import json
import select
import subprocess

from support import BAD_INPUT, RunTest, main


class TokenizerLines(RunTest):

    def start(self, action, **streams):
        command = [self.workspace.binary, 'tokenizer', action, '--tokenizer', 'tokenizer',
                   '--jsonl']
        process = subprocess.Popen(command, cwd=self.workspace.path,
                                   env=self.workspace.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **streams)
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)
        return process

    def ask(self, process, value):
        """The answer to one line, while the pipe stays open."""
        process.stdin.write(json.dumps(value).encode() + b'\n')
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], 60)
        self.assertTrue(ready, f'no answer to {value!r}')
        return json.loads(process.stdout.readline())

    def test_each_line_is_answered_before_the_next(self):
        encode = self.start('encode', stdin=subprocess.PIPE)
        decode = self.start('decode', stdin=subprocess.PIPE)
        for text in ('', 'hello', 'a\0b', '\U0001F600 \u00e9\u2028', 'x' * 100_000, 'a\r\nb'):
            ids = self.ask(encode, text)
            self.assertEqual(self.ask(decode, ids), text)
        for process in (encode, decode):
            rest, errors = process.communicate()
            self.assertEqual([process.returncode, rest, errors], [0, b'', b''])

    def test_what_came_before_a_broken_line_is_answered(self):
        process = self.start('encode', stdin=subprocess.PIPE)
        out, err = process.communicate(b'"one"\n"two"\n"thr\n"four"\n')
        self.assertEqual([process.returncode, len(out.splitlines())], [BAD_INPUT, 2])
        self.assertIn(b'phalanx: error: standard input: line 3: not valid JSON: column 5: ', err)
        self.assertEqual(len(err.splitlines()), 1)

    def test_an_input_that_cannot_be_read_is_no_empty_input(self):
        with open('/proc/self/mem', 'rb') as unreadable:
            process = self.start('decode', stdin=unreadable)
            out, err = process.communicate()
        self.assertEqual([process.returncode, out, err],
                         [BAD_INPUT, b'', b'phalanx: error: cannot read standard input: '
                          b'Input/output error\n'])

    def test_every_subcommand_shows_an_example(self):
        for action in ('train', 'encode', 'decode', 'info'):
            text = self.workspace.program('tokenizer', action, '--help')
            self.assertIn(f'phalanx tokenizer {action} ', text[text.index('Example'):])


if __name__ == '__main__':
    main()
