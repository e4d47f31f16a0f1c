"use strict";
// The script of every page: search, tables, forest plots, downloads. No library, no network.
// What only some pages or clicks need is in scripts of their own, which are loaded then.
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
  const spaced = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
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
      // A few of each kind, so that studies of a subject do not hide the claims about it.
      const seen = {};
      const some = pages.filter(([, kind]) => { seen[kind] = (seen[kind] || 0) + 1; return seen[kind] <= 8; });
      return [...hits[0], ...hits[1].slice(0, 12), ...hits[2].slice(0, 8), ...some.slice(0, 24), ...hits[3]].slice(0, 36);
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

  // ---- forest plots --------------------------------------------------------------------------
  const numbers = (text) => (text || ",,").split(",").map((v) => (v === "" ? null : Number(v)));
  const side = (low, high) => (low === null ? "none" : low > 0 ? "up" : high < 0 ? "down" : "none");
  const hue = { up: "#b84a00", down: "#0067a5", none: "#5f6772" };
  // Ends so near 0 that two decimals would hide their side get more (as components.interval_parts).
  const end = (x) => { const near = Math.abs(x); return fixed(x, near > 0 && near < 0.005 ? Math.min(6, Math.ceil(-Math.log10(near))) : 2, true); };
  const estimate = (x, low, high) => (x === null ? "–" : low === null ? `${fixed(x, 2, true)} (no interval)` : `${fixed(x, 2, true)} (${end(low)} to ${end(high)})`);

  // The number of one comparison leads to its page (as components.number_link).
  const sourced = (text, r) => (r.href && r.effect !== null ? make("a", { class: "from", href: `${root}${r.href}#genes`, "aria-label": `${text}: ${r.label}` }, text) : text);

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
        make("td", { role: "cell", class: "est-cell" }, make("span", { class: "est" }, sourced(estimate(r.effect, r.low, r.high), r))),
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

  const fileName = (text) => text.trim().replace(/[^A-Za-z0-9]+/g, "-").slice(0, 60).replace(/^-|-$/g, "");
  const svgText = (picture) => `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(picture)}\n`;
  // What a figure needs below it in a paper: what it shows, where the method stands, which version.
  function captionText(text) {
    const words = (node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : "");
    const method = words(document.querySelector("#method ~ p")).replace(/All methods\.?$/, "").trim();
    const title = words(document.querySelector("h1"));
    return `${[title && !text.includes(title) ? title.replace(/([^.?])$/, "$1.") : "", text.trim().replace(/([^.])$/, "$1."), method,
      `Made with ${document.documentElement.dataset.version}; methods and sources: methods.html and provenance.html of the same report.`].filter(Boolean).join(" ")}\n`;
  }
  const quiet = (text, act) => make("button", { type: "button", class: "quiet", onclick: act }, text);
  const captionButton = (name, text) => quiet("caption", () => save(`${name}.txt`, captionText(text()), "text/plain"));
  const pictures = () => load("pictures", "assets/");
  const printed = (name, picture) => [
    quiet("PDF", async () => save(`${name}.pdf`, await (await load("pdf", "assets/"))(await picture()))), " · ",
    quiet("PNG", async () => save(`${name}.png`, await (await pictures()).png(svgText(await picture())))), " · "];
  function downloads(name, picture, data, text = () => "") {
    return make("p", { class: "downloads" }, "Download: ",
      quiet("SVG", async () => save(`${name}.svg`, svgText(await picture()), "image/svg+xml")), " · ",
      ...printed(name, picture),
      ...(data ? [quiet("data (TSV)", () => save(`${name}.tsv`, data(), "text/tab-separated-values")), " · "] : []),
      captionButton(name, text));
  }
  const flat = (node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : "");
  // "6.1 × 10⁻¹²" as a program reads it.
  function plainNumber(text) {
    const plain = text.replace("−", "-").replace(/^[+<]\s*/, "").replace(/\s*×\s*10/, "e").replace(/^10(?=[⁻⁰¹²³⁴⁵⁶⁷⁸⁹])/, "1e")
      .replace(/[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]/g, (char) => (char === "⁻" ? "-" : String("⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(char))));
    return plain !== "" && Number.isFinite(Number(plain)) ? plain : "";
  }
  // What stands in the first cell of a row: its name, and its marks apart.
  function rowName(head) {
    const marks = [...head.querySelectorAll(".badge")].map(flat);
    const own = head.cloneNode(true);
    own.querySelectorAll(".badge, small").forEach((node) => node.remove());
    return { name: flat(own), marks, about: flat(head.querySelector("small")) };
  }
  function forestTools(table) {
    const name = fileName(table.caption.textContent);
    const rows = () => [...table.tBodies[0].rows];
    const holds = (test) => rows().some((row) => row.dataset.drawn && test(row));
    const second = () => holds((row) => numbers(row.dataset.drawn.split(";")[1])[0] !== null);
    const data = () => {
      const heads = [...new Set(rows().flatMap((row) => [...row.querySelectorAll("td[data-head]")].map((cell) => cell.dataset.head)))];
      const key = (text) => (/\bp\b/.test(text) ? text.toLowerCase().replace(/\W+/g, "_") : text.toLowerCase());
      const both = second();
      const lines = [["group", "label", "marks", "effect", "ci_low", "ci_high", ...(both ? ["second_effect", "second_ci_low", "second_ci_high"] : []), ...heads.map(key)]];
      let group = "";
      for (const row of rows()) {
        const title = row.querySelector("th");
        if (row.classList.contains("group")) { group = title.firstChild.textContent; continue; }
        const [main, alt] = row.dataset.drawn.split(";");
        const values = [...numbers(main), ...(both ? numbers(alt) : [])].map((v) => (v === null ? "" : String(v)));
        const said = rowName(title);
        lines.push([group, said.name, said.marks.join("; "), ...values, ...heads.map((head) => {
          const text = flat([...row.cells].find((cell) => cell.dataset.head === head));
          return /\bp\b/.test(head) ? plainNumber(text) : text;
        })]);
      }
      return lines.map((line) => line.map(guard).join("\t")).join("\n") + "\n";
    };
    const says = () => [table.caption.textContent, "log2 units with 95 % intervals",
      ...(holds((row) => row.dataset.pooled !== undefined) ? ["bars: pooled estimates, points: single studies"] : []),
      ...(second() ? ["hollow: the second estimate"] : [])].join("; ");
    table.parentElement.after(downloads(name, async () => (await pictures()).forest(table), data, says));
  }

  // ---- matrices of effects ---------------------------------------------------------------------
  // As a table to go on with: one line per row, every number in a column of its own; of words instead of one nothing.
  function matrixTools(table) {
    const name = fileName(table.caption.textContent);
    const rows = () => [...table.tBodies[0].rows];
    const whole = [...table.tHead.rows[0].cells].map(flat);
    const heads = whole.map((text) => text.replace(/ ※$/, ""));
    // What a cell holds: a number, the ends of its interval where it has one, else words.
    const parts = (cell) => {
      const [small, own] = [cell.querySelector(":scope > small"), cell.cloneNode(true)];
      own.querySelectorAll("small").forEach((node) => node.remove());
      const ends = cell.dataset.ci ? cell.dataset.ci.split(",") : flat(small).split(" to ").map(plainNumber);
      return { text: flat(own), value: plainNumber(flat(own)), low: ends[0] || "", high: ends[1] || "" };
    };
    const data = () => {
      const lined = rows().filter((row) => !row.classList.contains("group"));
      const places = heads.map((_, j) => j).slice(1);
      const ranged = places.filter((j) => lined.some((row) => parts(row.cells[j]).low !== ""));
      const worded = places.filter((j) => lined.every((row) => parts(row.cells[j]).value === ""));
      const named = lined.some((row) => rowName(row.cells[0]).about || rowName(row.cells[0]).marks.length);
      const lines = [["group", heads[0], ...(named ? ["about", "marks"] : []),
        ...places.flatMap((j) => [heads[j], ...(ranged.includes(j) ? [`${heads[j]}, ci_low`, `${heads[j]}, ci_high`] : [])])]];
      let group = "";
      for (const row of rows()) {
        if (row.classList.contains("group")) { group = flat(row.cells[0]); continue; }
        const said = rowName(row.cells[0]);
        lines.push([group, said.name, ...(named ? [said.about, said.marks.join("; ")] : []),
          ...places.flatMap((j) => {
            const { text, value, low, high } = parts(row.cells[j]);
            return [worded.includes(j) ? text : value, ...(ranged.includes(j) ? [low, high] : [])];
          })]);
      }
      return lines.map((line) => line.map(guard).join("\t")).join("\n") + "\n";
    };
    const says = () => `${table.caption.textContent}${whole.some((text) => text.includes("※")) ? "; ※ with a caveat, which stands on the page of its programme" : ""}`;
    table.parentElement.after(downloads(name, async () => (await pictures()).matrix(table), data, says));
  }

  // ---- courses over time ---------------------------------------------------------------------
  function courseTools(figure) {
    const head = [...document.querySelectorAll("h2, h3")].filter((h) => h.compareDocumentPosition(figure) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
    const title = `${head ? `${head.dataset.title || head.textContent.trim()}: ` : ""}${figure.querySelector("figcaption").textContent}`;
    const name = fileName(title);
    const data = () => [["study", "time", "effect", "ci_low", "ci_high"],
      ...[...figure.querySelectorAll("circle[data-drawn]")].map((c) => [c.dataset.series, c.dataset.time, ...numbers(c.dataset.drawn).map((v) => (v === null ? "" : String(v)))])]
      .map((line) => line.map(guard).join("\t")).join("\n") + "\n";
    figure.append(downloads(name, async () => (await pictures()).course(figure, title), data, () => `${title}; log2 units with 95 % intervals; lines join the times of one study`));
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
    // Pictures that stay pictures: of the drawing that a data script holds, PDF and PNG are made here.
    document.querySelectorAll("[data-drawing]").forEach((f) => {
      const name = `${fileName(document.title.split(" · ")[0])}-${f.id}`;
      const picture = async () => new DOMParser().parseFromString(await load(f.dataset.drawing), "image/svg+xml").documentElement;
      f.querySelector(".downloads").append(" · ", ...printed(name, picture), captionButton(name, () => f.querySelector("figcaption").firstChild.textContent));
    });
    // What only some pages need is a script of its own; the policy lets this one add it.
    const own = (name, box) => {
      const script = make("script", { src: `${root}assets/${name}.js` });
      script.addEventListener("error", () => box.append(make("p", { class: "absent" }, `The file assets/${name}.js is missing from this folder.`)));
      document.head.append(script);
    };
    document.querySelectorAll("[data-script]").forEach((box) => own(box.dataset.script, box));
    const plotted = document.querySelector(".figure:has(.plot-spec)");
    if (plotted) own("scatter", plotted);
  });
  return {
    receive, parts: { root, make, draw, load, save, guard, fixed, spaced, pText, steps, tickText, numbers, side, hue, flat, rowName, forest, forestTools, downloads, fileName, DPI: 300 },
  };
})();
