"use strict";
// Pooled effects of the studies that a reader leaves switched on, by the formulas of stats/moderated_pooling.py:
// one variance between studies for all blocks, each block's own factor squeezed towards the others'. Where too few
// blocks teach that, those of stats/meta_analysis.py: REML with modified Knapp-Hartung intervals, each block alone.
// Dependent comparisons of a study are combined first.
(() => {
  const { make, forest, fixed } = alsmuscle.parts;

  // ---- distributions -------------------------------------------------------------------------
  function logGamma(x) { // Lanczos, to 15 digits
    const c = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
    let sum = c[0];
    for (let i = 1; i < 9; i++) sum += c[i] / (x - 1 + i);
    const t = x + 6.5;
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
  }
  function incompleteBeta(x, a, b) { // regularised, by Lentz's continued fraction
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
    const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
    const tiny = 1e-300;
    let [c, d] = [1, 1 - ((a + b) * x) / (a + 1)];
    d = 1 / (Math.abs(d) < tiny ? tiny : d);
    let f = d;
    for (let m = 1; m < 500; m++) {
      for (const term of [(m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)), (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))]) {
        d = 1 + term * d;
        c = 1 + term / c;
        d = 1 / (Math.abs(d) < tiny ? tiny : d);
        c = Math.abs(c) < tiny ? tiny : c;
        f *= d * c;
      }
      if (Math.abs(d * c - 1) < 1e-16) break;
    }
    return front * f;
  }
  // Two-sided p of t; without an end of degrees of freedom those of the normal distribution.
  const pOf = (t, df) => incompleteBeta(df / (df + t * t), df / 2, 0.5);
  const tail = (t, df) => (Number.isFinite(df) ? pOf(t, df) : normalP(t));
  function critical(df, alpha) { // quantile of t beyond which alpha lies on both sides together
    let [low, high] = [0, 13];
    while (tail(high, df) > alpha) high *= 2;
    while (high - low > 1e-13 * high) {
      const middle = (low + high) / 2;
      if (tail(middle, df) > alpha) low = middle; else high = middle;
    }
    return (low + high) / 2;
  }
  function normalP(z) { // complementary error function, to 1e-12, by the fraction or the series
    const x = Math.abs(z) / Math.SQRT2;
    if (x < 2.5) {
      let [sum, term] = [x, x];
      for (let n = 1; n < 200; n++) { term *= (-x * x) / n; sum += term / (2 * n + 1); }
      return 1 - (2 / Math.sqrt(Math.PI)) * sum;
    }
    let f = 0;
    for (let n = 60; n > 0; n--) f = (n / 2) / (x + f);
    return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + f));
  }

  // ---- pooling ---------------------------------------------------------------------------------
  // rows: {cluster, effect, se, df}. One effect per cluster, its df those of its weakest comparison; the weights do not depend on rho.
  function combine(rows, rho) {
    const clusters = new Map();
    for (const row of rows) clusters.set(row.cluster, [...(clusters.get(row.cluster) || []), row]);
    return [...clusters.values()].map((own) => {
      const free = Math.min(...own.map((r) => r.df ?? Infinity));
      if (own.length === 1) return [own[0].effect, own[0].se ** 2, free];
      const weights = own.map((r) => 1 / r.se ** 2);
      const total = weights.reduce((a, b) => a + b, 0);
      const share = weights.map((w) => w / total);
      const mean = share.reduce((sum, w, i) => sum + w * own[i].effect, 0);
      const spread = share.map((w, i) => w * own[i].se);
      const alone = spread.reduce((sum, s) => sum + s * s, 0);
      return [mean, alone + rho * (spread.reduce((a, b) => a + b, 0) ** 2 - alone), free];
    });
  }
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  function weighted(y, v, tau2) {
    const w = v.map((x) => 1 / (x + tau2));
    const total = sum(w);
    return [w, total, sum(w.map((x, i) => x * y[i])) / total];
  }
  // Step of Fisher scoring on the restricted likelihood; its root is the REML estimate.
  function step(y, v, tau2) {
    const [w, total, mu] = weighted(y, v, tau2);
    const s2 = sum(w.map((x) => x * x));
    const s3 = sum(w.map((x) => x ** 3));
    const fit = sum(w.map((x, i) => x * x * (y[i] - mu) ** 2));
    return (fit - (total - s2 / total)) / (s2 - (2 * s3) / total + (s2 / total) ** 2);
  }
  // The same search as the package's: secant steps inside a bracket that halves at every fourth step.
  function between(y, v) {
    const k = y.length;
    const scale = sum(v) / k;
    const mean = sum(y) / k;
    let tau2 = Math.max(0, sum(y.map((x) => (x - mean) ** 2)) / (k - 1) - scale);
    let [low, high, previous, before] = [0, Infinity, NaN, NaN];
    for (let i = 0; i < 300; i++) {
      const t = tau2;
      const move = step(y, v, t);
      const rising = move > 0;
      if (rising) low = t; else high = t;
      const slope = (move - before) / (t - previous);
      let next = t - move / slope;
      if (!(Number.isFinite(next) && slope < 0)) next = t + move;
      const middle = (low + (Number.isFinite(high) ? high : 2 * Math.abs(t + move))) / 2;
      if (next < low || next > high) next = next < 0 && low === 0 ? 0 : middle;
      if (i % 4 === 3 && Number.isFinite(high)) next = middle;
      if (t === 0 && !rising) return 0;
      [previous, before, tau2] = [t, move, next];
      const tolerance = 1e-10 * (next + scale);
      if ((Math.abs(next - t) <= tolerance && Math.abs(move) <= 1e3 * tolerance) || high - low <= tolerance) return next;
    }
    return NaN;
  }
  function pool(rows, { rho, alpha, prior = null }) {
    const parts = combine(rows, rho);
    const [y, v] = [parts.map((p) => p[0]), parts.map((p) => p[1])];
    const k = y.length;
    if (!k) return null;
    let [effect, se, df, grows] = [y[0], Math.sqrt(v[0]), parts[0][2], 0]; // one study: its own interval
    if (k > 1) {
      const tau2 = prior ? prior.tau2 : between(y, v);
      const [w, total, mean] = weighted(y, v, tau2);
      const shares = prior ? prior.share2 * mean ** 2 : 0;
      const q = sum(w.map((x, i) => (y[i] - mean) ** 2 / (1 / x + shares))) / (k - 1);
      const free = prior ? prior.df ?? Infinity : 0;
      const share = Number.isFinite(free) ? free / (k - 1 + free) : 1;
      const factor = (prior ? share * prior.scale : 0) + (1 - share) * q;
      [effect, se] = [mean, Math.sqrt(Math.max(1, factor) / total)];
      if (prior) grows = (Math.max(1, factor) * prior.share2 * sum(w.map((x) => x * x))) / total ** 2;
      df = Math.min(k - 1 + free, prior ? prior.df_total ?? Infinity : Infinity);
    }
    const t = critical(df, alpha);
    const growth = Math.min(t * t * grows, 0.8); // longer away from 0: effects that studies hold unequal shares of
    const half = Math.sqrt((t * se) ** 2 * (1 - growth) + growth * effect ** 2);
    return { k, effect, se, df, low: (effect - half) / (1 - growth), high: (effect + half) / (1 - growth), p: tail(effect / se, df) };
  }
  alsmuscle.pool = pool;

  // ---- in the page -----------------------------------------------------------------------------
  function chooser(box) {
    const spec = JSON.parse(box.querySelector("script").textContent);
    const out = make("div", { role: "status" });
    const off = new Set();
    const all = spec.groups.flatMap((group) => group.rows);
    const draw = () => {
      const rows = spec.groups.flatMap((group) => {
        const result = pool(group.rows.filter((r) => !off.has(r)), { ...spec, prior: group.prior });
        return result ? [{ label: `${group.label}${off.size ? ", your selection" : ""}`, sizes: `${result.k} ${result.k === 1 ? "study" : "studies"}`, marks: [], effect: result.effect, low: result.low, high: result.high, padj: result.p, pooled: result.k > 1 }] : [];
      });
      const title = `${spec.title}: ${off.size ? `your selection, ${off.size} of ${all.length} comparisons switched off` : "all comparisons"}`;
      const drawn = rows.length ? forest(rows, title, ["Condition", "Studies"]) : make("p", { class: "absent" }, "Everything is switched off.");
      const heads = drawn.querySelectorAll("thead th");
      if (heads.length) heads[heads.length - 1].textContent = "p";
      drawn.querySelectorAll("td[data-head='Adjusted p']").forEach((cell) => { cell.dataset.head = "p"; });
      out.replaceChildren(drawn);
      const table = out.querySelector("table");
      if (table) alsmuscle.parts.forestTools(table);
    };
    const id = box.id || "selection";
    spec.groups.forEach((group, g) => {
      const list = make("ul", { class: "choices" }, ...group.rows.map((row, i) => {
        const input = make("input", { type: "checkbox", id: `${id}-${g}-${i}`, checked: true });
        input.addEventListener("change", () => { if (input.checked) off.delete(row); else off.add(row); draw(); });
        return make("li", {}, input, " ", make("label", { for: input.id }, row.label, make("small", { class: "muted" }, ` ${fixed(row.effect, 2, true)}, standard error ${fixed(row.se)}`)));
      }));
      box.append(make("p", {}, make("strong", {}, group.label)), list);
    });
    box.append(make("p", { class: "muted" }, `Random effects as in the rest of the report, one effect per study (correlation ${spec.rho} between comparisons that share samples); how much studies differ is learned from all blocks of all comparisons, more for large effects, so that intervals are longer away from 0; p unadjusted. A selection made after seeing the results proves nothing: verdicts rest on all eligible studies.`), out);
    draw();
  }
  document.querySelectorAll(".selection").forEach((box) => {
    const fold = box.closest("details");
    const start = () => { if (fold.open && !box.dataset.ready) { box.dataset.ready = "true"; chooser(box); } };
    fold.addEventListener("toggle", start);
    start();
  });
})();
