// What a reader's hand does to a map: pointers, wheel and keys; and the card beside the point that it is on.
"use strict";

// A point's picture, name and classes, next to it. It follows the pointer, or stays once it is pinned.
class MapCard {
  constructor(map) {
    this.map = map;
    this.pinned = false;
    this.element = el("div", {class: "map-card", hidden: true});
    map.stage.append(this.element);
  }

  isOpen() {
    return !this.element.hidden;
  }

  open(slot, pinned) {
    const map = this.map, side = 112;
    this.slot = slot;
    this.pinned = pinned;
    const text = el("div", {}, el("span", {class: "name"}, shortName(map.data.name(slot))));
    for (const grouping of map.data.groupings) {
      const id = grouping.of[slot], style = grouping === map.grouping ? map.styleOf(id) : null;
      text.append(el("div", {class: "key soft"}, style ? markIcon(style) : null, el("span", {class: "name"}, grouping.groups[id].name)));
    }
    let canvas = null;
    if (map.data.hasPicture(slot)) {
      canvas = el("canvas", {width: side, height: side, "aria-hidden": "true"});
      const show = () => {
        const picture = map.data.picture(slot, show);
        if (picture) drawPicture(canvas.getContext("2d"), picture, 0, 0, side);
      };
      show();
    }
    fill(this.element, canvas, text);
    this.element.classList.toggle("pinned", pinned);
    this.element.hidden = false;
    this.place();
  }

  // Beside the point, on the side that has room.
  place() {
    const map = this.map, [x, y] = map.onScreen(this.slot), box = this.element.getBoundingClientRect(), gap = 14;
    const left = x + gap + box.width < map.view.width ? x + gap : x - gap - box.width;
    const top = y + gap + box.height < map.view.height ? y + gap : y - gap - box.height;
    const within = (value, most) => Math.round(Math.max(4, Math.min(value, most - 6)));
    this.element.style.left = within(left, map.view.width - box.width) + "px";
    this.element.style.top = within(top, map.view.height - box.height) + "px";
  }

  close() {
    this.element.hidden = true;
    this.pinned = false;
  }
}

// The end of a long path tells more than its beginning.
function shortName(name) {
  return name.length <= 160 ? name : "\u2026" + name.slice(-159);
}

// Pointers, wheel and keys.
class MapGestures {
  constructor(map) {
    this.map = map;
    this.pointers = new Map();
    const stage = map.stage, listen = (event, f) => stage.addEventListener(event, f.bind(this), {passive: false});
    listen("pointerdown", this.down);
    listen("pointermove", this.move);
    listen("pointerup", this.up);
    listen("pointercancel", this.up);
    listen("pointerleave", () => map.card.pinned || map.hover(-1));
    listen("wheel", this.wheel);
    listen("dblclick", (event) => map.lassoOn || map.zoom(event.shiftKey ? 0.5 : 2, ...this.at(event)));
    listen("keydown", this.key);
    listen("blur", () => map.hint.textContent === this.wheelHint && (map.hint.textContent = ""));
    this.wheelHint = "Click the map, then the wheel enlarges it.";
  }

  at(event) {
    const box = this.map.stage.getBoundingClientRect();
    return [event.clientX - box.left - 1, event.clientY - box.top - 1];
  }

  down(event) {
    if (event.button !== 0) return;
    const map = this.map, [x, y] = this.at(event);
    map.stage.focus({preventScroll: true, focusVisible: false});
    map.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, {x, y, startX: x, startY: y});
    this.still = this.pointers.size === 1;
    map.lassoPath = map.lassoOn && this.still ? [map.placeAt(x, y)] : null;
    if (map.lassoOn) map.hover(-1);
    event.preventDefault();
  }

  move(event) {
    const map = this.map, [x, y] = this.at(event), pointer = this.pointers.get(event.pointerId);
    if (!pointer) {
      if (event.pointerType === "mouse" && !map.lassoOn && !map.card.pinned) map.hover(map.pointAt(x, y));
      return;
    }
    if (this.still && Math.hypot(x - pointer.startX, y - pointer.startY) < 4) return;
    this.still = false;
    if (this.pointers.size === 1 && map.lassoPath) {
      map.lassoPath.push(map.placeAt(x, y));
      map.redraw();
    } else if (this.pointers.size === 1) {
      map.stage.classList.add("moving");
      map.pan(x - pointer.x, y - pointer.y);
    } else if (this.pointers.size === 2) {  // the other finger is the fixed point
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const was = Math.hypot(pointer.x - other.x, pointer.y - other.y), is = Math.hypot(x - other.x, y - other.y);
      if (was > 0 && is > 0) {
        map.pan((x - pointer.x) / 2, (y - pointer.y) / 2);
        map.zoom(is / was, (x + other.x) / 2, (y + other.y) / 2);
      }
    }
    pointer.x = x;
    pointer.y = y;
  }

  up(event) {
    const map = this.map, pointer = this.pointers.get(event.pointerId);
    if (!pointer) return;
    this.pointers.delete(event.pointerId);
    map.stage.classList.remove("moving");
    if (map.lassoPath) {
      if (this.still) map.lassoPath = null;
      else map.endLasso(event.shiftKey);
    }
    if (!this.still || event.type !== "pointerup") return;
    if (map.lassoOn) return;
    const slot = map.pointAt(pointer.x, pointer.y);  // a click or a tap
    map.hover(slot === map.hovered && map.card.pinned ? -1 : slot, slot >= 0);
    if (slot >= 0) announce(map.described(slot));
  }

  // In a page with more than the map the wheel scrolls the page, until the map was clicked.
  wheel(event) {
    const map = this.map, whole = map.section.classList.contains("whole");
    if (!whole && !event.ctrlKey && document.activeElement !== map.stage) {
      if (!map.lassoOn) map.hint.textContent = this.wheelHint;
      return;
    }
    event.preventDefault();
    if (map.hint.textContent === this.wheelHint) map.hint.textContent = "";
    const pixels = event.deltaY * [1, 16, map.view.height][event.deltaMode];
    map.zoom(Math.exp(-Math.max(-300, Math.min(300, pixels)) * (event.ctrlKey ? 0.008 : 0.002)), ...this.at(event));
  }

  key(event) {
    const map = this.map, step = 60;
    if (event.target !== map.stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      "+": () => map.zoom(1.3), "=": () => map.zoom(1.3), "-": () => map.zoom(1 / 1.3), "_": () => map.zoom(1 / 1.3),
      "0": () => map.fit(),
      ArrowLeft: () => map.pan(step, 0), ArrowRight: () => map.pan(-step, 0),
      ArrowUp: () => map.pan(0, step), ArrowDown: () => map.pan(0, -step),
      Enter: () => map.visitMiddle(),
      Escape: () => {
        if (map.lassoOn) map.setLasso(false);
        map.hover(-1);
      },
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}
