// Beside and below a map: the search, the list of classes, and the images that are chosen. They change the map's state
// (map.js, class EmbeddingMap) and are told of its changes by refresh().
"use strict";

// ---------------------------------------------------------------------------------------------------------------------
// Search

class MapSearch {
  constructor(map) {
    this.map = map;
    this.found = [];  // slots, in the order of the rows
    this.at = -1;
    const id = map.section.id + "-search";
    this.field = el("input", {
      type: "search", id, autocomplete: "off", spellcheck: "false", placeholder: "class or file name",
      on: {
        input: () => this.search(),
        keydown: (event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          this.walk(event.shiftKey ? -1 : 1);
        },
      },
    });
    this.said = el("span", {role: "status"});
    this.before = el("button", {type: "button", class: "quiet", title: "The match before", "aria-label": "The match before",
                                on: {click: () => this.walk(-1)}}, "\u2191");
    this.after = el("button", {type: "button", class: "quiet", title: "The next match", "aria-label": "The next match",
                               on: {click: () => this.walk(1)}}, "\u2193");
    this.element = el("div", {},
                      el("label", {class: "field", for: id}, "Search"), this.field,
                      el("div", {class: "map-found"}, this.said, this.before, this.after));
    this.say();
  }

  search() {
    const map = this.map, data = map.data, text = this.field.value.trim().toLowerCase();
    this.at = -1;
    this.found = [];
    map.matches = null;
    map.query = text;
    map.hover(-1);
    if (text !== "") {
      const names = data.lowerNames();
      const hits = map.groups.map((group) => group.lower.includes(text));
      map.matches = new Uint8Array(data.count);
      for (let slot = 0; slot < data.count; ++slot) {
        const group = map.groupOf[slot];
        if (map.off[group] || !(hits[group] || names[data.rowOf[slot]].includes(text))) continue;
        map.matches[slot] = 1;
        this.found.push(slot);
      }
      this.found.sort((a, b) => data.rowOf[a] - data.rowOf[b]);
    }
    this.say();
    map.changed();
  }

  say() {
    const count = this.found.length;
    this.before.disabled = this.after.disabled = count === 0;
    this.said.textContent = this.map.query === "" ? `${integer(this.map.data.count)} images`
        : count === 0 ? "No match"
        : this.at < 0 ? `${counted(count, "match")}; Enter walks through them`
        : `${integer(this.at + 1)} of ${counted(count, "match")}`;
  }

