// Compare two to four encoders: differences to the first. Where the same resamples were drawn for both, the interval is
// paired over test images; where a line is a mean over tasks, it is Student's t over those tasks.
addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("chooser");
  if (!form) return;
  const [download, result, status, parts] = ["download", "result", "status", "parts"].map((id) => document.getElementById(id));
  const root = form.dataset.root, fields = [0, 1, 2, 3].map((i) => form.elements[`e${i}`]);
  let index = null, names = new Map(), by = { column: null, sign: -1 }, part = "";

  const make = (tag, text, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    node.append(...children);
    return node;
  };
  const number = (v) => (v === v && v !== null ? medssl.fixed(v, 3) : "–");
  const title = (name) => index.encoders.find((e) => e.name === name).title;
  const chosen = () => [...new Set(fields.map((f) => names.get(f.value.trim().toLowerCase())).filter(Boolean))];

  // Titles to choose from; where two encoders share one, their names tell them apart.
  async function fill() {
    const suite = form.elements.suite.value, list = document.getElementById("encoders");
    document.querySelectorAll("[data-note]").forEach((note) => { note.hidden = note.dataset.note !== suite; });
    index = await medssl.state.load(`pairs/${suite}`, `${root}data/pairs/${suite}.js`);
    const times = new Map();
    for (const e of index.encoders) times.set(e.title, (times.get(e.title) ?? 0) + 1);
    const label = (e) => (times.get(e.title) > 1 ? `${e.title} (${e.name})` : e.title);
    names = new Map(index.encoders.flatMap((e) => [[e.name, e.name], [label(e).toLowerCase(), e.name]]));
    list.replaceChildren(...index.encoders.map((e) => make("option", undefined, { value: label(e) })));
    const wanted = (medssl.state.read().e ?? "").split(",");
    fields.forEach((field, i) => { const e = index.encoders.find((x) => x.name === wanted[i]); field.value = e ? label(e) : ""; });
    part = medssl.state.read().part ?? "";
  }

  async function draw() {
    const picked = chosen(), suite = form.elements.suite.value;
    medssl.state.write({ suite, e: picked.join(","), part });
    const unknown = fields.map((f) => f.value.trim()).filter((v) => v && !names.has(v.toLowerCase()));
    result.hidden = download.hidden = parts.hidden = picked.length < 2;
    by = { column: null, sign: -1 };
    if (picked.length < 2) {
      status.textContent = unknown.length ? `No encoder of this suite is called "${unknown[0]}": choose one of the list.` : "Choose a baseline and one to three encoders.";
      return;
    }
    status.textContent = "Loading …";
    const data = await Promise.all(picked.map((n) => medssl.state.load(`pairs/${suite}/${n}`, `${root}data/pairs/${suite}/${n}.js`)));
    data.forEach((d) => { d.spread ??= medssl.state.shorts(d.shorts); });
    const lines = compared(data);
    choices(picked, lines);
    table(picked, lines);
    status.textContent = summary(picked, lines);
  }

  // One line: what each encoder has, and each difference to the first; over the tasks that all of them have.
  function compared(data) {
    return index.lines.map((line, t) => {
      const values = data.map((d) => d.values[t]);
      if (!line.tasks) return { ...line, values, gaps: values.slice(1).map((_, k) => resampled(data[0], data[k + 1], t)) };
      const shared = [...Array(line.tasks).keys()].filter((j) => values.every((v) => v[j] !== null));
      const mean = (v) => (shared.length ? shared.reduce((sum, j) => sum + v[j], 0) / shared.length : null);
      return { ...line, over: shared.length, values: values.map(mean), gaps: values.slice(1).map((v) => overTasks(shared.map((j) => v[j] - values[0][j]))) };
    });
  }

  function resampled(base, other, t) {
    const r = index.replicates, { SCALE, quantile } = medssl.rank;
    if (base.values[t] === null || other.values[t] === null) return null;
    const value = other.values[t] - base.values[t], gaps = [];
    for (let b = t * r; b < (t + 1) * r; b++) {
      const gap = other.spread[b] - base.spread[b];
      if (gap === gap) gaps.push(gap / SCALE);
    }
    if (!gaps.length) return { value, low: NaN, high: NaN };
    const sorted = Float64Array.from(gaps).sort();
    return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  }

  function overTasks(gaps) {
    const n = gaps.length;
    if (!n) return null;
    const value = gaps.reduce((a, b) => a + b, 0) / n;
    if (n < 2) return { value, low: NaN, high: NaN };
    const half = index.t[n - 2] * Math.sqrt(gaps.reduce((sum, g) => sum + (g - value) ** 2, 0) / (n - 1) / n);
    return { value, low: value - half, high: value + half };
  }

  function summary(picked, lines) {
    const said = picked.slice(1).map((name, k) => {
      const gaps = lines.filter((l) => !l.tasks && l.part !== "Boards").map((l) => l.gaps[k]).filter(Boolean);
      const above = gaps.filter((g) => g.low > 0).length, below = gaps.filter((g) => g.high < 0).length;
      return `${title(name)}: above the baseline on ${above}, below on ${below}, undecided on ${gaps.length - above - below} of ${gaps.length} tasks`;
    });
    return `${said.join(". ")} (95 % each, not corrected for their number).`;
  }

  // Which lines to see: each part is one click away.
  function choices(picked, lines) {
    const there = [...new Set(index.lines.map((l) => l.about))];
    if (!there.includes(part)) part = "";
    parts.replaceChildren(...["", ...there].map((name) => {
      const button = make("button", name || "All", { type: "button", "aria-pressed": String(name === part) });
      button.addEventListener("click", () => { part = name; medssl.state.write({ ...medssl.state.read(), part }); choices(picked, lines); table(picked, lines); });
      return button;
    }));
  }

  function table(picked, lines) {
    const shown = lines.filter((l) => !part || l.about === part);
    if (by.column !== null) shown.sort((a, b) => by.sign * ((a.gaps[by.column]?.value ?? -9) - (b.gaps[by.column]?.value ?? -9)));
    const ends = (about) => shown.filter((l) => l.about === about).flatMap((l) => l.gaps).filter((d) => d && d.low === d.low).flatMap((d) => [Math.abs(d.low), Math.abs(d.high)]);
    const reach = Object.fromEntries([...new Set(shown.map((l) => l.about))].map((about) => [about, Math.max(0.05, ...ends(about))]));
    const head = make("tr", undefined, {}, make("th", "Score", { scope: "col" }), make("th", title(picked[0]), { scope: "col", class: "n" }));
    picked.slice(1).forEach((name, k) => {
      const button = make("button", "Difference", { type: "button" }), gap = make("th", undefined, { scope: "col", class: "n" }, button);
      button.addEventListener("click", () => { by = { column: k, sign: by.column === k ? -by.sign : -1 }; table(picked, lines); });
      if (by.column === k) gap.setAttribute("aria-sort", by.sign > 0 ? "ascending" : "descending");
      head.append(make("th", title(name), { scope: "col", class: "n" }), gap, make("th", "95 % interval", { scope: "col" }));
    });
    const body = make("tbody"), columns = String(2 + 3 * (picked.length - 1));
    let before = null;
    for (const line of shown) {
      if (by.column === null && line.part !== before) {
        body.append(make("tr", undefined, { class: "group" }, make("th", line.part, { scope: "rowgroup", colspan: columns })));
        before = line.part;
      }
      body.append(row(line, reach[line.about]));
    }
    const caption = `Scores from 0 (chance) to 1 (perfect); metrics by size and contrast of the lesion as they are. Differences to ${title(picked[0])}; axes ${Object.entries(reach).map(([about, r]) => `±${r.toFixed(2)} (${about.toLowerCase()})`).join(", ")}; bold where the interval excludes 0.`;
    result.replaceChildren(make("table", undefined, {}, make("caption", caption), make("thead", undefined, {}, head), body));
    download.hidden = false;
    download.onclick = () => save(picked, shown);
  }

  function row(line, reach) {
    const name = line.address ? make("a", line.title, { href: `${root}${line.address}` }) : line.title;
    const node = make("tr", undefined, {}, make("th", undefined, { scope: "row" }, name), make("td", number(line.values[0]), { class: "n" }));
    if (line.tasks) node.firstElementChild.append(make("small", ` ${line.over} tasks`));
    line.gaps.forEach((d, k) => {
      const clear = d && (d.low > 0 || d.high < 0), bar = make("td", undefined, { class: "gap" });
      if (d && d.low === d.low) bar.append(picture(d, reach), make("small", `${number(d.low)} to ${number(d.high)}`));
      node.append(make("td", number(line.values[k + 1]), { class: "n" }), make("td", undefined, { class: "n" }, make(clear ? "b" : "span", d ? number(d.value) : "–")), bar);
    });
    return node;
  }

  function save(picked, lines) {
    const quoted = (v) => `"${String(v).replaceAll('"', '""')}"`, known = (v) => (v === v && v !== null ? v : "");
    const heads = ["part", "score", "tasks", ...picked, ...picked.slice(1).flatMap((n) => [`${n} difference`, `${n} low`, `${n} high`])];
    const text = [heads, ...lines.map((l) => [l.part, l.title, l.over ?? 1, ...l.values.map(known),
      ...l.gaps.flatMap((d) => (d ? [d.value, known(d.low), known(d.high)] : ["", "", ""]))])];
    const file = new Blob([text.map((line) => line.map(quoted).join(",")).join("\n")], { type: "text/csv" });
    make("a", undefined, { href: URL.createObjectURL(file), download: "compare.csv" }).click();
  }

  function picture(d, reach) {
    const x = (v) => (4 + 56 * (1 + v / reach)).toFixed(1), space = "http://www.w3.org/2000/svg";
    const shape = (tag, attributes) => {
      const el = document.createElementNS(space, tag);
      for (const [k, v] of Object.entries(attributes)) el.setAttribute(k, v);
      return el;
    };
    const svg = shape("svg", { class: "iv", viewBox: "0 0 120 14", "aria-hidden": "true" });
    svg.append(shape("path", { class: "zero", d: "M60 1v12" }), shape("path", { d: `M${x(d.low)} 7H${x(d.high)}` }), shape("circle", { cx: x(d.value), cy: 7, r: 2.5 }));
    return svg;
  }

  form.addEventListener("change", async (event) => { if (event.target.name === "suite") await fill(); draw(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => fill().then(draw));
  const first = medssl.state.read().suite;
  if (first && [...(form.elements.suite.options ?? [])].some((o) => o.value === first)) form.elements.suite.value = first;
  fill().then(draw);
});
