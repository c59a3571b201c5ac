// The viewer of a map of images. For each <section class="map" id=ID> of the page it takes pageData()[ID], which map_json()
// wrote (map_view.h):
//
//   count       how many images: rows
//   xy          places: numbers x0, y0, x1, y1 ... from 0 to 65535, from one end of the extent to the other; y upwards
//   extent      [lowest x, lowest y, highest x, highest y]
//   folder      in front of each name
//   names       [count] of files, without the folder
//   classes     names of classes
//   labels      [count] numbers: index into classes; the largest number that fits means none. null: no classes
//   parts       names of the set's parts, "train" ...
//   part_of     [count] numbers: index into parts. null if there is one part
//   pictures    null, or {side, columns, each, atlases, of}: square pictures of `side` pixels, row by row, `columns` in a row
//               and `each` in an atlas, a data: URI of a JPEG; of: [count] numbers, which picture, the largest means none
//
// "numbers" are {bytes, base64}: unsigned, of 1, 2 or 4 bytes each, the lowest first.
//
// Up to 24 classes have a colour and a mark each, and choosing some of them turns the others grey. Of more classes a reader could
// not tell the colours apart: all are grey but those that are chosen, each of which gets a colour and mark that no other has.
// At first these are the ten largest. Images without a class have a look of their own, which is no class's, and never count among
// the 24.
"use strict";

const MOST_STYLES = 24;
const NO_CLASS = {color: "soft", mark: "ring"};  // of images that have none
const CLOSEST = 4 * 65535;       // pixels of the screen per unit: four for a step of the places
const PICTURE_SIDE = 44;         // pixels of the screen, of pictures on the map
const HIT = 14;                  // how far from the pointer a point is found, in pixels

class EmbeddingMap {
  constructor(section, json) {
    this.section = section;
    this.data = new MapData(json);
    this.chosen = [];
    this.isChosen = null;
    this.matches = null;
    this.query = "";
    this.preview = -1;
    this.size = 1;
    this.frames = 0;  // drawn so far
    this.looks = new Uint8Array(4 * this.data.count);
    this.view = {x: 0, y: 0, scale: 1, width: 0, height: 0, density: 1};
    this.setGrouping(0);
    this.build();
    this.resize();
    if (this.points.isSlow && this.wanted === "" && this.points.isSlow(() => this.draw())) this.usePixels();
    new ResizeObserver(() => this.resize()).observe(this.stage);
    window.addEventListener("resize", () => this.resize());
    onScheme(() => {
      this.changed();
      this.draw();
    });
  }

  // --- what is shown -------------------------------------------------------------------------------------------------

  setGrouping(i) {
    this.grouping = this.data.groupings[i];
    this.groups = this.grouping.groups;
    this.groupOf = this.grouping.of;
    this.classCount = this.groups.filter((group) => !group.isNone).length;
    this.off = new Uint8Array(this.groups.length);
    this.mostPicked = MOST_STYLES;
    this.picked = new Map();  // group: number of its style
    this.preview = -1;
    if (!this.many()) return;
    const largest = this.groups.filter((group) => !group.isNone).sort((a, b) => b.count - a.count || a.id - b.id);
    largest.slice(0, COLORS.length).sort((a, b) => a.id - b.id).forEach((group) => this.pick(group.id));
  }

  many() {
    return this.classCount > MOST_STYLES;
  }

  // Chooses a class, or gives it up. The first of the chosen makes room where there are too many.
  pick(id) {
    if (this.picked.delete(id)) return;
    if (this.groups[id].isNone) {
      this.picked.set(id, -1);
      return;
    }
    const styled = [...this.picked.keys()].filter((group) => !this.groups[group].isNone);
    if (styled.length >= this.mostPicked) this.picked.delete(styled[0]);
    const taken = new Set(this.picked.values());
    let style = 0;
    while (taken.has(style)) ++style;
    this.picked.set(id, style);
  }

