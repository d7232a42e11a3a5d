'use strict';
// What all charts share: elements, numbers as text, scales, the look of a series.

const report = JSON.parse(document.getElementById('data').textContent);
// `start`: scales also hold the first steps, whose loss lies far above the rest.
const state = {smoothing: 0.35, start: false, hidden: new Set(), charts: []};

function element(name, attributes, ...children) {
  const svg = ['svg', 'g', 'path', 'line', 'rect', 'circle', 'text', 'defs', 'pattern', 'clipPath',
    'title'].includes(name);
  const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined) continue;
    node.append(child);  // text is never read as markup
  }
  return node;
}

const known = (value) => typeof value === 'number' && Number.isFinite(value);

function countText(value) {
  for (const [unit, size] of [['T', 1e12], ['B', 1e9], ['M', 1e6], ['K', 1e3]]) {
    if (Math.abs(value) >= size * 0.99995) return `${trim(value / size)}${unit}`;
  }
  return trim(value);
}

function trim(value) { return String(Number(value.toPrecision(4))); }

function numberText(value) {
  if (!known(value)) return '\u2013';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e5) return countText(value);
  if (size < 1e-3) return value.toExponential(2);
  return size >= 100 ? value.toFixed(1) : size >= 10 ? value.toFixed(2) : value.toFixed(4);
}

function signed(value) { return (value < 0 ? '\u2212' : '+') + numberText(Math.abs(value)); }
function percent(value) { return `${(100 * value).toFixed(1)} %`; }

// About `count` round values from low to high; where they would be fewer than `least`, a finer step.
function ticks(low, high, count, least = 1) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = [0.5, 1, 2, 5, 10].map((factor) => factor * power);
  const wide = steps.findIndex((step) => step >= rough * 0.999);
  const found = multiples(low, high, steps[wide]);
  return found.length < least ? multiples(low, high, steps[wide - 1]) : found;
}

function multiples(low, high, step) {
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) {
    found.push(Number((i * step).toPrecision(12)));
  }
  return found;
}

function tickText(value, all) {
  if (all.length === 1) return trim(value);
  if (Math.max(...all.map(Math.abs)) >= 1e4) return countText(value);
  const gap = all.length > 1 ? Math.abs(all[1] - all[0]) : Math.abs(value);
  if (value !== 0 && gap < 1e-4) return value.toExponential(1);
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(gap || 1) + 1e-9)));
  return value.toFixed(digits).replace('-', '\u2212');
}

function shortened(name, letters) {
  return name.length > letters ? `${name.slice(0, Math.max(1, letters - 1))}\u2026` : name;
}

const DASHES = ['', '8 3', '2 3', '9 3 2 3', '15 4', '5 5', '2 6', '10 3 2 3 2 3'];
// Seven colours and eight dashes: no two of 56 runs look alike, with colours or without.
function styleOf(index) { return {colour: `var(--s${index % 7})`, dash: DASHES[index % 8]}; }

function swatch(style, width = 26) {
  return element('svg', {width, height: 8, viewBox: `0 0 ${width} 8`, 'aria-hidden': 'true',
    style: `flex:none;width:${width}px`},
  style.fill ? element('rect', {width, height: 8, fill: style.fill}) : null,
  element('line', {x1: 0, x2: width, y1: 4, y2: 4, stroke: style.colour, 'stroke-width': 2.4,
    'stroke-dasharray': style.dash}),
  style.points ? element('circle', {cx: width / 2, cy: 4, r: 3.2, fill: style.colour}) : null);
}

const visibleGroups = () => report.groups.map((group, index) => ({...group, index}))
  .filter((group) => !state.hidden.has(group.index));
function membersOf(group) {
  return (group.counted.length > 0 ? group.counted : group.runs).map((run) => report.runs[run]);
}
const lastToken = () => Math.max(1, ...report.runs.map((run) => run.tokens || 0));

// The value at x between the points of a curve; nothing outside of them.
function valueAt(curve, x) {
  const xs = curve.x;
  if (xs.length === 0 || x < xs[0] - 1e-9 || x > xs[xs.length - 1] + 1e-9) return null;
  const right = firstNotBelow(xs, x);
  if (right === 0 || xs[right] === x) return curve.y[right];
  const part = (x - xs[right - 1]) / (xs[right] - xs[right - 1]);
  return curve.y[right - 1] + part * (curve.y[right] - curve.y[right - 1]);
}

function firstNotBelow(sorted, x) {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < x) low = middle + 1; else high = middle;
  }
  return low;
}

function nearestIndex(sorted, x) {
  const right = firstNotBelow(sorted, x);
  return right > 0 && x - sorted[right - 1] < sorted[right] - x ? right - 1 : right;
}

function meanAndSpread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {mean, sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0};
}

// Exponential mean over tokens, of the weight that has come so far, so that it has no lag at 0.
function smoothed(curve, width) {
  if (!(width > 0)) return curve;
  const y = [];
  let sum = 0;
  let weight = 0;
  for (let i = 0; i < curve.x.length; ++i) {
    const gap = curve.x[i] - (i > 0 ? curve.x[i - 1] : curve.x[0] - (curve.x[1] - curve.x[0] || 1));
    const keep = Math.exp(-Math.max(gap, 1e-9) / width);
    sum = sum * keep + curve.y[i] * (1 - keep);
    weight = weight * keep + 1 - keep;
    y.push(sum / weight);
  }
  return {x: curve.x, y};
}

const smoothingWidth = () => state.smoothing ** 2 * 0.25 * lastToken();
