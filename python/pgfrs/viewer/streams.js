"use strict";
// A stream byte by byte: drag along it, see the picture that the bytes so far give, click on bytes to damage them.
(() => {
  const CELL = 30; // width of a byte in the close-up
  const STRIP = 34; // height of the strip of all bytes
  const CLOSE = 46; // height of the close-up
  const POLL = 400; // milliseconds between looks at a file that may grow
  const KINDS = { picture: "#e0b34a", base: "#c9773a", palette: "#8c6bc8", user_data: "#8c6bc8", file: "#8c6bc8",
    check: "#6a6f78", end: "#6a6f78", unknown: "#b04a4a" };
  // Groups of channels by hue, levels by lightness: coarse ones are light.
  const HUES = [208, 150, 330, 270, 30, 90, 180, 0];
  const NAMES = ["luma or first channel", "colour differences", "fourth channel"];

  class Stream {
    constructor(picture, number) {
      Object.assign(this, { picture, number, bytes: new Uint8Array(0), segments: [], damage: new Set(), cursor: 0 });
      this.have = "0.0"; // the server's name for these bytes
      const place = pgfrs.place();
      const end = !place.has("bytes") || (history.state && history.state.end);
      this.wish = end ? Infinity : Number(place.get("bytes")) || 0; // where the cursor goes once the bytes are there
      this.known = false;
      this.lost = true; // whether to look at the file even if it is not followed
      this.follow = true;
      this.overlay = false;
      this.state = null;
      this.bitmap = null;
      this.busy = false;
      this.wanted = false;
      this.outdated = false; // whether the picture is of bytes that are gone
      this.renders = 0;
      this.closed = false;
      this.canvas = document.createElement("canvas");
      this.canvas.tabIndex = 0;
      this.canvas.style.cursor = "default";
      this.context = this.canvas.getContext("2d", { alpha: false });
      const stage = pgfrs.byId("stage");
      stage.append(this.canvas);
      // What is said changes at every byte: it has a line of its own, so that nothing moves.
      pgfrs.byId("facts").style.cssText = "order: 1; flex: 1 0 100%; white-space: nowrap; overflow: hidden";
      this.tools();
      this.listen();
      this.observer = new ResizeObserver(() => this.draw());
      this.observer.observe(stage);
      document.body.dataset.settled = "false";
      this.look();
      this.timer = setInterval(() => this.look(), POLL);
      this.canvas.focus();
    }

    // Fetches what the file has gained, or all of it if it no longer begins with the bytes that are here: then it was
    // written anew. Says whether anything has changed.
    async grow() {
      const answer = await pgfrs.get(`streams/${this.number}?have=${this.have}`);
      const more = new Uint8Array(await answer.arrayBuffer());
      const from = Number(answer.headers.get("Pgfrs-From"));
      const have = answer.headers.get("Pgfrs-Have");
      const anew = from < this.bytes.length;
      if (more.length === 0 && !anew) return false;
      const segments = await this.segmentsOf(have);
      const all = new Uint8Array(from + more.length);
      all.set(this.bytes.subarray(0, from));
      all.set(more, from);
      Object.assign(this, { bytes: all, have, segments });
      if (anew) {
        this.damage.clear();
        this.outdated = true;
      }
      if (!this.known && this.wish >= all.length) this.wish = Infinity;
      this.known = true;
      this.cursor = Math.min(this.wish, all.length);
      return true;
    }

    async segmentsOf(have) {
      try {
        return await (await pgfrs.get(`streams/${this.number}/segments?have=${have}`)).json();
      } catch (error) {
        if (error.status === 400) return []; // no stream, whatever it is
        throw error;
      }
    }

    async look() {
      if (this.looking || this.closed || !(this.follow || this.lost)) return;
      this.looking = true;
      try {
        if (await this.grow() || this.lost) {
          this.lost = false;
          this.ask();
        }
      } catch (error) {
        this.fail(error);
        if (!this.busy) document.body.dataset.settled = "true";
      }
      this.looking = false;
    }

    // What may pass, as a file that is gone for a while, is looked for again.
    fail(error) {
      if (this.closed) return;
      this.lost ||= pgfrs.passes(error);
      // That the file has been written anew needs no words: the next look sees it.
      if (error.status !== 409) pgfrs.say(error.message);
    }

    tools() {
      const button = (text, title, act) => pgfrs.button(text, title, () => { act(); this.canvas.focus(); });
      const toggle = (text, title, name) => {
        const show = (b) => { b.style.opacity = this[name] ? 1 : 0.5; };
        const b = button(text, title, () => { this[name] = !this[name]; show(b); this.draw(); });
        show(b);
        return b;
      };
      pgfrs.byId("tools").append(
        button("Mend", "Undo all damage (m)", () => this.mend()),
        toggle("Confidence", "Tint what is not known yet (c)", "overlay"),
        toggle("Follow", "Go along with a file that is being written", "follow"));
    }

    // Where things are on the canvas, in CSS pixels.
    layout() {
      const width = this.canvas.clientWidth;
      const height = this.canvas.clientHeight;
      return { width, height, close: height - CLOSE, strip: height - CLOSE - STRIP, stage: height - CLOSE - STRIP - 8 };
    }

    // The first byte of the close-up, with the cursor in its middle.
    first() {
      const cells = Math.floor(this.canvas.clientWidth / CELL);
      const most = Math.max(0, this.bytes.length - cells);
      return Math.min(Math.max(0, this.cursor - Math.ceil(cells / 2)), most);
    }

    listen() {
      const c = this.canvas;
      let dragging = false;
      const scrub = (e) => this.go(Math.round(e.offsetX / this.canvas.clientWidth * this.bytes.length));
      c.addEventListener("pointerdown", (e) => {
        const { close, strip } = this.layout();
        if (e.offsetY >= close) {
          const at = this.first() + Math.floor(e.offsetX / CELL);
          if (at < this.bytes.length) this.hit(at);
        } else if (e.offsetY >= strip) {
          if (e.altKey || e.shiftKey) {
            this.hit(Math.min(this.bytes.length - 1, Math.floor(e.offsetX / this.canvas.clientWidth * this.bytes.length)));
            return;
          }
          c.setPointerCapture(e.pointerId);
          dragging = true;
          scrub(e);
        }
      });
      c.addEventListener("pointermove", (e) => {
        if (dragging) scrub(e);
        c.style.cursor = e.offsetY >= this.layout().close ? "crosshair" : e.offsetY >= this.layout().strip ? "ew-resize" : "default";
      });
      for (const name of ["pointerup", "pointercancel"]) c.addEventListener(name, () => { dragging = false; });
      c.addEventListener("wheel", (e) => {
        e.preventDefault();
        this.go(this.cursor + Math.sign(e.deltaY) * (e.shiftKey ? 16 : 1));
      }, { passive: false });
      c.addEventListener("keydown", (e) => {
        const act = {
          ArrowLeft: () => this.go(this.cursor - 1), ArrowRight: () => this.go(this.cursor + 1),
          PageUp: () => this.step(-1), PageDown: () => this.step(1),
          Home: () => this.go(0), End: () => this.go(this.bytes.length),
          d: () => this.cursor > 0 && this.hit(this.cursor - 1), m: () => this.mend(),
          c: () => { this.overlay = !this.overlay; this.draw(); },
        }[e.key];
        if (!act || e.ctrlKey || e.metaKey) return;
        e.preventDefault();
        act();
      });
    }

    go(at) {
      this.cursor = Math.min(Math.max(0, at), this.bytes.length);
      this.wish = this.cursor === this.bytes.length ? Infinity : this.cursor;
      this.ask();
    }

    // To the end of the next segment or of the one before.
    step(by) {
      const ends = this.segments.map((s) => s[1]);
      const next = by > 0 ? ends.find((end) => end > this.cursor) : ends.filter((end) => end < this.cursor).pop();
      this.go(next ?? (by > 0 ? this.bytes.length : 0));
    }

    // Damages a byte, or mends it again.
    hit(at) {
      if (at < 0) return; // there are none yet
      if (!this.damage.delete(at)) this.damage.add(at);
      this.ask();
    }

    mend() {
      this.damage.clear();
      this.ask();
    }

    // The picture of the bytes up to the cursor; while one is on its way only the latest wish counts.
    async ask() {
      this.draw();
      this.wanted = true;
      document.body.dataset.settled = "false";
      if (this.busy) return;
      this.busy = true;
      while (this.wanted && !this.closed) {
        this.wanted = false;
        const damage = [...this.damage].filter((at) => at < this.cursor).join(".");
        try {
          const { have } = this;
          const address = `streams/${this.number}/state?have=${have}&bytes=${this.cursor}&damage=${damage}`;
          const state = await (await pgfrs.get(address)).json();
          const bitmap = state.picture ? await this.decode(state.picture) : null;
          if (this.closed) break;
          this.show(state, bitmap);
          this.renders += 1;
          this.outdated &&= have !== this.have;
          if (!this.lost) pgfrs.say("");
        } catch (error) {
          if (this.outdated) this.show(null, null);
          this.fail(error);
        }
        this.draw();
      }
      this.busy = false;
      if (this.closed) return;
      // Where the cursor goes along with the end, it still does after reloading.
      pgfrs.note({ bytes: this.cursor }, { end: this.wish === Infinity });
      document.body.dataset.settled = "true";
    }

    show(state, bitmap) {
      if (this.bitmap) this.bitmap.close();
      Object.assign(this, { state, bitmap });
    }

    async decode(text) {
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      return createImageBitmap(new Blob([bytes], { type: "image/png" }));
    }

    colour(segment) {
      const [, , kind, group, level] = segment;
      if (kind !== "planes") return KINDS[kind] || KINDS.unknown;
      return `hsl(${HUES[group % HUES.length]} 55% ${Math.min(28 + 8 * level, 72)}%)`;
    }

    segmentAt(at) {
      return this.segments.find((s) => s[0] <= at && at < s[1]);
    }

    words() {
      const s = this.state && this.state.segment;
      if (!s) return this.state ? this.state.words || "" : "";
      const place = `bytes ${s.start} to ${s.end - 1}`;
      if (s.kind === "picture") return `header, ${place}`;
      if (s.kind === "base") return `base values of channel ${s.group}, ${place}`;
      if (s.kind !== "planes") return `${s.kind.replace("_", " ")}, ${place}`;
      const [high, low] = s.planes;
      const planes = high === low ? `plane ${high}` : `planes ${high} to ${low}`;
      const levels = s.levels[0] === s.levels[1] ? `level ${s.levels[0]}` : `levels ${s.levels[0]} to ${s.levels[1]}`;
      return `${planes} of block ${s.index}, ${levels}, ${NAMES[s.group] || "channel " + s.group}, ${place}: ${s.fate}`;
    }

    draw() {
      if (this.closed) return;
      const ratio = devicePixelRatio;
      const { canvas, context } = this;
      const { width, height, close, strip, stage } = this.layout();
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.fillStyle = "#1b1d20";
      context.fillRect(0, 0, width, height);
      this.drawPicture(width, stage);
      this.drawMap(stage);
      this.drawStrip(width, strip);
      this.drawClose(width, close);
      const fates = this.state && this.state.fates ? Object.entries(this.state.fates).filter(([, n]) => n) : [];
      pgfrs.byId("facts").textContent = this.words();
      pgfrs.byId("state").textContent =
        `${this.cursor} of ${this.bytes.length} bytes` + (this.damage.size ? `, ${this.damage.size} damaged` : "") +
        (fates.length ? "; segments: " + fates.map(([name, n]) => `${n} ${name}`).join(", ") : "");
    }

    drawPicture(width, height) {
      const { context, state, bitmap } = this;
      if (!bitmap || !state) return;
      const scale = Math.min((width - 16) / state.width, (height - 12) / state.height);
      const w = state.width * scale;
      const h = state.height * scale;
      const left = (width - w) / 2;
      const top = (height - h) / 2;
      this.place = { left, top, scale };
      context.imageSmoothingEnabled = scale * state.width < bitmap.width * 1.5;
      context.drawImage(bitmap, left, top, w, h);
      context.save();
      context.beginPath();
      context.rect(left, top, w, h);
      context.clip();
      if (this.overlay) {
        const side = 64 * scale;
        state.confidence.forEach((row, y) => row.forEach((known, x) => {
          context.fillStyle = `rgba(160, 40, 110, ${0.55 * (1 - known)})`;
          context.fillRect(left + x * side, top + y * side, side, side);
        }));
      }
      const segment = state.segment;
      if (segment && segment.region) {
        const [x0, y0, x1, y1] = segment.region;
        context.strokeStyle = "#ffd24a";
        context.lineWidth = 2;
        context.strokeRect(left + x0 * scale + 1, top + y0 * scale + 1, (x1 - x0) * scale - 2, (y1 - y0) * scale - 2);
      }
      context.restore();
    }

    // How much is known where, beside the picture if there is room: light is known.
    drawMap(height) {
      const { context, state, place } = this;
      if (!state || !state.confidence || !place || place.left < 120) return;
      const rows = state.confidence.length;
      const side = Math.min((place.left - 24) / state.confidence[0].length, 120 / rows);
      const top = height - rows * side - 6;
      state.confidence.forEach((row, y) => row.forEach((known, x) => {
        context.fillStyle = `hsl(${320 - 120 * known} 45% ${18 + 52 * known}%)`;
        context.fillRect(12 + x * side, top + y * side, side - 1, side - 1);
      }));
      context.fillStyle = "#d8dbe0";
      context.font = "12px system-ui, sans-serif";
      context.textAlign = "left";
      context.textBaseline = "bottom";
      const mean = state.confidence.flat().reduce((sum, known) => sum + known, 0) / state.confidence.flat().length;
      context.fillText(`confidence ${Math.round(100 * mean)} %`, 12, top - 4);
    }

    // All bytes in a line: segments by colour, what is behind the cursor dim, damage red.
    drawStrip(width, top) {
      const { context } = this;
      const scale = width / Math.max(1, this.bytes.length);
      for (const segment of this.segments) {
        context.fillStyle = this.colour(segment);
        context.globalAlpha = segment[0] < this.cursor ? 1 : 0.35;
        context.fillRect(segment[0] * scale, top, Math.max(0.5, (segment[1] - segment[0]) * scale - 0.5), STRIP - 6);
      }
      context.globalAlpha = 1;
      context.fillStyle = "#ff4d4d";
      for (const at of this.damage) context.fillRect(at * scale - 1, top - 3, Math.max(2, scale), STRIP);
      context.fillStyle = "#ffffff";
      context.fillRect(Math.min(width - 2, this.cursor * scale), top - 5, 2, STRIP + 3);
    }

    // The bytes around the cursor as they are.
    drawClose(width, top) {
      const { context } = this;
      const first = this.first();
      context.font = "13px ui-monospace, monospace";
      context.textAlign = "center";
      context.textBaseline = "middle";
      const last = Math.min(this.bytes.length, first + Math.ceil(width / CELL));
      for (let at = first; at < last; at++) {
        const x = (at - first) * CELL;
        const segment = this.segmentAt(at);
        const hit = this.damage.has(at);
        context.globalAlpha = at < this.cursor ? 1 : 0.4;
        context.fillStyle = hit ? "#b32020" : segment ? this.colour(segment) : "#444";
        context.fillRect(x + 1, top + 2, CELL - 2, CLOSE - 8);
        context.fillStyle = "#101214";
        if (hit) context.fillStyle = "#fff";
        const value = hit ? this.bytes[at] ^ 0x5a : this.bytes[at];
        context.fillText(value.toString(16).toUpperCase().padStart(2, "0"), x + CELL / 2, top + CLOSE / 2 - 1);
      }
      context.globalAlpha = 1;
      context.fillStyle = "#ffffff";
      context.fillRect(Math.min(width - 2, (this.cursor - first) * CELL - 1), top - 1, 2, CLOSE - 2);
    }

    close() {
      this.closed = true;
      clearInterval(this.timer);
      this.observer.disconnect();
      if (this.bitmap) this.bitmap.close();
      this.canvas.remove();
      pgfrs.byId("facts").style.cssText = "";
    }
  }

  pgfrs.modes.push({
    name: "bytes",
    label: "Bytes",
    title: "Go along the stream byte by byte",
    shows: (picture) => picture.format === "pgfr" && picture.local,
    open(picture, number) {
      pgfrs.stream = new Stream(picture, number);
      return pgfrs.stream;
    },
  });
})();
