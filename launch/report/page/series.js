// From runs and groups of runs to the lines that are drawn.

// `pick` gives a run's curve; of several runs the mean, and a band of one standard deviation.
function groupSeries(pick, options = {}) {
  const width = options.smooth ? smoothingWidth() : 0;
  return visibleGroups().flatMap((group) => {
    const curves = membersOf(group).map(pick).filter((curve) => curve && curve.x.length > 0);
    if (curves.length === 0) return [];
    const name = group.name + (options.suffix || '');
    const style = styleOf(group.index);
    if (curves.length > 1) return [{name, style, points: options.points, ...meanOf(curves, width)}];
    const line = smoothed(curves[0], width);
    const one = {name, style, points: options.points, x: line.x, y: line.y};
    if (curves[0].low) one.band = curves[0];
    else if (width > 0) one.faint = curves[0];
    return [one];
  });
}

// Over the stretch that all of the curves cover.
function meanOf(curves, width) {
  const lines = curves.map((curve) => smoothed(curve, width));
  const last = Math.min(...lines.map((line) => line.x[line.x.length - 1]));
  const first = Math.max(...lines.map((line) => line.x[0]));
  const x = lines[0].x.filter((at) => at >= first && at <= last);
  const spreads = x.map((at) =>
    meanAndSpread(lines.map((line) => valueAt(line, at)).filter(known)));
  return {x, y: spreads.map((one) => one.mean), band: {x,
    low: spreads.map((one) => one.mean - one.sd),
    high: spreads.map((one) => one.mean + one.sd)}};
}

// Training and validation in one chart: the latter with points.
function lossSeries() {
  const train = groupSeries((run) => run.curves.loss, {smooth: true, suffix: ' train'});
  const held = groupSeries((run) => run.curves.validation, {points: true, suffix: ' held out'});
  return [...train, ...held];
}

function sourceCurve(run, source, what) {
  const entry = run.curves.sources[source];
  return entry ? entry[what] : null;
}

// Below zero: fewer bits than the baseline at the same tokens. Seeds are compared one by one.
function deltaSeries(source) {
  const base = report.groups[report.baseline];
  const references = membersOf(base);
  return visibleGroups().filter((group) => group.index !== report.baseline).flatMap((group) => {
    const curves = membersOf(group).map((run) => {
      const same = references.find((other) => other.seed === run.seed);
      const from = same ? [same] : references;
      return differenceCurve(sourceCurve(run, source, 'bits'),
        from.map((other) => sourceCurve(other, source, 'bits')).filter(Boolean));
    }).filter((curve) => curve && curve.x.length > 0);
    if (curves.length === 0) return [];
    const style = styleOf(group.index);
    const line = curves.length > 1 ? meanOf(curves, 0) : curves[0];
    return [{name: group.name, style, points: true, ...line}];
  });
}

function differenceCurve(curve, references) {
  if (!curve || references.length === 0) return null;
  const found = {x: [], y: []};
  curve.x.forEach((x, i) => {
    const others = references.map((other) => valueAt(other, x)).filter(known);
    if (others.length === 0 || !known(curve.y[i])) return;
    found.x.push(x);
    found.y.push(curve.y[i] - meanAndSpread(others).mean);
  });
  return found;
}
