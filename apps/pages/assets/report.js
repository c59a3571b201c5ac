// Draws what report.cpp has put into the page: curves, bars, the confusion matrix. The map draws itself (map.js).
//
//   {"charts": [...], "bars": [...],            see charts.js
//    "confusion": {"names": [...], "rows": [[...]], "of": [...], "others": ...}}   images of each true class that were named
//                                               each class, in the order in which they are drawn; "of": all images of the class.
//                                               confusion.h says what "others" holds; null: nothing is left out
"use strict";

const GAP = 4;             // pixels before the others
const EMPTY_CELL = 0.03;  // the share of a row below which nothing is written into a cell

// `share` of the way from the page's ground to a colour: larger shares are further, small ones can still be seen.
function cellShade(ground, shade, share) {
  const part = share <= 0 ? 0 : 0.12 + 0.88 * Math.sqrt(share);
  const parse = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  const from = parse(ground), to = parse(shade);
  return from.map((value, i) => Math.round(value + (to[i] - value) * part));
}

function isDarkCell([r, g, b]) {
  const light = (v) => (v <= 10 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b) < 0.18;
}

function cutText(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && context.measureText(letters.join("") + "…").width > width) letters.pop();
  return letters.join("") + "…";
}

// With a last row and column for all classes that are not shown, so that each row sums to all images of its class.
function withOthers({names, rows, of, others}) {
  if (!others) return {names, rows, of, others: -1};
  const isRow = others.classes > 0;  // else a classifier named what the set does not have
  return {names: [...names, isRow ? "others: " + counted(others.classes, "class") : "no class of the set"],
          rows: [...rows.map((row, r) => [...row, others.named[r]]), ...(isRow ? [[...others.taken, others.both]] : [])],
          of: isRow ? [...of, others.of] : of, others: names.length, namesNothing: !isRow};
}