  // How a class is drawn; null: grey.
  styleOf(id) {
    if (this.groups[id].isNone) return this.picked.size === 0 || this.many() || this.picked.has(id) ? NO_CLASS : null;
    if (this.many()) return this.picked.has(id) ? classStyle(this.picked.get(id)) : null;
    return this.picked.size === 0 || this.picked.has(id) ? classStyle(id) : null;
  }

  setPreview(id) {
    if (this.preview === id) return;
    this.preview = id;
    this.restyle();
  }

  choose(slots) {
    this.chosen = slots;
    this.isChosen = null;
    if (slots.length) {
      this.isChosen = new Uint8Array(this.data.count);
      for (const slot of slots) this.isChosen[slot] = 1;
      announce(`${counted(slots.length, "image")} chosen; their names are below the map`);
    }
    this.pickedPanel.refresh();
    this.restyle();
  }

  // After a change of classes, search or scheme.
  changed() {
    this.classes.refresh();
    this.restyle();
  }

  // Every point's look, and which are drawn above others: grey, coloured, outlined.
  restyle() {
    const {data, groupOf, looks, off, matches, isChosen, preview} = this;
    const rgb = Object.fromEntries([...COLORS, NO_CLASS.color, "faded", "link"].map((name) => [name, rgbOf(color(name))]));
    const styles = this.groups.map((group) => this.styleOf(group.id));
    const faces = styles.map((style) => style ? [...rgb[style.color], MARKS.indexOf(style.mark)] : null);
    const grey = [...rgb.faded, 0], found = [...rgb.link, 0], layers = [[], [], []];
    for (let slot = 0; slot < data.count; ++slot) {
      const group = groupOf[slot];
      if (off[group]) continue;
      const outlined = (matches && matches[slot]) || (isChosen && isChosen[slot]) || group === preview;
      const face = (matches && !matches[slot] ? null : faces[group]) || (outlined ? found : grey);
      looks.set(face, 4 * slot);
      layers[outlined ? 2 : face === grey ? 0 : 1].push(slot);
    }
    this.order = Uint32Array.from(layers.flat());
    this.points.show(this.looks, this.order, layers[0].length + layers[1].length);
    this.pictureLevel = null;
    this.redraw();
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    const view = this.view;
    if (view.width === 0) return;
    this.points.draw(view, this.radius(), rgbOf(color("ground")), rgbOf(color("ink")));
    this.drawAbove();
    ++this.frames;
  }

  // Of a point, in pixels of the screen: smaller where there are many, larger where the map is enlarged.
  radius() {
    const {width, height, scale} = this.view;
    const sparse = 0.42 * Math.sqrt(width * height / Math.max(1, this.data.count));
    const base = Math.min(5, Math.max(1.8, sparse));
    return this.size * Math.min(8, base * Math.max(0.8, (scale / this.fitScale()) ** 0.35));
  }

