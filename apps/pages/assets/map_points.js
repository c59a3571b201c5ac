// Draws the points of a map: by WebGL, or into the pixels of a canvas where WebGL is missing or only emulated, which would be
// slower. Both give the same picture.
//
// A look is four bytes for each slot: red, green, blue, and the number of the mark in MARKS. `order` lists the slots from the
// lowest to the highest; those from `marked` on get an outline. Large marks have a rim of the ground's colour, so that each can
// be seen where many lie over each other; rings need none.
"use strict";

// The distance of (x, y) from the edge of a mark of radius 1, negative inside; y downwards. The shader below has the same.
function markDistance(mark, x, y) {
  const ax = Math.abs(x), ay = Math.abs(y), length = Math.hypot(x, y);
  switch (mark) {
    case 1: return Math.max(y - 0.85, (2.1 * ax - 1.2 * (y + 1.25)) / 2.419);
    case 2: return Math.max(ax, ay) - 0.9;
    case 3: return Math.min(Math.max(ax - 0.4, ay - 1.2), Math.max(ax - 1.2, ay - 0.4));
    case 4: return (ax / 1.1 + ay / 1.35 - 1) * 0.853;
    case 5: return Math.abs(length - 0.85) - 0.3;
    default: return length - 1;
  }
}

const REACH = 1.4;    // no mark is larger than this many radii
const OUTLINE = 1.8;  // pixels of the screen
const BEYOND = 64;     // pixels of the canvas; the largest mark reaches less far
const RIM = 0.8;       // pixels of the screen
const RIM_FROM = 3.5;  // the radius, in pixels of the screen, from which marks have a rim

const VERTEX_SHADER = `
  attribute vec2 place;
  attribute vec4 look;
  uniform vec2 centre, zoom;
  uniform float radius;
  uniform vec4 outline;
  varying vec3 tint;
  varying float mark, r;
  void main() {
    r = radius + outline.a;
    mark = outline.a > 0.0 && look.w != 5.0 ? 0.0 : look.w;
    tint = outline.a > 0.0 ? outline.rgb : look.rgb / 255.0;
    gl_Position = vec4((place - centre) * zoom, 0.0, 1.0);
    gl_PointSize = 2.0 * (${REACH} * r + 1.0);
  }`;

const FRAGMENT_SHADER = `
  precision mediump float;
  uniform vec4 rim;
  varying vec3 tint;
  varying float mark, r;
  void main() {
    vec2 p = (gl_PointCoord * 2.0 - 1.0) * (${REACH} + 1.0 / r), a = abs(p);
    float d = length(p) - 1.0;
    if (mark > 4.5) d = abs(d + 0.15) - 0.3;
    else if (mark > 3.5) d = (a.x / 1.1 + a.y / 1.35 - 1.0) * 0.853;
    else if (mark > 2.5) d = min(max(a.x - 0.4, a.y - 1.2), max(a.x - 1.2, a.y - 0.4));
    else if (mark > 1.5) d = max(a.x, a.y) - 0.9;
    else if (mark > 0.5) d = max(p.y - 0.85, (2.1 * a.x - 1.2 * (p.y + 1.25)) / 2.419);
    float alpha = clamp(0.5 - d * r, 0.0, 1.0);
    if (alpha <= 0.0) discard;
    float core = rim.a > 0.0 && mark < 4.5 ? clamp(0.5 - (d * r + rim.a), 0.0, 1.0) : 1.0;
    gl_FragColor = vec4(mix(rim.rgb, tint, core), 1.0) * alpha;
  }`;

class WebGLPoints {
  // Throws if the browser has no WebGL 2, or not by a GPU unless `emulated` is allowed. Browsers that emulate one say so in its
  // name, or it is found out by isSlow().
  constructor(canvas, data, emulated) {
    this.name = "webgl";
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", {
      alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true, failIfMajorPerformanceCaveat: !emulated,
    });
    if (!gl) throw new Error("no WebGL 2");
    const about = gl.getExtension("WEBGL_debug_renderer_info");
    const renderer = String(gl.getParameter(about ? about.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
    if (!emulated && /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer)) throw new Error("no GPU");
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "no program");
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    this.uniforms = Object.fromEntries(["centre", "zoom", "radius", "outline", "rim"].map((name) => [name, this.at(name)]));
    this.attribute(program, "place", 2, gl.FLOAT);
    gl.bufferData(gl.ARRAY_BUFFER, data.xy, gl.STATIC_DRAW);
    this.looks = this.attribute(program, "look", 4, gl.UNSIGNED_BYTE);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  attribute(program, name, size, type) {
    const gl = this.gl, buffer = gl.createBuffer(), place = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, type, false, 0, 0);
    return buffer;
  }

  show(looks, order, marked) {
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.looks);
    gl.bufferData(gl.ARRAY_BUFFER, looks, gl.DYNAMIC_DRAW);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.DYNAMIC_DRAW);
    this.marked = marked;
    this.shown = order.length;
  }

  // Whether the second of two frames, which has nothing to prepare, takes longer than a map may: 25 ms.
  isSlow(draw) {
    const pixel = new Uint8Array(4), gl = this.gl;
    let took = 0;
    for (let frame = 0; frame < 2; ++frame) {
      const begin = performance.now();
      draw();
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);  // waits until it is drawn
      took = performance.now() - begin;
    }
    return took > 25;
  }

  draw(view, radius, ground, ink) {
    const gl = this.gl, u = this.uniforms, share = (rgb) => rgb.map((v) => v / 255);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...share(ground), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(u.centre, view.x, view.y);
    gl.uniform2f(u.zoom, 2 * view.scale / view.width, 2 * view.scale / view.height);
    const rimmed = radius >= RIM_FROM ? RIM * view.density : 0;
    const part = (from, to, outline, rim = 0) => {
      gl.uniform1f(u.radius, radius * view.density + rim);
      gl.uniform4f(u.outline, ...share(ink), outline);
      gl.uniform4f(u.rim, ...share(ground), rim);
      if (to > from) gl.drawElements(gl.POINTS, to - from, gl.UNSIGNED_INT, 4 * from);
    };
    part(0, this.marked, 0, rimmed);
    part(this.marked, this.shown, OUTLINE * view.density);
    part(this.marked, this.shown, 0);
  }
}

