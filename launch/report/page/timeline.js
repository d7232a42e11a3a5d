// Checkpoints and faults of all runs: a lane a run.

const MARKS = {
  start: {text: 'start', path: 'M-4 -5L5 0L-4 5Z', colour: 'var(--s2)'},
  resume: {text: 'resumed, or went back', path: 'M-4 -5L5 0L-4 5Z', colour: 'var(--s0)'},
  save: {text: 'a save begins', path: 'M-1 -6h2v12h-2Z', colour: 'var(--s6)'},
  checkpoint: {text: 'checkpoint that is there', path: 'M-4 -4h8v8h-8Z', colour: 'var(--s6)'},
  skipped: {text: 'step without update', path: 'M-5 -5L5 5M5 -5L-5 5', colour: 'var(--s1)',
    line: true},
  again: {text: 'step computed again', path: 'M-5 0H5M0 -5V5', colour: 'var(--s4)', line: true},
  straggler: {text: 'slow rank', path: 'M0 -6L5 0L0 6L-5 0Z', colour: 'var(--s4)'},
  save_failed: {text: 'failed save', path: 'M-5 4L0 -5L5 4Z', colour: 'var(--s1)'},
  ended: {text: 'an attempt ended', path: 'M-5 -5H5V5H-5ZM-2 -2L2 2M2 -2L-2 2',
    colour: 'var(--bad)', line: true},
  done: {text: 'finished under supervision', path: 'M-5 0L-1 4L6 -5', colour: 'var(--s2)',
    line: true},
};

function mark(kind) {
  const {path, colour, line} = MARKS[kind];
  return element('path', {d: path, fill: line ? 'none' : colour, stroke: colour,
    'stroke-width': line ? 2 : 0.5});
}

class Timeline extends Frame {
  constructor(parent) {
    super('Checkpoints and faults', 'A lane a run, over tokens. Left and right move between the ' +
      'events of a lane, up and down between lanes.', parent);
    this.listen();
    this.svg.before(this.keys());
    this.draw();
  }

  keys() {
    const kinds = new Set(report.runs.flatMap((run) =>
      run.curves.events.map((one) => one.kind)));
    return element('div', {class: 'keys', style: 'display:flex;flex-wrap:wrap;gap:2px 16px;' +
      'font-size:12px;margin:4px 0'},
    [...kinds].filter((kind) => MARKS[kind]).map((kind) => element('span',
      {style: 'display:inline-flex;gap:6px;align-items:center'},
      element('svg', {width: 14, height: 14, viewBox: '-7 -7 14 14', 'aria-hidden': 'true',
        style: 'width:14px;flex:none'}, mark(kind)), MARKS[kind].text)));
  }

  draw() {
    this.runs = visibleGroups().flatMap((group) => group.runs.map((i) => ({run: report.runs[i],
      style: styleOf(group.index)})));
    this.step = 24;
    this.top = 6;
    this.begin(this.top + this.step * this.runs.length + 38);
    this.lane = 0;
    this.at = null;
    const longest = Math.max(4, ...this.runs.map(({run}) => run.label.length));
    this.left = Math.min(this.width * 0.3, 16 + 7.2 * longest);
    this.right = this.width - 24;
    this.last = Math.max(lastToken(), ...report.runs.map((run) => run.planned_tokens || 0));
    this.runs.forEach((one, i) => this.drawLane(one, this.top + this.step * (i + 0.5)));
    this.drawTokens(this.top + this.step * this.runs.length);
    this.cross = this.add('g', {});
    if (this.table.open) this.fillTable();
  }

  drawLane({run, style}, y) {
    const room = Math.floor((this.left - 10) / 7.2);
    const name = run.label.length > room ? `\u2026${run.label.slice(1 - room)}` : run.label;
    this.text(this.left - 10, y + 4, name, {'text-anchor': 'end', style: `fill:${style.colour}`});
    if (run.planned_tokens > 0) {
      this.add('line', {class: 'axis', x1: this.px(0), x2: this.px(run.planned_tokens), y1: y,
        y2: y});
    }
    if (run.tokens > 0) {
      this.add('line', {x1: this.px(0), x2: this.px(run.tokens), y1: y, y2: y, 'stroke-width': 3,
        stroke: style.colour, 'stroke-opacity': 0.45});
    } else {
      this.text(this.px(0) + 8, y + 4, `${run.status}: ${run.problems[0] || ''}`.slice(0, 110),
        {style: 'fill:var(--bad)'});
    }
    for (const event of run.curves.events) {
      if (!MARKS[event.kind]) continue;
      this.add('g', {transform: `translate(${this.px(event.x).toFixed(1)} ${y})`},
        mark(event.kind));
    }
  }

  events() { return this.runs[this.lane]?.run.curves.events || []; }
  count() { return this.events().length; }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const lane = Math.floor((event.clientY - box.top - this.top) / this.step);
    if (!this.runs[lane]) {  // on the axis below
      this.leave();
      return;
    }
    this.lane = lane;
    const x = event.clientX - box.left;
    const distances = this.events().map((one) => Math.abs(this.px(one.x) - x));
    const best = distances.indexOf(Math.min(...distances));
    if (best >= 0 && distances[best] < 12) this.move(best, false); else this.leave();
  }

  placeOf(key, far) {
    const lanes = {ArrowDown: 1, ArrowUp: -1}[key];
    if (lanes === undefined) return super.placeOf(key, far);
    this.leave();
    this.lane = Math.max(0, Math.min(this.runs.length - 1, this.lane + lanes));
    return super.placeOf('Home', far);
  }

  move(index, spoken) {
    this.at = index;
    const {run} = this.runs[this.lane];
    const event = this.events()[index];
    const y = this.top + this.step * (this.lane + 0.5);
    this.cross.replaceChildren(element('circle', {cx: this.px(event.x), cy: y, r: 10, fill: 'none',
      stroke: 'var(--ink)'}));
    const words = `step ${event.step}, ${countText(event.x)} tokens: ${event.text}`;
    this.showTip(this.px(event.x), y + 14, run.label, [element('div', {}, words)],
      spoken ? `${run.label}, ${words}` : '');
  }

  tableData() {
    return {head: ['run', 'step', 'tokens', 'what'], rows: this.runs.flatMap(({run}) =>
      run.curves.events.map((event) => [run.label, String(event.step), countText(event.x),
        event.text]))};
  }
}
