// The page of `serve`: images are dropped, chosen or pasted, sent one by one, and what comes back is shown.
//
// The server looks at an image before the browser does: the picture of an answer is the one that the server sends back, made of
// what the network sees. So an image that would take gigabytes to decode is decoded nowhere.
"use strict";

function drawServe() {
  const facts = pageData();
  const AT_ONCE = 4;            // requests; the server puts them into one batch
  const MOST_TRIES = 6;         // of an image, while the server has no room
  const MOST_ITEMS = 1000;      // in the list
  const byId = (id) => document.getElementById(id);
  const answers = byId("answers"), drop = byId("drop"), files = byId("files");
  const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0) + " MiB";

  let token = null;             // in memory alone
  let listed = [];              // items, in no order
  let waiting = [];             // those that are to be sent, the next one first
  let sending = 0, asksToken = false;

  // An item of the list: an image, and what has become of it.

  function addItem(file) {
    const state = el("p", {class: "answer-state soft"}, "waiting");
    const picture = el("span", {class: "no-picture"});
    const name = file.name || "pasted image";
    const row = el("li", {class: "panel answer"},
                   el("figure", {class: "picture"}, picture),
                   el("div", {class: "answer-text"}, el("h2", {class: "name"}, name), state));
    return {file, row, state, picture, tries: 0, over: false};
  }

  function setState(item, text, kind = "soft") {
    item.state.className = "answer-state " + kind;
    fill(item.state, text);
  }

  function finish(item) {
    item.file = null;
    item.over = true;
    showProgress();
  }

  function fail(item, words) {
    setState(item, [el("span", {class: "mark", "aria-hidden": "true"}, "✗ "), words], "failed");
    item.row.classList.add("refused");
    finish(item);
  }

  const share = (p) => p < 0.0005 ? "< 0.1\u00a0%" : percent(p);

  function classTable(predictions) {
    const rows = predictions.map((one) => el("tr", null,
        el("th", {scope: "row"}, el("span", {class: "name"}, one.class)),
        el("td", null, el("span", {class: "bar", style: `--of:${Math.min(1, Math.max(0, one.probability))}`})),
        el("td", {class: "number"}, share(one.probability))));
    return el("table", null, el("caption", {class: "unseen"}, "Classes and their probabilities"), el("tbody", null, rows));
  }

  function neighbourPictures(neighbours) {
    const pictures = neighbours.map((one) => {
      const name = one.path.replace(/^.*\//, "");
      return el("figure", {class: "picture"},
                one.thumbnail ? el("img", {src: one.thumbnail, alt: "", loading: "lazy"}) : el("span", {class: "no-picture"}),
                el("figcaption", null, el("span", {class: "name", title: one.path}, name),
                   el("span", {class: "note"}, (one.class ? one.class + ", " : "") + decimal(one.similarity, 3))));
    });
    return el("div", {class: "group", style: "--side: 60px"}, el("p", {class: "group-name"}, "Most like it (cosine similarity)"),
              el("div", {class: "pictures"}, pictures));
  }

  function show(item, answer) {
    const predictions = answer.predictions || [], neighbours = answer.neighbours || [];
    if (answer.picture) item.picture.replaceWith(el("img", {src: answer.picture, alt: ""}));
    const text = item.state.parentNode;
    setState(item, answer.warning ? "The file is damaged: " + answer.warning : "");
    text.append(el("div", {class: "answer-parts"}, predictions.length > 0 ? classTable(predictions) : null,
                   neighbours.length > 0 ? neighbourPictures(neighbours) : null));
    finish(item);
  }

  // Sending.

  const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

  async function send(item) {
    setState(item, "looking at it");
    const headers = {"Content-Type": item.file.type.startsWith("image/") ? item.file.type : "application/octet-stream"};
    if (token) headers.Authorization = "Bearer " + token;
    const sentWith = token;
    let response, answer;
    try {
      response = await fetch("predict?pictures=1", {method: "POST", body: item.file, headers});
    } catch (problem) {
      fail(item, "nothing came back: the server has ended, or the file cannot be read");
      return;
    }
    try {
      answer = await response.json();
    } catch (problem) {
      if (response.ok) return fail(item, "the answer cannot be read");
      answer = {};                // of a proxy
    }
    const isBusy = response.status === 503 || response.status === 429;
    // This server's own 429 says that the token is wrong: the right one always passes.
    const asksForToken = response.status === 401 || (response.status === 429 && facts.asks_token && answer.error);
    if (response.ok) {
      show(item, answer);
    } else if (asksForToken) {
      setState(item, "waiting for the token");
      waiting.unshift(item);
      if (sentWith === token) askToken(token ? answer.error : "");
    } else if (isBusy && ++item.tries < MOST_TRIES) {
      setState(item, "the server is busy; it is sent again");
      await pause(Math.max(item.tries, Number(response.headers.get("Retry-After")) || 1));
      waiting.push(item);
    } else {
      fail(item, answer.error || `the server answers ${response.status}`);
    }
  }

  function next() {
    while (sending < AT_ONCE && waiting.length > 0 && !asksToken) {
      ++sending;
      send(waiting.shift()).finally(() => {
        --sending;
        next();
      });
    }
    showProgress();
  }

  let told = false;

  function showProgress() {
    const all = listed.length, done = listed.filter((item) => item.over).length;
    byId("queue").hidden = all === 0;
    const text = done < all ? `${integer(done)} of ${counted(all, "image")} done` : `${counted(all, "image")} done`;
    fill(byId("progress"), text);
    byId("stop").hidden = waiting.length === 0;
    if (done < all) told = false;
    if (done === all && all > 0 && !told) {
      told = true;
      announce(text);
    }
  }

  // What is added at one time stands together, above what was there, in its own order.
  function add(list) {
    const items = [];
    const room = MOST_ITEMS - listed.length;
    for (const file of Array.from(list).slice(0, room)) items.push(addItem(file));
    listed.push(...items);
    answers.prepend(...items.map((item) => item.row));
    for (const item of items) {
      if (item.file.size > facts.most_upload_bytes)
        fail(item, `the file has ${mebibytes(item.file.size)}; the server takes at most ${mebibytes(facts.most_upload_bytes)}`);
      else if (item.file.isFolder)
        fail(item, "this is a folder; open it and drop the images in it");
      else if (item.file.size === 0)
        fail(item, "the file is empty");
      else
        waiting.push(item);
    }
    byId("limits").classList.toggle("failed", list.length > room);
    if (list.length > room)
      fill(byId("limits"), `The list holds ${integer(MOST_ITEMS)} images; ${counted(list.length - room, "image")} ` +
                           "were left out. Clear it for more.");
    else
      showLimits();
    next();
  }

  // The token.

  function askToken(problem) {
    asksToken = true;
    byId("token").hidden = false;
    fill(byId("token-problem"), problem ? "✗ " + problem : "");
    byId("token-text").focus();
  }

  byId("token").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("token-text").value.trim();
    // Others cannot be sent in a header.
    if (!/^[\x21-\x7e]+$/.test(text)) return askToken("a token has visible ASCII characters, without spaces");
    token = text;
    byId("token-text").value = "";
    byId("token").hidden = true;
    asksToken = false;
    next();
  });

  // How images come in.

  byId("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    add(files.files);
    files.value = "";  // so that the same file can be chosen again
  });

  function filesOf(data) {
    const list = [];
    for (const item of data.items) {
      if (item.kind !== "file") continue;
      const file = item.getAsFile();
      if (!file) continue;
      const entry = item.webkitGetAsEntry ? item.webkitGetAsEntry() : null;
      list.push(entry && entry.isDirectory ? {name: file.name, size: 1, type: "", isFolder: true} : file);
    }
    return list;
  }

  // The whole page takes them: one that misses the zone must not replace the page.
  const carriesFiles = (event) => event.dataTransfer && Array.from(event.dataTransfer.types).includes("Files");
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    add(filesOf(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    const pasted = event.clipboardData ? filesOf(event.clipboardData) : [];
    if (pasted.length > 0) add(pasted);
  });

  byId("stop").addEventListener("click", () => {
    const left = waiting;
    waiting = [];
    for (const item of left) fail(item, "left out");
  });
  byId("clear").addEventListener("click", () => {
    for (const item of listed) if (item.over) item.row.remove();
    listed = listed.filter((item) => !item.over);
    showLimits();
    showProgress();
    byId("choose").focus();
  });

  function showLimits() {
    byId("limits").classList.remove("failed");
    fill(byId("limits"), `Several at once, up to ${mebibytes(facts.most_upload_bytes)} each. They go to this server and nowhere else.`);
  }

  showLimits();
  if (facts.asks_token) askToken("");
}
drawServe();
