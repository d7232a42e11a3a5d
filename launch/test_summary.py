"""Counts the skipped tests in ctest's JUnit report, by reason, and the faults that tests made and that
phalanx bore, by kind: a line each.

Usage: test_summary.py REPORT.xml

ctest counts a skipped test as passed in its exit code, and says why only in the test's own output. An
executable of GoogleTest is one test to ctest, though it holds many: its cases are counted, in a run that
passed as well. A test prints "faults: 12 ranks killed" once it has seen that all of them were borne; those
of tests that failed do not count. The report has to hold the whole output (--test-output-size-passed).
"""

import collections
import re
import sys
import xml.etree.ElementTree as tree

# A Python check prints "skipped: REASON"; GoogleTest prints "FILE:LINE: Skipped" and then the reason.
SCRIPT_REASON = re.compile(r'^skipped: (.+)$', re.M)
FAULTS = re.compile(r'^(?:\d+: )?faults: (\d+) (.+)$', re.M)
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


def faults(report):
    """{kind: number of faults} of the tests that passed."""
    kinds = collections.Counter()
    for case in tree.parse(report).getroot().iter('testcase'):
        if case.find('failure') is None and not skipped(case):
            for number, kind in FAULTS.findall(case.findtext('system-out') or ''):
                kinds[kind.strip()] += int(number)
    return kinds


def summary(reasons):
    total = sum(reasons.values())
    details = '; '.join(f'{count} x {reason}' if count > 1 else reason
                        for reason, count in sorted(reasons.items()))
    return f'{total} test{"" if total == 1 else "s"} skipped' + (f' ({details})' if total else '')


def fault_summary(kinds):
    details = ', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))
    return f'{sum(kinds.values())} faults made and borne ({details})'


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(summary(skip_reasons(sys.argv[1])))
    borne = faults(sys.argv[1])
    if borne:
        print(fault_summary(borne))
