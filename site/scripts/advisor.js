// The advisor: shows the answer to the question that is asked; every answer was made in Python when the site was built.
addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("question");
  if (!form) return;
  const answer = document.getElementById("answer"), root = form.dataset.root;
  const fields = ["modality", "task", "labels", "gflops"];

  const make = (tag, text, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    node.append(...children);
    return node;
  };
  const number = (v) => (v === null ? "–" : v.toFixed(1).replace("-", "−"));
  const between = (low, high) => (low === null ? "–" : `${number(low)} to ${number(high)}`);
  const share = (v) => `${Math.round(100 * v)} %`;
  const glyph = (paradigm) => document.querySelector(`[data-glyph="${paradigm}"]`);
  const budgets = (a) => a.budgets.map((b) => b.replace("%", " %")).join(", ");
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const LEVELS = {
    direct: (a) => `From ${plural(a.tasks, "task")} of this modality and kind, at ${budgets(a)} of the labels.`,
    borrowed: (a) => `No task of this modality has results: from ${plural(a.tasks, "task")} of the same kind in other modalities, at ${budgets(a)} of the labels.`,
    none: () => "",
  };

  async function draw() {
    const suite = form.elements.suite.value;
    const data = await medssl.state.load(`advice/${suite}`, `${root}data/advice/${suite}.js`);
    const asked = [...fields.slice(0, 3).map((f) => form.elements[f].value), form.elements.commercial.checked ? "commercial" : "", form.elements.gflops.value];
    answer.replaceChildren(...parts(data, data.answers[data.index[asked.join("|")]]));
  }

  function parts(data, a) {
    const none = a.level === "none";
    const head = make("h2", none ? "No evidence" : `${data.encoders[a.encoders[0][0]].title} did best`);
    const sure = make("p", "", { class: "confidence" }, make("span", `${none ? "No" : a.confidence} confidence`, { class: `verdict confidence-${a.confidence}` }), ` ${LEVELS[a.level](a)}`);
    const notes = a.notes.map((note) => make("p", note, { class: "notice" }));
    const out = Object.entries(a.excluded);
    const left = out.length ? [make("details", "", {}, make("summary", `${plural(out.length, "encoder")} not considered`), make("ul", "", {}, ...out.map(([name, why]) => make("li", `${data.encoders[name].title}: ${why}`))))] : [];
    if (none) return [head, sure, ...notes, ...left];
    const more = a.considered > a.encoders.length ? [make("p", `The first ${a.encoders.length} of ${a.considered} encoders.`, { class: "quiet" })] : [];
    return [head, sure, ...notes, encoders(data, a), ...more, paradigms(a), ...left];
  }

  const table = (caption, heads, rows) => make("div", "", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    make("table", "", {}, make("caption", caption),
      make("thead", "", {}, make("tr", "", {}, ...heads.map(([text, kind]) => make("th", text, { scope: "col", ...(kind ? { class: kind } : {}) })))),
      make("tbody", "", {}, ...rows)));

  function encoders(data, a) {
    const rows = a.encoders.map(([name, score, low, high, best]) => {
      const e = data.encoders[name];
      const title = make("th", "", { scope: "row" }, glyph(e.paradigm).firstElementChild.cloneNode(true), " ", make("a", e.title, { href: `${root}encoders/${name}.html` }));
      const flops = e.flops === null ? "–" : e.flops ? `${(e.flops / 1e9).toPrecision(2)} G` : "0";
      return make("tr", "", { "data-p": e.paradigm }, title, make("td", number(score), { class: "n" }), make("td", between(low, high), { class: "whole" }), make("td", share(best), { class: "n" }), make("td", flops, { class: "n" }), make("td", e.licence));
    });
    return table("Encoders, points with 95 % intervals for a new task like these", [["Encoder"], ["Points", "n"], ["95 % interval"], ["Best in", "n"], ["FLOPs", "n"], ["Licence"]], rows);
  }

  function paradigms(a) {
    const rows = a.paradigms.map(([name, score, low, high, best, n]) => make("tr", "", { "data-p": name },
      make("th", "", { scope: "row" }, glyph(name).firstElementChild.cloneNode(true), ` ${glyph(name).dataset.title}`),
      make("td", number(score), { class: "n" }), make("td", between(low, high), { class: "whole" }), make("td", share(best), { class: "n" }), make("td", String(n), { class: "n" })));
    return table("Paradigms, the mean of their encoders", [["Paradigm"], ["Points", "n"], ["95 % interval"], ["Best in", "n"], ["Encoders", "n"]], rows);
  }

  function keep() {
    const values = Object.fromEntries(fields.map((f) => [f, form.elements[f].value]));
    medssl.state.write({ suite: form.elements.suite.value, ...values, commercial: form.elements.commercial.checked ? "1" : "" });
  }
  function restore() {
    const wanted = medssl.state.read();
    for (const f of ["suite", ...fields]) {
      if ([...(form.elements[f].options ?? [])].some((o) => o.value === wanted[f])) form.elements[f].value = wanted[f];
    }
    form.elements.commercial.checked = wanted.commercial === "1";
    return draw();
  }
  form.addEventListener("input", () => { keep(); draw(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", restore);
  restore();
});
