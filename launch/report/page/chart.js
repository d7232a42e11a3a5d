// A chart of lines over tokens: axes, labels at the ends of lines, a crosshair for pointer and
// keyboard.
//
// A series: {name, style, x, y, band: {x, low, high}, faint: {x, y}, points: true, text}.

class LineChart extends Frame {
  constructor(parent, spec) {
    super(spec.title, spec.note, parent);
    this.spec = spec;
    this.listen();
    this.draw();
  }

  draw() {
    this.series = this.spec.series();
    this.begin(this.spec.height || 300);
    this.labelled = this.series.length <= 8 && this.width > 330;
    const longest = Math.max(0, ...this.series.map((one) => one.name.length));
    this.left = 58;
    const room = Math.min(180, this.width * 0.36, 14 + 7.2 * longest);
    this.right = this.width - (this.labelled ? room : 14);
    this.top = 22;
    this.bottom = this.height - 40;
    this.xs = [...new Set(this.series.flatMap((one) => one.x))].sort((a, b) => a - b);
    this.at = null;
    if (this.xs.length === 0) {
      this.text(this.left, 60, 'No values.', {class: 'soft'});
      return;
    }
    this.setScales();
    this.drawAxes();
    this.plot = this.clipped();
    for (const one of this.series) this.drawArea(one);
    for (const one of this.series) this.drawLine(one);
    if (this.labelled) this.drawLabels();
    this.cross = this.add('g', {});
    if (this.table.open) this.fillTable();
  }

  setScales() {
    this.last = Math.max(lastToken(), this.xs[this.xs.length - 1]);
    const values = this.scaledValues();
    let low = Math.min(...values);
    let high = Math.max(...values);
    if (this.spec.zero) { low = Math.min(0, low); high = Math.max(0, high); }
    if (this.spec.least !== undefined) low = Math.max(low, this.spec.least);  // a band knows none
    if (low === high) { low -= Math.abs(low) * 0.1 || 1; high += Math.abs(high) * 0.1 || 1; }
    const pad = (high - low) * 0.05;
    this.low = this.spec.zero && low === 0 ? 0 : low - pad;
    this.high = high + pad;
  }

  // Those that the scale has to hold; of a loss not the first tenth, unless asked for.
  scaledValues() {
    const from = this.spec.late && !state.start ? this.last / 10 : 0;
    const late = (xs, ys) => ys.filter((y, i) => known(y) && xs[i] >= from);
    const values = this.series.flatMap((one) => [...late(one.x, one.y),
      ...(one.band ? late(one.band.x, one.band.low) : []),
      ...(one.band ? late(one.band.x, one.band.high) : [])]);
    return values.length > 0 ? values : this.series.flatMap((one) => one.y).filter(known);
  }

  py(y) {
    return this.bottom - (this.bottom - this.top) * (y - this.low) / (this.high - this.low);
  }
  inside(y) { return Math.min(this.bottom, Math.max(this.top, this.py(y))); }

  drawAxes() {
    const ys = ticks(this.low, this.high, (this.bottom - this.top) / 44, 3);
    for (const y of ys) {
      const at = this.py(y).toFixed(1);
      const zero = y === 0 && this.low < 0;
      this.add('line', {class: zero ? 'zero' : 'tick', x1: this.left, x2: this.right, y1: at,
        y2: at});
      this.text(this.left - 7, this.py(y) + 4, tickText(y, ys), {'text-anchor': 'end',
        class: 'soft'});
    }
    this.drawTokens(this.bottom, 62);
    this.add('line', {class: 'axis', x1: this.left, x2: this.right, y1: this.bottom,
      y2: this.bottom});
    this.text(this.left, 12, this.spec.unit, {class: 'soft'});
  }

  // What lies above the scale is cut off, not bent.
  clipped() {
    const id = `clip${state.charts.indexOf(this)}`;
    this.add('clipPath', {id}, element('rect', {x: this.left - 4, y: this.top - 4,
      width: this.right - this.left + 8, height: this.bottom - this.top + 8}));
    return this.add('g', {'clip-path': `url(#${id})`});
  }

  pathOf(xs, ys) {
    let path = '';
    let open = false;
    for (let i = 0; i < xs.length; ++i) {
      if (!known(ys[i])) { open = false; continue; }
      path += `${open ? 'L' : 'M'}${this.px(xs[i]).toFixed(1)} ${this.py(ys[i]).toFixed(1)}`;
      open = true;
    }
    return path;
  }

