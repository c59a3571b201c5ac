// What the scripts of every page use. Plain functions in the page's one scope:
//
//   pageData()                       the JSON that the program put into the page; {} if there is none
//   el(tag, attributes, ...children) a new element. Children are elements or plain text, or arrays of them; null is left out.
//                                    Attributes: "class", "style", "title" ...; true writes the bare name, false and null
//                                    nothing; on: {click: f} listens. Nothing is ever read as HTML, so names are safe.
//   svgEl(tag, attributes, ...)      the same for SVG
//   fill(element, ...children)       replaces its content
//   integer(n), decimal(n, digits), percent(share, digits), counted(n, "image")
//                                    numbers as text: 12,345, 0.123, 81.2 %, "1 image"; "–" for what is no number
//   color(name)                      a colour of page.css in the scheme that is shown now: color("ink"), color("c3")
//   classStyle(i)                    {color: "c3", mark: "plus"}: how the class or curve number i is drawn. 24 are different.
//   MARKS, markPath(mark, radius)    the marks, and the outline of one as an SVG path around (0, 0), for Path2D too
//   markIcon(style)                  a small SVG of it, for legends
//   onScheme(f)                      calls f() when the scheme changes from light to dark or back, or the page is printed
//   announce(text)                   says it to screen readers
//   saveText(name, text)             the browser saves it as a file
//   copyText(text)                   a promise: true if it is in the clipboard
"use strict";

function pageData() {
  if (!pageData.known) {
    const element = document.getElementById("data");
    pageData.known = element ? JSON.parse(element.textContent) : {};
  }
  return pageData.known;
}

function addTo(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

function el(tag, attributes, ...children) {
  return addTo(document.createElement(tag), attributes, children);
}

function svgEl(tag, attributes, ...children) {
  return addTo(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, ...children) {
  element.replaceChildren();
  return addTo(element, null, children);
}

// Numbers are written as in the programs' own output, whatever the reader's language is.
const NO_NUMBER = "\u2013";

function integer(n) {
  return Number.isFinite(n) ? Math.round(n).toLocaleString("en-US") : NO_NUMBER;
}

function decimal(n, digits = 3) {
  if (!Number.isFinite(n)) return NO_NUMBER;
  const size = Math.abs(n);
  if (size !== 0 && (size < 0.5 * 10 ** -digits || size >= 1e7)) return n.toExponential(2).replace("-", "\u2212");
  return n.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits}).replace("-", "\u2212");
}

function percent(share, digits = 1) {
  return Number.isFinite(share) ? decimal(100 * share, digits) + "\u00a0%" : NO_NUMBER;
}

function counted(n, noun) {
  if (n === 1) return "1 " + noun;
  return integer(n) + " " + (/(s|x|ch|sh)$/.test(noun) ? noun + "es" : noun.replace(/([^aeiou])y$/, "$1ie") + "s");
}

// Colours and marks.

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

const COLORS = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"];
const MARKS = ["disc", "triangle", "square", "plus", "diamond", "ring"];

// Neighbours in a list differ in both. The same colour comes back with another mark: 24 pairs, then they repeat.
function classStyle(i) {
  const round = Math.floor(i / COLORS.length) % 3, place = i % COLORS.length;
  return {color: COLORS[place], mark: MARKS[(place + 2 * round) % MARKS.length]};
}

// Of about equal area, so that no class seems heavier.
function markPath(mark, r) {
  const polygon = (...xy) => "M" + xy.map(([x, y]) => (x * r).toFixed(2) + " " + (y * r).toFixed(2)).join("L") + "Z";
  const circle = (radius) => {
    const s = (radius * r).toFixed(2);
    return `M${s} 0A${s} ${s} 0 1 1 -${s} 0A${s} ${s} 0 1 1 ${s} 0Z`;
  };
  switch (mark) {
    case "triangle": return polygon([0, -1.25], [1.2, 0.85], [-1.2, 0.85]);
    case "square": return polygon([-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]);
    case "plus":
      return polygon([-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2],
                     [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]);
    case "diamond": return polygon([0, -1.35], [1.1, 0], [0, 1.35], [-1.1, 0]);
    case "ring": {  // the inner circle runs the other way, so it stays open
      const s = (0.55 * r).toFixed(2);
      return circle(1.15) + `M${s} 0A${s} ${s} 0 1 0 -${s} 0A${s} ${s} 0 1 0 ${s} 0Z`;
    }
    default: return circle(1);
  }
}

function markIcon(style, side = 14) {
  return svgEl("svg", {width: side, height: side, viewBox: "-8 -8 16 16", "aria-hidden": "true"},
               svgEl("path", {d: markPath(style.mark, 5.4), style: `fill: var(--${style.color})`}));
}

const schemeListeners = [];

function onScheme(listener) {
  if (schemeListeners.length === 0) {
    const tell = () => schemeListeners.forEach((f) => f());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
    matchMedia("print").addEventListener("change", tell);
  }
  schemeListeners.push(listener);
}

function announce(text) {
  let region = document.getElementById("announcements");
  if (!region) {
    region = el("div", {id: "announcements", class: "unseen", role: "status", "aria-live": "polite"});
    (document.querySelector("main") || document.body).append(region);
  }
  region.textContent = text;
}

function saveText(name, text) {
  const address = URL.createObjectURL(new Blob([text], {type: "text/plain;charset=utf-8"}));
  const link = el("a", {href: address, download: name, hidden: true});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (refused) {  // not allowed here: the older way
    const area = el("textarea", {class: "unseen", "aria-hidden": "true"});
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
