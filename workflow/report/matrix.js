"use strict";
// A table of coloured numbers as one picture that stands alone. Loaded when a download is asked for.
alsmuscle.receive("matrix", (table) => {
  const { draw, hue } = alsmuscle.parts;
  const font = { "font-family": "Arial, Helvetica, sans-serif", "font-size": 12, fill: "#1b1f24" };
  const soft = "#525b66";
  const cut = (text, n) => (text.length > n ? `${text.slice(0, Math.max(1, n - 1))}…` : text);
  const tidy = (text) => text.replace(/\s+/g, " ").trim();
  // What a cell says: its own line, and the small one below it.
  const words = (cell) => {
    const below = cell.querySelector(":scope > small");
    const own = [...cell.childNodes].filter((node) => node !== below && node.tagName !== "DIV").map((node) => node.textContent).join(" ");
    return [tidy(own), below ? tidy(below.textContent) : ""];
  };
  const rows = [...table.tBodies[0].rows];
  const whole = rows.filter((row) => !row.classList.contains("group"));
  const heads = [...table.tHead.rows[0].cells].map((cell) => words(cell)[0]);
  const small = whole.some((row) => [...row.cells].some((cell) => words(cell)[1]));
  const longest = (texts, least, most, each) => Math.min(most, Math.max(least, 16 + each * Math.max(...texts.map((text) => text.length))));
  // The first column holds names; others are as wide as their longest line.
  const widths = heads.map((_, j) => {
    const lines = whole.flatMap((row) => words(row.cells[j]));
    return j === 0 ? longest(lines, 120, 420, 6.4) : longest(lines, 58, 170, 5.9);
  });
  const left = widths.map((_, j) => widths.slice(0, j).reduce((a, b) => a + b, 8));
  const top = 40 + Math.min(250, 14 + 4.4 * Math.max(...heads.slice(1).map((text) => Math.min(text.length, 52))));
  const step = small ? 34 : 24;
  const nodes = [];
  heads.forEach((text, j) => {
    if (j === 0) nodes.push(draw("text", { ...font, x: 8, y: top - 8, "font-weight": 700 }, cut(text, 50)));
    else nodes.push(draw("text", { ...font, "font-size": 11, transform: `translate(${left[j] + widths[j] / 2} ${top - 8}) rotate(-48)` }, cut(text, 52)));
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
  const width = Math.round(left.at(-1) + widths.at(-1) + 24 + Math.max(0, 4.2 * Math.min(52, heads.at(-1).length) - widths.at(-1) / 2));
  const height = y + 14;
  return draw("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` },
    draw("rect", { width, height, fill: "#fff" }),
    draw("text", { ...font, x: 8, y: 22, "font-weight": 700, "font-size": 14 }, cut(tidy(table.caption.textContent), width / 7.4)), ...nodes);
});
