// What a chart stands in: title, drawing, tip, what is spoken, the same values as a table; and how
// keys and pointer move over it.

class Frame {
  constructor(title, note, parent) {
    this.svg = element('svg', {tabindex: 0, role: 'group', 'aria-roledescription': 'chart',
      'aria-label': `${title}. Arrow keys move the crosshair, Home and End go to its ends.`});
    this.tip = element('div', {class: 'tip', hidden: ''});
    this.live = element('div', {class: 'hidden-text', 'aria-live': 'polite'});
    this.table = element('details', {}, element('summary', {}, 'Values as a table'));
    this.figure = element('figure', {'data-chart': title}, element('h3', {}, title),
      note ? element('figcaption', {}, note) : null, this.svg, this.tip, this.live, this.table);
    this.table.addEventListener('toggle', () => this.fillTable());
    parent.append(this.figure);
    state.charts.push(this);
    new ResizeObserver(() => {
      if (this.svg.clientWidth !== this.width) this.draw();
    }).observe(this.figure);
  }

  begin(height) {
    this.width = Math.max(260, this.svg.clientWidth);
    this.height = height;
    this.svg.setAttribute('height', height);
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${height}`);
    this.svg.replaceChildren();
    this.hideTip();
  }

  add(name, attributes, ...children) {
    const node = element(name, attributes, ...children);
    this.svg.append(node);
    return node;
  }

  text(x, y, content, attributes) {
    return this.add('text', {x: x.toFixed(1), y: y.toFixed(1), ...attributes}, content);
  }

  // For a chart that has `count()` places to stand at, `move(place, spoken)` and `point(event)`.
  listen() {
    this.svg.addEventListener('pointermove', (event) => this.point(event));
    for (const name of ['pointerleave', 'blur']) {
      this.svg.addEventListener(name, () => this.leave());
    }
    this.svg.addEventListener('keydown', (event) => this.key(event));
  }

  key(event) {
    if (event.key === 'Escape') this.leave();
    const to = this.placeOf(event.key, event.shiftKey);
    if (to === undefined) return;
    event.preventDefault();
    this.move(Math.min(this.count() - 1, Math.max(0, to)), true);
  }

  // Where a key leads from here, perhaps beyond the ends.
  placeOf(key, far) {
    const last = this.count() - 1;
    if (last < 0) return undefined;
    const step = this.stride(far);
    return {ArrowRight: this.at === null ? 0 : this.at + step,
      ArrowLeft: this.at === null ? last : this.at - step, Home: 0, End: last}[key];
  }

  stride(far) { return far ? Math.ceil(this.count() / 10) : 1; }

  leave() {
    this.at = null;
    this.cross?.replaceChildren();
    this.hideTip();
  }

  // Of a chart over tokens, from `left` to `right`, 0 to `last`.
  px(x) { return this.left + (this.right - this.left) * x / this.last; }

  tokensAt(event) {
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    return (x - this.left) / (this.right - this.left) * this.last;
  }

  drawTokens(bottom, gap = 90) {
    for (const x of ticks(0, this.last, (this.right - this.left) / gap)) {
      this.add('line', {class: 'axis', x1: this.px(x), x2: this.px(x), y1: bottom,
        y2: bottom + 5});
      this.text(this.px(x), bottom + 18, countText(x), {'text-anchor': 'middle', class: 'soft'});
    }
    this.text((this.left + this.right) / 2, bottom + 34, 'tokens', {'text-anchor': 'middle',
      class: 'soft'});
  }

  // At x and y of the chart.
  showTip(x, y, head, lines, spoken) {
    this.tip.replaceChildren(element('strong', {}, head), ...lines);
    this.tip.hidden = false;
    const outer = this.figure.getBoundingClientRect();
    const inner = this.svg.getBoundingClientRect();
    const left = inner.left - outer.left + x;
    const room = this.figure.clientWidth;
    const size = this.tip.offsetWidth;
    const fits = left + 14 + size < room;
    this.tip.style.left = `${fits ? left + 14 : Math.max(4, left - size - 14)}px`;
    this.tip.style.top = `${inner.top - outer.top + y}px`;
    if (spoken) this.live.textContent = spoken;
  }

  hideTip() { this.tip.hidden = true; }

  fillTable() {
    const {head, rows} = this.tableData();
    this.table.querySelector('.scroll')?.remove();
    if (!this.table.open) return;
    this.table.append(element('div', {class: 'scroll', tabindex: 0}, tableOf(head, rows)));
  }
}

function tableOf(head, rows) {
  return element('table', {},
    element('thead', {}, element('tr', {}, head.map((cell) => element('th', {scope: 'col'},
      cell)))),
    element('tbody', {}, rows.map((row) => element('tr', {}, row.map((cell, i) => i === 0
      ? element('th', {scope: 'row'}, cell) : cell instanceof Node ? cell
        : element('td', {}, cell))))));
}
