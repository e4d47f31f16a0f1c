"use strict";
// What a page shows, as pictures that stand alone. Loaded when a download is asked for.
(() => {
  const { make, draw, numbers, steps, tickText, side, hue, rowName, DPI } = alsmuscle.parts;
  const font = { "font-family": "Arial, Helvetica, sans-serif", "font-size": 12, fill: "#1b1f24" };
  const soft = "#525b66";
  const cut = (text, n) => (text.length > n ? `${text.slice(0, Math.max(1, n - 1))}…` : text);
  const flat = (text) => text.replace(/\s+/g, " ").trim();
  const tidy = (node) => (node ? flat(node.textContent) : "");
  const sheet = (width, height, title, ...nodes) => draw("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` },
    draw("rect", { width, height, fill: "#fff" }),
    draw("text", { ...font, x: 8, y: 22, "font-weight": 700, "font-size": 14 }, title), ...nodes);

  const CAVEAT = "※ with a caveat, which stands on its page";
  // A forest plot as one picture that stands alone: labels, donors, intervals, numbers.
  function forest(table) {
    const [low, high] = table.dataset.span.split(" ").map(Number);
    // Every name, mark and number of donors whole: the columns are as wide as their longest.
    const said = new Map([...table.tBodies[0].rows].filter((row) => row.dataset.drawn !== undefined).map((row) => {
      const { name, marks } = rowName(row.querySelector("th"));
      const caveat = tidy(row.querySelector("td.caveat")) ? " ※" : "";
      return [row, { caveat, label: `${name}${caveat}${marks.length ? ` [${marks.join("; ")}]` : ""}`,
        donors: tidy(row.querySelector("td[data-head=Donors], td[data-head=Studies]")), p: tidy(row.querySelector("td[data-head='Adjusted p']")) }];
    }));
    const longest = (key) => Math.max(0, ...[...said.values()].map((k) => k[key].length));
    const [plot, step, beside] = [320, 24, longest("donors") ? 20 + 6 * longest("donors") : 0];
    const left = Math.max(240, 30 + 6.2 * longest("label")) + beside;
    const ps = longest("p") ? 90 : 0;
    const right = 190 + ps;
    const marked = [...said.values()].some((k) => k.caveat);
    const width = left + plot + right;
    const x = (v) => left + ((v - low) / (high - low)) * plot;
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
        nodes.push(draw("text", { ...font, x: 8, y: y + 16, "font-weight": 700 }, cut(tidy(row.querySelector("th").firstChild), 120)));
        y += step;
        continue;
      }
      const [main, alt] = row.dataset.drawn.split(";").map(numbers);
      const both = alt && alt[0] !== null;
      const { label, donors, p } = said.get(row);
      nodes.push(draw("text", { ...font, x: 16, y: y + 15 }, label));
      if (donors) nodes.push(draw("text", { ...font, x: left - 14, y: y + 15, "text-anchor": "end", fill: soft }, donors));
      if (p) nodes.push(draw("text", { ...font, x: width - 10, y: y + 15, "text-anchor": "end" }, p));
      mark(main, y + 11, false, row.dataset.pooled !== undefined);
      nodes.push(draw("text", { ...font, x: left + plot + 14, y: y + 15 }, tidy(row.querySelector(".est"))));
      if (both) {
        mark(alt, y + 11 + step * 0.75, true, false);
        nodes.push(draw("text", { ...font, x: left + plot + 14, y: y + 15 + step * 0.75, fill: soft }, tidy(row.querySelector(".est-alt"))));
      }
      y += both ? step * 1.75 : step;
    }
    const grid = steps(low, high, 4).flatMap((t) => [
      draw("line", { x1: x(t), x2: x(t), y1: 40, y2: y + 4, stroke: t === 0 ? "#767f8a" : "#e3e7eb" }),
      draw("text", { ...font, x: x(t), y: y + 20, "text-anchor": "middle", fill: soft }, tickText(t)),
    ]);
    return sheet(width, y + (marked ? 60 : 44), cut(tidy(table.caption), width / 7.4),
      ...grid, ...nodes,
      ...(ps ? [draw("text", { ...font, x: width - 10, y: 38, "text-anchor": "end", fill: soft }, "adjusted p")] : []),
      ...(marked ? [draw("text", { ...font, x: 16, y: y + 54, fill: soft }, CAVEAT)] : []),
      draw("text", { ...font, x: left + plot / 2, y: y + 38, "text-anchor": "middle", fill: soft }, "log2 units, 95 % interval"));
  }

  // A table of coloured numbers.
  function matrix(table) {
    // What a cell says: its own line, and the small one below it.
    const words = (cell) => {
      if (cell.tagName === "TH" && cell.scope === "row") {
        const { name, marks, about } = rowName(cell);
        return [name, [about, ...marks].filter(Boolean).join(" · ")];
      }
      const below = cell.querySelector(":scope > small");
      const own = [...cell.childNodes].filter((node) => node !== below && node.tagName !== "DIV").map((node) => node.textContent).join(" ");
      return [flat(own), below ? tidy(below) : ""];
    };
    const rows = [...table.tBodies[0].rows];
    const whole = rows.filter((row) => !row.classList.contains("group"));
    const heads = [...table.tHead.rows[0].cells].map((cell) => words(cell)[0]);
    const small = whole.some((row) => [...row.cells].some((cell) => words(cell)[1]));
    const longest = (texts, least, most, each) => Math.min(most, Math.max(least, 16 + each * Math.max(...texts.map((text) => text.length))));
    // The first column holds names; others are as wide as their longest line.
    const widths = heads.map((_, j) => {
      const lines = whole.flatMap((row) => words(row.cells[j]));
      return j === 0 ? longest(lines, 120, 900, 6.4) : longest(lines, 58, 260, 5.9);
    });
    const left = widths.map((_, j) => widths.slice(0, j).reduce((a, b) => a + b, 8));
    const top = 40 + 14 + 4.4 * Math.max(...heads.slice(1).map((text) => Math.min(text.length, 90)));
    const step = small ? 34 : 24;
    const nodes = [];
    heads.forEach((text, j) => {
      if (j === 0) nodes.push(draw("text", { ...font, x: 8, y: top - 8, "font-weight": 700 }, cut(text, 50)));
      else nodes.push(draw("text", { ...font, "font-size": 11, transform: `translate(${left[j] + widths[j] / 2} ${top - 8}) rotate(-48)` }, cut(text, 90)));
    });
    let y = top;
    for (const row of rows) {
      if (row.classList.contains("group")) {
        nodes.push(draw("text", { ...font, x: 8, y: y + 16, "font-weight": 700 }, cut(words(row.cells[0])[0], 120)));
        y += 24;
        continue;
      }
      [...row.cells].forEach((cell, j) => {
        const [line, below] = words(cell);
        if (j === 0) {
          nodes.push(draw("text", { ...font, x: 14, y: y + 15 }, cut(line, widths[0] / 6)));
          if (below) nodes.push(draw("text", { ...font, x: 14, y: y + 28, "font-size": 10, fill: soft }, cut(below, widths[0] / 5)));
          return;
        }
        const middle = left[j] + widths[j] / 2;
        if (/\bheat\b/.test(cell.className)) nodes.push(draw("rect", { x: left[j] + 1, y: y + 1, width: widths[j] - 2, height: step - 2, fill: getComputedStyle(cell).backgroundColor }));
        const dot = cell.querySelector("circle.dot");
        if (dot) {
          const kind = ["up", "down"].find((name) => dot.classList.contains(name)) || "none";
          nodes.push(draw("circle", { cx: left[j] + 13, cy: y + step / 2, r: dot.getAttribute("r"), fill: hue[kind] }));
        }
        const bold = cell.querySelector("b, strong") ? 700 : 400;
        nodes.push(draw("text", { ...font, x: dot ? middle + 9 : middle, y: y + (below ? 14 : step / 2 + 4), "text-anchor": "middle", "font-weight": bold }, cut(line, widths[j] / 5.6)));
        if (below) nodes.push(draw("text", { ...font, x: middle, y: y + 28, "text-anchor": "middle", "font-size": 10, fill: soft }, below));
      });
      y += step;
      nodes.push(draw("line", { x1: 8, x2: left.at(-1) + widths.at(-1), y1: y, y2: y, stroke: "#e3e7eb" }));
    }
    // Slanted names of the last columns reach beyond them.
    const width = Math.round(left.at(-1) + widths.at(-1) + 24 + Math.max(0, 4.2 * Math.min(90, heads.at(-1).length) - widths.at(-1) / 2));
    const marked = [...heads, ...whole.map((row) => words(row.cells[0])[0])].some((text) => text.includes("※"));
    if (marked) nodes.push(draw("text", { ...font, x: 8, y: y + 18, fill: soft }, CAVEAT));
    return sheet(width, y + (marked ? 30 : 14), cut(tidy(table.caption), width / 7.4), ...nodes);
  }

  // The drawing with its colours written into it, title above and legend below: it stands alone.
  function course(figure, title) {
    figure.classList.add("on-paper"); // the page may be dark, what is saved is not
    try { return drawn(figure, title); } finally { figure.classList.remove("on-paper"); }
  }
  function drawn(figure, title) {
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
    const whole = top + height + 20 * keys.length + 10;
    inner.setAttribute("font-family", font["font-family"]);
    return sheet(width, whole, title, inner,
      ...keys.flatMap((key, i) => [
        draw("circle", { cx: 14, cy: top + height + 20 * i + 6, r: 4.5, fill: getComputedStyle(key, "::before").color }),
        draw("text", { ...font, x: 26, y: top + height + 20 * i + 10 }, key.textContent)]));
  }

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
  async function png(text) {
    const image = new Image();
    await new Promise((resolve) => {
      image.addEventListener("load", resolve);
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    });
    const scale = DPI / 96;
    const canvas = make("canvas", { width: Math.round(scale * image.width), height: Math.round(scale * image.height) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve); });
    return withResolution(new Uint8Array(await blob.arrayBuffer()));
  }

  alsmuscle.receive("pictures", { forest, matrix, course, png });
})();
