// The advisor: applies your limits to the order that was made in Python when the site was built, and says what stands out.
addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("question");
  if (!form) return;
  const answer = document.getElementById("answer"), root = form.dataset.root;
  const fields = ["suite", "modality", "task", "labels", "gflops", "size"], ticks = ["commercial", "open"];

  const make = (tag, text, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    node.append(...children);
    return node;
  };
  const number = (v) => medssl.fixed(v, 1);
  const glyph = (paradigm) => document.querySelector(`[data-glyph="${paradigm}"]`).firstElementChild.cloneNode(true);
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const word = (field) => (form.elements[field].selectedOptions?.[0] ?? form.elements[field]).textContent ?? "";
  const amount = (field) => Number(form.elements[field].value) || null;

  async function draw() {
    const suite = form.elements.suite.value;
    const data = await medssl.state.load(`advice/${suite}`, `${root}data/advice/${suite}.js`);
    const labels = amount("labels"), most = data.labels.at(-1);
    const far = (n) => Math.abs(Math.log(n / labels));
    const near = labels === null || labels > 3 * most ? "" : data.labels.reduce((a, b) => (far(b) < far(a) ? b : a));
    const a = data.answers[data.index[[form.elements.modality.value, form.elements.task.value, near].join("|")]];
    answer.replaceChildren(...parts(data, a, labels));
  }

  function barred(e) {
    const gflops = amount("gflops"), size = amount("size");
    if (form.elements.commercial.checked && !e.commercial) return `licence ${e.licence}`;
    if (form.elements.open.checked && e.access && e.access !== "open") return `weights ${e.access}`;
    if (gflops && e.flops === null) return "compute not known";
    if (gflops && e.flops > gflops * 1e9) return `${number(e.flops / 1e9)} GFLOPs`;
    if (size && e.size > size) return `images of ${e.size} pixels`;
    return "";
  }

  function together(data, rows) {
    const [, best, , , error] = rows[0];
    const apart = rows.findIndex(([, score, , , own]) => score < best - data.apart * Math.hypot(error, own));
    return apart < 0 ? rows.length : apart;
  }

  function parts(data, a, labels) {
    const asked = `${word("modality")}, ${word("task").toLowerCase()}`, title = (row) => data.encoders[row[0]].title;
    const out = a.encoders.map((row) => [title(row), barred(data.encoders[row[0]])]).filter(([, why]) => why);
    const rows = a.encoders.filter((row) => !barred(data.encoders[row[0]]));
    const same = rows.length ? together(data, rows) : 0, none = a.level === "none";
    const head = a.lack ? `Too little evidence: ${asked}` : none ? `No evidence: ${asked}` : !rows.length ? "No encoder meets these conditions" : same === 1 ? `${title(rows[0])} did best` : `No clear winner: ${same} encoders cannot be told apart`;
    const sure = none || !rows.length ? "none" : same > 1 || a.sources < 2 ? "low" : a.sources >= 3 && !a.synthetic ? "high" : "moderate";
    const basis = a.lack ? `${a.lack}.` : none ? "Nothing was measured on this modality and task." : `From ${plural(a.tasks.length, "task")} of this modality and kind (${plural(a.sources, "data set")}) at ${a.budgets.map((b) => b.replace("%", " %")).join(", ")} of the labels, and from how these encoders do elsewhere.`;
    const said = [...a.notes];
    if (a.synthetic) said.push("All the evidence is synthetic images; no clinical result backs it.");
    if (labels && a.used && (2 * a.used[0] < labels || a.used[1] > 2 * labels)) said.push(`You have ${labels} labelled images; the nearest evidence has ${a.used[0]}${a.used[1] > a.used[0] ? ` to ${a.used[1]}` : ""}.`);
    const above = rows.length ? a.baselines.filter((row) => row[1] >= rows[0][1]).map(title) : [];
    if (above.length) said.push(`References that no self-supervision made do as well or better: ${above.join("; ")}.`);
    const found = [
      make("h2", head),
      make("p", "", { class: "confidence" }, make("span", `${sure === "none" ? "No" : sure} confidence`, { class: `verdict confidence-${sure}` }), ` ${basis}`),
      ...said.map((note) => make("p", note, { class: "notice" })),
    ];
    if (rows.length) found.push(table(data, none ? "The order over all other tasks" : "Encoders, best first", rows, none ? 0 : same));
    if (a.baselines.length && !none) found.push(table(data, "To be read against, never advised", a.baselines, 0));
    if (out.length) found.push(make("details", "", {}, make("summary", `${plural(out.length, "encoder")} not considered`), make("ul", "", {}, ...out.map(([name, why]) => make("li", `${name}: ${why}`)))));
    found.push(make("p", data.fares, { class: "quiet" }));
    if (!none && rows.length) found.push(make("p", "Next: ", {}, make("code", `medssl run ${rows[0][0]} --tasks YOUR-TASKS`), " on images of your own, then ask again with ", make("code", "medssl advise --records runs"), "."));
    return found;
  }

  function table(data, caption, rows, same) {
    const body = rows.slice(0, data.shown).map(([name, score, low, high], i) => {
      const e = data.encoders[name], flops = e.flops === null ? "–" : e.flops ? `${(e.flops / 1e9).toPrecision(2)} G` : "0";
      return make("tr", "", { "data-p": e.paradigm, ...(same > 1 && i === same ? { class: "step" } : {}) },
        make("th", "", { scope: "row" }, glyph(e.paradigm), " ", make("a", e.title, { href: `${root}encoders/${name}.html` })),
        make("td", number(score), { class: "n" }), make("td", `${number(low)} to ${number(high)}`, { class: "whole" }),
        make("td", flops, { class: "n" }), make("td", String(e.size), { class: "n" }), make("td", e.licence));
    });
    const heads = [["Encoder"], ["Points", "n"], ["95 % of new tasks"], ["FLOPs", "n"], ["Pixels", "n"], ["Licence"]];
    const more = rows.length > data.shown ? `; the first ${data.shown} of ${rows.length}` : "";
    return make("div", "", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
      make("table", "", {}, make("caption", caption + more),
        make("thead", "", {}, make("tr", "", {}, ...heads.map(([text, kind]) => make("th", text, { scope: "col", ...(kind ? { class: kind } : {}) })))),
        make("tbody", "", {}, ...body)));
  }

  function keep() {
    const values = Object.fromEntries(fields.map((f) => [f, form.elements[f].value]));
    medssl.state.write({ ...values, ...Object.fromEntries(ticks.map((f) => [f, form.elements[f].checked ? "1" : ""])) });
  }
  function restore() {
    const wanted = medssl.state.read();
    for (const f of fields) {
      const options = form.elements[f].options;
      if (wanted[f] !== undefined && (!options || [...options].some((o) => o.value === wanted[f]))) form.elements[f].value = wanted[f];
    }
    for (const f of ticks) form.elements[f].checked = wanted[f] === "1";
    return draw();
  }
  form.addEventListener("input", () => { keep(); draw(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", restore);
  restore();
});
