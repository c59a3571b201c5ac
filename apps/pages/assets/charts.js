// Charts of numbers over epochs, and bars, drawn by Chart.js. Each is a figure that the page has already, with its heading:
//
//   lineChart(figure, spec)  spec: {title, format: "number" | "share" | "count", lines: [{label, run, role, x, y, lower, upper, best}]}
//   barChart(figure, spec)   spec: {title, x: [texts], y: [counts]}
//
// Values stand under the pointer. With the keyboard the canvas is a slider: arrows go from epoch to epoch, Home and End to the
// first and the last. Below it all values are a table, which is made when it is opened. In a build without Chart.js, and where
// the library cannot be used, the table is all there is.
"use strict";

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 5], [4, 2, 4, 6]];

// Curves differ in colour and in dash; 50 pairs are different.
function curveStyle(line, place) {
  if (line.role === "reference") return {color: "soft", dash: [3, 4], width: 1.25};
  return {color: classStyle(place).color, dash: DASHES[(place + Math.floor(place / COLORS.length)) % DASHES.length], width: 2};
}

function figureText(value, format) {
  if (!Number.isFinite(value)) return decimal(NaN);
  if (format === "share") return percent(value, 1);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return integer(value);
  if (format === "count" && size >= 10) return integer(value);
  return decimal(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : size >= 0.01 ? 4 : 5);
}

// The place of the value that is nearest to `x` in an ascending list.
function nearestPlace(list, x) {
  let low = 0, high = list.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < x) low = middle + 1; else high = middle;
  }
  return low > 0 && x - list[low - 1] <= list[low] - x ? low - 1 : low;
}

function allEpochs(lines) {
  const epochs = new Set();
  for (const line of lines) for (const x of line.x) epochs.add(x);
  return [...epochs].sort((a, b) => a - b);
}

function bestEpochs(lines) {
  return new Set(lines.filter((line) => line.best).map((line) => line.best[0]));
}

// The epoch that all lines have as their best; null if there is none, or if runs have different ones.
function commonBest(lines) {
  const epochs = bestEpochs(lines);
  return epochs.size === 1 && lines.every((line) => line.run === lines[0].run) ? [...epochs][0] : null;
}

// Beside the pointer there is no room for names of any length; legend and table have them whole.
function cutLabel(text) {
  const letters = [...text];
  return letters.length <= 36 ? text : letters.slice(0, 20).join("") + "…" + letters.slice(-15).join("");
}

function lineSample(style) {
  return svgEl("svg", {width: 30, height: 10, viewBox: "0 0 30 10", "aria-hidden": "true"},
               svgEl("line", {x1: 0, x2: 30, y1: 5, y2: 5, "stroke-width": style.width + 0.5,
                              "stroke-dasharray": style.dash.length ? style.dash.join(" ") : null,
                              style: `stroke: var(--${style.color})`}));
}

function curveLegend(lines, styles) {
  if (lines.length < 2) return null;
  return el("ul", {class: "legend"},
            lines.map((line, i) => el("li", {class: "key"}, lineSample(styles[i]), el("span", {class: "name"}, line.label))));
}

function fillValues(box, spec) {
  const lines = spec.lines, best = commonBest(lines);
  const values = lines.map((line) => new Map(line.x.map((x, i) => [x, line.y[i]])));
  const head = el("tr", null, el("th", {scope: "col"}, "epoch"),
                  lines.map((line) => el("th", {scope: "col", class: "number"}, el("span", {class: "name"}, line.label))));
  const rows = allEpochs(lines).map((epoch) => el("tr", null,
    el("th", {scope: "row"}, integer(epoch), epoch === best ? " (best)" : null),
    values.map((of_line) => el("td", {class: "number"}, of_line.has(epoch) ? figureText(of_line.get(epoch), spec.format) : ""))));
  fill(box, el("table", null, el("thead", null, head), el("tbody", null, rows)));
}

