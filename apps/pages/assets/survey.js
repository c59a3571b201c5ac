// The charts of check_data's page, by Chart.js and what charts.js has for it. The values stand in tables of the page too.
//
//   {"classes": {"title", "names": [...], "series": [{"label", "values": [...]}, ...]},
//    "sizes": [{"title", "labels": [...], "series": [...]}, ...]}          a series for each part of the set
"use strict";

const MOST_NAMED_BARS = 60;  // of more classes the names would be too small

function partLegend(series) {
  return el("ul", {class: "legend"}, series.map((part, i) => el("li", {class: "key"},
    svgEl("svg", {width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true"},
          svgEl("rect", {width: 14, height: 14, rx: 2, style: `fill: var(--${classStyle(i).color})`})),
    part.label + ": " + integer(part.values.reduce((sum, value) => sum + value, 0)))));
}

function shortened(text, most) {
  const letters = [...text];
  return letters.length <= most ? text
    : letters.slice(0, Math.ceil(most / 2)).join("") + "…" + letters.slice(letters.length - Math.floor(most / 2)).join("");
}

function countScale() {
  const scale = chartScale("", (value) => (Number.isInteger(value) ? integer(value) : ""));
  scale.beginAtZero = true;
  return scale;
}

// spec: {labels, series, isLying, isStepped, tick(place), name(place)}. Bars that lie have their names at the left; steps are for more
// of them than there are pixels.
function countsConfiguration(spec) {
  const places = chartScale("");
  places.ticks.callback = (value, index) => spec.tick(index);
  places.ticks.autoSkip = true;
  places.grid.display = false;
  const datasets = spec.series.map((part, i) => {
    const shade = color(classStyle(i).color);
    return spec.isStepped
      ? {label: part.label, data: part.values, borderColor: shade, backgroundColor: shade + "40", borderWidth: 1.5,
         stepped: "middle", pointRadius: 0, pointHitRadius: 0, fill: i === 0 ? "origin" : false}
      : {label: part.label, data: part.values, backgroundColor: shade, maxBarThickness: 40};
  });
  return {
    type: spec.isStepped ? "line" : "bar",
    data: {labels: spec.labels, datasets},
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, indexAxis: spec.isLying ? "y" : "x",
      layout: {padding: {top: 8, right: 12}},
      interaction: {mode: "index", axis: spec.isLying ? "y" : "x", intersect: false},
      scales: spec.isLying ? {x: countScale(), y: places} : {x: places, y: countScale()},
      plugins: {
        legend: {display: false},
        tooltip: tooltipStyle({
          title: (items) => (items.length ? spec.name(items[0].dataIndex) : ""),
          label: (item) => " " + item.dataset.label + ": " + integer(spec.series[item.datasetIndex].values[item.dataIndex]),
          labelColor: (item) => ({borderColor: color(classStyle(item.datasetIndex).color),
                                  backgroundColor: color(classStyle(item.datasetIndex).color)}),
        }),
      },
    },
  };
}

function countsChart(figure, spec) {
  const count = spec.labels.length;
  if (!hasCharts() || count === 0) return;
  const canvas = el("canvas", {"aria-label": spec.title});
  const height = spec.isLying ? `height: ${60 + count * (8 + 14 * spec.series.length)}px` : null;
  figure.append(partLegend(spec.series), el("div", {class: "chart-box", style: height}, canvas));
  const kept = keepDrawn(canvas, () => countsConfiguration(spec));
  const items = (place) => spec.series.map((part, datasetIndex) => ({datasetIndex, index: place}));
  sliderKeys(canvas, count, (place) => showItems(kept.chart, items(place)),
             (place) => spec.name(place) + ": " + spec.series.map((part) => part.label + " " + integer(part.values[place])).join(", "),
             () => showItems(kept.chart, []));
}

function drawClassChart(figure, classes) {
  const name = (c) => classes.names[c] || "class " + integer(c + 1);
  const count = classes.series[0].values.length;
  if (count <= MOST_NAMED_BARS) {
    countsChart(figure, {title: classes.title, labels: classes.names, series: classes.series, isLying: true, isStepped: false,
                         tick: (place) => shortened(name(place), figure.clientWidth < 600 ? 16 : 28), name: (place) => shortened(name(place), 60)});
    return;
  }
  const first = classes.series[0].values, order = first.map((value, c) => c).sort((a, b) => first[b] - first[a] || a - b);
  figure.append(el("p", {class: "soft"}, "From the largest class to the smallest, by its images in ", classes.series[0].label, "."));
  countsChart(figure, {
    title: classes.title + ", from the largest to the smallest", labels: order, isLying: false, isStepped: true,
    series: classes.series.map((part) => ({label: part.label, values: order.map((c) => part.values[c])})),
    tick: (place) => integer(place + 1),
    name: (place) => integer(place + 1) + ". " + shortened(name(order[place]), 60),
  });
}

function drawSurvey() {
  const data = pageData(), classes = document.getElementById("classes");
  if (classes) drawClassChart(classes, data.classes);
  data.sizes.forEach((chart, k) => {
    const figure = document.getElementById("sizes" + k);
    if (!figure) return;
    countsChart(figure, {title: "images by " + chart.title, labels: chart.labels, series: chart.series, isLying: false,
                         isStepped: false, tick: (place) => chart.labels[place], name: (place) => chart.labels[place] + " pixels"});
  });
}

drawSurvey();
