"""Counts the skipped tests in ctest's JUnit report, by reason, in one line.

Usage: skipped_tests.py REPORT.xml

ctest counts a skipped test as passed in its exit code, and says why only in the test's own output. An
executable of GoogleTest is one test to ctest, though it holds many: its cases are counted, in a run that
passed as well. The report has to hold the whole output (--test-output-size-passed).
"""

import collections
import re
import sys
import xml.etree.ElementTree as tree

# A Python check prints "skipped: REASON"; GoogleTest prints "FILE:LINE: Skipped" and then the reason.
SCRIPT_REASON = re.compile(r'^skipped: (.+)$', re.M)
CASE_REASON = re.compile(r'^\S+:\d+: Skipped\n(.+)$', re.M)


def skip_reasons(report):
    """{reason: number of tests} of the skipped tests in the report."""
    reasons = collections.Counter()
    for case in tree.parse(report).getroot().iter('testcase'):
        output = case.findtext('system-out') or ''
        found = CASE_REASON.findall(output)
        if not found and skipped(case):
            found = SCRIPT_REASON.findall(output)[:1] or [f'no reason given by {case.get("name")}']
        reasons.update(reason.strip() for reason in found)
    return reasons


def skipped(case):
    return case.get('status') in ('notrun', 'disabled') or case.find('skipped') is not None


def summary(reasons):
    total = sum(reasons.values())
    details = '; '.join(f'{count} x {reason}' if count > 1 else reason
                        for reason, count in sorted(reasons.items()))
    return f'{total} test{"" if total == 1 else "s"} skipped' + (f' ({details})' if total else '')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(summary(skip_reasons(sys.argv[1])))
