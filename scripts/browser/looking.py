"""What is looked at in a page: errors, requests, text that is hard to read, whether it is too wide, how fast its maps move."""
import urllib.parse

LOAD_SECONDS = 60
NARROW = 360  # pixels: a small phone


def origin(address):
    parts = urllib.parse.urlsplit(address)
    return parts.scheme, parts.netloc


def watch(page, address, problems):
    """Adds to `problems` what the browser says from now on, and every request to elsewhere than the page itself."""
    page.on("console", lambda message: message.type == "error" and problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))

    def asked(request):
        scheme = urllib.parse.urlsplit(request.url).scheme
        own = request.url.split("#")[0] == address.split("#")[0]
        served = scheme in ("http", "https") and origin(request.url) == origin(address)
        if scheme not in ("data", "blob") and not own and not served:
            problems.append(f"request to outside: {request.url[:200]}")
    page.on("request", asked)


def load(page, address, problems):
    """Whether the page is there and says something."""
    try:
        answer = page.goto(address, wait_until="load", timeout=1000 * LOAD_SECONDS)
    except Exception as error:  # Playwright's own, of several kinds
        problems.append(f"it did not load: {str(error).splitlines()[0]}")
        return False
    if answer is not None and answer.status >= 400:
        problems.append(f"it did not load: the server said {answer.status}")
        return False
    page.wait_for_timeout(400)  # pictures are decoded, charts move into place
    title, text = page.title(), page.inner_text("body").strip()
    if not title or not text:
        problems.append("it did not load: it has no title, or no text")
        return False
    return True


def hard_to_read(browser, page, problems, where):
    """What axe calls serious or critical: text without contrast above all. Returns of how many elements the contrast was
    computed, and of how many it could not be, for example text above a picture."""
    found = browser.axe.run(page, options={"resultTypes": ["violations", "passes", "incomplete"]}).response
    for violation in found["violations"]:
        if violation["impact"] in ("serious", "critical"):
            for node in violation["nodes"][:5]:
                why = (node.get("any") or node.get("all") or node.get("none") or [{}])[0].get("message", "")
                problems.append(f"{where}: {violation['id']}: {' '.join(map(str, node['target']))}: {why}")

    def nodes(kind):
        return sum(len(rule["nodes"]) for rule in found[kind] if rule["id"] == "color-contrast")
    if nodes("passes") + nodes("violations") == 0:
        problems.append(f"{where}: the contrast of no text could be computed")
    return nodes("passes") + nodes("violations"), nodes("incomplete")


def too_wide(page, problems):
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    if wide > NARROW:
        widest = page.evaluate("""() => {
            const outside = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1);
            return outside.slice(0, 3).map((e) => e.tagName + "." + e.className).join(", ");
        }""")
        problems.append(f"narrow: the page is {wide} pixels wide in a window of {NARROW}: {widest}")


STYLES = """() => typeof embeddingMaps === "undefined" ? [] : Object.entries(embeddingMaps).flatMap(([name, map]) =>
    map.groups.map((group) => ({name, none: Boolean(group.isNone), count: group.count, style: map.styleOf(group.id)})))"""


def class_styles(page, problems):
    """Images without a class are grey rings, and nothing else is. Returns how many of them the page's maps have."""
    rings = 0
    for group in page.evaluate(STYLES):
        is_ring = group["style"] == {"color": "soft", "mark": "ring"}
        if is_ring != group["none"]:
            problems.append(f"map {group['name']}: {group['count']} images {'without' if group['none'] else 'of'} a class are drawn "
                            f"as {group['style']}")
        rings += group["count"] if is_ring else 0
    return rings


PAN = """async ([id, seconds]) => {
    const map = embeddingMaps[id], stage = map.stage;
    stage.scrollIntoView({block: "center"});
    const box = stage.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    const send = (kind, dx, dy, buttons) => stage.dispatchEvent(new PointerEvent(kind, {
        pointerId: 1, pointerType: "mouse", isPrimary: true, bubbles: true, button: kind === "pointermove" ? -1 : 0, buttons,
        clientX: x + dx, clientY: y + dy}));
    const captured = stage.setPointerCapture;
    stage.setPointerCapture = () => {};
    const frame = () => new Promise(requestAnimationFrame);
    send("pointerdown", 0, 0, 1);
    const first = map.frames, begin = performance.now();
    let now = begin, longest = 0, step = 0;
    while (now - begin < 1000 * seconds) {
        ++step;
        send("pointermove", Math.round(90 * Math.sin(step / 15)), Math.round(60 * Math.cos(step / 15)), 1);
        await frame();
        const next = performance.now();
        longest = Math.max(longest, next - now);
        now = next;
    }
    const frames = map.frames - first;
    send("pointerup", 0, 0, 0);
    stage.setPointerCapture = captured;
    map.fit();
    return {frames: frames / (now - begin) * 1000, longest, drawer: map.points.name, points: map.data.count};
}"""


def pan_maps(page, seconds):
    """Drags every map of the page, and returns for each how many frames a second it drew."""
    ids = page.evaluate("typeof embeddingMaps === 'undefined' ? [] : Object.keys(embeddingMaps)")
    return [(name, page.evaluate(PAN, [name, seconds])) for name in ids]
