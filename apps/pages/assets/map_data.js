// The points of a map: what map_json() wrote, unpacked; and finding those that lie near a place. map.js gives the format.
"use strict";

// Numbers of 1, 2 or 4 bytes, the lowest byte first, in base64.
function unpackNumbers(packed) {
  const text = atob(packed.base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return packed.bytes === 1 ? bytes : packed.bytes === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
}

class MapData {
  // The points are kept in a shuffled order, in which they are drawn: otherwise the last class of the list would cover the
  // others. The shuffle is always the same. A point's place in this order is called its slot; row is its place in the JSON.
  constructor(json) {
    this.json = json;
    this.count = json.count;
    this.rowOf = shuffledRows(this.count);
    const steps = unpackNumbers(json.xy), [x0, y0, x1, y1] = json.extent;
    const span = Math.max(x1 - x0, y1 - y0) || 1;
    this.width = (x1 - x0) / span;
    this.height = (y1 - y0) / span;
    // In [-0.5, 0.5], y upwards; both axes have the same unit.
    this.xy = new Float32Array(2 * this.count);
    for (let slot = 0; slot < this.count; ++slot) {
      const row = this.rowOf[slot];
      this.xy[2 * slot] = (steps[2 * row] / 65535 - 0.5) * this.width;
      this.xy[2 * slot + 1] = (steps[2 * row + 1] / 65535 - 0.5) * this.height;
    }
    this.names = json.names.map((name) => json.folder + name);
    this.pictures = json.pictures ? {...json.pictures, of: unpackNumbers(json.pictures.of), images: []} : null;
    this.groupings = [];
    if (json.labels) this.addGrouping("class", json.classes, json.labels);
    if (json.part_of) this.addGrouping("part", json.parts, json.part_of);
    if (this.groupings.length === 0) this.addGrouping("part", json.parts.length ? json.parts : ["all"], null);
    this.buildCells();
  }

  // What points can be coloured by.
  addGrouping(what, names, packed) {
    const ofRow = packed ? unpackNumbers(packed) : new Uint8Array(this.count);
    const groups = names.map((name, id) => ({id, name, lower: name.toLowerCase(), count: 0}));
    const of = new Uint32Array(this.count);
    for (let slot = 0; slot < this.count; ++slot) {
      let group = ofRow[this.rowOf[slot]];
      if (group >= names.length) {  // the largest number stands for none
        group = names.length;
        if (groups.length === group) groups.push({id: group, name: `(no ${what})`, lower: "", count: 0, isNone: true});
      }
      of[slot] = group;
      ++groups[group].count;
    }
    this.groupings.push({what, groups, of});
  }

  name(slot) {
    return this.names[this.rowOf[slot]];
  }

  // The names in small letters, by row, for searching.
  lowerNames() {
    if (!this.lower) this.lower = this.names.map((name) => name.toLowerCase());
    return this.lower;
  }

  // Where a point's picture is: {image, x, y, side}, or null. An atlas that is not decoded yet is, and then `ready` is called.
  picture(slot, ready) {
    const p = this.pictures;
    const index = p ? p.of[this.rowOf[slot]] : Infinity;
    if (!p || index >= p.each * p.atlases.length) return null;
    const which = Math.floor(index / p.each), place = index % p.each;
    let image = p.images[which];
    if (!image) {
      image = p.images[which] = new Image();
      image.waiting = new Set();
      image.addEventListener("load", () => {
        image.waiting.forEach((f) => f());
        image.waiting.clear();
      });
      image.src = p.atlases[which];
    }
    if (!image.complete) {
      if (ready) image.waiting.add(ready);
      return null;
    }
    if (image.naturalWidth === 0) return null;
    return {image, side: p.side, x: place % p.columns * p.side, y: Math.floor(place / p.columns) * p.side};
  }

  hasPicture(slot) {
    return this.pictures !== null && this.pictures.of[this.rowOf[slot]] < this.pictures.each * this.pictures.atlases.length;
  }

  // Square cells with the slots that lie in each, one after the other in `slots`.
  buildCells() {
    this.side = Math.min(256, Math.max(1, Math.ceil(Math.sqrt(this.count / 4))));
    const cells = new Uint32Array(this.count), first = new Uint32Array(this.side * this.side + 1);
    for (let slot = 0; slot < this.count; ++slot) {
      cells[slot] = this.cellAt(this.xy[2 * slot + 1]) * this.side + this.cellAt(this.xy[2 * slot]);
      ++first[cells[slot] + 1];
    }
    for (let c = 0; c < this.side * this.side; ++c) first[c + 1] += first[c];
    const next = first.slice();
    this.slots = new Uint32Array(this.count);
    for (let slot = 0; slot < this.count; ++slot) this.slots[next[cells[slot]]++] = slot;
    this.first = first;
  }

  cellAt(coordinate) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((coordinate + 0.5) * this.side)));
  }

  // Calls f(slot) for each point of the box.
  forBox(x0, y0, x1, y1, f) {
    const left = this.cellAt(x0), right = this.cellAt(x1);
    for (let row = this.cellAt(y0); row <= this.cellAt(y1); ++row) {
      const end = this.first[row * this.side + right + 1];
      for (let i = this.first[row * this.side + left]; i < end; ++i) {
        const slot = this.slots[i], x = this.xy[2 * slot], y = this.xy[2 * slot + 1];
        if (x >= x0 && x <= x1 && y >= y0 && y <= y1) f(slot);
      }
    }
  }

  // The slot next to a place among those that `counts` accepts, at most `reach` away; -1 if there is none.
  nearest(x, y, reach, counts) {
    let best = -1, least = reach * reach;
    this.forBox(x - reach, y - reach, x + reach, y + reach, (slot) => {
      const dx = this.xy[2 * slot] - x, dy = this.xy[2 * slot + 1] - y, far = dx * dx + dy * dy;
      if (far <= least && counts(slot)) {
        best = slot;
        least = far;
      }
    });
    return best;
  }
}

// Fisher and Yates's shuffle, with the numbers of a small generator (a linear congruence of 32 bits).
function shuffledRows(count) {
  const rows = new Uint32Array(count);
  let state = 12345;
  for (let i = 0; i < count; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor(state / 4294967296 * (i + 1));
    rows[i] = rows[j];
    rows[j] = i;
  }
  return rows;
}

// Whether a place lies inside of a polygon [[x, y] ...]: a ray from it crosses the outline an odd number of times.
function insidePolygon(x, y, polygon) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < (xj - xi) * (y - yi) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}
