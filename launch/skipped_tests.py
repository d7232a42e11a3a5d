"""Counts the skipped tests in ctest's JUnit report, by reason, in one line.

Usage: skipped_tests.py REPORT.xml

ctest counts a skipped test as passed in its exit code, and says why only in the test's own output.
"""

import collections
import re
import sys
import xml.etree.ElementTree as tree

# A Python check prints "skipped: REASON"; GoogleTest prints "FILE:LINE: Skipped" and then the reason.
REASON = re.compile(r'^skipped: (.+)$|: Skipped\n(.+)$', re.M)


def skip_reasons(report):
    """{reason: number of tests} of the skipped tests in the report."""
    reasons = collections.Counter()
    for case in tree.parse(report).getroot().iter('testcase'):
        if case.get('status') not in ('notrun', 'disabled') and case.find('skipped') is None:
            continue
        found = REASON.search(case.findtext('system-out') or '')
        reason = (found[1] or found[2]).strip() if found else f'no reason given by {case.get("name")}'
        reasons[reason] += 1
    return reasons


def summary(reasons):
    total = sum(reasons.values())
    details = '; '.join(f'{count} x {reason}' if count > 1 else reason
                        for reason, count in sorted(reasons.items()))
    return f'{total} test{"" if total == 1 else "s"} skipped' + (f' ({details})' if total else '')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(summary(skip_reasons(sys.argv[1])))
