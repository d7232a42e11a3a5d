// Final figures with their spread: a line a group, a mark a seed, mean and standard deviation.

class DotChart extends Frame {
  constructor(parent, measure) {
    super(report.measures[measure].label, null, parent);
    this.measure = measure;
    this.svg.setAttribute('aria-label', `${report.measures[measure].label}. Up and down move ` +
      'between groups of runs.');
    this.listen();
    this.draw();
  }

  figure_of(group) { return group.figures[this.measure]; }

  draw() {
    this.rows = visibleGroups().filter((group) => this.figure_of(group).n > 0);
    this.step = 36;
    this.top = 8;
    this.begin(this.top + this.step * this.rows.length + 38);
    this.at = null;
    if (this.rows.length === 0) return;
    const longest = Math.max(...this.rows.map((group) => group.name.length));
    this.left = Math.min(this.width * 0.3, 20 + 7.2 * longest);
    this.right = this.width - Math.min(164, this.width * 0.4);
    this.bottom = this.top + this.step * this.rows.length;
    this.setScale();
    this.drawAxis();
    this.rows.forEach((group, i) => this.drawRow(group, this.top + this.step * (i + 0.5)));
    if (this.table.open) this.fillTable();
  }

  setScale() {
    const values = this.rows.flatMap((group) => {
      const {mean, sd, values: all} = this.figure_of(group);
      return [...(all || []), mean - (sd || 0), mean + (sd || 0)];
    }).filter(known);
    this.low = Math.min(...values);
    this.high = Math.max(...values);
    const pad = (this.high - this.low) * 0.08 || Math.abs(this.high) * 0.05 || 1;
    this.low -= pad;
    this.high += pad;
  }

  px(value) {
    return this.left + (this.right - this.left) * (value - this.low) / (this.high - this.low);
  }

  drawAxis() {
    const xs = ticks(this.low, this.high, (this.right - this.left) / 46);
    for (const x of xs) {
      this.add('line', {class: 'tick', x1: this.px(x), x2: this.px(x), y1: this.top,
        y2: this.bottom});
      this.text(this.px(x), this.bottom + 16, tickText(x, xs), {'text-anchor': 'middle',
        class: 'soft'});
    }
    const base = this.rows.find((group) => group.index === report.baseline);
    if (base) {
      const at = this.px(this.figure_of(base).mean);
      this.add('line', {class: 'cross', x1: at, x2: at, y1: this.top, y2: this.bottom});
    }
    const better = report.measures[this.measure].less_is_better ? ' (less is better)' : '';
    this.text((this.left + this.right) / 2, this.bottom + 32,
      report.measures[this.measure].label.split(',')[0] + better,
      {'text-anchor': 'middle', class: 'soft'});
  }

  drawRow(group, y) {
    const figure = this.figure_of(group);
    const {colour} = styleOf(group.index);
    const room = Math.floor((this.left - 12) / 7.2);
    this.text(this.left - 8, y + 4, shortened(group.name, room), {'text-anchor': 'end',
      style: `fill:${colour}`});
    if (known(figure.sd)) {
      const [a, b] = [this.px(figure.mean - figure.sd), this.px(figure.mean + figure.sd)];
      this.add('path', {d: `M${a} ${y}H${b}M${a} ${y - 6}v12M${b} ${y - 6}v12`, stroke: colour,
        'stroke-width': 2, fill: 'none'});
      for (const value of figure.values) {
        this.add('circle', {cx: this.px(value), cy: y, r: 3.4, fill: 'var(--panel)',
          stroke: colour, 'stroke-width': 1.3});
      }
    }
    this.add('circle', {cx: this.px(figure.mean), cy: y, r: 5, fill: colour});
    const x = this.right + 10;
    this.text(x, y + (figure.verdict ? -3 : 4), spreadText(figure), {});
    if (!figure.verdict) return;
    this.text(x, y + 11, verdictText(figure), {class: `verdict ${figure.verdict}`});
  }

  count() { return this.rows.length; }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    this.move(Math.floor((event.clientY - box.top - this.top) / this.step), false);
  }

  placeOf(key, far) {
    return super.placeOf({ArrowDown: 'ArrowRight', ArrowUp: 'ArrowLeft'}[key] || key, far);
  }

  move(index, spoken) {
    const group = this.rows[index];
    if (!group) return;
    this.at = index;
    const figure = this.figure_of(group);
    const lines = [`mean ${numberText(figure.mean)} of ${figure.n}`];
    if (known(figure.sd)) lines.push(`standard deviation ${Number(figure.sd.toPrecision(3))}`);
    if (figure.verdict) {
      lines.push(`${differenceText(figure)} from ${report.groups[report.baseline].name}: ` +
        figure.verdict);
    }
    this.showTip(this.px(figure.mean), this.top + this.step * (index + 1), group.name,
      lines.map((line) => element('div', {}, line)),
      spoken ? `${group.name}: ${lines.join(', ')}` : '');
  }

  tableData() {
    return {head: ['runs', 'n', 'mean', 'standard deviation', 'values'],
      rows: this.rows.map((group) => {
        const figure = this.figure_of(group);
        return [group.name, String(figure.n), numberText(figure.mean), numberText(figure.sd),
          (figure.values || []).map(numberText).join(', ')];
      })};
  }
}

// "2.6015 +- 0.0021": what all seeds share has no spread.
const spreadText = ({mean, sd}) => numberText(mean) + plusMinus(sd);

// Against the baseline, with half of the 95 % interval.
const differenceText = (figure) => signed(figure.difference) + plusMinus(figure.half_width);

function plusMinus(value) { return value > 0 ? ` \u00b1 ${Number(value.toPrecision(2))}` : ''; }

// A single run has nothing but its difference.
function verdictText(figure) {
  return differenceText(figure) + (figure.verdict === 'one run' ? '' : ` ${figure.verdict}`);
}
