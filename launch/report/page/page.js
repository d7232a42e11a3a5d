// The page: what stands where.

const FROM_ZERO = {zero: true, least: 0};  // what is never below it

const root = document.getElementById('report');

function section(title, note) {
  const id = title.toLowerCase().replace(/[^a-z]+/g, '-');
  const body = element('section', {'aria-labelledby': id}, element('h2', {id}, title),
    note ? element('p', {class: 'note'}, note) : null);
  root.append(body);
  document.getElementById('contents').append(element('a', {href: `#${id}`}, title));
  return body;
}

function grid(parent, kind = '') {
  const node = element('div', {class: `grid ${kind}`});
  parent.append(node);
  return node;
}

function redraw() { for (const chart of state.charts) chart.draw(); }

function themeButton() {
  const names = ['auto', 'light', 'dark'];
  const button = element('button', {type: 'button', class: 'theme'}, 'Theme: auto');
  button.addEventListener('click', () => {
    const next = names[(names.indexOf(document.documentElement.dataset.theme || 'auto') + 1) % 3];
    if (next === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    button.textContent = `Theme: ${next}`;
  });
  return button;
}

function smoothingSlider() {
  const shown = element('output', {}, '');
  const slider = element('input', {type: 'range', id: 'smoothing', min: 0, max: 100, step: 1,
    value: 100 * state.smoothing});
  const show = () => {
    state.smoothing = slider.value / 100;
    const width = smoothingWidth();
    shown.textContent = width > 0 ? `over ${countText(width)} tokens` : 'off';
    slider.setAttribute('aria-valuetext', shown.textContent);
  };
  slider.addEventListener('input', () => { show(); redraw(); });
  show();
  return element('label', {}, 'Smoothing', slider, shown);
}

function startSwitch() {
  const box = element('input', {type: 'checkbox', id: 'start'});
  box.addEventListener('change', () => { state.start = box.checked; redraw(); });
  return element('label', {title: 'Scales of losses hold the first tenth of the tokens, too'},
    box, 'Whole loss');
}

function groupKeys() {
  return element('div', {class: 'keys', role: 'group', 'aria-label': 'Show or hide runs'},
    report.groups.map((group, index) => {
      const size = group.runs.length;
      const button = element('button', {type: 'button', class: 'key', 'aria-pressed': 'true',
        title: group.name}, swatch(styleOf(index)),
      element('span', {}, group.name + (size > 1 ? ` (${size} runs)` : '')));
      button.addEventListener('click', () => {
        if (!state.hidden.delete(index)) state.hidden.add(index);
        button.setAttribute('aria-pressed', String(!state.hidden.has(index)));
        redraw();
      });
      return button;
    }));
}

function head() {
  const runs = report.runs.length;
  root.append(element('h1', {}, report.title), element('p', {class: 'note'},
    `${runs} run${runs === 1 ? '' : 's'}, written ${report.made}. Charts are over tokens. ` +
    'Tab goes from chart to chart, arrow keys move the crosshair.'),
  element('nav', {id: 'contents', 'aria-label': 'Contents'}),
  element('div', {class: 'bar'}, groupKeys(), smoothingSlider(), startSwitch(), themeButton()));
}

function problems() {
  const lines = report.runs.flatMap((run) => run.problems.map((text) => ({run, text})));
  if (lines.length === 0) return;
  root.append(element('div', {class: 'problems', role: 'note'}, element('strong', {},
    'Not everything could be read'), element('ul', {}, lines.map(({run, text}) =>
    element('li', {}, element('b', {}, run.label), ` (${run.status}): ${text}`)))));
}

function figureCell(figure) {
  if (figure.n === 0) return element('td', {}, '\u2013');
  const cell = element('td', {}, spreadText(figure));
  if (!figure.verdict) return cell;
  cell.append(element('small', {class: figure.verdict}, verdictText(figure)));
  return cell;
}

function figures() {
  const compared = report.groups.length > 1;
  const body = section('Final figures',
    'Mean \u00b1 standard deviation over the runs of a group, ' +
    'of those that finished. Training loss: nats a target over the last twentieth of the steps. ' +
    'Held-out figures: of the last evaluation.' + (compared ? ' Small: difference from ' +
    `${report.groups[report.baseline].name} with its 95 % interval, seed by seed where all seeds ` +
    'are there; \u201cunclear\u201d where zero lies in it.' : ''));
  const columns = report.measures.map((one, i) => ({...one, i}))
    .filter((one) => compared || one.label);
  const rows = report.groups.map((group) => [
    group.name + (group.complete ? '' : ' *'), element('td', {}, String(group.counted.length)),
    ...columns.map((one) => one.less_is_better ? figureCell(group.figures[one.i])
      : figureCell({...group.figures[one.i], verdict: null}))]);
  body.append(element('div', {class: 'scroll', tabindex: 0, 'data-table': 'figures'},
    tableOf(['runs', 'n', ...columns.map((one) => one.label)], rows)));
  if (report.groups.some((group) => !group.complete)) {
    body.append(element('p', {class: 'note'}, '* not all of its runs have finished'));
  }
  const bits = columns.filter((one) => one.bits);
  if (!compared || bits.length === 0) return;
  const dots = section('Which is better on which source',
    'Bits per byte of the held-out part at the end: a ring a seed, a dot their mean, a bar of ' +
    `one standard deviation on each side. Dashed: ${report.groups[report.baseline].name}, with ` +
    'which the others are compared (95\u00a0% interval).');
  const place = grid(dots, 'wide');
  for (const one of bits) new DotChart(place, one.i);
}

function training() {
  const body = section('Training');
  const stack = element('div', {class: 'stack'});
  body.append(stack);
  new LineChart(stack, {title: 'Loss', unit: 'nats a target', height: 380, series: lossSeries,
    late: true,
    note: 'Lines: training, smoothed; pale: each step, or one standard deviation over seeds. ' +
      'Points: held-out text of all sources. The first steps lie above the scale.'});
  const small = grid(body);
  small.style.marginTop = '14px';
  const one = (title, unit, key, more) => new LineChart(small, {title, unit, height: 250,
    series: () => groupSeries((run) => run.curves[key], {smooth: key !== 'learning_rate'}),
    ...more});
  one('Gradient norm', 'of the mean gradient, before clipping', 'grad_norm', FROM_ZERO);
  one('Learning rate', 'of the step', 'learning_rate', FROM_ZERO);
  one('Throughput', 'tokens/s', 'tokens_per_second', FROM_ZERO);
}

function mixture() {
  const body = section('Mixture');
  const choice = element('select', {id: 'mix-run'}, report.runs.map((run, i) => element('option',
    {value: i}, run.label)));
  const isPlanned = (run) => run.curves.mix.planned.some((shares) => shares.some((one) => one > 0));
  const isRead = (run) => run.curves.mix.end.length > 0;
  const planned = report.runs.findIndex(isPlanned);
  const best = planned >= 0 ? planned : report.runs.findIndex(isRead);
  choice.value = String(Math.max(0, best));
  if (report.runs.length > 1) {
    body.append(element('p', {}, element('label', {}, 'Run', choice)));
  }
  const chart = new MixChart(body, () => report.runs[Number(choice.value)]);
  choice.addEventListener('change', () => chart.draw());
}

function bySource() {
  const has = (name, what) => report.runs.some((run) => {
    const curve = sourceCurve(run, name, what);
    return curve && curve.x.length > 0;
  });
  const multiples = (title, note, what, spec, series) => {
    const names = report.sources.map((one) => one.name).filter((name) => has(name, what));
    if (names.length === 0) return;
    const place = grid(section(title, note));
    for (const name of names) {
      new LineChart(place, {title: `${title}: ${name}`, height: 240, series: () => series(name),
        ...spec});
    }
  };
  const lines = (what, options) => (name) => groupSeries((run) => sourceCurve(run, name, what),
    options);
  multiples('Loss by source', 'Of the training rows of each source.', 'loss',
    {unit: 'nats a target', late: true}, lines('loss', {smooth: true}));
  multiples('Bits per byte by source', 'Of the held-out part of each source.', 'bits',
    {unit: 'bits per byte', late: true}, lines('bits', {points: true}));
  if (report.baseline !== null) {
    const base = report.groups[report.baseline].name;
    multiples(`Difference in bits per byte`, `From ${base} at the same tokens, seed by seed. ` +
      'Below zero: better than it.', 'bits', {unit: `bits per byte, minus ${base}`, zero: true},
    deltaSeries);
  }
  multiples('Epochs by source', 'How often the tokens of a source were read.', 'epochs',
    {unit: 'epochs', ...FROM_ZERO}, lines('epochs'));
}

function configDifferences() {
  if (report.runs.length < 2) return;
  const body = section('Configuration');
  if (report.config.length === 0) {
    body.append(element('p', {}, 'The runs differ in no field.'));
    return;
  }
  const grouped = report.groups.some((group) => group.runs.length > 1);
  const nameOf = ({name, runs}) => (runs.length > 1 ? name : report.runs[runs[0]].label);
  const valuesOf = ({runs}, {values}) => [...new Set(runs.map((run) => values[run] ?? '\u2013'))];
  body.append(element('p', {class: 'note'}, 'Fields in which the runs differ' +
    (grouped ? '; of a group, the values of all its runs.' : '.')),
  element('div', {class: 'scroll', tabindex: 0, 'data-table': 'config'},
    tableOf(['field', ...report.groups.map(nameOf)],
      report.config.map((field) => [field.path,
        ...report.groups.map((group) => valuesOf(group, field).join(', '))]))));
}

function timeline() { new Timeline(section('Timeline')); }

head();
problems();
figures();
training();
mixture();
bySource();
timeline();
configDifferences();
document.documentElement.dataset.drawn = String(state.charts.length);
