"use strict";
// The script of every page: search, tables, scatter plots, forest plots. No library, no network.
// What single genes and sets of genes need is in genes.js, which only their pages load.
// Data arrives through script files that call alsmuscle.receive, because fetch fails from disk.
window.alsmuscle = (() => {
  const root = document.documentElement.dataset.root;
  const svgNS = "http://www.w3.org/2000/svg";
  const waiting = new Map();

  // Text is only ever set as text, attributes only from code: nothing from data becomes markup.
  function make(tag, options = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(options)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key === "class") node.className = value;
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  }
  function draw(tag, attributes, ...children) {
    const node = document.createElementNS(svgNS, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function load(name, folder = "assets/data/") {
    if (!/^[A-Za-z0-9_.-]+$/.test(name)) return Promise.reject(new Error("bad data name"));
    if (!waiting.has(name)) {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
      waiting.set(name, entry);
      const script = make("script", { src: `${root}${folder}${name}.js` });
      script.addEventListener("error", () => entry.reject(new Error(`missing data file ${name}.js`)));
      document.head.append(script);
    }
    return waiting.get(name).promise;
  }
  function receive(name, payload) {
    const entry = waiting.get(name);
    if (entry) entry.resolve(payload);
  }

  // ---- numbers -------------------------------------------------------------------------------
  function fixed(x, digits = 2, sign = false) {
    if (x === null || x === undefined) return "–";
    const text = Math.abs(x).toFixed(digits);
    if (Number(text) === 0) return text;
    return (x < 0 ? "−" : sign ? "+" : "") + text;
  }
  const raise = (n) => [...String(n)].map((char) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[char] ?? "⁻").join("");
  function pText(p) { // as components.pvalue
    if (p === null || p === undefined) return "–";
    if (p === 0) return "< 10⁻³⁰⁰";
    if (p >= 0.001) return p < 0.1 ? String(Number(p.toPrecision(2))) : p.toFixed(2);
    const [mantissa, exponent] = p.toExponential(1).split("e");
    return `${mantissa} × 10${raise(Number(exponent))}`;
  }
  function steps(low, high, count) {
    const raw = (high - low) / count;
    if (!(raw > 0)) return [low];
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * (1 - 1e-9));
    const out = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)));
    return out;
  }
  const tickText = (t) => String(t).replace("-", "−");

  // ---- tables --------------------------------------------------------------------------------
  // A cell that a spreadsheet could take for a formula gets a leading apostrophe (as in Python).
  function guard(text) {
    const clean = text.replace(/[\t\r\n]+/g, " ");
    return /^\s*[=+\-@]/.test(clean) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(clean) ? "'" + clean : clean;
  }
  function save(name, text, type) {
    const url = URL.createObjectURL(text instanceof Blob ? text : new Blob([text], { type }));
    const anchor = make("a", { href: url, download: name });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
  function table(box) {
    const body = box.querySelector("tbody");
    const rows = [...body.rows];
    const heads = [...box.querySelectorAll("thead th")];
    const value = (cell) => (cell.dataset.v === undefined ? cell.textContent : cell.dataset.v);
    const status = make("span", { role: "status", class: "muted" });

    heads.forEach((head, column) => {
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const keyed = rows.map((row, place) => {
          const cell = row.cells[column];
          const text = value(cell);
          const missing = text === "–" || text === "";
          return { row, place, missing, x: cell.dataset.v === undefined ? null : Number(text), text };
        });
        keyed.sort((a, b) => {
          if (a.missing !== b.missing) return a.missing ? 1 : -1;
          const order = a.x !== null && b.x !== null ? a.x - b.x : a.text.localeCompare(b.text, "en", { numeric: true });
          return (up ? order : -order) || a.place - b.place;
        });
        body.append(...keyed.map((k) => k.row));
      });
    });

    const tools = make("div", { class: "tools" });
    if (rows.length > 8) {
      const input = make("input", { type: "text", spellcheck: "false" });
      input.addEventListener("input", () => {
        const wanted = input.value.trim().toLowerCase();
        let n = 0;
        for (const row of rows) {
          const hit = row.textContent.toLowerCase().includes(wanted);
          row.hidden = !hit;
          n += hit;
        }
        status.textContent = wanted ? `${n} of ${rows.length} rows` : "";
      });
      tools.append(make("label", {}, "Filter", input));
    }
    const download = make("button", {
      type: "button",
      class: "quiet",
      onclick: () => {
        const lines = [heads.map((h) => guard(h.textContent)).join("\t")];
        for (const row of body.rows) if (!row.hidden) lines.push([...row.cells].map((cell) => {
          const text = value(cell);
          return guard(text === "–" ? "" : text);
        }).join("\t"));
        save(`${box.dataset.name}.tsv`, lines.join("\n") + "\n", "text/tab-separated-values");
      },
    }, "download shown rows (TSV)");
    tools.append(status);
    if (rows.length > 8) box.prepend(tools);
    if (rows.length) box.querySelector(".table-note").append(" · ", download);
  }

  // ---- search --------------------------------------------------------------------------------
  function search() {
    const input = document.getElementById("search");
    const list = document.getElementById("found");
    const status = document.getElementById("found-status");
    let index = null;
    input.disabled = false;
    const close = () => { list.hidden = true; };
    const parse = (raw) => ({
      pages: raw.pages,
      genes: raw.genes ? raw.genes.split("\n").map((line) => line.split("\t")) : [],
      names: (raw.names || []).map(([name, means, kind]) => ({ name: name.toLowerCase(), means, kind })),
    });
    const plain = (text) => text.toLowerCase().replace(/[\s-]+/g, "");
    function find(text) {
      const wanted = text.toLowerCase();
      const short = plain(text);
      // What proteins and diseases are called: MURF1 is TRIM63, CD56 is NCAM1, ALS is motor neuron disease.
      const named = index.names.filter(({ name }) => plain(name) === short || (short.length > 3 && plain(name).startsWith(short)));
      const meant = new Map(named.filter((k) => k.kind === "gene").flatMap((k) => k.means.split(" ").map((s) => [s.toLowerCase(), k.name])));
      const hits = [[], [], [], []];
      const entry = ([symbol, id, organism], why = "") => [symbol, "gene", `gene.html#${encodeURIComponent(id)}`, `${why}${id} ${organism}`];
      for (const gene of index.genes) {
        const s = gene[0].toLowerCase();
        const former = (gene[3] || "").split(";").find((name) => name && plain(name) === short);
        if (s === wanted || gene[1].toLowerCase() === wanted) hits[0].push(entry(gene));
        else if (meant.has(s)) hits[1].push(entry(gene, `${meant.get(s)} · `));
        else if (former) hits[2].push(entry(gene, `also called ${former} · `));
        else if (hits[3].length < 12 && s.startsWith(wanted)) hits[3].push(entry(gene));
      }
      // Every word of the question, or one of the words that mean the same.
      const phrases = named.filter((k) => k.kind === "words").map((k) => k.means.split("|"));
      const words = wanted.split(/\s+/);
      const holds = (all, word) => (word.length > 3 ? all.includes(word) : new RegExp(`(^|[^a-z0-9])${word.replace(/[^a-z0-9]/g, "\\$&")}`).test(all));
      const pages = index.pages.filter(([title, kind, , more]) => {
        const all = `${title} ${kind} ${more}`.toLowerCase();
        return words.every((w) => holds(all, w)) || phrases.some((any) => any.some((w) => holds(all, w)));
      });
      return [...hits[0], ...hits[1].slice(0, 12), ...hits[2].slice(0, 8), ...pages.slice(0, 12), ...hits[3]].slice(0, 30);
    }
    async function show() {
      const text = input.value.trim();
      if (!text) return close();
      try {
        index = index || parse(await load("search"));
      } catch (error) {
        status.textContent = list.textContent = "The search index is missing from this folder.";
        list.hidden = false;
        return undefined;
      }
      if (input.value.trim() !== text) return undefined;
      const hits = find(text);
      status.textContent = hits.length ? `${hits.length} result${hits.length === 1 ? "" : "s"}` : "Nothing found";
      list.replaceChildren(hits.length
        ? make("ul", {}, ...hits.map(([title, kind, href, more]) => make("li", {},
          make("a", { href: root + href, onclick: close }, title, make("small", {}, `${kind} ${more ? "· " + more : ""}`)))))
        : make("p", { class: "muted" }, "Nothing found"));
      list.hidden = false;
      return undefined;
    }
    input.addEventListener("focus", () => { load("search").catch(() => {}); }, { once: true });
    input.addEventListener("input", show);
    const box = input.parentElement;
    box.addEventListener("keydown", (event) => {
      const links = [...list.querySelectorAll("a")];
      const here = links.indexOf(document.activeElement);
      if (event.key === "Escape") { close(); input.focus(); }
      else if (event.key === "Enter" && document.activeElement === input && links.length) { event.preventDefault(); links[0].click(); }
      else if (event.key === "ArrowDown" && links.length) { event.preventDefault(); links[Math.min(here + 1, links.length - 1)].focus(); }
      else if (event.key === "ArrowUp" && here >= 0) { event.preventDefault(); (here ? links[here - 1] : input).focus(); }
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
      event.preventDefault();
      input.focus();
    });
    document.addEventListener("click", (event) => { if (!box.contains(event.target)) close(); });
    box.addEventListener("focusout", (event) => { if (event.relatedTarget && !box.contains(event.relatedTarget)) close(); });
  }

  // ---- scatter plots -------------------------------------------------------------------------
  const geneColours = ["#8a8f98", "#b84a00", "#0067a5"];
  const geneShapes = ["circle", "up", "down"];
  const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31"];
  const ramp = ["#00224e", "#414d6b", "#7c7b78", "#b8a663", "#e8cf3f"]; // cividis in five steps
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; // of base 64, as in Python
  const shapes = ["circle", "up", "square", "diamond", "down", "circle", "up", "square"];

  function trace(ctx, shape, x, y, r) {
    ctx.beginPath();
    if (shape === "circle") ctx.arc(x, y, r, 0, 7);
    else if (shape === "square") ctx.rect(x - r, y - r, 2 * r, 2 * r);
    else {
      const points = { up: [[0, -r], [r, r], [-r, r]], down: [[0, r], [r, -r], [-r, -r]], diamond: [[0, -r * 1.3], [r, 0], [0, r * 1.3], [-r, 0]] }[shape];
      points.forEach(([dx, dy], i) => (i ? ctx.lineTo(x + dx, y + dy) : ctx.moveTo(x + dx, y + dy)));
      ctx.closePath();
    }
  }
  function key(shape, colour) {
    const paths = { circle: "M10 5a4 4 0 1 1-8 0a4 4 0 1 1 8 0", up: "M6 1l4 8h-8z", down: "M6 9l4-8h-8z", square: "M2 1h8v8h-8z", diamond: "M6 0l4 5l-4 5l-4-5z" };
    return draw("svg", { width: 12, height: 10, "aria-hidden": "true" }, draw("path", { d: paths[shape], fill: colour }));
  }

  function scatter(figure, spec, data) {
    const genes = spec.kind === "genes";
    const cells = spec.kind === "cells";
    const dense = genes || cells;
    const types = spec.groups;
    if (cells) data.label = data.group.map((g) => types[g]);
    const kinds = data.group;
    let shown = null; // the gene by which cells are coloured, and its levels
    let paint = genes ? geneColours : colours;
    let form = genes ? geneShapes : shapes;
    const shapeOf = (g) => form[(g + Math.floor(g / paint.length)) % form.length];
    let X = data[spec.x];
    let Y = data[spec.y];
    const n = data.label.length;
    const usable = [];
    for (let i = 0; i < n; i++) if (X[i] !== null && Y[i] !== null) usable.push(i);
    const range = (values, symmetric, fromZero) => {
      let low = fromZero ? 0 : Infinity;
      let high = fromZero ? 0 : -Infinity;
      for (const i of usable) { low = Math.min(low, values[i]); high = Math.max(high, values[i]); }
      if (symmetric) { high = Math.max(Math.abs(low), Math.abs(high)); low = -high; }
      const pad = 0.04 * (high - low) || 1;
      return [fromZero && low === 0 ? 0 : low - pad, high + pad];
    };
    let full = { x: range(X, spec.symmetric === "x", false), y: range(Y, spec.symmetric === "y", spec.y === "nlp") };
    let view = { x: [...full.x], y: [...full.y] };
    let current = -1;
    // A volcano names its strongest genes until the reader asks for others.
    const strongest = !genes || spec.y !== "nlp" ? [] : [...usable].sort((a, b) => Y[b] - Y[a] || Math.abs(X[b]) - Math.abs(X[a])).slice(0, 10);
    let marked = strongest;
    let drag = null;

    const image = figure.querySelector("img");
    const canvas = make("canvas", { tabindex: 0, role: "application", "aria-label": `${image.alt} Interactive: arrow keys move, plus and minus zoom, 0 resets.` });
    const tip = make("div", { class: "plot-tip", hidden: true });
    const live = make("p", { class: "hidden", role: "status" });
    const legend = make("ul", { class: "legend" });
    const explain = () => legend.replaceChildren(...spec.groups.map((name, g) =>
      make("li", {}, key(shapeOf(g), paint[g % paint.length]), `${name} (${usable.filter((i) => data.group[i] === g).length})`)),
    ...(usable.some((i) => data.group[i] < 0) ? [make("li", {}, "not drawn: not stated")] : []));
    explain();
    const button = (text, label, act) => make("button", { type: "button", class: "button", "aria-label": label, onclick: act }, text);
    const finder = make("input", { type: "text", spellcheck: "false", placeholder: genes ? "e.g. MYOG, CHRNA1" : cells && spec.genes.length ? `e.g. ${spec.genes[Math.floor(spec.genes.length / 2)][0]}` : "", ...(cells ? { list: `${figure.id}-genes` } : {}) });
    const bar = make("div", { class: "tools plot-buttons" },
      ...(cells && !spec.genes.length ? [] : [make("label", {}, genes ? "Mark genes" : cells ? "Colour by gene" : "Mark sample", finder)]),
      ...(cells ? [make("datalist", { id: `${figure.id}-genes` }, ...spec.genes.map(([gene]) => make("option", { value: gene })))] : []),
      button("+", "Zoom in", () => zoom(0.6)), button("−", "Zoom out", () => zoom(1 / 0.6)),
      button("Reset", "Reset zoom", reset), ...choices());
    // Samples by any covariate, on any two components.
    function choices() {
      if (!spec.colours && !data.colours) return [];
      const select = (label, names, at, act) => {
        const id = `${figure.id}-${label.split(" ")[0].toLowerCase()}`;
        const box = make("select", { id, onchange: () => act(Number(box.value)) }, ...names.map((name, i) => make("option", { value: i, selected: i === at }, name)));
        return make("span", { class: "pick" }, make("label", { for: id }, label), box);
      };
      const own = { name: cells ? "Cell type" : "Group", groups: spec.groups, group: data.group, ramp: false };
      const all = [own, ...(spec.colours || data.colours)];
      const turn = (axis) => (i) => {
        const { label, values } = spec.axes[i];
        if (axis === "x") { X = values; spec.xlabel = label; } else { Y = values; spec.ylabel = label; }
        full = { x: range(X, false, false), y: range(Y, false, false) };
        reset();
      };
      return [
        select("Colour by", all.map((k) => k.name), 0, (i) => {
          if (cells) { shown = null; form = shapes; finder.value = ""; }
          spec.groups = all[i].groups;
          data.group = all[i].group;
          paint = all[i].ramp ? ramp : colours;
          explain();
          redraw();
        }),
        ...(spec.axes.length > 2 ? [select("across", spec.axes.map((k) => k.label.split(" ")[0]), 0, turn("x")), select("up", spec.axes.map((k) => k.label.split(" ")[0]), 1, turn("y"))] : [])];
    }
    const box = make("div", { class: "plot" }, legend, bar, canvas, tip, live);
    const name = `${fileName(document.title.split(" · ")[0])}-${figure.id}`;
    const own = downloads(name, picture, null, () => figure.querySelector("figcaption").firstChild.textContent);
    own.firstChild.data = "This view: ";
    box.append(own);
    image.hidden = true;
    image.before(box);
    const ctx = canvas.getContext("2d");
    const margin = { left: 52, right: 12, top: 10, bottom: 42 };
    let width = 0;
    let height = 0;

    // What is drawn: the view; of a section more of one side, so that both axes have one scale.
    const framed = (wide, high) => {
      if (!spec.equal) return view;
      const unit = Math.max((view.x[1] - view.x[0]) / wide, (view.y[1] - view.y[0]) / high);
      const around = ([a, b], pixels) => [(a + b - unit * pixels) / 2, (a + b + unit * pixels) / 2];
      return { x: around(view.x, wide), y: around(view.y, high) };
    };
    let frame = view;
    const px = (v) => margin.left + ((v - frame.x[0]) / (frame.x[1] - frame.x[0])) * (width - margin.left - margin.right);
    const py = (v) => height - margin.bottom - ((v - frame.y[0]) / (frame.y[1] - frame.y[0])) * (height - margin.top - margin.bottom);
    const vx = (p) => frame.x[0] + ((p - margin.left) / (width - margin.left - margin.right)) * (frame.x[1] - frame.x[0]);
    const vy = (p) => frame.y[0] + ((height - margin.bottom - p) / (height - margin.top - margin.bottom)) * (frame.y[1] - frame.y[0]);

    function render() {
      const ratio = Math.max(2, window.devicePixelRatio || 1); // fine enough for slides
      width = box.clientWidth;
      height = Math.round(Math.min(420, Math.max(260, width * 0.72)));
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      canvas.style.height = `${height}px`;
      frame = framed(width - margin.left - margin.right, height - margin.top - margin.bottom);
      ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
      ctx.fillStyle = "#fff";
      ctx.fillRect(0, 0, width, height);
      ctx.save();
      ctx.beginPath();
      ctx.rect(margin.left, margin.top, width - margin.left - margin.right, height - margin.top - margin.bottom);
      ctx.clip();
      ctx.strokeStyle = "#b5bcc5";
      ctx.lineWidth = 1;
      ctx.beginPath();
      if (!cells && spec.symmetric !== "y") { ctx.moveTo(px(0), 0); ctx.lineTo(px(0), height); }
      if (!cells && spec.symmetric !== "x") { ctx.moveTo(0, py(0)); ctx.lineTo(width, py(0)); }
      ctx.stroke();
      const size = dense ? 2.4 : 5;
      ctx.globalAlpha = genes ? 0.6 : 0.95;
      for (let g = 0; g < spec.groups.length; g++) {
        ctx.fillStyle = paint[g % paint.length];
        for (const i of usable) if (data.group[i] === g) { trace(ctx, shapeOf(g), px(X[i]), py(Y[i]), size); ctx.fill(); }
      }
      ctx.globalAlpha = 1;
      ctx.strokeStyle = "#000";
      ctx.lineWidth = 1.5;
      for (const i of usable) if (data.ring && data.ring[i] && data.group[i] >= 0) { trace(ctx, "circle", px(X[i]), py(Y[i]), 9); ctx.stroke(); }
      ctx.font = "600 12px system-ui, sans-serif";
      ctx.fillStyle = "#000";
      for (const [x, y, text] of spec.titles || []) ctx.fillText(text, px(x), py(y));
      for (const { i, x, y, right } of named(marked.concat(current >= 0 ? [current] : []), px, py, width)) {
        trace(ctx, "circle", px(X[i]), py(Y[i]), genes ? 4.5 : 6);
        ctx.lineWidth = 1.2;
        ctx.stroke();
        ctx.textAlign = right ? "right" : "left";
        ctx.lineWidth = 3;
        ctx.strokeStyle = "#fff";
        ctx.strokeText(data.label[i], x, y);
        ctx.fillText(data.label[i], x, y);
        ctx.strokeStyle = "#000";
      }
      ctx.restore();
      ctx.strokeStyle = ctx.fillStyle = "#444b54";
      ctx.lineWidth = 1;
      ctx.font = "12px system-ui, sans-serif";
      ctx.beginPath();
      ctx.moveTo(margin.left + 0.5, margin.top);
      ctx.lineTo(margin.left + 0.5, height - margin.bottom + 0.5);
      ctx.lineTo(width - margin.right, height - margin.bottom + 0.5);
      ctx.stroke();
      ctx.textAlign = "center";
      if (!spec.equal) for (const t of steps(view.x[0], view.x[1], Math.max(3, width / 110))) ctx.fillText(tickText(t), px(t), height - margin.bottom + 16);
      ctx.fillText(spec.xlabel, (margin.left + width - margin.right) / 2, height - 6);
      ctx.textAlign = "right";
      if (!spec.equal) for (const t of steps(view.y[0], view.y[1], 5)) ctx.fillText(tickText(t), margin.left - 6, py(t) + 4);
      ctx.save();
      ctx.translate(12, (margin.top + height - margin.bottom) / 2);
      ctx.rotate(-Math.PI / 2);
      ctx.textAlign = "center";
      ctx.fillText(spec.ylabel, 0, 0);
      ctx.restore();
      if (drag && drag.moved) {
        ctx.strokeStyle = "#0b4f8a";
        ctx.strokeRect(drag.x0, drag.y0, drag.x - drag.x0, drag.y - drag.y0);
      }
    }
    // Where names stand: beside their points, moved apart where they would cover each other.
    function named(chosen, atX, atY, wide) {
      const taken = [];
      return [...new Set(chosen)].sort((a, b) => atY(Y[a]) - atY(Y[b])).map((i) => {
        const right = atX(X[i]) > wide - 90;
        const x = atX(X[i]) + (right ? -8 : 8);
        const length = 7.5 * data.label[i].length;
        const [from, to] = right ? [x - length, x] : [x, x + length];
        let y = atY(Y[i]) - 4;
        while (taken.some((k) => from < k.to && to > k.from && Math.abs(y - k.y) < 13)) y += 3;
        taken.push({ from, to, y });
        return { i, x, y, right };
      });
    }
    // The view as a picture that stands alone; many points become one bitmap, axes and names stay lines and text.
    function picture() {
      const w = 640;
      let [row, end] = [0, 58];
      const keys = spec.groups.map((group) => {
        const length = 28 + 6.6 * group.length;
        if (end > 58 && end + length > w) { row += 1; end = 58; }
        end += length;
        return { group, x: end - length, y: 14 + 18 * row };
      });
      const [h, top] = [440 + 18 * row, 44 + 18 * row];
      const inside = { left: 58, right: 14, bottom: 48 };
      const at = framed(w - inside.left - inside.right, h - top - inside.bottom);
      const fx = (v) => inside.left + ((v - at.x[0]) / (at.x[1] - at.x[0])) * (w - inside.left - inside.right);
      const fy = (v) => h - inside.bottom - ((v - at.y[0]) / (at.y[1] - at.y[0])) * (h - top - inside.bottom);
      const font = { "font-family": "Arial, Helvetica, sans-serif", "font-size": 12, fill: "#1b1f24" };
      const seen = usable.filter((i) => X[i] >= at.x[0] && X[i] <= at.x[1] && Y[i] >= at.y[0] && Y[i] <= at.y[1]);
      const nodes = [draw("rect", { width: w, height: h, fill: "#fff" })];
      const many = seen.length > 600;
      const scale = DPI / 96;
      const bitmap = make("canvas", { width: Math.round(w * scale), height: Math.round(h * scale) });
      const pen = bitmap.getContext("2d");
      pen.scale(scale, scale);
      pen.globalAlpha = 0.6;
      for (let g = 0; g < spec.groups.length; g++) for (const i of seen) if (data.group[i] === g) {
        const [shape, colour, x, y, r] = [shapeOf(g), paint[g % paint.length], fx(X[i]), fy(Y[i]), dense ? 2.2 : 4.5];
        if (many) {
          pen.fillStyle = colour;
          trace(pen, shape, x, y, r);
          pen.fill();
        } else if (shape === "circle") nodes.push(draw("circle", { cx: x, cy: y, r, fill: colour }));
        else {
          const d = { up: `M${x} ${y - r}l${r} ${2 * r}h${-2 * r}z`, down: `M${x} ${y + r}l${r} ${-2 * r}h${-2 * r}z`, square: `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`, diamond: `M${x} ${y - 1.3 * r}l${r} ${1.3 * r}l${-r} ${1.3 * r}l${-r} ${-1.3 * r}z` }[shape];
          nodes.push(draw("path", { d, fill: colour }));
        }
        if (data.ring && data.ring[i]) nodes.push(draw("circle", { cx: x, cy: y, r: 8, fill: "none", stroke: "#000", "stroke-width": 1.3 }));
      }
      if (many) nodes.push(draw("image", { href: bitmap.toDataURL(), width: w, height: h }));
      if (spec.symmetric === "x") nodes.push(draw("line", { x1: fx(0), x2: fx(0), y1: top, y2: h - inside.bottom, stroke: "#9aa1aa" }));
      if (spec.symmetric === "y") nodes.push(draw("line", { x1: inside.left, x2: w - inside.right, y1: fy(0), y2: fy(0), stroke: "#9aa1aa" }));
      for (const { i, x, y, right } of named(marked.filter((k) => seen.includes(k)), fx, fy, w)) {
        nodes.push(draw("circle", { cx: fx(X[i]), cy: fy(Y[i]), r: 4.5, fill: "none", stroke: "#000" }),
          draw("text", { ...font, x, y, "font-weight": 600, "text-anchor": right ? "end" : "start" }, data.label[i]));
      }
      nodes.push(draw("line", { x1: inside.left, x2: inside.left, y1: top, y2: h - inside.bottom, stroke: "#444b54" }),
        draw("line", { x1: inside.left, x2: w - inside.right, y1: h - inside.bottom, y2: h - inside.bottom, stroke: "#444b54" }));
      for (const [x, y, text] of spec.titles || []) nodes.push(draw("text", { ...font, x: fx(x), y: fy(y), "font-weight": 600 }, text));
      if (!spec.equal) for (const t of steps(view.x[0], view.x[1], 6)) nodes.push(draw("text", { ...font, x: fx(t), y: h - inside.bottom + 17, "text-anchor": "middle" }, tickText(t)));
      if (!spec.equal) for (const t of steps(view.y[0], view.y[1], 5)) nodes.push(draw("text", { ...font, x: inside.left - 6, y: fy(t) + 4, "text-anchor": "end" }, tickText(t)));
      nodes.push(draw("text", { ...font, x: (inside.left + w - inside.right) / 2, y: h - 10, "text-anchor": "middle" }, spec.xlabel),
        draw("text", { ...font, transform: `translate(14 ${(top + h - inside.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, spec.ylabel));
      keys.forEach(({ group, x, y }, g) => nodes.push(draw("circle", { cx: x + 5, cy: y, r: 4, fill: paint[g % paint.length] }), draw("text", { ...font, x: x + 14, y: y + 4 }, group)));
      return draw("svg", { xmlns: svgNS, width: w, height: h, viewBox: `0 0 ${w} ${h}` }, ...nodes);
    }
    let queued = false;
    const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(() => { queued = false; render(); }); } };

    function zoom(factor, cx = (view.x[0] + view.x[1]) / 2, cy = (view.y[0] + view.y[1]) / 2) {
      view = { x: view.x.map((v) => cx + (v - cx) * factor), y: view.y.map((v) => cy + (v - cy) * factor) };
      redraw();
    }
    function reset() { view = { x: [...full.x], y: [...full.y] }; redraw(); }
    function nearest(mx, my) {
      let best = 20 * 20;
      let found = -1;
      for (const i of usable) {
        const d = (px(X[i]) - mx) ** 2 + (py(Y[i]) - my) ** 2;
        if (d < best) { best = d; found = i; }
      }
      return found;
    }
    // Cells by a gene: not seen, and four levels of equally many cells.
    function colourBy(gene, { top, codes }) {
      const levels = [...codes].map((digit) => (top * digits.indexOf(digit)) / 63);
      const seen = levels.filter((v) => v > 0).sort((a, b) => a - b);
      const cuts = [...new Set([0.25, 0.5, 0.75].map((q) => seen[Math.floor(q * seen.length)]).filter((v) => v !== undefined))];
      const ends = [seen[0], ...cuts.filter((v) => v > seen[0]), seen.at(-1)];
      data.group = levels.map((v) => (v > 0 ? 1 + cuts.filter((cut) => cut > seen[0] && v >= cut).length : 0));
      spec.groups = ["not seen", ...(seen.length ? ends.slice(1).map((end, i) => `${fixed(ends[i], 1)} to ${fixed(end, 1)}`) : [])];
      [paint, form, shown] = [["#dfe3e8", "#e8cf3f", "#b8a663", "#414d6b", "#00224e"], ["circle"], { gene, levels }];
      live.textContent = `${gene}: seen in ${seen.length} of ${levels.length} drawn`;
      explain();
      legend.prepend(make("li", {}, make("strong", {}, `${gene}, log-normalised`)));
      figure.dataset.gene = gene;
      redraw();
    }
    function words(i) {
      if (cells) return [types[kinds[i]], ...data.colours.map((k) => k.groups[k.group[i]]), shown ? `${shown.gene} ${fixed(shown.levels[i])}` : ""].filter(Boolean).join("\n");
      if (!genes) return [data.label[i], spec.groups[data.group[i]] ?? "not stated", spec.flags && spec.flags[i] ? `flagged: ${spec.flags[i]}` : ""].filter(Boolean).join("\n");
      return `${data.label[i]}\nlog2 fold change ${fixed(data.log2fc[i], 2, true)} (${fixed(data.low[i], 2, true)} to ${fixed(data.high[i], 2, true)})\nadjusted p ${pText(data.padj[i])}\n(a click opens the gene)`;
    }
    function hint(i) {
      if (i === current) return;
      current = i;
      tip.hidden = i < 0;
      canvas.classList.toggle("opens", genes && i >= 0);
      if (i >= 0) {
        tip.textContent = words(i);
        const x = px(X[i]);
        tip.style.left = `${Math.max(0, Math.min(x + 10, width - 200))}px`;
        tip.style.top = `${canvas.offsetTop + py(Y[i]) + 14}px`;
      }
      redraw();
    }
    const place = (event) => { const r = canvas.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
    canvas.addEventListener("pointerdown", (event) => {
      const [x, y] = place(event);
      if (event.pointerType === "mouse" && event.button === 0) { drag = { x0: x, y0: y, x, y, moved: false }; canvas.setPointerCapture(event.pointerId); }
      else hint(nearest(x, y));
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (drag) { drag.x = x; drag.y = y; drag.moved = Math.hypot(x - drag.x0, y - drag.y0) > 6; redraw(); } else hint(nearest(x, y));
    });
    canvas.addEventListener("pointerup", () => {
      const d = drag;
      drag = null;
      if (d && d.moved && Math.abs(d.x - d.x0) > 4 && Math.abs(d.y - d.y0) > 4) {
        const xs = [vx(d.x0), vx(d.x)].sort((a, b) => a - b);
        const ys = [vy(d.y0), vy(d.y)].sort((a, b) => a - b);
        view = { x: xs, y: ys };
      } else if (d && genes && current >= 0) location.href = `${root}gene.html#${encodeURIComponent(data.label[current])}`;
      redraw();
    });
    canvas.addEventListener("pointercancel", () => { drag = null; redraw(); });
    canvas.addEventListener("pointerleave", () => hint(-1));
    canvas.addEventListener("dblclick", reset);
    canvas.addEventListener("keydown", (event) => {
      const dx = (view.x[1] - view.x[0]) / 10;
      const dy = (view.y[1] - view.y[0]) / 10;
      const moves = { ArrowLeft: [-dx, 0], ArrowRight: [dx, 0], ArrowUp: [0, dy], ArrowDown: [0, -dy] };
      if (moves[event.key]) {
        view = { x: view.x.map((v) => v + moves[event.key][0]), y: view.y.map((v) => v + moves[event.key][1]) };
        redraw();
      } else if (event.key === "+" || event.key === "=") zoom(0.6);
      else if (event.key === "-") zoom(1 / 0.6);
      else if (event.key === "0") reset();
      else if (event.key === "Escape") hint(-1);
      else return;
      event.preventDefault();
    });
    finder.addEventListener("input", () => {
      if (cells) {
        const gene = spec.genes.find(([name]) => name.toLowerCase() === finder.value.trim().toLowerCase());
        if (gene) load(gene[1]).then((found) => colourBy(gene[0], found)).catch((error) => { live.textContent = error.message; });
        return;
      }
      const wanted = new Set(finder.value.toLowerCase().split(/[\s,;]+/).filter(Boolean));
      marked = wanted.size ? usable.filter((i) => wanted.has(data.label[i].toLowerCase())).slice(0, 50) : strongest;
      live.textContent = marked.map((i) => words(i).replaceAll("\n", ", ")).join("; ").replaceAll(", (a click opens the gene)", "");
      figure.dataset.marked = marked.length;
      redraw();
    });
    new ResizeObserver(redraw).observe(box);
    figure.dataset.ready = "true";
    render();
  }

  function plot(figure) {
    const spec = JSON.parse(figure.querySelector(".plot-spec").textContent);
    const start = () => (spec.source ? load(spec.source) : Promise.resolve(spec.columns))
      .then((data) => scatter(figure, spec, { ...data })) // two figures may draw the same cells
      .catch((error) => figure.append(make("p", { class: "absent" }, `Static picture: ${error.message}.`)));
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((e) => e.isIntersecting)) { seen.disconnect(); start(); }
    }, { rootMargin: "400px" });
    seen.observe(figure);
  }

  // ---- forest plots --------------------------------------------------------------------------
  const numbers = (text) => (text || ",,").split(",").map((v) => (v === "" ? null : Number(v)));
  const side = (low, high) => (low === null ? "none" : low > 0 ? "up" : high < 0 ? "down" : "none");
  const hue = { up: "#b84a00", down: "#0067a5", none: "#5f6772" };
  const estimate = (x, low, high) => (x === null ? "–" : low === null ? `${fixed(x, 2, true)} (no interval)` : `${fixed(x, 2, true)} (${fixed(low, 2, true)} to ${fixed(high, 2, true)})`);

  // Rows: {group, label, href, marks, sizes, effect, low, high, padj, pooled}. As plots.forest_plot.
  function forest(rows, caption, first) {
    const ends = rows.flatMap((r) => [r.effect, r.low, r.high]).filter((v) => v !== null).concat(0);
    let [low, high] = [Math.min(...ends), Math.max(...ends)];
    const pad = 0.06 * (high - low) || 1;
    low -= pad;
    high += pad;
    const at = (v) => `${((100 * (v - low)) / (high - low)).toFixed(2)}%`;
    const axis = draw("svg", { class: "axis", width: "100%", height: 22, "aria-hidden": "true" },
      draw("line", { x1: 0, x2: "100%", y1: 0.5, y2: 0.5 }),
      ...steps(low, high, 4).flatMap((t) => [draw("line", { x1: at(t), x2: at(t), y1: 0, y2: 5 }), draw("text", { x: at(t), y: 18 }, tickText(t))]));
    const cell = (text, more = {}) => make("td", { role: "cell", ...more }, text);
    const body = [];
    let group = null;
    for (const r of rows) {
      if (r.group && r.group !== group) {
        group = r.group;
        body.push(make("tr", { class: "group", role: "row" }, make("th", { role: "rowheader", scope: "rowgroup", colspan: 5 }, group)));
      }
      const kind = side(r.low, r.high);
      const bar = draw("svg", { class: "interval", width: "100%", height: 22, "aria-hidden": "true" },
        draw("line", { class: "zero", x1: at(0), x2: at(0), y1: 0, y2: 22 }));
      if (r.low !== null && r.pooled) {
        bar.append(draw("rect", { class: `pool ${kind}`, x: at(r.low), width: `${((100 * (r.high - r.low)) / (high - low)).toFixed(2)}%`, y: 6, height: 10 }),
          draw("line", { class: "pool-middle", x1: at(r.effect), x2: at(r.effect), y1: 6, y2: 16 }));
      } else {
        if (r.low !== null) bar.append(draw("line", { class: `ci ci-main ${kind}`, x1: at(r.low), x2: at(r.high), y1: 11, y2: 11 }));
        if (r.effect !== null) bar.append(draw("circle", { class: `dot dot-main ${kind}`, cx: at(r.effect), cy: 11, r: 5 }));
      }
      body.push(make("tr", { role: "row", "data-drawn": [r.effect, r.low, r.high].map((v) => (v === null ? "" : v)).join(","), "data-pooled": r.pooled },
        make("th", { role: "rowheader", scope: "row" }, r.href ? make("a", { href: root + r.href }, r.label) : r.label,
          ...r.marks.flatMap((m) => [" ", make("span", { class: "badge" }, m)])),
        cell(r.sizes, { "data-head": first[1] }),
        make("td", { role: "cell", class: "plot-cell" }, bar),
        make("td", { role: "cell", class: "est-cell" }, make("span", { class: "est" }, estimate(r.effect, r.low, r.high))),
        cell(pText(r.padj), { "data-head": "Adjusted p", class: "num" })));
    }
    const head = (text, more = {}) => make("th", { scope: "col", role: "columnheader", ...more }, text);
    const drawn = make("div", {}, make("span", { class: "ends" }, make("span", {}, "← lower"), make("span", {}, "higher →")), axis);
    const box = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      make("table", { class: "forest", role: "table", "data-span": `${low} ${high}` }, make("caption", {}, caption),
        make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, head(first[0]), head(first[1]), head(drawn, { class: "plot-cell" }), head("log2 (95 % interval)"), head("Adjusted p", { class: "num" }))),
        make("tbody", { role: "rowgroup" }, ...body)));
    return box;
  }

  // A forest plot as one picture that stands alone: labels, donors, intervals, numbers.
  function forestPicture(table) {
    const [low, high] = table.dataset.span.split(" ").map(Number);
    const font = { "font-family": "Arial, Helvetica, sans-serif", "font-size": 12, fill: "#1b1f24" };
    const [left, plot, right, step] = [360, 320, 230, 24];
    const width = left + plot + right;
    const x = (v) => left + ((v - low) / (high - low)) * plot;
    const cut = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);
    const words = (node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : "");
    const nodes = [];
    let y = 44;
    const mark = ([v, a, b], row, hollow, pooled) => {
      if (v === null) return;
      const colour = hue[side(a, b)];
      if (a !== null && pooled && !hollow) {
        nodes.push(draw("rect", { x: x(a), width: x(b) - x(a), y: row - 5, height: 10, fill: colour }),
          draw("line", { x1: x(v), x2: x(v), y1: row - 5, y2: row + 5, stroke: "#fff", "stroke-width": 2 }));
        return;
      }
      if (a !== null) nodes.push(draw("line", { x1: x(a), x2: x(b), y1: row, y2: row, stroke: colour, "stroke-width": hollow ? 1.3 : 2.2, "stroke-dasharray": hollow ? "4 3" : "none" }));
      nodes.push(draw("circle", { cx: x(v), cy: row, r: 4, fill: hollow ? "#fff" : colour, stroke: colour, "stroke-width": 1.3 }));
    };
    for (const row of table.tBodies[0].rows) {
      if (row.classList.contains("group")) {
        nodes.push(draw("text", { ...font, x: 8, y: y + 16, "font-weight": 700 }, cut(words(row.querySelector("th").firstChild), 120)));
        y += step;
        continue;
      }
      const [main, alt] = row.dataset.drawn.split(";").map(numbers);
      const both = alt && alt[0] !== null;
      const name = row.querySelector("th");
      const donors = words(row.querySelector("td[data-head=Donors], td[data-head=Studies]"));
      nodes.push(draw("text", { ...font, x: 16, y: y + 15 }, cut(words(name.querySelector("a") || name), donors ? 40 : 56)));
      if (donors) nodes.push(draw("text", { ...font, x: left - 14, y: y + 15, "text-anchor": "end", fill: "#525b66" }, cut(donors, 24)));
      mark(main, y + 11, false, row.dataset.pooled !== undefined);
      nodes.push(draw("text", { ...font, x: left + plot + 14, y: y + 15 }, words(row.querySelector(".est"))));
      if (both) {
        mark(alt, y + 11 + step * 0.75, true, false);
        nodes.push(draw("text", { ...font, x: left + plot + 14, y: y + 15 + step * 0.75, fill: "#525b66" }, words(row.querySelector(".est-alt"))));
      }
      y += both ? step * 1.75 : step;
    }
    const grid = steps(low, high, 4).flatMap((t) => [
      draw("line", { x1: x(t), x2: x(t), y1: 40, y2: y + 4, stroke: t === 0 ? "#767f8a" : "#e3e7eb" }),
      draw("text", { ...font, x: x(t), y: y + 20, "text-anchor": "middle", fill: "#525b66" }, tickText(t)),
    ]);
    return draw("svg", { xmlns: svgNS, width, height: y + 44, viewBox: `0 0 ${width} ${y + 44}` },
      draw("rect", { width, height: y + 44, fill: "#fff" }),
      draw("text", { ...font, x: 8, y: 22, "font-weight": 700, "font-size": 14 }, cut(words(table.caption), 130)),
      ...grid, ...nodes,
      draw("text", { ...font, x: left + plot / 2, y: y + 38, "text-anchor": "middle", fill: "#525b66" }, "log2 units, 95 % interval"));
  }
  const fileName = (text) => text.trim().replace(/[^A-Za-z0-9]+/g, "-").slice(0, 60).replace(/^-|-$/g, "");
  const svgText = (picture) => `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(picture)}\n`;
  const DPI = 300;
  // A PNG says how large it is meant to be: pixels per metre, in a chunk of its own.
  function withResolution(bytes) {
    const chunk = new Uint8Array(21);
    const view = new DataView(chunk.buffer);
    view.setUint32(0, 9);
    chunk.set([112, 72, 89, 115], 4);
    view.setUint32(8, Math.round(DPI / 0.0254));
    view.setUint32(12, Math.round(DPI / 0.0254));
    chunk[16] = 1;
    let crc = -1;
    for (const byte of chunk.subarray(4, 17)) {
      crc ^= byte;
      for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    view.setUint32(17, (crc ^ -1) >>> 0);
    return new Blob([bytes.subarray(0, 33), chunk, bytes.subarray(33)], { type: "image/png" });
  }
  function savePNG(picture, name) {
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = make("canvas", { width: Math.round((DPI / 96) * image.width), height: Math.round((DPI / 96) * image.height) });
      const ctx = canvas.getContext("2d");
      ctx.scale(DPI / 96, DPI / 96);
      ctx.drawImage(image, 0, 0);
      canvas.toBlob(async (blob) => save(`${name}.png`, withResolution(new Uint8Array(await blob.arrayBuffer()))));
    });
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(picture))}`;
  }
  // What a figure needs below it in a paper: what it shows, where the method stands, which version.
  function captionText(text) {
    const words = (node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : "");
    const method = words(document.querySelector("#method ~ p")).replace(/All methods\.?$/, "").trim();
    const title = words(document.querySelector("h1"));
    return `${[title && !text.includes(title) ? `${title}.` : "", text.trim().replace(/([^.])$/, "$1."), method,
      `Made with ${document.documentElement.dataset.version}; methods and sources: methods.html and provenance.html of the same report.`].filter(Boolean).join(" ")}\n`;
  }
  const quiet = (text, act) => make("button", { type: "button", class: "quiet", onclick: act }, text);
  const captionButton = (name, text) => quiet("caption", () => save(`${name}.txt`, captionText(text()), "text/plain"));
  function downloads(name, picture, data, text = () => "") {
    return make("p", { class: "downloads" }, "Download: ",
      quiet("SVG", async () => save(`${name}.svg`, svgText(await picture()), "image/svg+xml")), " · ",
      quiet("PDF", async () => save(`${name}.pdf`, await (await load("pdf", "assets/"))(await picture()))), " · ",
      quiet("PNG", async () => savePNG(await picture(), name)), " · ",
      ...(data ? [quiet("data (TSV)", () => save(`${name}.tsv`, data(), "text/tab-separated-values")), " · "] : []),
      captionButton(name, text));
  }
  function forestTools(table) {
    const name = fileName(table.caption.textContent);
    const data = () => {
      const lines = [["group", "label", "donors", "effect", "ci_low", "ci_high", "second_effect", "second_ci_low", "second_ci_high"].join("\t")];
      let group = "";
      for (const row of table.tBodies[0].rows) {
        const title = row.querySelector("th");
        if (row.classList.contains("group")) { group = title.firstChild.textContent; continue; }
        const more = row.querySelector("td[data-head=Donors], td[data-head=Studies]");
        const [main, alt] = row.dataset.drawn.split(";");
        const values = [...numbers(main), ...numbers(alt)].map((v) => (v === null ? "" : String(v)));
        lines.push([group, title.textContent.trim(), more ? more.textContent : "", ...values].map(guard).join("\t"));
      }
      return lines.join("\n") + "\n";
    };
    table.parentElement.after(downloads(name, () => forestPicture(table), data, () => `${table.caption.textContent}; log2 units with 95 % intervals; bars: pooled estimates, points: single studies`));
  }

  // ---- matrices of effects ---------------------------------------------------------------------
  // As a table to go on with: one line per row, numbers with a plain minus, intervals beside them.
  function matrixTools(table) {
    const name = fileName(table.caption.textContent);
    const plain = (node) => {
      const small = node.querySelector(":scope > small");
      const text = [...node.childNodes].filter((n) => n !== small).map((n) => n.textContent).join(" ");
      return `${text.replace(/\s+/g, " ").trim()}${small && node.tagName === "TD" ? ` (${small.textContent.trim()})` : ""}`.replace(/^−(?=\d)/, "-").replaceAll("−", "-");
    };
    const data = () => {
      const lines = [["group", ...[...table.tHead.rows[0].cells].map(plain)]];
      let group = "";
      for (const row of table.tBodies[0].rows) {
        if (row.classList.contains("group")) group = plain(row.cells[0]);
        else lines.push([group, ...[...row.cells].map(plain)]);
      }
      return lines.map((line) => line.map((cell) => (/^-\d/.test(cell) ? cell : guard(cell))).join("\t")).join("\n") + "\n";
    };
    const picture = async () => (await load("matrix", "assets/"))(table);
    table.parentElement.after(downloads(name, picture, data, () => table.caption.textContent));
  }

  // ---- courses over time ---------------------------------------------------------------------
  // The drawing with its colours written into it, title above and legend below: it stands alone.
  function coursePicture(figure, title) {
    const seen = figure.querySelector("svg");
    const [width, top, height] = [640, 30, Number(seen.getAttribute("height"))];
    const inner = seen.cloneNode(true);
    const shown = [...seen.querySelectorAll("line, circle, text")];
    [...inner.querySelectorAll("line, circle, text")].forEach((node, i) => {
      const style = getComputedStyle(shown[i]);
      for (const key of ["stroke", "stroke-width", "fill", "opacity", "font-size", "text-anchor"]) node.setAttribute(key, style.getPropertyValue(key));
      node.removeAttribute("class");
    });
    for (const [key, value] of Object.entries({ width, height, x: 0, y: top })) inner.setAttribute(key, value);
    const keys = [...figure.querySelectorAll(".course-key li")];
    const font = { "font-family": "Arial, Helvetica, sans-serif", "font-size": 12, fill: "#1b1f24" };
    const whole = top + height + 20 * keys.length + 10;
    return draw("svg", { xmlns: svgNS, width, height: whole, viewBox: `0 0 ${width} ${whole}`, "font-family": font["font-family"] },
      draw("rect", { width, height: whole, fill: "#fff" }),
      draw("text", { ...font, x: 8, y: 20, "font-weight": 700, "font-size": 14 }, title), inner,
      ...keys.flatMap((key, i) => [
        draw("circle", { cx: 14, cy: top + height + 20 * i + 6, r: 4.5, fill: getComputedStyle(key, "::before").color }),
        draw("text", { ...font, x: 26, y: top + height + 20 * i + 10 }, key.textContent)]));
  }
  function courseTools(figure) {
    const head = [...document.querySelectorAll("h2, h3")].filter((h) => h.compareDocumentPosition(figure) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
    const title = `${head ? `${head.dataset.title || head.textContent.trim()}: ` : ""}${figure.querySelector("figcaption").textContent}`;
    const name = fileName(title);
    const data = () => [["study", "time", "effect", "ci_low", "ci_high"],
      ...[...figure.querySelectorAll("circle[data-drawn]")].map((c) => [c.dataset.series, c.dataset.time, ...numbers(c.dataset.drawn).map((v) => (v === null ? "" : String(v)))])]
      .map((line) => line.map(guard).join("\t")).join("\n") + "\n";
    figure.append(downloads(name, () => coursePicture(figure, title), data, () => `${title}; log2 units with 95 % intervals; lines join the times of one study`));
  }

  // ---- start ---------------------------------------------------------------------------------
  addEventListener("DOMContentLoaded", () => {
    search();
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
    // A link to something folded unfolds it.
    const unfold = () => {
      const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
      const fold = target && target.closest("details");
      if (fold) { fold.open = true; target.scrollIntoView(); }
    };
    addEventListener("hashchange", unfold);
    unfold();
    document.querySelectorAll(".table").forEach(table);
    document.querySelectorAll("table.forest").forEach(forestTools);
    document.querySelectorAll("table.heatmap, table.effects").forEach(matrixTools);
    document.querySelectorAll(".course").forEach(courseTools);
    document.querySelectorAll(".figure").forEach((f) => {
      if (f.querySelector(".plot-spec")) plot(f);
      else if (f.querySelector(".downloads")) f.querySelector(".downloads").append(" · ", captionButton(`${fileName(document.title.split(" · ")[0])}-${f.id}`, () => f.querySelector("figcaption").firstChild.textContent));
    });
    // What only some pages need is a script of its own; the policy lets this one add it.
    document.querySelectorAll("[data-script]").forEach((box) => {
      const script = make("script", { src: `${root}assets/${box.dataset.script}.js` });
      script.addEventListener("error", () => box.append(make("p", { class: "absent" }, `The file assets/${box.dataset.script}.js is missing from this folder.`)));
      document.head.append(script);
    });
  });
  return {
    receive, parts: { root, make, draw, load, save, guard, fixed, pText, steps, tickText, side, hue, forest, forestTools, downloads, fileName },
  };
})();