class ConfusionView {
  constructor(box, data) {
    this.data = withOthers(data);
    this.chosen = null;  // [row, column]
    this.canvas = el("canvas", {tabindex: "0", role: "application", style: "display: block; max-width: 100%; cursor: crosshair",
                                "aria-label": "Confusion matrix. Arrow keys go from cell to cell; each is told below."});
    // Of one height, or the matrix would move away from under the pointer.
    this.readout = el("p", {class: "soft", role: "status", style: "min-height: 4.7em"}, this.hint());
    fill(box, this.readout, this.canvas);
    this.box = box;
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.choose(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(box);
    onScheme(() => this.draw());
    this.draw();
  }

  hint() {
    return "Rows are the true classes, columns the ones that were named. Point at a cell, or go there with the arrow keys.";
  }

  layout() {
    const count = this.data.names.length, width = Math.max(240, Math.min(this.box.clientWidth, 900));
    const label = Math.min(150, Math.floor(width * 0.28)), gap = this.data.others < 0 ? 0 : GAP;
    const side = Math.max(3, Math.min(46, Math.floor((width - label - gap - 2) / count)));
    const hasColumnNames = side >= 13, top = hasColumnNames ? Math.min(110, label) : 7;
    return {count, label, side, top, hasColumnNames, width: label + side * count + gap + 2, height: top + side * count + gap + 2};
  }

  draw() {
    const place = this.place = this.layout(), {names, rows, of} = this.data;
    const scale = window.devicePixelRatio || 1, context = this.canvas.getContext("2d");
    this.canvas.width = Math.round(place.width * scale);
    this.canvas.height = Math.round(place.height * scale);
    this.canvas.style.width = place.width + "px";
    this.canvas.style.height = place.height + "px";
    context.scale(scale, scale);
    const ground = color("ground"), family = getComputedStyle(document.body).fontFamily;
    const shades = {right: color("c0"), wrong: color("c1"), ink: color("ink"), soft: color("soft")}, last = this.data.others;
    // Of the others among themselves it is not known how many are right.
    const shadeOf = (r, c) => (r !== c ? shades.wrong : r === last ? shades.soft : shades.right);
    rows.forEach((row, r) => row.forEach((value, c) => {
      const share = of[r] > 0 ? value / of[r] : 0, shade = cellShade(ground, shadeOf(r, c), share);
      const x = this.left(c), y = this.topOf(r);
      context.fillStyle = `rgb(${shade.join(" ")})`;
      context.fillRect(x, y, place.side - (place.side > 6 ? 1 : 0), place.side - (place.side > 6 ? 1 : 0));
      if (place.side < 24 || value === 0 || share < EMPTY_CELL) return;
      context.fillStyle = isDarkCell(shade) ? "#ffffff" : "#000000";
      context.font = `${place.side >= 32 ? 12 : 10}px ${family}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(cutText(context, integer(value), place.side - 2), x + place.side / 2, y + place.side / 2);
    }));
    this.names(context, names, shades.ink, family);
    this.outline(context, shades.ink);
  }

  // The others stand apart by a gap.
  left(column) {
    return this.place.label + column * this.place.side + (column === this.data.others ? GAP : 0);
  }

  topOf(row) {
    return this.place.top + row * this.place.side + (row === this.data.others ? GAP : 0);
  }

  names(context, names, ink, family) {
    const place = this.place, step = Math.max(1, Math.ceil(11 / place.side));
    context.font = `${Math.min(12, Math.max(10, place.side - 2))}px ${family}`;
    context.fillStyle = ink;
    context.textBaseline = "middle";
    names.forEach((name, i) => {
      if (i % step !== 0 && i !== this.data.others) return;
      const half = place.side / 2;
      context.textAlign = "right";
      context.fillText(cutText(context, name, place.label - 8), place.label - 6, this.topOf(i) + half);
      if (!place.hasColumnNames) return;
      context.save();
      context.translate(this.left(i) + half, place.top - 6);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(cutText(context, name, place.top - 8), 0, 0);
      context.restore();
    });
  }

  outline(context, ink) {
    if (!this.chosen) return;
    const [row, column] = this.chosen, place = this.place;
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.strokeRect(this.left(column), this.topOf(row), place.side, place.side);
  }

  point(event) {
    const frame = this.canvas.getBoundingClientRect(), place = this.place;
    const x = (event.clientX - frame.left) * place.width / frame.width, y = (event.clientY - frame.top) * place.height / frame.height;
    const cellAt = (at, first, begin) => (at >= begin(this.data.others) && this.data.others >= 0 ? this.data.others
                                          : Math.floor((at - first) / place.side));
    const column = cellAt(x, place.label, (c) => this.left(c)), row = cellAt(y, place.top, (r) => this.topOf(r));
    const isInside = row >= 0 && column >= 0 && row < place.count && column < place.count && x < place.width && y < place.height;
    this.choose(isInside ? [row, column] : null);
  }

  key(event) {
    const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (event.key === "Escape") this.choose(null);
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const last = this.place.count - 1, at = this.chosen || [0, 0];
    this.choose(this.chosen ? at.map((value, i) => Math.min(last, Math.max(0, value + step[i]))) : at);
  }

  choose(cell) {
    if (String(cell) === String(this.chosen)) return;
    this.chosen = cell;
    this.draw();
    const {names, rows, of, others} = this.data;
    if (!cell) return fill(this.readout, this.hint());
    const [row, column] = cell, value = rows[row][column];
    const name = (i) => el("b", {class: "name"}, i === others ? "classes that are not shown" : cutLabel(names[i]));
    const named = column === others ? (this.data.namesNothing ? "no class of the set" : "a class that is not shown") : row === column ? "so" : name(column);
    return fill(this.readout, "Of ", counted(of[row], "image"), " of ", name(row), " ", integer(value),
                value === 1 ? " was" : " were", " named ", named, of[row] > 0 ? ": " + percent(value / of[row]) : "");
  }
}

function drawReport() {
  const data = pageData();
  const onFigure = (id, draw) => {
    const figure = document.getElementById(id);
    if (figure) draw(figure);
  };
  for (const chart of data.charts || []) onFigure("chart-" + chart.id, (figure) => lineChart(figure, chart));
  for (const bars of data.bars || []) onFigure("chart-" + bars.id, (figure) => barChart(figure, bars));
  if (data.confusion) onFigure("confusion", (box) => new ConfusionView(box, data.confusion));
  onFigure("reload", (place) => place.append(" ", el("button", {type: "button", class: "screen-only", on: {click: () => location.reload()}}, "Look again")));
}

drawReport();