// A table that is made when it is opened: of twenty charts with 600 rows each, few are looked at.
function valuesBelow(title, make, isOpen) {
  const box = el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "values of " + title});
  const details = el("details", null, el("summary", null, "Values"), box);
  const show = () => { if (details.open && !box.firstChild) make(box); };
  details.addEventListener("toggle", show);
  details.open = isOpen;
  show();
  return details;
}

const drawnCharts = [];

function hasCharts() {
  return typeof Chart !== "undefined";
}

function chartFonts() {
  return {family: getComputedStyle(document.body).fontFamily, size: 12};
}

function chartScale(title, callback) {
  return {
    title: {display: Boolean(title), text: title, color: color("soft"), font: chartFonts()},
    grid: {color: color("line"), borderColor: color("edge"), tickColor: color("line")},
    ticks: {color: color("soft"), font: chartFonts(), maxRotation: 0, callback},
  };
}

function tooltipStyle(callbacks) {
  return {
    backgroundColor: color("ground"), borderColor: color("edge"), borderWidth: 1, titleColor: color("ink"),
    bodyColor: color("ink"), titleFont: {...chartFonts(), weight: "600"}, bodyFont: chartFonts(), padding: 8, boxPadding: 4,
    caretSize: 0, caretPadding: 14, yAlign: "center", usePointStyle: false, callbacks,
  };
}

// Makes the chart now, and again whenever the colours of the page change.
function keepDrawn(canvas, configuration) {
  const kept = {chart: null};
  const draw = () => {
    if (kept.chart) kept.chart.destroy();
    kept.chart = new Chart(canvas, configuration());
  };
  draw();
  onScheme(draw);
  drawnCharts.push(kept);
  return kept;
}

// A printed page is narrower than the window; it is not laid out yet when it asks for this.
addEventListener("beforeprint", () => drawnCharts.forEach((kept) => kept.chart.resize(330, 262)));
addEventListener("afterprint", () => drawnCharts.forEach((kept) => kept.chart.resize()));

// Under the pointer: of each line the point of that epoch, or the nearest one if the line was thinned out there.
function pointsAtEpoch(chart, epoch) {
  const span = chart.scales.x.max - chart.scales.x.min, items = [];
  chart.data.datasets.forEach((set, datasetIndex) => {
    if (!set.epochs || set.epochs.length === 0) return;
    const index = nearestPlace(set.epochs, epoch);
    if (set.epochs[index] === epoch || Math.abs(set.epochs[index] - epoch) <= span / 100)
      items.push({datasetIndex, index, element: chart.getDatasetMeta(datasetIndex).data[index]});
  });
  return items;
}

if (hasCharts()) {
  Chart.Interaction.modes.epoch = (chart, event) => {
    const at = Chart.helpers.getRelativePosition(event, chart).x;
    const x = chart.scales.x.getValueForPixel(at);
    return chart.allEpochs ? pointsAtEpoch(chart, chart.allEpochs[nearestPlace(chart.allEpochs, x)]) : [];
  };
}