  walk(step) {
    const count = this.found.length;
    if (count === 0) return;
    this.at = this.at < 0 ? (step > 0 ? 0 : count - 1) : (this.at + step + count) % count;
    this.say();
    this.map.visit(this.found[this.at]);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Classes

class MapClasses {
  constructor(map) {
    this.map = map;
    this.head = el("div", {class: "map-class-head"});
    this.why = el("p", {class: "map-why"});
    this.list = el("ul", {class: "class-list", on: {
      keydown: (event) => this.moveFocus(event),
      focusin: (event) => this.setStop(event.target.closest(".class-row")),
      pointerleave: () => map.setPreview(-1),
    }});
    this.element = [this.head, this.why, this.list];
    this.build();
  }

  build() {
    const map = this.map, what = map.grouping.what, many = map.many();
    const button = (text, title, click) => el("button", {type: "button", class: "quiet", title, on: {click}}, text);
    fill(this.head, el("strong", {}, counted(map.classCount, what)),
         button("Show all", `Show every ${what}`, () => this.setAll(0)),
         button("Hide all", `Hide every ${what}`, () => this.setAll(1)),
         button("No emphasis", `Bring out no ${what}`, () => {
           map.picked.clear();
           map.changed();
         }));
    this.why.textContent = many
        ? `Those that you choose have a colour, up to ${map.mostPicked}; the others are grey. A tick shows or hides.`
        : "Choose one or more to bring them out. A tick shows or hides.";
    this.rows = map.groups.map((group) => this.row(group));
    fill(this.list, this.rows.map((row) => row.element));
    if (this.rows.length) this.setStop(this.rows[0].element);
  }

  row(group) {
    const map = this.map, icon = el("span", {class: "key"});
    const tick = el("input", {type: "checkbox", tabindex: -1, "aria-label": "Show " + group.name, on: {
      change: () => {
        map.off[group.id] = tick.checked ? 0 : 1;
        announce(`${integer(map.off.reduce((n, off) => n - off, map.groups.length))} of ${map.groups.length} shown`);
        map.search.search();
      },
    }});
    const choose = el("button", {type: "button", class: "quiet", tabindex: -1, title: group.name, on: {
      click: () => {
        map.pick(group.id);
        map.changed();
      },
      pointerenter: (event) => event.pointerType === "mouse" && map.setPreview(group.id),
      focus: () => choose.matches(":focus-visible") && map.setPreview(group.id),
      blur: () => map.setPreview(-1),
    }}, icon, el("span", {class: "name"}, group.name), el("span", {class: "count"}, integer(group.count)));
    return {group, icon, tick, choose, shown: "", element: el("li", {class: "class-row"}, tick, choose)};
  }

  setAll(off) {
    this.map.off.fill(off);
    announce(off ? "All hidden" : "All shown");
    this.map.search.search();
  }

  // The list is one stop of the Tab key; within it the arrows move.
  setStop(element) {
    if (!element || element === this.stop) return;
    for (const [row, index] of [[this.stop, -1], [element, 0]])
      if (row) row.querySelectorAll("input, button").forEach((control) => control.setAttribute("tabindex", index));
    this.stop = element;
  }

  moveFocus(event) {
    const row = event.target.closest(".class-row");
    const shown = this.rows.map((r) => r.element).filter((element) => !element.hidden), at = shown.indexOf(row);
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1, PageDown: at + 10, PageUp: at - 10}[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = shown[Math.min(shown.length - 1, Math.max(0, to))];
    this.setStop(next);
    next.querySelector(event.target.tagName).focus();
  }

  refresh() {
    const map = this.map;
    const some = map.query !== "" && map.groups.some((group) => group.lower.includes(map.query));
    for (const row of this.rows) {
      const id = row.group.id, style = map.styleOf(id), look = style ? style.color + style.mark : "none";
      if (row.shown !== look) {
        fill(row.icon, markIcon(style || {color: "faded", mark: "disc"}));
        row.shown = look;
      }
      row.tick.checked = !map.off[id];
      row.choose.setAttribute("aria-pressed", String(map.picked.has(id)));
      row.element.classList.toggle("off", map.off[id] === 1);
      row.element.hidden = some && !row.group.lower.includes(map.query);
    }
    const stop = this.rows.find((row) => !row.element.hidden);
    if (stop && this.stop && this.stop.hidden) this.setStop(stop.element);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Images that are chosen

const MOST_THUMBNAILS = 120, MOST_LISTED = 2000;  // shown; copied and saved are all

class MapPicked {
  constructor(map) {
    this.map = map;
    this.title = el("h3", {id: map.section.id + "-picked", tabindex: -1});
    this.said = el("span", {class: "soft", role: "status"});
    this.pictures = el("div", {class: "map-thumbs"});
    this.list = el("ol", {class: "map-list", tabindex: 0, "aria-labelledby": this.title.id});
    const button = (text, click) => el("button", {type: "button", on: {click}}, text);
    this.element = el("div", {class: "map-picked panel", role: "region", "aria-labelledby": this.title.id, hidden: true}, this.title,
                      el("div", {class: "controls"}, button("Copy names", () => this.copy()),
                         button("Save names as text", () => saveText("images.txt", this.text())),
                         button("Clear", () => {
                           map.choose([]);
                           map.stage.focus();
                         }), this.said),
                      this.pictures, this.list);
  }

  // A name on each line: line breaks in a name are written as \n and \r, and so is what would look like that.
  text() {
    const escaped = {"\n": "\\n", "\r": "\\r"};
    return this.names.map((name) => name.replace(/[\n\r]/g, (c) => escaped[c]) + "\n").join("");
  }

  async copy() {
    const done = await copyText(this.text());
    this.said.textContent = done ? `${counted(this.names.length, "name")} copied` : "The browser did not allow it: save them instead";
  }

  refresh() {
    const map = this.map, data = map.data, slots = map.chosen;
    this.element.hidden = slots.length === 0;
    this.said.textContent = "";
    if (slots.length === 0) return;
    this.names = slots.map((slot) => data.name(slot));
    this.title.textContent = `${counted(slots.length, "image")} chosen`;
    const pictured = slots.filter((slot) => data.hasPicture(slot)).slice(0, MOST_THUMBNAILS);
    fill(this.pictures, pictured.map((slot) => this.thumbnail(slot)));
    fill(this.list, this.names.slice(0, MOST_LISTED).map((name) => el("li", {}, el("span", {class: "name"}, name))),
         slots.length > MOST_LISTED
             ? el("li", {class: "soft"}, `and ${integer(slots.length - MOST_LISTED)} more, which are copied and saved too`) : null);
  }

  thumbnail(slot) {
    const map = this.map, canvas = el("canvas", {width: 48, height: 48, "aria-hidden": "true"});
    const draw = () => {
      const picture = map.data.picture(slot, draw);
      if (picture) drawPicture(canvas.getContext("2d"), picture, 0, 0, 48);
    };
    draw();
    const name = map.data.name(slot);
    return el("button", {type: "button", title: name, "aria-label": "Go to " + name, on: {click: () => map.visit(slot)}}, canvas);
  }
}

function drawPicture(context, picture, x, y, side) {
  context.drawImage(picture.image, picture.x, picture.y, picture.side, picture.side, x, y, side, side);
}
