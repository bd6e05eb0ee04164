"use strict";
// Pan and zoom of large pictures: tiles of the level that the screen needs, coarser ones until they are there.
(() => {
  const MOST_TILES = 600; // decoded tiles kept, 256 KiB each
  const MOST_REQUESTS = 6;
  const CHANGED = 300; // milliseconds until a file that has changed is looked at again
  const FAILED = 2000; // milliseconds until what failed is tried again
  const ease = (t) => 1 - (1 - t) ** 3;

  class Tiles {
    constructor(picture, number, side, changed) {
      Object.assign(this, { picture, number, side, changed });
      this.ready = new Map(); // key -> ImageBitmap, least recently used first
      this.stale = new Map(); // the same of a file that has changed, until newer ones are there
      this.loading = new Map(); // key -> AbortController
      this.failed = new Map(); // key -> whether trying again may help
      this.mixed = false; // whether tiles of another state of the file came
      this.timer = null;
      this.wanted = [];
      this.loaded = 0;
    }

    static key(level, column, row) {
      return `${level}/${column}/${row}`;
    }

    get(level, column, row) {
      const key = Tiles.key(level, column, row);
      const tile = this.ready.get(key);
      if (tile) {
        this.ready.delete(key);
        this.ready.set(key, tile);
      }
      return tile || this.stale.get(key);
    }

    // What the screen wants now, most wanted first; what is no longer wanted is given up.
    want(tiles) {
      this.wanted = tiles.filter((t) => !this.ready.has(t.key) && !this.failed.has(t.key));
      const keys = new Set(this.wanted.map((t) => t.key));
      this.abort((key) => !keys.has(key));
      this.pump();
    }

    abort(which) {
      for (const [key, controller] of [...this.loading]) {
        if (!which(key)) continue;
        controller.abort();
        this.loading.delete(key);
      }
    }

    get settled() {
      return this.wanted.length === 0 && this.loading.size === 0;
    }

    pump() {
      while (this.loading.size < MOST_REQUESTS) {
        const next = this.wanted.find((t) => !this.loading.has(t.key));
        if (!next) return;
        this.load(next);
      }
    }

    async load(tile) {
      const controller = new AbortController();
      this.loading.set(tile.key, controller);
      try {
        const address = `pictures/${this.number}/tile?level=${tile.level}&column=${tile.column}&row=${tile.row}`;
        const answer = await pgfrs.get(address, { signal: controller.signal });
        const bitmap = await createImageBitmap(await answer.blob());
        if (controller.signal.aborted) { bitmap.close(); return; }
        this.ready.set(tile.key, bitmap);
        this.loaded += 1;
        if (answer.headers.get("Pgfrs-Version") !== this.picture.version) {
          this.mixed = true;
          this.lookIn(CHANGED);
        } else if (this.failed.size === 0) pgfrs.say("");
        while (this.ready.size > MOST_TILES) {
          const [oldest, bitmap] = this.ready.entries().next().value;
          this.ready.delete(oldest);
          bitmap.close();
        }
      } catch (error) {
        if (controller.signal.aborted) return;
        this.failed.set(tile.key, pgfrs.passes(error));
        pgfrs.say(error.message);
        this.lookIn(FAILED);
      }
      this.loading.delete(tile.key);
      this.wanted = this.wanted.filter((t) => t.key !== tile.key);
      this.pump();
      this.changed();
    }

    lookIn(milliseconds) {
      if (this.timer === null) this.timer = setTimeout(() => this.look(), milliseconds);
    }

    // Goes on with the file as it is now, tries again what failed.
    async look() {
      try {
        await pgfrs.refresh(this.mixed);
      } catch (error) {
        if (this.timer !== null) pgfrs.say(error.message);
      }
      if (this.timer === null) return; // closed, or begun anew
      this.timer = null;
      if (this.mixed) this.lookIn(FAILED); // it could not look
      for (const [key, again] of this.failed) if (again) this.failed.delete(key);
      this.changed();
    }

    // The file has changed: old tiles are shown until new ones are there.
    renew(picture) {
      this.picture = picture;
      this.stop();
      for (const [key, bitmap] of this.ready) {
        if (this.stale.has(key)) this.stale.get(key).close();
        this.stale.set(key, bitmap);
      }
      this.ready.clear();
      this.failed.clear();
      this.mixed = false;
    }

    stop() {
      clearTimeout(this.timer);
      this.timer = null;
      this.abort(() => true);
    }

    forget() {
      for (const bitmap of this.stale.values()) bitmap.close();
      this.stale.clear();
    }

    close() {
      this.stop();
      this.forget();
      for (const bitmap of this.ready.values()) bitmap.close();
      this.ready.clear();
      this.wanted = [];
    }
  }

  class View {
    constructor(picture, number, page) {
      this.levels = picture.levels;
      [this.width, this.height] = picture.levels[0];
      this.side = page.tile;
      this.number = number;
      this.canvas = document.createElement("canvas");
      this.canvas.tabIndex = 0;
      this.context = this.canvas.getContext("2d", { alpha: false });
      this.tiles = new Tiles(picture, number, page.tile, () => this.redraw());
      // The picture point (x, y) is in the middle of the screen, a picture pixel has `scale` CSS pixels.
      this.x = this.width / 2;
      this.y = this.height / 2;
      this.scale = 1;
      this.motion = null;
      this.pointers = new Map();
      this.frames = 0;
      this.pending = false;
      const stage = pgfrs.byId("stage");
      stage.append(this.canvas);
      this.tools();
      this.listen();
      this.observer = new ResizeObserver(() => this.resize());
      this.observer.observe(stage);
      this.resize();
      this.fromAddress() || this.fit();
      this.canvas.focus();
    }

    tools() {
      const button = (text, title, act) => pgfrs.button(text, title, () => { act(); this.canvas.focus(); });
      pgfrs.byId("tools").append(
        button("Fit", "All of the picture (0)", () => this.fit()),
        button("1:1", "A pixel a pixel (1)", () => this.zoomTo(1 / devicePixelRatio)),
        button("+", "Larger (+)", () => this.zoomTo(this.goal() * 2)),
        button("−", "Smaller (-)", () => this.zoomTo(this.goal() / 2)));
    }

    listen() {
      const c = this.canvas;
      c.addEventListener("wheel", (e) => {
        e.preventDefault();
        const lines = e.deltaMode === 1 ? 16 : 1;
        this.zoomAt(e.offsetX, e.offsetY, this.scale * 2 ** (-e.deltaY * lines / 240));
      }, { passive: false });
      c.addEventListener("dblclick", (e) => this.zoomTo(this.goal() * 2, e.offsetX, e.offsetY));
      c.addEventListener("pointerdown", (e) => {
        c.setPointerCapture(e.pointerId);
        this.motion = null;
        this.pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
      });
      c.addEventListener("pointermove", (e) => {
        const before = this.pointers.get(e.pointerId);
        if (!before) return;
        const others = [...this.pointers].filter(([id]) => id !== e.pointerId).map(([, at]) => at);
        if (others.length === 0) {
          this.x -= (e.offsetX - before[0]) / this.scale;
          this.y -= (e.offsetY - before[1]) / this.scale;
        } else {
          // Two fingers: their distance is the scale, their middle stays where it is.
          const [ox, oy] = others[0];
          const middle = [(ox + e.offsetX) / 2, (oy + e.offsetY) / 2];
          const old = [(ox + before[0]) / 2, (oy + before[1]) / 2];
          const ratio = Math.hypot(e.offsetX - ox, e.offsetY - oy) / Math.max(1, Math.hypot(before[0] - ox, before[1] - oy));
          this.x -= (middle[0] - old[0]) / this.scale;
          this.y -= (middle[1] - old[1]) / this.scale;
          this.zoomAt(middle[0], middle[1], this.scale * ratio);
        }
        this.pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
        this.redraw();
      });
      for (const name of ["pointerup", "pointercancel"]) c.addEventListener(name, (e) => this.pointers.delete(e.pointerId));
      c.addEventListener("keydown", (e) => {
        const step = 120 / this.scale;
        const act = {
          ArrowLeft: () => { this.x -= step; }, ArrowRight: () => { this.x += step; },
          ArrowUp: () => { this.y -= step; }, ArrowDown: () => { this.y += step; },
          "+": () => this.zoomTo(this.goal() * 2), "=": () => this.zoomTo(this.goal() * 2),
          "-": () => this.zoomTo(this.goal() / 2), 0: () => this.fit(), 1: () => this.zoomTo(1 / devicePixelRatio),
        }[e.key];
        if (!act || e.ctrlKey || e.metaKey) return;
        e.preventDefault();
        act();
        this.redraw();
      });
    }

    resize() {
      const { clientWidth, clientHeight } = this.canvas;
      this.canvas.width = Math.max(1, Math.round(clientWidth * devicePixelRatio));
      this.canvas.height = Math.max(1, Math.round(clientHeight * devicePixelRatio));
      this.draw();
    }

    fit() {
      const { clientWidth, clientHeight } = this.canvas;
      this.motion = null;
      this.x = this.width / 2;
      this.y = this.height / 2;
      this.scale = Math.min(clientWidth / this.width, clientHeight / this.height, 1);
      this.redraw();
    }

    fromAddress() {
      const place = pgfrs.place();
      if (!place.has("scale")) return false;
      this.x = Number(place.get("x"));
      this.y = Number(place.get("y"));
      this.scale = this.bounded(Number(place.get("scale")));
      this.redraw();
      return true;
    }

    toAddress() {
      pgfrs.note({ x: this.x.toFixed(2), y: this.y.toFixed(2), scale: this.scale.toPrecision(6) });
    }

    goal() {
      return this.motion ? this.motion.to : this.scale;
    }

    bounded(scale) {
      const smallest = Math.min(this.canvas.clientWidth / this.width, this.canvas.clientHeight / this.height, 1) / 4;
      return Math.min(Math.max(scale, smallest), 32);
    }

    // Zoom at once; the picture point under (px, py) stays there.
    zoomAt(px, py, scale) {
      const { clientWidth, clientHeight } = this.canvas;
      const to = this.bounded(scale);
      this.x += (px - clientWidth / 2) * (1 / this.scale - 1 / to);
      this.y += (py - clientHeight / 2) * (1 / this.scale - 1 / to);
      this.scale = to;
      this.redraw();
    }

    // Zoom in a moment's motion.
    zoomTo(scale, px = this.canvas.clientWidth / 2, py = this.canvas.clientHeight / 2) {
      this.motion = { from: this.scale, to: this.bounded(scale), px, py, start: performance.now() };
      this.redraw();
    }

    move() {
      if (!this.motion) return;
      const { from, to, px, py, start } = this.motion;
      const t = Math.min((performance.now() - start) / 180, 1);
      this.zoomAt(px, py, from * (to / from) ** ease(t));
      if (t === 1) this.motion = null;
    }

    redraw() {
      if (this.pending) return;
      this.pending = true;
      requestAnimationFrame(() => {
        this.pending = false;
        this.move();
        this.draw();
      });
    }

    // The finest level of which a pixel is no smaller than a pixel of the screen.
    level() {
      const level = Math.floor(Math.log2(1 / (this.scale * devicePixelRatio)) + 1e-6);
      return Math.min(Math.max(level, 0), this.levels.length - 1);
    }

    // Tiles of a level that are on the screen, those in the middle first.
    visible(level) {
      const side = this.side * 2 ** level;
      const halfWidth = this.canvas.clientWidth / 2 / this.scale;
      const halfHeight = this.canvas.clientHeight / 2 / this.scale;
      const first = (at) => Math.max(0, Math.floor(at / side));
      const last = (at, size) => Math.min(Math.ceil(size / side) - 1, Math.floor(at / side));
      const found = [];
      for (let row = first(this.y - halfHeight); row <= last(this.y + halfHeight, this.height); row++) {
        for (let column = first(this.x - halfWidth); column <= last(this.x + halfWidth, this.width); column++) {
          const distance = Math.hypot((column + 0.5) * side - this.x, (row + 0.5) * side - this.y);
          found.push({ level, column, row, distance, key: Tiles.key(level, column, row) });
        }
      }
      return found.sort((a, b) => a.distance - b.distance);
    }

    draw() {
      if (this.closed) return;
      if (!(this.x === this.x && this.y === this.y && this.scale > 0)) { this.fit(); return; }
      this.x = Math.min(Math.max(this.x, 0), this.width);
      this.y = Math.min(Math.max(this.y, 0), this.height);
      const { canvas, context } = this;
      const level = this.level();
      const coarsest = this.levels.length - 1;
      // The coarsest level is there at all times: something to see while the rest comes.
      this.tiles.want([...this.visible(coarsest), ...(level < coarsest ? this.visible(level) : [])]);
      const scale = this.scale * devicePixelRatio;
      const left = canvas.width / 2 - this.x * scale;
      const top = canvas.height / 2 - this.y * scale;
      context.fillStyle = "#1b1d20";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.imageSmoothingEnabled = scale < 2;
      context.imageSmoothingQuality = "high";
      for (let l = coarsest; l >= level; l--) {
        const side = this.side * 2 ** l;
        for (const { column, row } of this.visible(l)) {
          const bitmap = this.tiles.get(l, column, row);
          if (!bitmap) continue;
          // Edges on whole pixels of the screen: no seams between tiles.
          const x0 = Math.round(left + column * side * scale);
          const y0 = Math.round(top + row * side * scale);
          const x1 = Math.round(left + Math.min((column + 1) * side, this.width) * scale);
          const y1 = Math.round(top + Math.min((row + 1) * side, this.height) * scale);
          context.drawImage(bitmap, x0, y0, Math.max(1, x1 - x0), Math.max(1, y1 - y0));
        }
      }
      this.frames += 1;
      if (this.tiles.settled) this.tiles.forget();
      const settled = this.tiles.settled && !this.motion;
      document.body.dataset.settled = String(settled);
      pgfrs.byId("state").textContent = `${(100 * scale).toPrecision(3)} %, level ${level}`;
      if (this.motion) this.redraw();
      else if (settled) this.toAddress();
    }

    // Goes on with a file that has changed, if its picture has the same size.
    renew(picture) {
      if (String(picture.levels) !== String(this.levels)) return false;
      this.tiles.renew(picture);
      this.redraw();
      return true;
    }

    close() {
      this.closed = true;
      this.observer.disconnect();
      this.tiles.close();
      this.canvas.remove();
    }
  }

  pgfrs.modes.push({
    name: "zoom",
    label: "Zoom",
    title: "Pan and zoom the whole picture",
    shows: () => true,
    open(picture, number, page) {
      pgfrs.view = new View(picture, number, page);
      return pgfrs.view;
    },
  });
})();
