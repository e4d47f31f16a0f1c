"use strict";
// A drawn figure as PDF: lines, boxes, circles, paths, text in Helvetica, pictures. Of SVG what the pages' own
// drawings and matplotlib's hold. Loaded when asked for.
alsmuscle.receive("pdf", async (svg) => {
  const ctx = document.createElement("canvas").getContext("2d");
  // What the standard fonts of PDF cannot write, in letters that they can.
  const plain = { "−": "–", "→": "->", "←": "<-", "↑": "up", "↓": "down", "α": "alpha", "β": "beta", "γ": "gamma", "τ": "tau", "≥": ">=", "≤": "<=", "\u202f": " ", "\u2212": "–" };
  const raised = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";
  const ansi = { "–": 0x96, "—": 0x97, "‘": 0x91, "’": 0x92, "“": 0x93, "”": 0x94, "•": 0x95, "…": 0x85, "€": 0x80 };
  const spell = (text) => [...text].map((char) => plain[char] ?? (raised.includes(char) ? (char === "⁻" ? "-" : String(raised.indexOf(char))) : char)).join("");
  const hex = (text) => `<${[...spell(text)].map((char) => {
    const code = ansi[char] ?? char.codePointAt(0);
    return (code < 256 ? code : 63).toString(16).padStart(2, "0");
  }).join("")}>`;
  function colour(text, opacity) {
    if (!text || text === "none") return null;
    const parts = text.startsWith("#")
      ? (text.length === 4 ? [1, 2, 3].map((i) => parseInt(text[i] + text[i], 16)) : [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16)))
      : (text.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number);
    // As on white paper: transparency would need more than colours.
    return parts.map((v) => ((255 + (v - 255) * opacity) / 255).toFixed(3)).join(" ");
  }
  const out = [];
  const images = [];
  // Of paths what the figures draw: M, m, L, l, H, h, V, v, C, Z, z with numbers.
  function steps(node) {
    let [x, y] = [0, 0];
    const path = [];
    for (const [, step, values] of node.getAttribute("d").matchAll(/([MmLlHhVvCZz])([^A-Za-z]*)/g)) {
      const n = (values.match(/-?[\d.]+/g) || []).map(Number);
      const relative = step === step.toLowerCase();
      if ("Zz".includes(step)) path.push("h");
      else if ("HhVv".includes(step)) {
        if ("Hh".includes(step)) x = relative ? x + n[0] : n[0];
        else y = relative ? y + n[0] : n[0];
        path.push(`${x} ${y} l`);
      } else if (step === "C") {
        for (let i = 0; i + 5 < n.length; i += 6) path.push(`${n.slice(i, i + 6).join(" ")} c`);
        [x, y] = n.slice(-2);
      } else {
        for (let i = 0; i + 1 < n.length; i += 2) {
          [x, y] = relative ? [x + n[i], y + n[i + 1]] : [n[i], n[i + 1]];
          path.push(`${x} ${y} ${i === 0 && "Mm".includes(step) ? "m" : "l"}`);
        }
      }
    }
    return path.join(" ");
  }
  const aside = new Set(["title", "desc", "defs", "metadata", "style", "clipPath"]);
  const named = (address) => svg.querySelector(`[id="${address.match(/#([\w.-]+)/)[1]}"]`);
  const target = (node) => node.getAttribute("href") ?? node.getAttribute("xlink:href");
  async function walk(node, inherited) {
    const own = { ...inherited };
    for (const key of ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-weight", "text-anchor", "opacity", "fill-opacity"]) {
      if (node.hasAttribute(key)) own[key] = node.getAttribute(key);
    }
    const num = (key, whole) => {
      const text = node.getAttribute(key) || "0";
      return text.endsWith("%") ? (parseFloat(text) / 100) * whole : parseFloat(text);
    };
    const at = (key) => num(key, key.startsWith("y") || key === "cy" || key === "height" ? own.height : own.width);
    const fill = colour(own.fill ?? "#000", Number(own.opacity ?? 1) * Number(own["fill-opacity"] ?? 1));
    const stroke = colour(own.stroke, Number(own.opacity ?? 1));
    const pen = () => `${parseFloat(own["stroke-width"] || 1)} w [${(own["stroke-dasharray"] || "none") === "none" ? "" : own["stroke-dasharray"].replace(/,|px/g, " ")}] 0 d `;
    const paint = (path) => out.push(`${fill ? `${fill} rg ` : ""}${stroke ? `${stroke} RG ${pen()}` : ""}${path} ${fill && stroke ? "B" : fill ? "f" : stroke ? "S" : "n"}`);
    out.push("q");
    for (const [, kind, values] of (node.getAttribute("transform") || "").matchAll(/(translate|rotate|scale)\(([^)]*)\)/g)) {
      const [a, b = kind === "scale" ? a : 0, c = 0] = values.trim().split(/[\s,]+/).map(Number);
      const [sin, cos] = [Math.sin((a * Math.PI) / 180), Math.cos((a * Math.PI) / 180)];
      out.push(`${kind === "translate" ? `1 0 0 1 ${a} ${b}` : kind === "scale" ? `${a} 0 0 ${b} 0 0`
        : `${cos} ${sin} ${-sin} ${cos} ${b - b * cos + c * sin} ${c - b * sin - c * cos}`} cm`);
    }
    if (node.hasAttribute("clip-path")) {
      const area = named(node.getAttribute("clip-path")).firstElementChild;
      out.push(`${area.tagName === "path" ? steps(area) : `${["x", "y", "width", "height"].map((key) => area.getAttribute(key)).join(" ")} re`} W n`);
    }
    const tag = node.tagName;
    if (tag === "svg" && node !== svg) {
      out.push(`1 0 0 1 ${at("x")} ${at("y")} cm`);
      own.width = at("width");
      own.height = at("height");
    }
    if (tag === "rect") paint(`${at("x")} ${at("y")} ${at("width")} ${at("height")} re`);
    else if (tag === "line" && stroke) out.push(`${stroke} RG ${pen()}${at("x1")} ${at("y1")} m ${at("x2")} ${at("y2")} l S`);
    else if (tag === "circle") {
      const [x, y, r] = [at("cx"), at("cy"), num("r", own.width)];
      const k = 0.5523 * r;
      paint(`${x + r} ${y} m ${x + r} ${y + k} ${x + k} ${y + r} ${x} ${y + r} c ${x - k} ${y + r} ${x - r} ${y + k} ${x - r} ${y} c ${x - r} ${y - k} ${x - k} ${y - r} ${x} ${y - r} c ${x + k} ${y - r} ${x + r} ${y - k} ${x + r} ${y} c h`);
    } else if (tag === "path") paint(steps(node));
    else if (tag === "text" && fill) {
      const size = parseFloat(own["font-size"] || 12);
      const bold = Number(own["font-weight"]) >= 600 || own["font-weight"] === "bold";
      const text = [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data).join("");
      ctx.font = `${bold ? "bold " : ""}${size}px Helvetica, Arial, sans-serif`;
      const shift = { middle: 0.5, end: 1 }[own["text-anchor"]] || 0;
      const x = at("x") - shift * ctx.measureText(spell(text)).width;
      out.push(`BT ${fill} rg /${bold ? "B" : "R"} ${size} Tf 1 0 0 -1 ${x} ${at("y")} Tm ${hex(text)} Tj ET`);
    } else if (tag === "image") {
      const image = new Image();
      await new Promise((resolve) => { image.addEventListener("load", resolve); image.src = target(node); });
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.width, image.height];
      const pixels = canvas.getContext("2d");
      pixels.fillStyle = "#fff";
      pixels.fillRect(0, 0, image.width, image.height);
      pixels.drawImage(image, 0, 0);
      const rgb = pixels.getImageData(0, 0, image.width, image.height).data.filter((_, i) => i % 4 < 3);
      const packed = await new Response(new Blob([rgb]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
      images.push({ width: image.width, height: image.height, bytes: Array.from(new Uint8Array(packed), (byte) => String.fromCharCode(byte)).join("") });
      out.push(`${at("width")} 0 0 ${-at("height")} ${at("x")} ${at("y") + at("height")} cm /I${images.length - 1} Do`);
    }
    if (tag === "use") {
      out.push(`1 0 0 1 ${at("x")} ${at("y")} cm`);
      await walk(named(target(node)), own);
    }
    for (const child of node.children) if (!aside.has(child.tagName)) await walk(child, own);
    out.push("Q");
  }
  const [width, height] = ["width", "height"].map((key) => parseFloat(svg.getAttribute(key)));
  // Pixels of the screen (96 an inch) to points (72), downwards.
  const unit = svg.getAttribute("width").endsWith("pt") ? 1 : 0.75;
  out.push(`${unit} 0 0 ${-unit} 0 ${unit * height} cm 1 j`);
  await walk(svg, { width, height });
  const content = out.join("\n").replace(/-?[\d.]+e-\d+|-?\d+\.\d{4,}/g, (n) => Number(n).toFixed(3));
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${unit * width} ${unit * height}] /Contents 4 0 R /Resources << /Font << /R 5 0 R /B 6 0 R >> /XObject << ${images.map((_, i) => `/I${i} ${7 + i} 0 R`).join(" ")} >> >> >>`,
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    ...["Helvetica", "Helvetica-Bold"].map((name) => `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`),
    ...images.map((k) => `<< /Type /XObject /Subtype /Image /Width ${k.width} /Height ${k.height} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode /Length ${k.bytes.length} >>\nstream\n${k.bytes}\nendstream`),
  ];
  let file = "%PDF-1.4\n";
  const places = objects.map((text, i) => {
    const place = file.length;
    file += `${i + 1} 0 obj\n${text}\nendobj\n`;
    return place;
  });
  const start = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((p) => `${String(p).padStart(10, "0")} 00000 n \n`).join("")}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`;
  return new Blob([Uint8Array.from(file, (char) => char.charCodeAt(0))], { type: "application/pdf" });
});
