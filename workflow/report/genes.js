"use strict";
// Single genes, sets of genes, what comparisons share. Loaded by their pages after app.js.
(() => {
  const { root, make, draw, load, guard, fixed, spaced, pText, steps, tickText, hue, forest, forestTools, downloads, fileName } = alsmuscle.parts;
  const ink = "#1b1f24";
  const soft = "#525b66";
  const line = "#d5dae0";
  const sides = { "-1": "#0067a5", 0: "#5f6772", 1: "#b84a00" };
  const font = { "font-family": "Arial, Helvetica, sans-serif", "font-size": 12, fill: ink };
  const cut = (text, n) => (text.length > n ? `${text.slice(0, Math.max(1, n - 1))}…` : text);
  const tsv = (lines) => lines.map((row) => row.map((cell) => guard(cell === null || cell === undefined ? "" : String(cell))).join("\t")).join("\n") + "\n";

  // ---- data ----------------------------------------------------------------------------------
  function bucket(gene, buckets) {
    let h = 0;
    for (const char of gene) h = (h * 31 + char.codePointAt(0)) % 65521;
    return h % buckets;
  }
  async function record(spec, id) {
    const found = (await load(`gene-${bucket(id, spec.buckets)}`))[id];
    return Array.isArray(found) ? found : null;
  }
  const digits = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"].map((char, i) => [char, i]));
  // As pages/expression.py wrote them: two digits of base 64 per sample, the last code for none.
  function decode(text, about) {
    const out = [];
    for (let i = 0; i < text.length; i += 2) {
      const code = 64 * digits.get(text[i]) + digits.get(text[i + 1]);
      out.push(code === 4095 ? null : about.low + about.step * code);
    }
    return out;
  }
  // Every study's values of a gene: [place of the study, values].
  async function samples(spec, about, id) {
    const found = (await load(`samples-${bucket(id, spec.buckets)}`))[id] || {};
    return Object.entries(found).map(([place, text]) => [Number(place), decode(text, about[place])]);
  }
  const genes = async () => (await load("search")).genes.split("\n").map((l) => l.split("\t"));

  // ---- drawing -------------------------------------------------------------------------------
  // A figure that is drawn again for every width; its downloads are drawn at one width.
  function chart(title, picture, data, { wide = 720, more = [], note = "" } = {}) {
    const box = make("div", { class: "chart" });
    const figure = make("figure", { class: "drawn" }, box, make("figcaption", {}, title, note ? ` ${note}` : ""));
    const bar = downloads(fileName(title), () => picture(wide, title), data, () => `${title}${note ? ` ${note}` : ""}`);
    bar.append(...more.flatMap((node) => [" · ", node]));
    figure.append(bar);
    let last = 0;
    new ResizeObserver(() => {
      const width = Math.floor(box.clientWidth);
      if (!width || width === last) return;
      last = width;
      const drawn = picture(width, "");
      drawn.setAttribute("aria-label", title);
      drawn.setAttribute("role", "img");
      box.replaceChildren(drawn);
    }).observe(box);
    return figure;
  }
  function sheet(width, height, title, ...nodes) {
    const top = title ? 30 : 0;
    const whole = draw("svg", { xmlns: "http://www.w3.org/2000/svg", width, height: height + top, viewBox: `0 0 ${width} ${height + top}` },
      draw("rect", { width, height: height + top, fill: "#fff" }));
    if (title) whole.append(draw("text", { ...font, x: 8, y: 20, "font-weight": 700 }, cut(title, width / 6.6)));
    whole.append(draw("g", { transform: `translate(0 ${top})` }, ...nodes));
    return whole;
  }
  const quantile = (sorted, q) => {
    const at = (sorted.length - 1) * q;
    const low = Math.floor(at);
    return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  };

  const units = (about) => about.material || "nuclei or cells";
  const several = (n, one) => `${spaced(n)} ${one}${n === 1 ? "" : "s"}`;
  // How many samples, donors, and nuclei, cells or spots a group's row rests on.
  function held(about, g, values) {
    const at = about.group.map((k, i) => i).filter((i) => about.group[i] === g && values[i] !== null);
    const donors = new Set(at.map((i) => about.donors[i]));
    return [`${several(at.length, "sample")}${donors.size < at.length && !donors.has("") ? ` of ${several(donors.size, "donor")}` : ""}`,
      ...(about.n ? [`${spaced(at.reduce((sum, i) => sum + about.n[i], 0))} ${units(about)}`] : [])].join(", ");
  }
  // One row per group of samples: a box of quartiles with its median, every sample as a point.
  function strips(about, values, width, title) {
    const rows = about.groups.map((name, g) => ({
      name: `${name} (${held(about, g, values)})`, colour: about.colours[g], at: about.group.map((k, i) => [k, i]).filter(([k, i]) => k === g && values[i] !== null).map(([, i]) => i),
    })).filter((row) => row.at.length);
    const known = rows.flatMap((row) => row.at.map((i) => values[i]));
    let [low, high] = [Math.min(...known), Math.max(...known)];
    const pad = 0.06 * (high - low) || 0.5;
    low -= pad;
    high += pad;
    const narrow = width < 560;
    const longest = Math.max(...rows.map((row) => row.name.length));
    const left = narrow ? 8 : Math.min(Math.round(width * 0.4), Math.round(24 + 6.3 * longest));
    const right = width - 12;
    const step = narrow ? 46 : 30;
    const x = (v) => left + ((v - low) / (high - low)) * (right - left);
    const bottom = 6 + rows.length * step;
    const nodes = steps(low, high, Math.max(3, (right - left) / 90)).flatMap((t) => [
      draw("line", { x1: x(t), x2: x(t), y1: 4, y2: bottom, stroke: "#e3e7eb" }),
      draw("text", { ...font, x: x(t), y: bottom + 15, "text-anchor": "middle", fill: soft }, tickText(t))]);
    nodes.push(draw("text", { ...font, x: (left + right) / 2, y: bottom + 32, "text-anchor": "middle", fill: soft }, about.unit));
    rows.forEach((row, r) => {
      const middle = 6 + r * step + (narrow ? 30 : 15);
      const { colour } = row;
      nodes.push(draw("text", { ...font, x: 8, y: narrow ? middle - 16 : middle + 4 }, cut(row.name, (narrow ? width : left - 14) / 6.3), draw("title", {}, row.name)));
      const sorted = row.at.map((i) => values[i]).sort((a, b) => a - b);
      if (sorted.length > 2) {
        const [q1, q2, q3] = [0.25, 0.5, 0.75].map((q) => quantile(sorted, q));
        nodes.push(draw("rect", { x: x(q1), y: middle - 9, width: Math.max(1, x(q3) - x(q1)), height: 18, fill: "#eef1f4", stroke: colour }),
          draw("line", { x1: x(q2), x2: x(q2), y1: middle - 9, y2: middle + 9, stroke: colour, "stroke-width": 2.5 }));
      }
      row.at.forEach((i, k) => {
        const words = [about.names[i], about.donors[i] && about.donors[i] !== about.names[i] ? `donor ${about.donors[i]}` : "", row.name,
          `${fixed(values[i])} ${about.unit}`, about.n ? `${spaced(about.n[i])} ${units(about)}` : "", about.flags[i] ? `flagged: ${about.flags[i]}` : ""].filter(Boolean).join("\n");
        // Golden steps spread the points evenly, the same at every drawing.
        const y = middle + (((k * 0.618) % 1) - 0.5) * 13;
        const place = [x(values[i]), y];
        const mark = about.flags[i]
          ? draw("path", { d: `M${place[0]} ${place[1] - 5}l5 9h-10z`, fill: "#fff", stroke: colour, "stroke-width": 1.5 })
          : draw("circle", { cx: place[0], cy: place[1], r: 3.6, fill: colour, "fill-opacity": 0.75, stroke: "#fff", "stroke-width": 0.6 });
        mark.append(draw("title", {}, words));
        nodes.push(mark);
      });
    });
    return sheet(width, bottom + 40, title, ...nodes);
  }
  function stripFigure(symbol, about, values) {
    const used = values.filter((v) => v !== null).length;
    const spots = about.material === "spots";
    const title = `${symbol} in ${about.study}${!about.cells ? "" : spots ? ", spots by what they are rich in" : ", by cell type"}: ${spaced(used)} ${about.cells ? `sums of a sample's ${spots ? "spots" : "cell type"}` : "samples"}`;
    const data = () => tsv([["sample", "donor", "group", about.unit, ...(about.n ? ["n_cells"] : []), "flags"],
      ...values.map((v, i) => [about.names[i], about.donors[i], about.groups[about.group[i]], v === null ? "" : v.toFixed(2), ...(about.n ? [about.n[i]] : []), about.flags[i] || ""])]);
    const drawn = about.group.filter((_, i) => values[i] !== null);
    const most = Math.max(...about.groups.map((_, g) => drawn.filter((k) => k === g).length));
    const words = [about.species, about.cells ? "point: the sum of one sample" : "point: one sample", most > 2 ? "box: quartiles and median" : "",
      most === 1 ? "every row is one sample, without spread" : "", about.flags && about.group.some((_, i) => about.flags[i]) ? "hollow triangle: flagged sample" : ""].filter(Boolean);
    return chart(title, (width, head) => strips(about, values, width, head), data, {
      note: `(${words.join("; ")})`,
      more: [make("a", { href: root + about.href }, "study"), make("a", { href: root + about.file, download: true }, "all genes of this study (TSV)")],
    });
  }

  // ---- one gene ------------------------------------------------------------------------------
  // Lists that call the gene: evidence of their own, no effect that could be pooled.
  // Whether the lists of ALS can speak about a gene of the denervation signature, and what they say.
  function inSignature(lists, signature, found) {
    const human = found.find((f) => f[1] === "human") || found[0];
    if (!signature.includes(human[0])) return "";
    return lists.map((list, k) => ({ ...list, place: k })).filter((list) => list.als && list.signature).map((list) => {
      const [n, all] = list.signature;
      const call = (human[5] || []).find(([k]) => k === list.place);
      const counts = call ? `one of those that the list of ${list.study} calls ${call[1] > 0 ? "up" : "down"}`
        : n === all ? `measured by the arrays of ${list.study} and not called by its list`
        : `not called by the list of ${list.study}, whose arrays measure ${n} of them`;
      return `${human[0]} is one of the ${all} genes of the denervation signature: ${counts}.`;
    }).join(" ");
  }
  // A list and a table of the same patients that give a gene two values.
  function conflicts(rows, effects) {
    return rows.flatMap((r) => effects.filter((e) => r.table.includes(e.place)).flatMap((e) => {
      const against = Math.sign(e.effect) !== r.direction;
      const outside = r.effect !== null && e.low !== null && (r.effect < e.low || r.effect > e.high);
      if (!against && !outside) return [];
      const own = e.low === null ? "" : ` (95 % interval ${fixed(e.low, 2, true)} to ${fixed(e.high, 2, true)})`;
      return [make("p", {}, make("strong", {}, `The same patients, two answers: the list of ${r.study} (${r.label}) calls it ${r.direction > 0 ? "up" : "down"}${r.effect === null ? "" : `, ${fixed(r.effect, 2, true)}`}; the table of all genes (${e.label}) has ${fixed(e.effect, 2, true)}${own}. They ${against ? "contradict each other" : "agree in direction and not in size"}.`))];
    }));
  }
  function calledBy(lists, found, signature, effects) {
    const rows = found.flatMap((f) => (f[5] || []).map(([k, direction, effect, p]) => ({ ...lists[k], place: k, direction, effect, p, symbol: f[0] })))
      .sort((a, b) => a.place - b.place);
    const title = make("h3", {}, "Called genes");
    const known = inSignature(lists, signature, found);
    if (!rows.length) return [title, make("p", { class: "muted" }, `No published list calls this gene. That is not “unchanged”: it may have moved a little less than a list's threshold${known ? "" : ", or not have been measured"}.`), ...(known ? [make("p", {}, known)] : [])];
    const head = ["Study", "Groups compared", "Donors", "Direction", "Log2 fold change, as stated", "p, as stated", "Threshold of the list"];
    const body = rows.map((r) => make("tr", {},
      make("th", { scope: "row" }, make("a", { href: r.href }, r.study)),
      make("td", {}, `${r.label} (${r.role}, ${r.species})`), make("td", {}, r.sizes),
      make("td", {}, r.direction > 0 ? "↑ up" : "↓ down"),
      make("td", { class: "num" }, r.effect === null ? "not stated" : fixed(r.effect, 2, true)),
      make("td", { class: "num" }, r.p === null ? "not stated" : pText(r.p)), make("td", {}, r.threshold)));
    return [title, ...conflicts(rows, effects), ...(known ? [make("p", {}, known)] : []),
      make("p", {}, "Called by a published list at its own threshold; never pooled with the effects above. A list that does not call a gene does not say that it is unchanged."),
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Published lists that call ${rows[0].symbol}` }, make("table", { class: "called" },
        make("caption", {}, `Published lists that call ${rows[0].symbol}`),
        make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...body)))];
  }
  // Strips of the gene, and of its counterpart in the other species: whole tissue, cell types.
  async function measured(spec, symbol, ids) {
    const about = await load("samples");
    const found = (await Promise.all(ids.map((id) => samples(spec, about, id)))).flat().sort((a, b) => a[0] - b[0]);
    const kind = (k) => (!k.cells ? "samples" : k.material === "spots" ? "spots" : "cells");
    return ["samples", "cells", "spots"].map((name) => found.filter(([place]) => kind(about[place]) === name).map(([place, values]) => stripFigure(symbol, about[place], values)));
  }
  // What readers ask of a gene first, where no effect in the tables below answers it.
  function withoutALS(spec, symbol, found) {
    const als = [...new Set(spec.contrasts.filter((k) => spec.als.includes(k.role)).map((k) => `${k.study}: ${k.label}`))];
    const names = `${als.slice(0, 4).join("; ")}${als.length > 4 ? " and others" : ""}`;
    const effects = als.length ? `The comparison${als.length > 1 ? "s" : ""} of ALS with effects of all genes (${names}) ${als.length > 1 ? "do" : "does"} not hold ${symbol}` : "This run holds no comparison of ALS that measures effects with their errors";
    const own = spec.lists.filter((list) => list.als);
    const calling = found.flatMap((f) => (f[5] || []).filter(([k]) => spec.lists[k].als).map(([k, direction, effect, p]) => {
      const list = spec.lists[k];
      const numbers = [`${list.sizes} donors`, effect === null ? "no fold change stated" : `log2 fold change ${fixed(effect, 2, true)}, stated without an interval`].join("; ");
      return `a published list of ${list.study} calls it ${direction > 0 ? "up" : "down"} (${list.label}: ${numbers}).`;
    }));
    if (calling.length) return `ALS muscle: ${calling.join(" ")} ${effects}, so that it has no effect with an interval.`;
    return `${effects}${own.length ? ", and no list of ALS muscle calls it" : ""}: nothing here says how it changes in ALS.`;
  }
  async function gene() {
    const box = document.getElementById("gene");
    const spec = JSON.parse(document.getElementById("gene-spec").textContent);
    let id;
    try { id = decodeURIComponent(location.hash.slice(1)); } catch (error) { id = location.hash.slice(1); }
    if (!id || id === "main") return;
    const sorry = (text) => box.replaceChildren(make("p", { class: "absent" }, text));
    let own;
    let twin = null;
    try {
      own = await record(spec, id);
      if (!own) {
        const all = await genes();
        const hit = all.find((g) => g[0] === id) || all.find((g) => g[0].toLowerCase() === id.toLowerCase());
        if (hit) { id = hit[1]; own = await record(spec, id); }
      }
      if (own && own[4]) twin = await record(spec, own[4]);
    } catch (error) {
      return sorry(`Cannot read this gene: ${error.message}.`);
    }
    if (!own) return sorry(`No comparison measured “${id}”${spec.lists.length ? ", and no published list calls it" : ""}.`);
    const found = twin ? [own, twin] : [own];
    const species = found.map((f) => f[1]);
    const rows = found.flatMap((f) => f[2].map(([k, effect, half, p, padj]) => {
      const about = spec.contrasts[k];
      return {
        ...about, place: k, group: about.role, effect, padj, p,
        label: `${about.study}: ${about.label}${twin ? `, ${f[1]}` : ""}`,
        low: half === null ? null : effect - half, high: half === null ? null : effect + half,
      };
    })).sort((a, b) => a.place - b.place);
    const parted = found.some((f) => f[3].some((row) => row[2] !== "muscle"));
    const pooled = found.flatMap((f) => f[3].map(([role, kind, cells, k, effect, low, high, padj]) => ({
      place: role + (cells === "muscle" ? 0 : 100), group: !parted ? undefined : cells === "muscle" ? "Whole muscle" : "Cell types",
      label: `${spec.roles[role]}, ${kind === "all" ? "human and mouse together" : kind}${cells === "muscle" ? "" : `, ${cells}`}`,
      sizes: k === 1 ? "1 study, not pooled" : `${k} studies${k === 2 ? ", too few for a verdict" : ""}`,
      marks: [], effect, low, high, padj, pooled: k > 1,
    }))).sort((a, b) => a.place - b.place);
    const symbol = own[0];
    const parts = [make("h2", {}, symbol, " ", make("small", { class: "muted" }, found.map((f, i) => `${f[0]} (${species[i]}, ${i ? own[4] : id})`).join(" and its counterpart ")))];
    // First what is known of ALS: the figures below begin with what was measured, in other conditions.
    if (!rows.some((r) => spec.als.includes(r.role))) parts.push(make("p", {}, make("strong", {}, withoutALS(spec, symbol, found))));
    if (pooled.length) parts.push(make("h3", {}, "In short: per condition"), make("p", { class: "muted" }, pooled.some((r) => r.pooled) ? "Bars: pooled over independent studies; a point: a single study." : "Every point is a single study: nothing was pooled."), forest(pooled, `${symbol} per condition, log2 fold change`, ["Condition", "Studies"]));
    else if (spec.pooled) parts.push(make("p", { class: "muted" }, "Not pooled: no eligible comparison measured this gene."));
    if (rows.length) parts.push(make("h3", {}, "Every comparison"), forest(rows, `${symbol} in every comparison, log2 fold change`, ["Comparison", "Donors"]));
    else parts.push(make("p", { class: "muted" }, "No comparison measured this gene: only published lists hold it."));
    if (spec.lists.length) parts.push(...calledBy(spec.lists, found, spec.signature, rows));
    const [strip, cells, spots] = await measured(spec, symbol, twin ? [id, own[4]] : [id]);
    const jump = (text, to) => make("a", { href: `#${encodeURIComponent(id)}`, onclick: (event) => { event.preventDefault(); document.getElementById(to).scrollIntoView(); } }, text);
    if (strip.length + cells.length + spots.length) {
      parts.splice(1, 0, make("p", { class: "contents" }, "On this page: effects", ...(strip.length ? [" · ", jump(`samples of ${strip.length} ${strip.length === 1 ? "study" : "studies"}`, "gene-samples")] : []),
        ...(cells.length ? [" · ", jump("cell types", "gene-cells")] : []), ...(spots.length ? [" · ", jump("spots", "gene-spots")] : []), " · ", make("a", { href: `${root}geneset.html#${encodeURIComponent(symbol)}` }, "beside other genes")));
    }
    if (strip.length) parts.push(make("h3", { id: "gene-samples" }, "Every sample"), make("p", {}, "Raw levels, not adjusted for anything: effects and their intervals stand above."), make("div", { class: "figures" }, ...strip));
    if (cells.length) parts.push(make("h3", { id: "gene-cells" }, "Expression by cell type"), make("p", {}, "Counts of all nuclei or cells of one type in one sample, summed. Types with few of them are noisy: their number stands beside every row."), ...cells);
    if (spots.length) parts.push(make("h3", { id: "gene-spots" }, "Expression by spot"), make("p", {}, "Spots of tissue sections, not cells: a spot holds several cells, of several types. Rows are named by what their spots are rich in; what they show is not the level of that cell type. Counts of one sample's spots, summed; the numbers of samples and spots stand beside every row."), ...spots);
    box.replaceChildren(...parts);
    const tables = [...box.querySelectorAll("table.forest")];
    if (rows.length) tables.at(-1).classList.add("gene");
    tables.forEach(forestTools);
    document.title = `${symbol} · ${document.title.split(" · ").pop()}`;
    return undefined;
  }

  // ---- sets of genes ---------------------------------------------------------------------------
  // Order of rows by average linkage; distance: root mean square over what both rows have.
  function clustered(rows) {
    const n = rows.length;
    const apart = (a, b) => {
      let [sum, k] = [0, 0];
      for (let j = 0; j < a.length; j++) if (a[j] !== null && b[j] !== null) { sum += (a[j] - b[j]) ** 2; k += 1; }
      return k ? Math.sqrt(sum / k) : 1e6;
    };
    const d = rows.map((a) => rows.map((b) => apart(a, b)));
    let live = rows.map((_, i) => ({ i, leaves: [i] }));
    while (live.length > 1) {
      let best = [Infinity, 0, 1];
      for (let p = 0; p < live.length; p++) for (let q = p + 1; q < live.length; q++) {
        if (d[live[p].i][live[q].i] < best[0]) best = [d[live[p].i][live[q].i], p, q];
      }
      const [one, two] = [live[best[1]], live[best[2]]];
      const [a, b] = [one.leaves.length, two.leaves.length];
      for (const other of live) d[one.i][other.i] = d[other.i][one.i] = (a * d[one.i][other.i] + b * d[two.i][other.i]) / (a + b);
      one.leaves = one.leaves.concat(two.leaves);
      live = live.filter((node) => node !== two);
    }
    return n ? live[0].leaves : [];
  }
  const mix = (colour, share) => `#${[1, 3, 5].map((i) => Math.round(255 + (parseInt(colour.slice(i, i + 2), 16) - 255) * share).toString(16).padStart(2, "0")).join("")}`;
  // Colours of numbers, and what stands on them, are the same on a dark page (style.css); all others follow it.
  const keeps = { class: "keeps" };
  const heat = (v, top) => ({ ...keeps, fill: mix(v < 0 ? "#0067a5" : "#b84a00", Math.min(1, Math.abs(v) / top)) });
  // Not measured must look unlike 0, a call unlike an effect, and what a list does not call unlike both.
  const uncalled = ({ x, y, width, height }) => [draw("rect", { x, y, width, height, fill: "#fff", stroke: "#d5dae0", "stroke-width": 0.6 }), draw("line", { x1: x + width / 2 - 2, x2: x + width / 2 + 2, y1: y + height / 2, y2: y + height / 2, stroke: "#767f8a" })];
  const hatched = ({ x, y, width, height }) => [draw("rect", { x, y, width, height, fill: "#e9edf0" }), draw("line", { x1: x, y1: y + height, x2: x + width, y2: y, stroke: "#aab3bc", "stroke-width": 1 })];
  const triangle = ({ x, y, width, height }, direction, words) => {
    const r = Math.min(width, height) * 0.34;
    const tip = direction > 0 ? -r : r;
    return [draw("rect", { x, y, width, height, fill: "#fff", stroke: "#d5dae0", "stroke-width": 0.6 }, draw("title", {}, words)),
      draw("path", { d: `M${x + width / 2} ${y + height / 2 + tip}l${r} ${-2 * tip}h${-2 * r}z`, fill: sides[direction], "pointer-events": "none" })];
  };
  // rows, columns: {label, words, group}; cell(r, c): {v, sure, words}, of a list {call, words}, or null.
  function heatPicture({ rows, columns, cell, top, unit, sure }, width, title) {
    const left = Math.min(110, 16 + 7 * Math.max(...rows.map((r) => r.label.length)));
    const head = Math.min(210, 16 + 5.6 * Math.max(...columns.map((k) => k.label.length)));
    const w = Math.max(columns.length > 60 ? 7 : 11, Math.min(30, (width - left - 105) / columns.length));
    const h = 18;
    const whole = Math.max(width, left + w * columns.length + 105, 330);
    const nodes = [];
    let before = null;
    columns.forEach((k, j) => {
      const x = left + w * (j + 0.5);
      if (w >= 9) nodes.push(draw("text", { ...font, "font-size": 11, transform: `translate(${x + 3} ${head - 6}) rotate(-60)` }, cut(k.label, 40), draw("title", {}, k.words)));
      if (k.group !== before && before !== null) nodes.push(draw("line", { x1: left + w * j, x2: left + w * j, y1: head - 4, y2: head + h * rows.length, stroke: ink }));
      before = k.group;
      if (k.colour) nodes.push(draw("rect", { x: left + w * j, y: head - 5, width: w, height: 5, fill: k.colour }, draw("title", {}, k.group)));
    });
    rows.forEach((r, i) => {
      const y = head + h * i;
      nodes.push(draw("text", { ...font, "font-size": 11, x: left - 6, y: y + 13, "text-anchor": "end" }, cut(r.label, 14), draw("title", {}, r.words)));
      columns.forEach((k, j) => {
        const found = cell(r, k);
        const at = { x: left + w * j, y, width: Math.max(w - 0.6, 1), height: h - 1 };
        if (!found) nodes.push(...(k.list === undefined ? hatched : uncalled)(at));
        else if (found.call) nodes.push(...triangle(at, found.call, `${r.label}, ${k.words}\n${found.words}`));
        else {
          nodes.push(draw("rect", { ...at, ...heat(found.v, top) }, draw("title", {}, `${r.label}, ${k.words}\n${found.words}`)));
          if (found.sure) nodes.push(draw("circle", { ...keeps, cx: at.x + w / 2, cy: y + h / 2 - 0.5, r: 2, fill: Math.abs(found.v) > 0.6 * top ? "#fff" : ink, "pointer-events": "none" }));
        }
      });
    });
    const y = head + h * rows.length + 14;
    for (let i = 0; i < 21; i++) nodes.push(draw("rect", { x: 16 + 8 * i, y, width: 8, height: 12, ...heat(((i - 10) / 10) * top, top) }));
    for (const [i, v] of [[0, -top], [10.5, 0], [21, top]]) nodes.push(draw("text", { ...font, "font-size": 11, x: 16 + 8 * i, y: y + 26, "text-anchor": "middle", fill: soft }, tickText(Number(v.toPrecision(2)))));
    nodes.push(draw("text", { ...font, "font-size": 11, x: 16, y: y + 42, fill: soft }, unit));
    const called = columns.some((k) => k.list !== undefined);
    [`hatched: not measured; ${sure ? `white: no change; dot: ${sure}` : "white: the gene's mean"}`,
      ...(called ? ["triangle: called up or down by a published list; dash: not called by it, which is not “unchanged”"] : [])].forEach((words, i) => nodes.push(draw("text", { ...font, "font-size": 11, x: 16, y: y + 57 + 15 * i, fill: soft }, words)));
    return sheet(whole, y + (called ? 79 : 64), title, ...nodes);
  }
  function heatFigure(title, map, data, more) {
    const figure = chart(title, (width, head) => heatPicture(map, width, head), data, { wide: 900, more });
    const box = figure.querySelector(".chart");
    box.classList.add("scroll");
    for (const [key, value] of Object.entries({ tabindex: 0, role: "region", "aria-label": title })) box.setAttribute(key, value);
    return figure;
  }
  const most = (values) => { // a few extreme genes must not fade all others
    const sorted = values.map(Math.abs).sort((a, b) => a - b);
    return Math.max(0.1, quantile(sorted, 0.98) || 0.1);
  };
  const LIMIT = 200;
  async function geneset() {
    const box = document.getElementById("geneset");
    const spec = JSON.parse(document.getElementById("geneset-spec").textContent);
    const [text, choice, shown, said] = ["set-genes", "set-programme", "set-shown", "set-said"].map((id) => document.getElementById(id));
    const option = (id) => document.getElementById(id).checked;
    spec.sets.forEach(([name], i) => choice.append(make("option", { value: i }, name)));
    let rows = [];
    let index = null;

    // One row per gene, with its counterpart in the other species.
    async function find(wanted) {
      index = index || await genes();
      const exact = new Map();
      const former = new Map();
      const plain = (name) => name.toLowerCase().replace(/[\s-]+/g, ""); // as the search box
      const proteins = new Map(((await load("search")).names || []).filter(([, , kind]) => kind === "gene").map(([name, means]) => [plain(name), means.toLowerCase().split(" ")]));
      for (const [symbol, id, , names] of index) {
        for (const key of [symbol.toLowerCase(), id.toLowerCase()]) exact.set(key, [...(exact.get(key) || []), id]);
        for (const name of (names || "").split(";")) if (name) former.set(plain(name), [...(former.get(plain(name)) || []), id]);
      }
      const out = new Map();
      const missing = [];
      for (const name of wanted) {
        const meant = (proteins.get(plain(name)) || []).flatMap((symbol) => exact.get(symbol) || []);
        const ids = exact.get(name.toLowerCase()) || (meant.length ? meant : former.get(plain(name)));
        if (!ids) { missing.push(name); continue; }
        for (const id of ids) {
          const own = await record(spec, id);
          if (!own || out.has(id) || (own[4] && out.has(own[4]))) continue;
          const twin = own[4] ? await record(spec, own[4]) : null;
          const members = [[id, own], ...(twin ? [[own[4], twin]] : [])];
          const named = members.find(([, r]) => r[1] === "human") || members[0];
          out.set(id, { label: named[1][0], words: members.map(([key, r]) => `${r[0]}, ${r[1]}, ${key}`).join("; "), id: named[0], members });
        }
      }
      return [[...out.values()], missing];
    }
    function comparisons() {
      const held = spec.contrasts.map((about, place) => ({ ...about, place })).filter((k) => (option("set-cells") || !k.cells) && (rows.some((r) => r.by.has(k.place)) || (spec.als.includes(k.role) && !k.cells)));
      const lists = spec.lists.map((k, list) => ({ list, label: `${k.study}: ${k.label}, called`, words: `${k.study}: ${k.label} (${k.sizes}), list of called genes`, group: k.role })).filter((k) => rows.some((r) => r.calls.has(k.list)));
      const order = (k) => (spec.roles.includes(k.group) ? spec.roles.indexOf(k.group) : spec.roles.length);
      const columns = [...held.map((k) => ({ place: k.place, label: `${k.study}: ${k.label}`, words: `${k.study}: ${k.label} (${k.sizes})`, group: k.role })), ...lists].sort((a, b) => order(a) - order(b));
      const value = (r, k) => (r.by.has(k.place) ? r.by.get(k.place)[1] : null);
      if (!columns.length) return make("p", { class: "absent" }, "No comparison measured these genes, and no published list calls them.");
      const drawn = option("set-order") ? clustered(rows.map((r) => columns.map((k) => value(r, k)))).map((i) => rows[i]) : rows;
      const shownColumns = option("set-columns") ? clustered(columns.map((k) => rows.map((r) => value(r, k)))).map((i) => ({ ...columns[i], group: "" })) : columns;
      const called = (r, k) => {
        const [, direction, effect] = r.calls.get(k.list);
        return { call: direction, words: `called ${direction > 0 ? "up" : "down"}${effect === null ? "" : `; log2 fold change ${fixed(effect, 2, true)} as stated, without an error`}` };
      };
      const cell = (r, k) => {
        if (k.list !== undefined) return r.calls.has(k.list) ? called(r, k) : null;
        const found = r.by.get(k.place);
        if (!found || found[1] === null) return null;
        const [, v, half, , padj] = found;
        return { v, sure: padj !== null && padj < spec.alpha, words: `log2 fold change ${fixed(v, 2, true)}${half === null ? "" : ` (${fixed(v - half, 2, true)} to ${fixed(v + half, 2, true)})`}, adjusted p ${pText(padj)}` };
      };
      const top = most(rows.flatMap((r) => columns.map((k) => value(r, k)).filter((v) => v !== null)));
      const data = () => tsv([["gene", "study", "comparison", "log2_fold_change", "ci_low", "ci_high", "p", "adjusted_p", "called"],
        ...drawn.flatMap((r) => lists.filter((k) => r.calls.has(k.list)).map((k) => {
          const [, direction, effect, p] = r.calls.get(k.list);
          return [r.label, spec.lists[k.list].study, spec.lists[k.list].label, effect, "", "", p, "", direction > 0 ? "up" : "down"];
        })),
        ...drawn.flatMap((r) => shownColumns.filter((k) => r.by.has(k.place)).map((k) => {
          const [, v, half, p, padj] = r.by.get(k.place);
          const about = spec.contrasts[k.place];
          return [r.label, about.study, about.label, v, half === null ? "" : (v - half).toPrecision(4), half === null ? "" : (v + half).toPrecision(4), p, padj, ""];
        }))]);
      return heatFigure(`${rows.length} genes in ${several(held.length, "comparison")}${lists.length ? ` and ${several(lists.length, "published list")}` : ""}`, { rows: drawn, columns: shownColumns, cell, top, unit: "log2 fold change; orange higher, blue lower", sure: `adjusted p < ${spec.alpha}` }, data, []);
    }
    async function inSamples(place, about) {
      const me = about[place];
      const found = (await Promise.all(rows.map(async (r) => {
        for (const [id] of r.members) {
          const hit = (await samples(spec, about, id)).find(([k]) => k === place);
          if (hit) return { ...r, values: hit[1] };
        }
        return null;
      }))).filter(Boolean);
      if (!found.length) return make("p", { class: "absent" }, `${me.study} measured none of these genes.`);
      for (const r of found) {
        const known = r.values.filter((v) => v !== null);
        const mean = known.reduce((a, b) => a + b, 0) / known.length;
        const sd = Math.sqrt(known.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(1, known.length - 1));
        r.z = r.values.map((v) => (v === null || !sd ? null : (v - mean) / sd));
      }
      const order = me.groups.flatMap((_, g) => {
        const own = me.group.map((k, i) => [k, i]).filter(([k]) => k === g).map(([, i]) => i);
        return clustered(own.map((i) => found.map((r) => r.z[i]))).map((j) => own[j]);
      });
      const columns = order.map((i) => ({ i, label: me.names[i], group: me.groups[me.group[i]], colour: me.colours[me.group[i]], words: `${me.names[i]}, ${me.groups[me.group[i]]}${me.flags[i] ? `, flagged: ${me.flags[i]}` : ""}` }));
      const drawn = option("set-order") ? clustered(found.map((r) => r.z)).map((i) => found[i]) : found;
      const cell = (r, k) => (r.z[k.i] === null ? null : { v: r.z[k.i], words: `${fixed(r.values[k.i])} ${me.unit}, ${fixed(r.z[k.i], 1, true)} standard deviations from the gene's mean` });
      const data = () => tsv([["gene", ...columns.map((k) => k.label)], ["group", ...columns.map((k) => k.group)], ...drawn.map((r) => [r.label, ...columns.map((k) => (r.values[k.i] === null ? "" : r.values[k.i].toFixed(2)))])]);
      const legend = make("ul", { class: "legend" }, ...me.groups.map((name, g) => make("li", {}, draw("svg", { width: 12, height: 10, "aria-hidden": "true" }, draw("rect", { width: 10, height: 10, fill: me.colours[g] })), ` ${name}`)));
      const figure = heatFigure(`${found.length} genes in the ${columns.length} ${me.cells ? "cell types of samples" : "samples"} of ${me.study}`,
        { rows: drawn, columns, cell, top: 2.5, unit: "standard deviations from the gene's mean over these samples" }, data, [make("a", { href: root + me.file, download: true }, "all genes of this study (TSV)")]);
      figure.prepend(legend);
      return figure;
    }
    async function show() {
      const wanted = [...new Set(text.value.split(/[\s,;]+/).filter(Boolean))];
      if (!wanted.length) { shown.replaceChildren(); said.textContent = "Paste symbols or Ensembl ids first."; return; }
      said.textContent = "Looking up …";
      try {
        const [found, missing] = await find(wanted.slice(0, LIMIT));
        rows = found.map((r) => ({ ...r, by: new Map(r.members.flatMap(([, own]) => own[2].map((row) => [row[0], row]))), calls: new Map(r.members.flatMap(([, own]) => (own[5] || []).map((row) => [row[0], row]))) }));
        said.textContent = `${Math.min(wanted.length, LIMIT) - missing.length} of ${wanted.length} found${missing.length ? `; not found: ${missing.slice(0, 20).join(", ")}${missing.length > 20 ? " …" : ""}` : ""}${wanted.length > LIMIT ? `; the first ${LIMIT} are drawn` : ""}.`;
        if (!rows.length) { shown.replaceChildren(); return; }
        const about = await load("samples");
        const study = make("select", { id: "set-study" }, ...about.map((k, i) => make("option", { value: i }, `${k.study} (${k.role}, ${k.species}${k.cells ? ", cell types" : ""})`)));
        const below = make("div", {});
        const fill = async () => below.replaceChildren(await inSamples(Number(study.value), about));
        study.addEventListener("change", fill);
        const links = make("p", { class: "muted" }, "Open one gene: ", ...rows.slice(0, 60).flatMap((r, i) => [i ? ", " : "", make("a", { href: `${root}gene.html#${encodeURIComponent(r.id)}` }, r.label)]), rows.length > 60 ? " …" : "");
        shown.replaceChildren(make("h2", {}, "In every comparison"), comparisons(), links,
          ...(about.length ? [make("h2", {}, "In the samples of one study"), make("p", {}, make("label", {}, "Study ", study)), below] : []));
        if (about.length) await fill();
        history.replaceState(null, "", `#${rows.length <= 60 ? wanted.map(encodeURIComponent).join(",") : ""}`);
      } catch (error) {
        said.textContent = `Cannot read these genes: ${error.message}.`;
      }
    }
    function fromAddress() {
      let asked;
      try { asked = decodeURIComponent(location.hash.slice(1)); } catch (error) { asked = ""; }
      if (!asked || asked === "main") return;
      const place = spec.sets.findIndex(([, key]) => key === asked);
      if (place >= 0) { choice.value = String(place); text.value = spec.sets[place][2].join(" "); } else text.value = asked.replaceAll(",", " ");
      show();
    }
    choice.addEventListener("change", () => { if (choice.value !== "") { text.value = spec.sets[Number(choice.value)][2].join(" "); show(); } });
    document.getElementById("set-draw").addEventListener("click", show);
    for (const id of ["set-order", "set-columns", "set-cells"]) document.getElementById(id).addEventListener("change", () => { if (rows.length) show(); });
    box.querySelectorAll("[disabled]").forEach((node) => { node.disabled = false; });
    addEventListener("hashchange", fromAddress);
    fromAddress();
  }

  // ---- what comparisons share --------------------------------------------------------------------
  async function shared() {
    const spec = JSON.parse(document.getElementById("shared-spec").textContent);
    const [choice, kind, two, said, shown] = ["shared-choice", "shared-kind", "shared-two", "shared-said", "shared-shown"].map((id) => document.getElementById(id));
    const data = await load("shared");
    const chosen = new Set(spec.chosen);
    let role = null;
    let [list, cells] = [null, null];
    spec.contrasts.forEach((k, i) => {
      if (k.role !== role) {
        role = k.role;
        list = make("ul", { class: "choices" });
        cells = make("ul", { class: "choices" });
        choice.append(make("h2", {}, role), list);
        if (spec.contrasts.some((other) => other.role === role && other.cells)) choice.append(make("details", {}, make("summary", {}, "Single cell types"), cells));
      }
      const box = make("input", { type: "checkbox", id: `shared-${i}`, checked: chosen.has(i) });
      box.addEventListener("change", () => { if (box.checked) chosen.add(i); else chosen.delete(i); count(); });
      (k.cells ? cells : list).append(make("li", {}, box, " ", make("label", { for: `shared-${i}` }, `${k.study}: ${k.label}, ${k.sizes}`, make("small", { class: "muted" }, k.called ? ` published list: ${spaced(data.calls[i][0].length)} called up, ${spaced(data.calls[i][1].length)} down`
        : ` ${spaced(data.calls[i][0].length)} higher, ${spaced(data.calls[i][1].length)} lower of ${spaced(data.tested[i])} genes`))));
    });
    // 1, -1: changed; 0: measured without a clear change; null: not measured, or a list that does not call it.
    const arrow = (v, k) => (v === null ? "" : `${{ 1: "↑", "-1": "↓", 0: "·" }[v]}${spec.contrasts[k].called ? " called" : ""}`);
    const meant = (v, k) => (spec.contrasts[k].called ? { 1: "called up", "-1": "called down", null: "not called" } : { 1: "higher", "-1": "lower", 0: "no clear change", null: kind.value === "calls" ? "not measured" : "not measured, or too few of its genes" })[v];
    const known = (k, i) => (digits.get(data.masks[data.known[kind.value][k]][Math.floor(i / 6)]) >> (i % 6)) & 1;
    function count() {
      const members = [...chosen].filter((k) => kind.value === "calls" || !spec.contrasts[k].called).sort((a, b) => a - b);
      if (members.length < 2 || members.length > 12) {
        said.textContent = "Choose two to twelve comparisons.";
        shown.replaceChildren();
        return;
      }
      const names = kind.value === "calls" ? data.genes : data.blocks;
      const found = new Map();
      members.forEach((k, j) => [1, -1].forEach((direction, half) => data[kind.value][k][half].forEach((i) => {
        if (!found.has(i)) found.set(i, new Array(members.length).fill(0));
        found.get(i)[j] = direction;
      })));
      const patterns = new Map();
      for (const [i, signs] of found) {
        members.forEach((k, j) => { if (!signs[j] && !known(k, i)) signs[j] = null; });
        const key = signs.join(",");
        if (!patterns.has(key)) patterns.set(key, { signs, names: [] });
        patterns.get(key).names.push(names[i]);
      }
      const n = (signs) => signs.filter(Boolean).length;
      const rows = [...patterns.values()].filter((p) => !two.checked || n(p.signs) > 1)
        .sort((a, b) => n(b.signs) - n(a.signs) || b.names.length - a.names.length);
      const both = [...found.values()].filter((signs) => n(signs) > 1);
      const same = both.filter((signs) => new Set(signs.filter(Boolean)).size === 1).length;
      const what = kind.value === "calls" ? "genes" : "blocks";
      said.textContent = `${spaced(found.size)} ${what} change in any of these ${members.length} comparisons, ${spaced(both.length)} in two or more, ${spaced(same)} of these always in the same direction.`;
      if (!rows.length) { shown.replaceChildren(make("p", { class: "absent" }, `No ${what} are shared.`)); return; }
      const top = Math.max(...rows.map((p) => p.names.length));
      const head = members.map((k, j) => make("th", { scope: "col", title: `${spec.contrasts[k].study}: ${spec.contrasts[k].label}` }, `${j + 1}`));
      const body = rows.slice(0, 60).map((p) => make("tr", {},
        ...p.signs.map((v, j) => make("td", { class: `sign ${v > 0 ? "heat-p3" : v < 0 ? "heat-n3" : ""}`, title: `${spec.contrasts[members[j]].label}: ${meant(v, members[j])}` }, arrow(v, members[j]))),
        make("td", { class: "num" }, String(p.names.length)),
        make("td", { class: "plot-cell" }, draw("svg", { width: "100%", height: 12, "aria-hidden": "true" }, draw("rect", { width: `${(100 * p.names.length) / top}%`, height: 12, fill: "#5f6772" }))),
        make("td", {}, kind.value === "calls" ? p.names.slice(0, 12).flatMap((g, i) => [i ? ", " : "", make("a", { href: `${root}gene.html#${encodeURIComponent(g)}` }, g)]).reduce((box, node) => { box.append(node); return box; }, make("span", {})) : p.names.slice(0, 12).join("; "),
          p.names.length > 12 ? ` and ${p.names.length - 12} more` : "", ...(kind.value === "calls" && p.names.length > 1 ? [" · ", make("a", { href: `${root}geneset.html#${p.names.slice(0, 60).map(encodeURIComponent).join(",")}` }, "heat map")] : []))));
      const table = make("table", { class: "shared" }, make("caption", {}, `What ${members.length} comparisons share: ${what} by pattern`),
        make("thead", {}, make("tr", {}, ...head, make("th", { scope: "col", class: "num" }, what), make("th", { scope: "col" }, "Share of the largest"), make("th", { scope: "col" }, "Which"))), make("tbody", {}, ...body));
      const save = () => tsv([[...members.map((k) => `${spec.contrasts[k].study}: ${spec.contrasts[k].label}`), "n", what], ...rows.map((p) => [...p.signs.map((v, j) => meant(v, members[j])), p.names.length, p.names.join(";")])]);
      shown.replaceChildren(
        make("ol", {}, ...members.map((k) => make("li", {}, make("a", { href: root + spec.contrasts[k].href }, `${spec.contrasts[k].study}: ${spec.contrasts[k].label}`), spec.contrasts[k].called ? ", published list of called genes" : ""))),
        make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": table.caption.textContent }, table),
        make("p", { class: "table-note" }, `↑ higher, ↓ lower, · measured, no clear change; empty: ${kind.value === "calls" ? "not measured" : "not measured, or too few of its genes"}${members.some((k) => spec.contrasts[k].called) ? "; of a published list “called” stands beside the direction, empty: not called, which is not “unchanged”" : ""}${new Set(members.map((k) => spec.contrasts[k].study)).size < members.length ? "; columns of one study share samples and are no independent witnesses" : ""}. ${Math.min(60, rows.length)} of ${rows.length} patterns, shared by most comparisons first. `,
          make("button", { type: "button", class: "quiet", onclick: () => alsmuscle.parts.save("shared.tsv", save(), "text/tab-separated-values") }, "all patterns (TSV)")));
    }
    kind.addEventListener("change", count);
    two.addEventListener("change", count);
    document.querySelectorAll("#shared [disabled]").forEach((node) => { node.disabled = false; });
    count();
  }

  // ---- one pathway -------------------------------------------------------------------------------
  // The running sum of GSEA: up by a member's share of the set's statistics, down by the same for every other gene.
  function runningSum(places, statistics, n) {
    const total = statistics.reduce((sum, v) => sum + Math.abs(v), 0);
    const down = 1 / (n - places.length);
    const line = [[0, 0]];
    let [sum, before, top] = [0, -1, [0, 0]];
    places.forEach((place, i) => {
      sum -= down * (place - before - 1);
      line.push([place, sum]);
      if (Math.abs(sum) > Math.abs(top[1])) top = [place - 1, sum];
      sum += Math.abs(statistics[i]) / total;
      line.push([place, sum]);
      if (Math.abs(sum) > Math.abs(top[1])) top = [place, sum];
      before = place;
    });
    line.push([n, 0]);
    return { line, place: top[0], score: top[1] };
  }
  function curvePicture({ line, place, score }, places, lead, data, width, title) {
    const [left, right] = [56, width - 14];
    const x = (v) => left + (v / data.n) * (right - left);
    const heights = line.map(([, v]) => v);
    const [low, high] = [Math.min(0, ...heights), Math.max(0, ...heights)];
    const y = (v) => 12 + ((high - v) / (high - low || 1)) * 168;
    const ranks = data.steps.map(([, v]) => v);
    const [least, most] = [Math.min(0, ...ranks), Math.max(0, ...ranks)];
    const z = (v) => 226 + ((most - v) / (most - least || 1)) * 66;
    const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(2)} ${b.toFixed(2)}`).join("");
    const colour = hue[score > 0 ? "up" : "down"];
    const nodes = [];
    for (const t of steps(low, high, 4)) nodes.push(draw("line", { x1: left, x2: right, y1: y(t), y2: y(t), stroke: t === 0 ? "#767f8a" : "#e3e7eb" }), draw("text", { ...font, x: left - 6, y: y(t) + 4, "text-anchor": "end", fill: soft }, tickText(t)));
    nodes.push(draw("line", { x1: x(place), x2: x(place), y1: 12, y2: 180, stroke: soft, "stroke-dasharray": "3 3" }),
      draw("path", { d: path(line.map(([a, b]) => [x(a), y(b)])), fill: "none", stroke: colour, "stroke-width": 2 }));
    places.forEach((p, i) => nodes.push(draw("line", { x1: x(p), x2: x(p), y1: 190, y2: 214, stroke: lead[i] ? colour : "#8a8f98", "stroke-width": 1 })));
    nodes.push(draw("path", { d: `${path([[x(0), z(0)], ...data.steps.map(([i, v]) => [x(i), z(v)]), [x(data.n), z(0)]])}z`, fill: "#dfe3e8" }));
    for (const t of steps(least, most, 2)) nodes.push(draw("text", { ...font, x: left - 6, y: z(t) + 4, "text-anchor": "end", fill: soft }, tickText(t)));
    for (const t of steps(0, data.n, Math.max(3, width / 150))) nodes.push(draw("text", { ...font, x: x(t), y: 310, "text-anchor": "middle", fill: soft }, tickText(t)));
    nodes.push(draw("text", { ...font, x: (left + right) / 2, y: 328, "text-anchor": "middle", fill: soft }, "place in the ranking: higher genes left, lower genes right"),
      draw("text", { ...font, transform: "translate(13 96) rotate(-90)", "text-anchor": "middle", fill: soft }, "running sum"),
      draw("text", { ...font, transform: "translate(13 259) rotate(-90)", "text-anchor": "middle", fill: soft }, "statistic"));
    return sheet(width, 336, title, ...nodes);
  }
  async function pathway() {
    const spec = JSON.parse(document.getElementById("pathway-spec").textContent);
    const [choice, typed, names, said, shown] = ["pathway-contrast", "pathway-term", "pathway-terms", "pathway-said", "pathway-shown"].map((id) => document.getElementById(id));
    spec.forEach((k, i) => choice.append(make("option", { value: i }, `${k.label} (${k.role})${k.doubt ? " ▲" : ""}`)));
    let asked = ["", ""]; // collection and term
    const hash = (parts) => `#${parts.map(encodeURIComponent).join("/")}`;
    async function show() {
      const about = spec[Number(choice.value)];
      said.textContent = "Loading …";
      let data;
      try { data = await load(`ranks-${about.key}`); } catch (error) { said.textContent = `Cannot read this comparison: ${error.message}.`; return; }
      if (spec[Number(choice.value)] !== about) return;
      const every = Object.entries(data.sets).flatMap(([collection, sets]) => Object.entries(sets).map(([term, row]) => ({ collection, term, row })));
      names.replaceChildren(...every.map(({ row }) => make("option", { value: row[0] })));
      const one = every.find((k) => k.collection === asked[0] && k.term === asked[1]);
      if (!one) {
        said.textContent = asked[1] ? `${asked[1]} is not among the ${every.length} sets kept here for this comparison; the full table on its page has all.` : `${every.length} gene sets; type a name.`;
        shown.replaceChildren();
        return;
      }
      said.textContent = "";
      const [title, effect, low, high, padj, es, nes, members] = one.row;
      typed.value = title;
      const rows = members.map((i) => data.genes[i]);
      const places = rows.map((r) => r[0]);
      const sum = runningSum(places, rows.map((r) => r[3]), data.n);
      const up = es === null ? sum.score > 0 : es > 0;
      const lead = places.map((p) => (up ? p <= sum.place : p > sum.place));
      const order = rows.map((r, i) => ({ r, lead: lead[i] }));
      if (!up) order.reverse();
      const leading = order.filter((k) => k.lead).map((k) => k.r);
      const head = ["Gene", "Place", "Statistic", "Log2 fold change", "Adjusted p", "Leads"];
      const tsvRows = order.map(({ r, lead: l }) => [r[2], r[0] + 1, r[3], r[4], r[5] === null || r[4] === null ? "" : (r[4] - r[5]).toPrecision(4), r[5] === null || r[4] === null ? "" : (r[4] + r[5]).toPrecision(4), r[6], l ? "yes" : "", r[1]]);
      const full = `${title} in ${about.label}`;
      const figure = chart(full, (width, top) => curvePicture(sum, places, lead, data, width, top), () => tsv([["gene", "place", "statistic", "log2_fold_change", "ci_low", "ci_high", "adjusted_p", "leads", "gene_id"], ...tsvRows]),
        { note: `(running sum of GSEA over ${data.n} ranked genes; below it the set's ${rows.length} genes, coloured up to the largest distance from 0; grey: the ranking's statistic)` });
      const line = ({ r, lead: l }) => make("tr", {},
        make("th", { scope: "row" }, make("a", { href: `${root}gene.html#${encodeURIComponent(r[1])}` }, r[2])),
        make("td", { class: "num" }, String(r[0] + 1)), make("td", { class: "num" }, fixed(r[3], 2, true)),
        make("td", { class: "num" }, r[4] === null ? "–" : r[5] === null ? fixed(r[4], 2, true) : `${fixed(r[4], 2, true)} (${fixed(r[4] - r[5], 2, true)} to ${fixed(r[4] + r[5], 2, true)})`),
        make("td", { class: "num" }, pText(r[6])), make("td", {}, l ? "yes" : ""));
      const listed = (text, members) => make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": text }, make("table", {}, make("caption", {}, text),
        make("thead", {}, make("tr", {}, ...head.map((name, i) => make("th", { scope: "col", class: i && i < 5 ? "num" : "" }, name)))), make("tbody", {}, ...members.map(line))));
      const words = [
        effect === null ? "No effect with an interval: the study's samples were not available, or too few." : `Its genes changed by ${fixed(effect, 2, true)} log2 units on average (95 % interval ${fixed(low, 2, true)} to ${fixed(high, 2, true)})${padj === null ? "" : `; adjusted p against random sets ${pText(padj)}`}.`,
        `Enrichment score ${fixed(es, 2, true)}, normalised ${fixed(nes, 2, true)}: it describes where the genes lie and is no evidence by itself.`,
        `${leading.length} of ${rows.length} genes lead.`,
        effect !== null && es !== null && effect * es < 0 ? `The genes that lead are ${es > 0 ? "higher" : "lower"}, the mean over all ${rows.length} is ${effect > 0 ? "higher" : "lower"}: the set does not move as one.` : ""].filter(Boolean).join(" ");
      const caption = `Genes of ${full}`;
      shown.replaceChildren(make("h2", {}, title), make("p", {}, make("a", { href: root + about.href }, about.label), `, ${about.sizes}${about.doubt ? ` ▲ ${about.doubt}` : ""}. ${words}`),
        figure, make("h3", {}, "Which genes drive it"),
        make("p", {}, "Leading genes first. ", ...(leading.length ? [make("a", { href: `${root}geneset.html#${leading.slice(0, 60).map((r) => encodeURIComponent(r[2])).join(",")}` }, "Heat map of the leading genes"), " · "] : []), ...(document.querySelector("nav a[href$='pathways.html']") ? [make("a", { href: `${root}pathways.html` }, "the strongest sets in every comparison")] : [])),
        listed(`${caption} that lead`, order.filter((k) => k.lead)),
        make("details", { class: "all" }, make("summary", {}, `The other ${rows.length - leading.length}`), listed(caption, order.filter((k) => !k.lead))));
      document.title = `${title} · ${document.title.split(" · ").pop()}`;
      history.replaceState(null, "", hash([about.key, ...asked]));
    }
    function fromAddress() {
      let parts = [];
      try { parts = location.hash.slice(1).split("/").map(decodeURIComponent); } catch (error) { parts = []; }
      const place = spec.findIndex((k) => k.key === parts[0]);
      if (place >= 0) { choice.value = String(place); asked = [parts[1] || "", parts[2] || ""]; }
      show();
    }
    choice.addEventListener("change", show);
    typed.addEventListener("change", async () => {
      const data = await load(`ranks-${spec[Number(choice.value)].key}`);
      const wanted = typed.value.trim().toLowerCase();
      for (const [collection, sets] of Object.entries(data.sets)) for (const [term, row] of Object.entries(sets)) {
        if (row[0].toLowerCase() === wanted || term.toLowerCase() === wanted) { asked = [collection, term]; show(); return; }
      }
      said.textContent = `No set of this comparison is called “${typed.value}”.`;
    });
    document.querySelectorAll("#pathway [disabled]").forEach((node) => { node.disabled = false; });
    addEventListener("hashchange", fromAddress);
    fromAddress();
  }

  // ---- start -----------------------------------------------------------------------------------
  if (document.getElementById("gene-spec")) {
    gene();
    addEventListener("hashchange", gene);
  }
  if (document.getElementById("geneset-spec")) geneset();
  if (document.getElementById("shared-spec")) shared();
  if (document.getElementById("pathway-spec")) pathway();
})();
