"""Draws the loss curves of two runs, and how far they are apart, as one SVG picture for light and
dark paper."""

import math

WIDTH, HEIGHT, LEFT, RIGHT = 1000, 600, 74, 976
TOP, MIDDLE = 92, 352  # of the losses
LOWER_TOP, BOTTOM = 400, 536  # of the difference
OURS, THEIRS, APART = '#2f7ac6', '#d9791f', '#7a5bb5'

STYLE = """\
.paper{fill:#ffffff}.ink{fill:#1d2530}.soft{fill:#5d6877}.grid{stroke:#e2e6ec}.edge{stroke:#8a94a3}
@media (prefers-color-scheme: dark){.paper{fill:#12161c}.ink{fill:#e8ecf2}.soft{fill:#a3aebc}
.grid{stroke:#2a323d}.edge{stroke:#6d7886}.series{filter:brightness(1.4)}}"""


class Panel:
    """A rectangle with a scale of its own; x is steps, from 1."""

    def __init__(self, top, bottom, low, high, num_steps):
        self.top, self.bottom, self.low, self.high = top, bottom, low, high
        self.num_steps = num_steps

    def x(self, step):
        return LEFT + (RIGHT - LEFT) * step / self.num_steps

    def y(self, value):
        part = (value - self.low) / (self.high - self.low)
        return self.bottom - (self.bottom - self.top) * min(max(part, 0.0), 1.0)

    def line(self, values, colour, more=''):
        points = 'L'.join(f'{self.x(i):.1f} {self.y(v):.1f}' for i, v in enumerate(values, 1))
        return (f'<path class="series" fill="none" stroke="{colour}" {more} d="M{points}"/>\n')

    def axis(self, ticks):
        return ''.join(
            f'<path class="grid" d="M{LEFT} {self.y(at):.1f}H{RIGHT}"/>'
            f'<text class="soft" x="{LEFT - 7}" y="{self.y(at) + 4:.1f}" '
            f'text-anchor="end">{name}</text>\n' for at, name in ticks)


def text(x, y, words, style='ink', anchor='start', more=''):
    return (f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{words}'
            '</text>\n')


def exponent(power):
    return f'10<tspan dy="-5" font-size="9">{power}</tspan>'


def loss_panel(ours, theirs):
    high = math.ceil(max(ours + theirs))
    panel = Panel(TOP, MIDDLE, 0, high, len(ours))
    return (panel.axis([(value, f'{value}') for value in range(high + 1)])
            + text(LEFT, TOP - 12, 'loss, nats a target', 'soft')
            + panel.line(theirs, THEIRS, 'stroke-width="4.5" stroke-opacity=".55"')
            + panel.line(ours, OURS, 'stroke-width="1.4"'))


def difference_panel(ours, theirs, limit):
    apart = [max(abs(a - b) / b, 1e-12) for a, b in zip(ours, theirs)]
    low = math.floor(math.log10(min(value for value in apart if value > 1e-12)))
    high = math.ceil(math.log10(max(limit, *apart)))
    panel = Panel(LOWER_TOP, BOTTOM, low, high, len(ours))
    y = panel.y(math.log10(limit))
    worst = max(range(len(apart)), key=apart.__getitem__)
    return (panel.axis([(power, exponent(power)) for power in range(low, high + 1)])
            + text(LEFT, LOWER_TOP - 12, 'relative difference of the losses', 'soft')
            + panel.line([math.log10(value) for value in apart], APART, 'stroke-width="1.4"')
            + f'<path class="edge" stroke-dasharray="6 4" d="M{LEFT} {y:.1f}H{RIGHT}"/>\n'
            + text(RIGHT, y + 14, f'allowed: {limit:g}; found at most {apart[worst]:.1e}, '
                   f'at step {worst + 1}', 'ink', 'end'))


def steps_axis(num_steps, stage_edge):
    panel = Panel(TOP, BOTTOM, 0, 1, num_steps)
    ticks = ''.join(
        f'<path class="edge" d="M{panel.x(step):.1f} {BOTTOM}v5"/>'
        + text(panel.x(step), BOTTOM + 19, str(step), 'soft', 'middle')
        for step in range(0, num_steps + 1, 50))
    edge = panel.x(stage_edge)
    return (ticks + text(RIGHT, BOTTOM + 36, 'steps', 'soft', 'end')
            + f'<path class="edge" d="M{edge:.1f} {TOP}V{BOTTOM}"/>\n'
            + text(edge + 6, TOP + 12, 'second stage: longer rows, another rope_theta',
                   'soft'))


def legend():
    at = BOTTOM + 36
    return (f'<path class="series" stroke="{THEIRS}" stroke-width="4.5" stroke-opacity=".55" '
            f'd="M{LEFT} {at - 4}h26"/>' + text(LEFT + 33, at, 'transformers and torch.optim.AdamW')
            + f'<path class="series" stroke="{OURS}" stroke-width="1.4" '
            f'd="M{LEFT + 270} {at - 4}h26"/>' + text(LEFT + 303, at, 'phalanx'))


def draw(ours, theirs, limit, stage_edge):
    """The picture of two lists of losses, by step; `limit` is the relative difference allowed, the
    second stage begins after step `stage_edge`."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="Helvetica, Arial, sans-serif" '
            f'font-size="12">\n<style>{STYLE}</style>\n'
            '<rect class="paper" width="100%" height="100%"/>\n'
            + text(LEFT, 32, 'The same training twice', more=' font-size="17" font-weight="bold"')
            + text(LEFT, 52, f'{len(ours)} steps in fp32 from the same weights on the same rows.',
                   'soft')
            + loss_panel(ours, theirs) + difference_panel(ours, theirs, limit)
            + steps_axis(len(ours), stage_edge) + legend() + '</svg>\n')
