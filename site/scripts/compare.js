// Compare two to four encoders: paired differences to the first, with intervals from shipped replicates.
addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("chooser");
  if (!form) return;
  const download = document.getElementById("download"), result = document.getElementById("result"), status = document.getElementById("status"), root = form.dataset.root;
  const selects = [0, 1, 2, 3].map((i) => form.elements[`e${i}`]);
  let index = null, by = { column: null, sign: -1 };

  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    return node;
  };
  const number = (v) => (v === v && v !== null ? v.toFixed(3).replace("-", "−") : "–");
  const chosen = () => [...new Set(selects.map((s) => s.value).filter(Boolean))];

  async function fill() {
    const suite = form.elements.suite.value;
    document.querySelectorAll("[data-note]").forEach((note) => { note.hidden = note.dataset.note !== suite; });
    index = await medssl.state.load(`pairs/${suite}`, `${root}data/pairs/${suite}.js`);
    const wanted = (medssl.state.read().e ?? "").split(",");
    selects.forEach((select, i) => {
      select.replaceChildren(make("option", i < 2 ? "choose" : "none", { value: "" }));
      for (const e of index.encoders) select.append(make("option", e.title, { value: e.name }));
      select.value = index.encoders.some((e) => e.name === wanted[i]) ? wanted[i] : "";
    });
  }

  async function draw() {
    const names = chosen(), suite = form.elements.suite.value;
    medssl.state.write({ suite, e: names.join(",") });
    result.hidden = download.hidden = names.length < 2;
    by = { column: null, sign: -1 };
    if (names.length < 2) { status.textContent = "Choose a baseline and one to three encoders."; return; }
    const data = await Promise.all(names.map((n) => medssl.state.load(`pairs/${suite}/${n}`, `${root}data/pairs/${suite}/${n}.js`)));
    data.forEach((d) => { d.spread ??= medssl.state.shorts(d.shorts); });
    const { rows, counts } = differences(data);
    table(names, data, rows);
    status.textContent = counts.map((c, i) => `${title(names[i + 1])}: above the baseline on ${c.above}, below on ${c.below}, undecided on ${c.open} of ${c.above + c.below + c.open} tasks (95 % each, not corrected for their number)`).join(". ") + ".";
  }
  const title = (name) => index.encoders.find((e) => e.name === name).title;

  // Paired difference to the first encoder for each task; null where one of them has no score.
  function differences(data) {
    const r = index.replicates, { SCALE, quantile } = medssl.rank;
    const counts = data.slice(1).map(() => ({ above: 0, below: 0, open: 0 }));
    const rows = index.lines.map((line, t) => data.slice(1).map((d, k) => {
      if (data[0].values[t] === null || d.values[t] === null) return null;
      if (t * r >= d.spread.length) return { value: d.values[t] - data[0].values[t], low: NaN, high: NaN };
      const gaps = [];
      for (let b = t * r; b < (t + 1) * r; b++) {
        const gap = d.spread[b] - data[0].spread[b];
        if (gap === gap) gaps.push(gap / SCALE);
      }
      const sorted = Float64Array.from(gaps).sort();
      const found = { value: d.values[t] - data[0].values[t], low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
      if (line.part !== "Boards") counts[k][found.low > 0 ? "above" : found.high < 0 ? "below" : "open"] += 1;
      return found;
    }));
    return { rows, counts };
  }

  function table(names, data, rows) {
    const reach = Math.max(0.05, ...rows.flat().filter((d) => d && d.low === d.low).flatMap((d) => [Math.abs(d.low), Math.abs(d.high)]));
    const node = make("table"), head = make("tr"), body = make("tbody");
    node.append(make("caption", `Scores (0 chance, 1 perfect; lesions: recall or Dice); differences to ${title(names[0])} with paired 95 % intervals, axis ±${reach.toFixed(2)}. Lines without an interval are means that were not resampled.`));
    head.append(make("th", "Score", { scope: "col" }));
    head.append(make("th", title(names[0]), { scope: "col", class: "n" }));
    for (const n of names.slice(1)) {
      const k = names.indexOf(n) - 1, gap = make("th", undefined, { scope: "col", class: "n" }), button = make("button", "Difference", { type: "button" });
      button.addEventListener("click", () => { by = { column: k, sign: by.column === k ? -by.sign : -1 }; table(names, data, rows); });
      if (by.column === k) gap.setAttribute("aria-sort", by.sign > 0 ? "ascending" : "descending");
      gap.append(button);
      head.append(make("th", title(n), { scope: "col", class: "n" }), gap, make("th", "95 % interval", { scope: "col" }));
    }
    const order = index.lines.map((_, t) => t);
    if (by.column !== null) order.sort((a, b) => by.sign * ((rows[a][by.column]?.value ?? -9) - (rows[b][by.column]?.value ?? -9)));
    let before = null;
    order.forEach((t) => {
      const line = index.lines[t], row = make("tr"), link = make("th", undefined, { scope: "row" });
      if (by.column === null && line.part !== before) {
        const group = make("tr", undefined, { class: "group" });
        group.append(make("th", line.part, { scope: "rowgroup", colspan: String(2 + 3 * (names.length - 1)) }));
        body.append(group);
        before = line.part;
      }
      link.append(line.address ? make("a", line.title, { href: `${root}${line.address}` }) : line.title);
      row.append(link, make("td", number(data[0].values[t]), { class: "n" }));
      rows[t].forEach((d, k) => {
        row.append(make("td", number(data[k + 1].values[t]), { class: "n" }));
        const clear = d && (d.low > 0 || d.high < 0), cell = make("td", undefined, { class: "n" });
        cell.append(make(clear ? "b" : "span", d ? number(d.value) : "–"));
        row.append(cell);
        const bar = make("td");
        if (d && d.low === d.low) bar.append(picture(d, reach), make("small", `${number(d.low)} to ${number(d.high)}`));
        row.append(bar);
      });
      body.append(row);
    });
    const thead = make("thead");
    thead.append(head);
    node.append(thead, body);
    result.replaceChildren(node);
    download.hidden = false;
    download.onclick = () => {
      const quoted = (v) => `"${String(v).replaceAll('"', '""')}"`;
      const heads = ["part", "score", ...names, ...names.slice(1).flatMap((n) => [`${n} difference`, `${n} low`, `${n} high`])];
      const text = [heads, ...index.lines.map((line, t) => [line.part, line.title, ...data.map((d) => d.values[t] ?? ""),
        ...rows[t].flatMap((d) => (d ? [d.value, d.low === d.low ? d.low : "", d.high === d.high ? d.high : ""] : ["", "", ""]))])];
      const link = make("a", undefined, { href: URL.createObjectURL(new Blob([text.map((l) => l.map(quoted).join(",")).join("\n")], { type: "text/csv" })), download: "compare.csv" });
      link.click();
    };
  }

  function picture(d, reach) {
    const x = (v) => (4 + 56 * (1 + v / reach)).toFixed(1), space = "http://www.w3.org/2000/svg";
    const part = (tag, attributes) => {
      const el = document.createElementNS(space, tag);
      for (const [k, v] of Object.entries(attributes)) el.setAttribute(k, v);
      return el;
    };
    const svg = part("svg", { class: "iv", viewBox: "0 0 120 14", "aria-hidden": "true" });
    svg.append(part("path", { class: "zero", d: "M60 1v12" }), part("path", { d: `M${x(d.low)} 7H${x(d.high)}` }), part("circle", { cx: x(d.value), cy: 7, r: 2.5 }));
    return svg;
  }

  form.addEventListener("input", async (event) => { if (event.target.name === "suite") await fill(); draw(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => fill().then(draw));
  const first = medssl.state.read().suite;
  if (first && [...(form.elements.suite.options ?? [])].some((o) => o.value === first)) form.elements.suite.value = first;
  fill().then(draw);
});
