"use strict";
// Genes, samples and cells as points that can be zoomed, marked and coloured. Loaded by the pages that have such plots.
(() => {
  const { root, make, draw, load, fixed, spaced, pText, steps, tickText, downloads, fileName, DPI } = alsmuscle.parts;

  const geneColours = ["#d5d9de", "#8a8f98", "#b84a00", "#0067a5"]; // not tested, not called, higher, lower
  const geneShapes = ["circle", "circle", "up", "down"];
  const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31"];
  const ramp = ["#e8cf3f", "#b8a663", "#7c7b78", "#414d6b", "#00224e"]; // cividis in five steps, dark is high
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
    let paint = genes ? geneColours : spec.paint || colours;
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
    const size = (g) => usable.filter((i) => data.group[i] === g).length;
    // Groups that are shown; "not tested" only where there are such genes.
    const listed = () => spec.groups.map((name, g) => [name, g]).filter(([, g]) => !genes || g || spec.groups.length === 1 || size(0));
    const explain = () => legend.replaceChildren(...listed().map(([name, g]) =>
      make("li", {}, key(shapeOf(g), paint[g % paint.length]), `${name} (${spaced(size(g))})`)),
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
          paint = all[i].ramp ? ramp : (i === 0 && spec.paint) || colours;
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
        const length = 8.8 * data.label[i].length; // bold capitals
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
      const keys = listed().map(([group, g]) => {
        const length = 28 + 6.6 * group.length;
        if (end > 58 && end + length > w) { row += 1; end = 58; }
        end += length;
        return { group, g, x: end - length, y: 14 + 18 * row };
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
      keys.forEach(({ group, g, x, y }) => nodes.push(draw("circle", { cx: x + 5, cy: y, r: 4, fill: paint[g % paint.length] }), draw("text", { ...font, x: x + 14, y: y + 4 }, group)));
      return draw("svg", { xmlns: "http://www.w3.org/2000/svg", width: w, height: h, viewBox: `0 0 ${w} ${h}` }, ...nodes);
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

  document.querySelectorAll(".figure:has(.plot-spec)").forEach(plot);
})();
