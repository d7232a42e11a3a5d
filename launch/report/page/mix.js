// Planned against realised mixture of a run: two stacked areas over the same tokens.

const sourceStyle = (index) => ({...styleOf(index), dash: ''});

class MixChart extends Frame {
  constructor(parent, runOf) {
    super('Planned and realised mixture',
      'Shares of tokens by source. Above, what the plan wants; below, what the steps read. ' +
      'Synthetic sources are hatched.', parent);
    this.runOf = runOf;
    this.listen();
    this.draw();
  }

  draw() {
    this.begin(400);
    this.mix = this.runOf().curves.mix;
    this.at = null;
    this.left = 58;
    this.right = this.width - 14;
    this.areas = [{what: 'planned', top: 22, bottom: 184},
      {what: 'realised', top: 208, bottom: 362}];
    const ends = this.mix.end;
    if (ends.length === 0) {
      this.text(this.left, 60, 'No mixture is known of this run.', {class: 'soft'});
      return;
    }
    this.last = ends[ends.length - 1];
    this.patterns();
    for (const area of this.areas) this.drawArea(area);
    this.drawTokens(this.areas[1].bottom);
    this.cross = this.add('g', {});
    if (this.table.open) this.fillTable();
  }

  synthetic(source) { return report.sources.find((one) => one.name === source)?.synthetic; }
  styleOf(source) { return sourceStyle(report.sources.findIndex((one) => one.name === source)); }
  count() { return this.mix.end.length; }

  patterns() {
    const defs = this.add('defs', {});
    this.fills = this.mix.sources.map((source, s) => {
      const colour = this.styleOf(source).colour;
      if (!this.synthetic(source)) return colour;
      const id = `hatch${s}`;
      defs.append(element('pattern', {id, width: 8, height: 8, patternUnits: 'userSpaceOnUse',
        patternTransform: 'rotate(45)'},
      element('rect', {width: 8, height: 8, fill: colour}),
      element('rect', {width: 2.4, height: 8, fill: 'var(--panel)', 'fill-opacity': 0.75})));
      return `url(#${id})`;
    });
  }

  // Edges of the source's layer at a stretch, from the bottom: [low, high].
  layer(what, stretch, source) {
    const shares = this.mix[what][stretch];
    let low = 0;
    for (let s = 0; s < source; ++s) low += shares[s] || 0;
    return [low, low + (shares[source] || 0)];
  }

  known(what, stretch) { return this.mix[what][stretch].some((share) => share > 0); }

  drawArea(area) {
    const y = (share) => area.bottom - (area.bottom - area.top) * share;
    this.mix.sources.forEach((source, s) => {
      let path = '';
      for (let i = 0; i < this.count(); ++i) {
        const [low, high] = this.layer(area.what, i, s);
        if (high <= low) continue;
        const [from, to] = [this.px(this.mix.begin[i]), this.px(this.mix.end[i])];
        path += `M${from.toFixed(1)} ${y(low).toFixed(1)}V${y(high).toFixed(1)}` +
          `H${(to + 0.3).toFixed(1)}V${y(low).toFixed(1)}Z`;
      }
      this.add('path', {d: path, fill: this.fills[s]});
      this.label(area.what, s, y);
    });
    for (const share of [0, 0.5, 1]) {
      this.text(this.left - 7, y(share) + 4, `${100 * share} %`, {'text-anchor': 'end',
        class: 'soft'});
    }
    this.text(this.left, area.top - 7, area.what, {'font-weight': 600});
    if (![...Array(this.count()).keys()].some((i) => this.known(area.what, i))) {
      this.text(this.left + 12, (area.top + area.bottom) / 2,
        `not known: see what is said of the run above`, {class: 'soft'});
    }
  }

  // In the middle of the longest stretch over which the layer is nearly at its highest.
  label(what, s, y) {
    const sizes = this.mix[what].map((shares) => shares[s] || 0);
    const enough = 0.8 * Math.max(...sizes);
    let best = [0, 0];
    for (let begin = 0, i = 0; i < this.count(); ++i) {
      if (sizes[i] < enough) begin = i + 1;
      else if (i + 1 - begin > best[1] - best[0]) best = [begin, i + 1];
    }
    const at = Math.floor((best[0] + best[1]) / 2);
    if (enough === 0 || Math.abs(y(1) - y(0)) * sizes[at] < 18) return;
    const [low, high] = this.layer(what, at, s);
    const x = this.px((this.mix.begin[best[0]] + this.mix.end[best[1] - 1]) / 2);
    this.text(Math.min(x, this.right - 40), y((low + high) / 2) + 4, this.mix.sources[s],
      {'text-anchor': 'middle', 'font-weight': 600, 'paint-order': 'stroke',
        stroke: 'var(--paper)', 'stroke-width': 4, 'stroke-linejoin': 'round'});
  }

  point(event) {
    if (this.count() > 0) this.move(firstNotBelow(this.mix.end, this.tokensAt(event)), false);
  }

  move(index, spoken) {
    this.at = index;
    const middle = this.px((this.mix.begin[index] + this.mix.end[index]) / 2);
    this.cross.replaceChildren(element('line', {class: 'cross', x1: middle, x2: middle, y1: 22,
      y2: 362}));
    const lines = this.mix.sources.map((source, s) => {
      const [planned, realised] = this.shares(index, s);
      return {text: `${source} ${planned} planned, ${realised} read`, node: element('div', {},
        swatch({colour: 'none', fill: this.styleOf(source).colour}, 14),
        element('span', {class: 'name'}, source), element('b', {}, `${planned} / ${realised}`))};
    }).reverse();
    const head = `${countText(this.mix.begin[index])}\u2013${countText(this.mix.end[index])} ` +
      'tokens, planned / read';
    this.showTip(middle, 22, head, lines.map((line) => line.node),
      spoken ? `${head}: ${lines.map((line) => line.text).join(', ')}` : '');
  }

  shares(index, source) {
    return ['planned', 'realised'].map((what) => (this.known(what, index)
      ? percent(this.mix[what][index][source] || 0) : '\u2013'));
  }

  tableData() {
    const head = ['tokens', ...this.mix.sources.flatMap((one) => [`${one}, planned`,
      `${one}, read`])];
    return {head, rows: [...Array(this.count()).keys()].map((i) => [
      `${countText(this.mix.begin[i])}\u2013${countText(this.mix.end[i])}`,
      ...this.mix.sources.flatMap((_, s) => this.shares(i, s))])};
  }
}