// The best epoch: a line over the height of the chart where all curves share it, and a ring around the point.
const bestMark = {
  id: "bestMark",
  afterDatasetsDraw(chart) {
    const {ctx, chartArea, scales} = chart;
    ctx.save();
    ctx.strokeStyle = color("ink");
    ctx.fillStyle = color("soft");
    ctx.lineWidth = 1;
    if (chart.commonBest !== null && chart.commonBest !== undefined) {
      const x = scales.x.getPixelForValue(chart.commonBest), toLeft = x > (chartArea.left + chartArea.right) / 2;
      ctx.setLineDash([1, 3]);
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.font = "12px " + chartFonts().family;
      ctx.textAlign = toLeft ? "right" : "left";
      ctx.fillText("best: epoch " + integer(chart.commonBest), x + (toLeft ? -5 : 5), chartArea.top - 4);
    }
    ctx.lineWidth = 1.75;
    for (const set of chart.data.datasets) {
      if (!set.best) continue;
      ctx.beginPath();
      ctx.arc(scales.x.getPixelForValue(set.best[0]), scales.y.getPixelForValue(set.best[1]), 5, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  },
};

function lineDatasets(lines, styles) {
  const sets = [], bands = [];
  lines.forEach((line, i) => {
    const style = styles[i], shade = color(style.color);
    sets.push({
      label: line.label, data: line.x.map((x, p) => ({x, y: line.y[p]})), epochs: line.x, best: line.best,
      borderColor: shade, backgroundColor: shade, borderWidth: style.width, borderDash: style.dash,
      pointRadius: line.x.length === 1 ? 4 : line.x.length <= 30 && line.role === "main" ? 2.5 : 0,
      pointHoverRadius: 5, pointHitRadius: 0, tension: 0, order: line.role === "main" ? 1 : 2,
    });
    if (!line.lower) return;
    const edge = {borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, order: 3, backgroundColor: shade + "26"};
    bands.push({...edge, data: line.x.map((x, p) => ({x, y: line.lower[p]})), fill: false},
               {...edge, data: line.x.map((x, p) => ({x, y: line.upper[p]})), fill: "-1"});
  });
  return [...sets, ...bands];
}

// Values along an axis have as many digits as tell them apart.
function tickText(value, ticks, format) {
  const step = ticks.length > 1 ? Math.abs(ticks[1].value - ticks[0].value) : Math.abs(value) || 1;
  const places = (unit) => Math.min(8, Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9)));
  return format === "share" ? percent(value, places(0.01)) : value === 0 ? "0" : decimal(value, places(1));
}

// Some room above and below the curves. What is never negative has no room below zero.
function valueRange(lines) {
  let low = Infinity, high = -Infinity;
  for (const line of lines)
    for (const list of [line.y, line.lower || [], line.upper || []])
      for (const value of list) { low = Math.min(low, value); high = Math.max(high, value); }
  const room = high > low ? 0.05 * (high - low) : Math.abs(high) * 0.1 || 1;
  return {min: low >= 0 ? Math.max(0, low - room) : low - room, max: high + room};
}

function lineConfiguration(spec, styles) {
  const lines = spec.lines, epochs = allEpochs(lines), best = bestEpochs(lines);
  const first = epochs[0], last = epochs[epochs.length - 1], isOne = first === last;
  const y = chartScale("", (value, place, ticks) => tickText(value, ticks, spec.format));
  const range = valueRange(lines);
  y.ticks.maxTicksLimit = 7;
  if (spec.format === "count") y.ticks.precision = 0;
  y.suggestedMin = range.min;
  y.suggestedMax = range.max;
  const x = chartScale("epoch", (value) => (Number.isInteger(value) ? integer(value) : ""));
  Object.assign(x, {type: "linear", min: isOne ? first - 1 : first, max: isOne ? last + 1 : last});
  x.ticks.precision = 0;
  x.ticks.autoSkipPadding = 12;
  return {
    type: "line",
    data: {datasets: lineDatasets(lines, styles)},
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
      layout: {padding: {top: 16, right: 16}}, interaction: {mode: "epoch", intersect: false}, scales: {x, y},
      plugins: {
        legend: {display: false},
        tooltip: tooltipStyle({
          title: (items) => (items.length ? "epoch " + integer(items[0].parsed.x) + (best.has(items[0].parsed.x) ? " (best)" : "") : ""),
          label: (item) => " " + cutLabel(item.dataset.label) + ": " + figureText(item.parsed.y, spec.format),
          labelColor: (item) => ({borderColor: item.dataset.borderColor, backgroundColor: item.dataset.borderColor}),
        }),
      },
    },
    plugins: [{
      id: "epochs",
      beforeInit(chart) {
        chart.allEpochs = epochs;
        chart.commonBest = commonBest(lines);
      },
    }, bestMark],
  };
}

function epochInWords(spec, epoch) {
  const said = spec.lines.filter((line) => line.x.includes(epoch))
    .map((line) => line.label + " " + figureText(line.y[line.x.indexOf(epoch)], spec.format));
  return "epoch " + integer(epoch) + (bestEpochs(spec.lines).has(epoch) ? ", the best" : "") + ": " + said.join(", ");
}