  drawArea(one) {
    if (one.band) {
      const {x, low, high} = one.band;
      const forth = this.pathOf(x, high);
      const back = this.pathOf([...x].reverse(), [...low].reverse()).replace('M', 'L');
      this.plot.append(element('path', {d: `${forth}${back}Z`, fill: one.style.colour,
        'fill-opacity': 0.16}));
    }
    if (one.faint) {
      this.plot.append(element('path', {d: this.pathOf(one.faint.x, one.faint.y), fill: 'none',
        stroke: one.style.colour, 'stroke-opacity': 0.3, 'stroke-width': 1}));
    }
  }

  drawLine(one) {
    this.plot.append(element('path', {d: this.pathOf(one.x, one.y), fill: 'none',
      stroke: one.style.colour, 'stroke-width': one.points ? 1.4 : 2,
      'stroke-dasharray': one.style.dash, 'stroke-linejoin': 'round'}));
    if (!one.points) return;
    one.x.forEach((x, i) => known(one.y[i]) && this.plot.append(element('circle', {
      cx: this.px(x).toFixed(1), cy: this.py(one.y[i]).toFixed(1), r: 3, fill: one.style.colour,
      stroke: 'var(--panel)'})));
  }

  drawLabels() {
    const labels = this.series.map((one) => {
      const last = one.y.reduce((found, y, i) => (known(y) ? i : found), -1);
      return last < 0 ? null : {one, x: this.px(one.x[last]), y: this.inside(one.y[last])};
    }).filter(Boolean).sort((a, b) => a.y - b.y);
    let next = this.top;
    for (const label of labels) { label.at = Math.max(label.y, next); next = label.at + 14; }
    next = this.bottom + 2;
    for (const label of labels.reverse()) {
      label.at = Math.min(label.at, next);
      next = label.at - 14;
      this.add('line', {x1: label.x + 2, y1: label.y, x2: this.right + 5, y2: label.at,
        stroke: label.one.style.colour, 'stroke-opacity': 0.6});
      const room = Math.floor((this.width - this.right - 8) / 7.2);
      this.text(this.right + 8, label.at + 4, shortened(label.one.name, room),
        {style: `fill:${label.one.style.colour}`});
    }
  }

  point(event) {
    if (this.count() > 0) this.move(nearestIndex(this.xs, this.tokensAt(event)), false);
  }

  count() { return this.xs.length; }
  stride(far) { return Math.max(1, Math.round((this.count() - 1) / (far ? 10 : 60))); }

  move(index, spoken) {
    this.at = index;
    const x = this.xs[index];
    this.cross.replaceChildren(element('line', {class: 'cross', x1: this.px(x), x2: this.px(x),
      y1: this.top, y2: this.bottom}));
    const lines = [];
    const words = [];
    for (const one of this.series) {
      const y = valueAt(one, x);
      if (!known(y)) continue;
      this.cross.append(element('circle', {cx: this.px(x), cy: this.inside(y), r: 3.5,
        fill: one.style.colour, stroke: 'var(--paper)'}));
      lines.push({y, node: element('div', {}, swatch({...one.style, points: one.points}),
        element('span', {class: 'name'}, one.name), element('b', {}, numberText(y)))});
      words.push(`${one.name} ${numberText(y)}`);
    }
    lines.sort((a, b) => b.y - a.y);
    const shown = lines.slice(0, 16).map((one) => one.node);
    if (lines.length > 16) shown.push(element('div', {}, `and ${lines.length - 16} more`));
    this.showTip(this.px(x), this.top, `${countText(x)} tokens`, shown,
      spoken ? `${countText(x)} tokens: ${words.join(', ')}` : '');
  }

  tableData() {
    const count = Math.min(24, this.xs.length);
    const places = [...Array(count).keys()].map((i) => this.xs[count === 1 ? 0
      : Math.round(i * (this.xs.length - 1) / (count - 1))]);
    return {head: ['tokens', ...this.series.map((one) => one.name)],
      rows: places.map((x) => [countText(x),
        ...this.series.map((one) => numberText(valueAt(one, x)))])};
  }
}