  drawAbove() {
    const view = this.view, context = this.above.getContext("2d");
    context.setTransform(view.density, 0, 0, view.density, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    if (this.withPictures) this.drawPictures(context);
    if (this.lassoPath) this.drawLasso(context);
    if (this.hovered >= 0) this.drawHovered(context);
  }

  // As many pictures as find room without covering another. They are chosen anew when the map is enlarged by half an octave, so
  // that none comes and goes while it is moved.
  choosePictures(level) {
    const cells = new Map(), cell = (PICTURE_SIDE + 10) / 2 ** level, xy = this.data.xy;
    const key = (x, y) => x * 4194304 + y;
    for (let i = this.order.length - 1; i >= 0; --i) {  // the uppermost first
      const slot = this.order[i], x = xy[2 * slot] / cell, y = xy[2 * slot + 1] / cell;
      const column = Math.floor(x), row = Math.floor(y);
      if (cells.has(key(column, row)) || !this.data.hasPicture(slot)) continue;
      let free = true;
      for (let dx = -1; free && dx <= 1; ++dx)
        for (let dy = -1; free && dy <= 1; ++dy) {
          const other = cells.get(key(column + dx, row + dy));
          free = other === undefined || Math.abs(xy[2 * other] / cell - x) >= 1 || Math.abs(xy[2 * other + 1] / cell - y) >= 1;
        }
      if (free) cells.set(key(column, row), slot);
    }
    this.pictured = [...cells.values()];
    this.pictureLevel = level;
  }

  drawPictures(context) {
    const level = Math.floor(2 * Math.log2(this.view.scale)) / 2;
    if (this.pictureLevel !== level) this.choosePictures(level);
    const ready = this.pictureReady || (this.pictureReady = () => this.redraw()), side = PICTURE_SIDE;
    for (const slot of this.pictured) {
      const [x, y] = this.onScreen(slot);
      if (x < -side || y < -side || x > this.view.width + side || y > this.view.height + side) continue;
      const picture = this.data.picture(slot, ready);
      if (!picture) continue;
      const left = Math.round(x - side / 2), top = Math.round(y - side / 2);
      context.fillStyle = `rgb(${this.looks.slice(4 * slot, 4 * slot + 3).join()})`;
      context.fillRect(left - 3, top - 3, side + 6, side + 6);
      drawPicture(context, picture, left, top, side);
    }
  }

  drawLasso(context) {
    context.beginPath();
    this.lassoPath.forEach(([x, y]) => context.lineTo(...this.placeOnScreen(x, y)));
    context.closePath();
    context.globalAlpha = 0.12;
    context.fillStyle = color("link");
    context.fill();
    context.globalAlpha = 1;
    context.setLineDash([6, 4]);
    context.lineWidth = 2;
    context.strokeStyle = color("link");
    context.stroke();
    context.setLineDash([]);
  }

  drawHovered(context) {
    const [x, y] = this.onScreen(this.hovered), r = this.radius() + 5;
    for (const [name, width] of [["ground", 5], ["ink", 2]]) {
      context.beginPath();
      context.arc(x, y, r, 0, 2 * Math.PI);
      context.lineWidth = width;
      context.strokeStyle = color(name);
      context.stroke();
    }
  }

  // --- the view ------------------------------------------------------------------------------------------------------

  fitScale() {
    const {width, height} = this.view, across = this.data.width || 1e-3, up = this.data.height || 1e-3;
    return Math.max(1, Math.min(0.92 * width / across, 0.92 * height / up, 0.92 * Math.max(width, height)));
  }

  // A map that is alone on its page fills the window.
  fillWindow() {
    if (!this.section.classList.contains("whole") || !matchMedia("screen and (min-width: 56.01rem)").matches) {
      this.section.style.removeProperty("--stage");
      return;
    }
    const top = this.stage.getBoundingClientRect().top + window.scrollY;
    this.section.style.setProperty("--stage", Math.max(380, window.innerHeight - top - 16) + "px");
  }

  resize() {
    this.fillWindow();
    const view = this.view, box = this.stage.getBoundingClientRect(), before = view.width > 0 ? this.fitScale() : 0;
    if (box.width < 2 || box.height < 2) return;
    view.width = box.width;
    view.height = box.height;
    view.density = Math.min(2, window.devicePixelRatio || 1);
    for (const canvas of [this.points.canvas, this.above]) {
      canvas.width = Math.round(view.width * view.density);
      canvas.height = Math.round(view.height * view.density);
    }
    view.scale = before > 0 ? view.scale * this.fitScale() / before : this.fitScale();
    this.pictureLevel = null;
    this.draw();
  }

  fit() {
    Object.assign(this.view, {x: 0, y: 0, scale: this.fitScale()});
    this.moved();
  }

  // Enlarges; the place at (x, y) of the screen stays where it is.
  zoom(factor, x = this.view.width / 2, y = this.view.height / 2) {
    const view = this.view, [px, py] = this.placeAt(x, y);
    view.scale = Math.min(CLOSEST, Math.max(0.5 * this.fitScale(), view.scale * factor));
    view.x = px - (x - view.width / 2) / view.scale;
    view.y = py + (y - view.height / 2) / view.scale;
    this.moved();
  }

  pan(dx, dy) {
    this.view.x -= dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.moved();
  }

  // Half of the window always has the map in it.
  moved() {
    const view = this.view, far = (size) => size / 2;
    view.x = Math.min(far(this.data.width), Math.max(-far(this.data.width), view.x));
    view.y = Math.min(far(this.data.height), Math.max(-far(this.data.height), view.y));
    if (this.card.isOpen() && !this.card.pinned) this.hover(-1);
    else if (this.card.isOpen()) this.card.place();
    this.redraw();
  }

  placeAt(x, y) {
    const view = this.view;
    return [view.x + (x - view.width / 2) / view.scale, view.y - (y - view.height / 2) / view.scale];
  }

  placeOnScreen(x, y) {
    const view = this.view;
    return [view.width / 2 + (x - view.x) * view.scale, view.height / 2 - (y - view.y) * view.scale];
  }

  onScreen(slot) {
    return this.placeOnScreen(this.data.xy[2 * slot], this.data.xy[2 * slot + 1]);
  }

  // --- single images -------------------------------------------------------------------------------------------------

  pointAt(x, y) {
    const [px, py] = this.placeAt(x, y);
    return this.data.nearest(px, py, HIT / this.view.scale, (slot) => !this.off[this.groupOf[slot]]);
  }

  hover(slot, pinned = false) {
    if (slot === this.hovered && pinned === this.card.pinned) return;
    this.hovered = slot;
    this.stage.classList.toggle("over-point", slot >= 0);
    if (slot >= 0) this.card.open(slot, pinned);
    else this.card.close();
    this.redraw();
  }

  // Brings a point to the middle and shows its card.
  visit(slot) {
    this.hover(-1);
    this.view.x = this.data.xy[2 * slot];
    this.view.y = this.data.xy[2 * slot + 1];
    this.view.scale = Math.max(this.view.scale, 2.5 * this.fitScale());
    this.moved();
    this.hover(slot, true);
    announce(this.described(slot));
  }

  described(slot) {
    const classes = this.data.groupings.map((grouping) => `${grouping.what} ${grouping.groups[grouping.of[slot]].name}`);
    return [this.data.name(slot), ...classes].join(", ");
  }

  visitMiddle() {
    const shown = (slot) => !this.off[this.groupOf[slot]];
    for (let reach = 8 / this.view.scale; reach < 4; reach *= 2) {
      const slot = this.data.nearest(this.view.x, this.view.y, reach, shown);
      if (slot < 0) continue;
      this.hover(slot, true);
      announce(this.described(slot));
      return;
    }
  }

  // --- several images ------------------------------------------------------------------------------------------------

  slotsIn(x0, y0, x1, y1, accepts = () => true) {
    const slots = [];
    this.data.forBox(x0, y0, x1, y1, (slot) => {
      if (!this.off[this.groupOf[slot]] && accepts(slot)) slots.push(slot);
    });
    return slots.sort((a, b) => this.data.rowOf[a] - this.data.rowOf[b]);
  }

  chooseVisible() {
    const [left, top] = this.placeAt(0, 0), [right, bottom] = this.placeAt(this.view.width, this.view.height);
    const matching = (slot) => !this.matches || this.matches[slot] === 1;
    this.choose(this.slotsIn(left, bottom, right, top, matching));
  }

  endLasso(add) {
    const path = this.lassoPath, xs = path.map((p) => p[0]), ys = path.map((p) => p[1]), xy = this.data.xy;
    this.lassoPath = null;
    const inside = (slot) => insidePolygon(xy[2 * slot], xy[2 * slot + 1], path);
    let slots = this.slotsIn(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), inside);
    if (add) slots = [...new Set([...this.chosen, ...slots])];
    if (slots.length === 0 && path.length > 3) announce("No image lies inside");
    this.choose(slots);
  }