function showItems(chart, items) {
  chart.setActiveElements(items);
  chart.tooltip.setActiveElements(items, {x: 0, y: 0});
  chart.update("none");
}

// The canvas as a slider over `count` places: `show(place)` marks one, `say(place)` tells it in words, `clear()` unmarks all.
function sliderKeys(canvas, count, show, say, clear) {
  let place = count - 1;
  const put = () => {
    canvas.setAttribute("aria-valuenow", String(place + 1));
    canvas.setAttribute("aria-valuetext", say(place));
  };
  for (const [name, value] of [["role", "slider"], ["tabindex", "0"], ["aria-valuemin", "1"], ["aria-valuemax", String(count)]])
    canvas.setAttribute(name, value);
  put();
  canvas.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.round(count / 10));
    const step = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -page, PageUp: page,
                  Home: -count, End: count}[event.key];
    if (event.key === "Escape") clear();
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    place = Math.min(count - 1, Math.max(0, place + step));
    put();
    show(place);
  });
  canvas.addEventListener("blur", clear);
}

function lineChart(figure, spec) {
  const mains = [];  // curves of one run differ by their place among themselves
  const isOfOne = spec.lines.every((line) => line.run === spec.lines[0].run);
  const styles = spec.lines.map((line) => curveStyle(line, isOfOne && line.role === "main" ? mains.push(line) - 1 : line.run));
  const epochs = allEpochs(spec.lines);
  if (hasCharts()) {
    const canvas = el("canvas", {"aria-label": spec.title});
    const legend = curveLegend(spec.lines, styles);
    if (legend) figure.append(legend);
    figure.append(el("div", {class: "chart-box"}, canvas));
    const kept = keepDrawn(canvas, () => lineConfiguration(spec, styles));
    sliderKeys(canvas, epochs.length, (place) => showItems(kept.chart, pointsAtEpoch(kept.chart, epochs[place])),
               (place) => epochInWords(spec, epochs[place]), () => showItems(kept.chart, []));
  }
  figure.append(valuesBelow(spec.title, (box) => fillValues(box, spec), !hasCharts()));
}

function fillBarValues(box, spec) {
  fill(box, el("table", null,
    el("thead", null, el("tr", null, el("th", {scope: "col"}, spec.xLabel), el("th", {scope: "col", class: "number"}, spec.yLabel))),
    el("tbody", null, spec.x.map((x, i) => el("tr", null, el("th", {scope: "row"}, x),
                                              el("td", {class: "number"}, integer(spec.y[i])))))));
}

function barConfiguration(spec) {
  const y = chartScale("", (value) => (Number.isInteger(value) ? integer(value) : ""));
  const x = chartScale(spec.xLabel);
  delete x.ticks.callback;
  x.grid.display = false;
  y.beginAtZero = true;
  return {
    type: "bar",
    data: {labels: spec.x, datasets: [{label: spec.yLabel, data: spec.y, backgroundColor: color("c0")}]},
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, layout: {padding: {top: 16, right: 8}},
      interaction: {mode: "index", intersect: false}, scales: {x, y},
      plugins: {
        legend: {display: false},
        tooltip: tooltipStyle({title: (items) => (items.length ? items[0].label + " " + spec.xLabel : ""),
                               label: (item) => " " + integer(item.parsed.y) + " " + spec.yLabel}),
      },
    },
  };
}

function barChart(figure, spec) {
  if (hasCharts()) {
    const canvas = el("canvas", {"aria-label": spec.title});
    figure.append(el("div", {class: "chart-box"}, canvas));
    const kept = keepDrawn(canvas, () => barConfiguration(spec));
    sliderKeys(canvas, spec.x.length, (place) => showItems(kept.chart, [{datasetIndex: 0, index: place}]),
               (place) => spec.x[place] + " " + spec.xLabel + ": " + integer(spec.y[place]) + " " + spec.yLabel,
               () => showItems(kept.chart, []));
  }
  figure.append(valuesBelow(spec.title, (box) => fillBarValues(box, spec), !hasCharts()));
}