class PixelPoints {
  constructor(canvas, data) {
    this.name = "canvas";
    this.canvas = canvas;
    this.xy = data.xy;
    this.context = canvas.getContext("2d", {alpha: false, willReadFrequently: true});
    if (!this.context) throw new Error("no canvas");
    this.stamps = new Map();
  }

  show(looks, order, marked) {
    this.looks = looks;
    this.order = order;
    this.marked = marked;
  }

  // The pixels that a mark covers: where they lie from its middle, how much of each it covers, 0 to 255, and how much without
  // its rim.
  stamp(mark, radius, rim) {
    const key = [mark, radius, rim].join();
    let stamp = this.stamps.get(key);
    if (!stamp) {
      const half = Math.ceil(REACH * radius), byte = (share) => Math.round(255 * Math.min(1, Math.max(0, share)));
      const offsets = [], covers = [], cores = [];
      for (let y = -half; y <= half; ++y)
        for (let x = -half; x <= half; ++x) {
          const inside = -markDistance(mark, x / radius, y / radius) * radius, cover = byte(0.5 + inside);
          if (cover === 0) continue;
          offsets.push(y * this.pixels.width + x);
          covers.push(cover);
          cores.push(rim > 0 && mark !== 5 ? byte(0.5 + inside - rim) : cover);
        }
      stamp = {half, offsets: Int32Array.from(offsets), covers: Uint8Array.from(covers), cores: Uint8Array.from(cores)};
      if (this.stamps.size > 200) this.stamps.clear();
      this.stamps.set(key, stamp);
    }
    return stamp;
  }

  draw(view, radius, ground, ink) {
    // The pixels go beyond the canvas, so that a mark at its edge need not be cut.
    const width = this.canvas.width + 2 * BEYOND, height = this.canvas.height + 2 * BEYOND;
    if (!this.pixels || this.pixels.width !== width || this.pixels.height !== height) {
      this.pixels = this.context.createImageData(width, height);
      this.words = new Uint32Array(this.pixels.data.buffer);
      this.stamps.clear();
    }
    const word = ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    this.words.fill(word(ground));
    // Few sizes, so that stamps are found again.
    const r = Math.max(0.75, Math.round(4 * radius * view.density) / 4);
    const rim = radius >= RIM_FROM ? RIM * view.density : 0;
    this.part(0, this.marked, view, r + rim, rim, ground);
    if (this.marked < this.order.length) {
      this.part(this.marked, this.order.length, view, r + Math.round(OUTLINE * view.density), 0, ground, word(ink));
      this.part(this.marked, this.order.length, view, r, 0, ground);
    }
    this.context.putImageData(this.pixels, -BEYOND, -BEYOND);
  }

  // The points order[from, to), in their own colours or all in one, with a rim of so many pixels.
  part(from, to, view, radius, rim, ground, outline) {
    const {words, xy, order} = this, width = this.pixels.width, height = this.pixels.height;
    const looks = new Uint32Array(this.looks.buffer), scale = view.scale * view.density;
    const left = width / 2 - view.x * scale - 0.5, top = height / 2 + view.y * scale - 0.5;
    const stamps = MARKS.map((_, mark) => this.stamp(outline !== undefined && mark !== 5 ? 0 : mark, radius, rim));
    for (let i = from; i < to; ++i) {
      const slot = order[i], look = looks[slot], {half, offsets, covers, cores} = stamps[look >>> 24];
      const x = Math.round(left + xy[2 * slot] * scale), y = Math.round(top - xy[2 * slot + 1] * scale);
      if (x < half || y < half || x + half >= width || y + half >= height) continue;
      const full = (outline === undefined ? look | 0xff000000 : outline) >>> 0, middle = y * width + x;
      const red = full & 255, green = full >>> 8 & 255, blue = full >>> 16 & 255;
      for (let k = 0; k < offsets.length; ++k) {
        const at = middle + offsets[k], core = cores[k];
        if (core === 255) {
          words[at] = full;
          continue;
        }
        const under = words[at], keep = 255 - covers[k], edge = covers[k] - core;
        words[at] = 0xff000000 | ((under >>> 16 & 255) * keep + blue * core + ground[2] * edge + 255 >> 8) << 16 |
                    ((under >>> 8 & 255) * keep + green * core + ground[1] * edge + 255 >> 8) << 8 |
                    ((under & 255) * keep + red * core + ground[0] * edge + 255 >> 8);
      }
    }
  }
}

// The best that the browser has. `wanted`: "webgl", "canvas", or "" for either; a page's address can say #points=canvas.
function pointsDrawer(data, wanted) {
  const canvas = () => el("canvas", {"aria-hidden": "true"});
  if (wanted !== "canvas") {
    try {
      return new WebGLPoints(canvas(), data, wanted === "webgl");
    } catch (missing) {
      console.info("The map is drawn without WebGL: " + missing.message);
    }
  }
  return new PixelPoints(canvas(), data);
}