  setLasso(on) {
    this.lassoOn = on;
    this.lassoPath = null;
    this.stage.classList.toggle("lasso", on);
    this.lassoButton.setAttribute("aria-pressed", String(on));
    this.hint.textContent = on ? "Draw around images. Shift adds to those that are chosen, Esc ends." : "";
    this.redraw();
  }

  // --- elements ------------------------------------------------------------------------------------------------------

  build() {
    const section = this.section, button = (text, label, click, more = {}) => el("button", {
      type: "button", title: label, "aria-label": label, on: {click}, ...more,
    }, text);
    const main = section.closest("main");
    if (main && main.querySelectorAll("section, h2").length === 1) section.classList.add("whole");
    this.hovered = -1;
    this.lassoButton = button("Lasso", "Choose images by drawing around them", () => this.setLasso(!this.lassoOn), {"aria-pressed": "false"});
    const tools = el("div", {class: "map-tools", role: "toolbar", "aria-label": "Map"},
                     button("+", "Enlarge", () => this.zoom(1.6), {class: "square"}),
                     button("\u2212", "Shrink", () => this.zoom(1 / 1.6), {class: "square"}),
                     button("Whole map", "Show the whole map", () => this.fit()), this.lassoButton,
                     button("Choose visible", "Choose all images in view", () => this.chooseVisible()), this.options());
    this.wanted = (/points=(webgl|canvas)/.exec(location.hash) || ["", ""])[1];
    this.points = pointsDrawer(this.data, this.wanted);
    this.above = el("canvas", {"aria-hidden": "true"});
    this.hint = el("p", {class: "map-hint", "aria-hidden": "true"});
    this.stage = el("div", {
      class: "map-stage", tabindex: 0, role: "application",
      "aria-label": `Map of ${counted(this.data.count, "image")}. Plus and minus zoom, arrows move, 0 shows all, ` +
          "Enter names the image next to the middle.",
    }, this.points.canvas, this.above, this.hint);
    this.card = new MapCard(this);
    this.pickedPanel = new MapPicked(this);
    this.search = new MapSearch(this);
    this.classes = new MapClasses(this);
    fill(section, tools, this.stage,
         el("div", {class: "map-side"}, this.search.element, this.classes.element), this.pickedPanel.element);
    this.points.canvas.addEventListener("webglcontextlost", () => this.usePixels());
    new MapGestures(this);
    this.changed();
  }

  options() {
    const parts = [];
    if (this.data.pictures)
      parts.push(el("label", {class: "apart"}, el("input", {type: "checkbox", on: {change: (event) => {
        this.withPictures = event.target.checked;
        this.redraw();
      }}}), "Pictures"));
    parts.push(el("label", {class: "apart"}, "Size", el("input", {type: "range", min: -1, max: 1.5, step: 0.1, value: 0, on: {input: (event) => {
      this.size = 2 ** Number(event.target.value);
      this.redraw();
    }}})));
    if (this.data.groupings.length > 1)
      parts.push(el("label", {class: "apart"}, "Colour by", el("select", {on: {change: (event) => {
        this.setGrouping(event.target.selectedIndex);
        this.classes.build();
        this.search.search();
      }}}, this.data.groupings.map((grouping) => el("option", {}, grouping.what)))));
    return parts;
  }

  // Where WebGL is slow, or a driver takes the GPU away, the pixels are computed here.
  usePixels() {
    const fresh = el("canvas", {"aria-hidden": "true"}), old = this.points.canvas;
    fresh.width = old.width;
    fresh.height = old.height;
    old.replaceWith(fresh);
    this.points = new PixelPoints(fresh, this.data);
    this.restyle();
  }
}

function rgbOf(text) {  // "#rrggbb"
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

// Every map of the page, by the id of its element.
const embeddingMaps = {};

function drawMaps() {
  for (const section of document.querySelectorAll("section.map")) {
    const json = pageData()[section.id];
    if (json) embeddingMaps[section.id] = new EmbeddingMap(section, json);
  }
}

drawMaps();
