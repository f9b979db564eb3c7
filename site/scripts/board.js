// The board: search, filters, weights, columns, order, and the view kept in the address.
addEventListener("DOMContentLoaded", () => {
  const table = document.getElementById("board"), form = document.getElementById("controls");
  if (!table || !form) return;
  const body = table.tBodies[0], status = document.getElementById("status"), more = document.getElementById("more");
  const PAGE = 100;
  const heads = [...table.tHead.rows[0].cells];
  const at = (name) => heads.findIndex((h) => h.classList.contains(name) || h.dataset.col === name);
  const column = { rank: at("rank"), score: at("score"), bar: at("bar"), ranks: at("ranks"), tier: at("tier") };
  const own = ["p", "o", "a", "z", "b", "k", "l"];
  const facets = document.getElementById("facets"), opener = document.getElementById("filter");
  const shownAtFirst = new Set(heads.filter((h) => h.dataset.col && !h.hidden).map((h) => h.dataset.col));
  const rows = [...body.rows].map((row, index) => ({
    row, index, name: row.id, keys: [],
    text: ` ${row.cells[at("name")].textContent} ${row.id} ${Object.values(row.dataset).join(" ")}`.toLowerCase().replace(/[-\s|]+/g, " "),
    first: [...row.cells].map((c) => c.cloneNode(true)), next: null, drawn: null,
  }));
  const anchors = [...(table.tFoot?.rows ?? [])].map((row) => ({ row, cells: JSON.parse(row.dataset.cells), first: row.cells[column.score].textContent }));
  const byName = new Map(rows.map((r) => [r.name, r]));
  let order = { column: column.rank, sign: 1 }, all = false, data = null, run = 0;

  const inputs = (key) => [...form.elements].filter((i) => i.name === key);
  const ticked = (key) => inputs(key).filter((i) => i.checked).map((i) => i.value);
  const sliders = [...form.querySelectorAll('input[type="range"]')];
  const clean = () => form.elements.clean?.value ?? "all";
  const weighted = () => sliders.some((s) => s.value !== "1");

  function filters() {
    const chosen = own.map((key) => [key, new Set(ticked(key))]).filter(([, set]) => set.size);
    const corpus = form.elements.c.value;
    return { chosen, corpus, any: chosen.length > 0 || corpus !== "" };
  }

  function passes(entry, { chosen, corpus }) {
    const set = entry.row.dataset;
    return chosen.every(([key, values]) => values.has(set[key]))
      && (corpus === "" || set.c.split("|").includes(corpus));
  }

  // ---- order and display
  // In the order of ranks, rows without one (references) stand where their score puts them.
  const read = (entry, c) => (c === column.rank ? negated(key(entry, column.score)) : medssl.table.value(entry.first[c]));
  const negated = (v) => (typeof v === "number" ? -v : v);
  const key = (entry, c) => (c in entry.keys ? entry.keys[c] : (entry.keys[c] = read(entry, c)));
  function ordered(entries) {
    const { column: c, sign } = order;
    return entries.sort((a, b) => medssl.table.compare(key(a, c), key(b, c), sign)
      || medssl.table.compare(key(a, column.score), key(b, column.score), -1) || a.index - b.index);
  }

  const words = () => form.elements.q.value.toLowerCase().replaceAll("-", " ").split(/\s+/);
  const says = (entry, searched) => searched.every((word) => entry.text.includes(word.length < 3 ? ` ${word}` : word));
  function show() {
    const wanted = filters(), searched = words();
    const found = ordered(rows.filter((r) => passes(r, wanted) && says(r, searched)));
    counts(wanted, searched);
    const shown = all ? found : found.slice(0, PAGE);
    shown.forEach(draw);
    body.replaceChildren(...shown.map((r) => r.row));
    more.hidden = shown.length === found.length;
    if (!more.hidden) more.firstElementChild.textContent = `Show all ${found.length} rows`;
    steps(shown);
    table.dispatchEvent(new CustomEvent("shown"));
    return found.length;
  }

  // Beside each choice the number of encoders it would show, all other choices as they are.
  function counts({ chosen, corpus }, searched) {
    if (facets.hidden) return;
    for (const key of own) {
      const rest = { chosen: chosen.filter(([k]) => k !== key), corpus }, there = new Map();
      for (const entry of rows) {
        const value = entry.row.dataset[key];
        if (passes(entry, rest) && says(entry, searched)) there.set(value, (there.get(value) ?? 0) + 1);
      }
      for (const input of inputs(key)) input.parentElement.lastElementChild.textContent = there.get(input.value) ?? 0;
    }
  }

  // A line above the first row of each tier, only while the table is in the order of its ranks.
  function steps(shown) {
    const ranked = order.column === column.rank && order.sign > 0;
    let before = null;
    for (const { row } of shown) {
      const tier = row.cells[column.tier].textContent;
      row.classList.toggle("step", ranked && before !== null && tier !== "–" && tier !== before);
      if (tier !== "–") before = tier;
    }
  }

  // ---- ranks under filters, weights and the contamination switch
  const range = (p) => (!p || p.low === null ? "–" : p.low === p.high ? p.low : `${p.low}–${p.high}`);
  const number = (v) => (v === v ? medssl.fixed(v, 3) : "–");
  const place = (v) => 4 + 112 * Math.min(1, Math.max(0, (v - data.axis.low) / (data.axis.high - data.axis.low)));
  function bar(cell, value, low, high) {
    const has = value === value, text = has ? `${number(low)} to ${number(high)}` : "";
    cell.querySelector("svg")?.setAttribute("visibility", has ? "visible" : "hidden");
    if (has) {
      cell.querySelector("path")?.setAttribute("d", `M${place(low).toFixed(1)} 7H${place(high).toFixed(1)}`);
      cell.querySelector("circle")?.setAttribute("cx", place(value).toFixed(1));
    }
    cell.querySelector(".ends").textContent = cell.title = text;
  }

  // What a row says is kept for every row (`next`) and written only into the rows that are on the page.
  function draw(entry) {
    if (entry.drawn === entry.next) return;
    const { cells } = entry.row, now = entry.drawn = entry.next;
    for (const name of ["rank", "ranks", "tier", "score", "bar"]) {
      if (!now || (!now.totals && (name === "score" || name === "bar"))) {
        cells[column[name]].replaceChildren(...entry.first[column[name]].cloneNode(true).childNodes);
      }
    }
    if (!now) return;
    cells[column.rank].textContent = now.place ? now.place.rank : "–";
    cells[column.ranks].textContent = range(now.place);
    cells[column.tier].textContent = now.place ? now.place.tier : "–";
    if (!now.totals) return;
    const value = now.totals.points[now.index], ends = medssl.rank.interval(now.totals.spread, now.index, data.replicates);
    cells[column.score].textContent = number(value);
    bar(cells[column.bar], value, ...ends);
  }

  // The keys rows are ordered by follow `next`, whether it is on the page yet or not.
  function say(entry, next) {
    entry.next = next;
    for (const name of ["rank", "ranks", "tier", "score"]) delete entry.keys[column[name]];
    if (!next) return;
    entry.keys[column.ranks] = next.place?.low ?? null;
    entry.keys[column.tier] = next.place?.tier ?? null;
    if (next.totals) entry.keys[column.score] = known(next.totals.points[next.index]);
  }
  const known = (v) => (v === v ? v : null);

  async function rerank() {
    const mine = ++run, wanted = filters(), moved = weighted() || clean() !== "all";
    if (!wanted.any && !moved) {
      rows.forEach((r) => say(r, null));
      return finish(wanted, moved);
    }
    if (!data) {
      status.textContent = `Loading the resamples behind the ranks (${table.dataset.size}) …`;
      try {
        data = prepare(await medssl.state.load(table.dataset.name, table.dataset.replicates));
      } catch {
        show();
        status.textContent = "The resamples behind the ranks cannot be loaded: rows are filtered, ranks are those of the whole board.";
        return undefined;
      }
    }
    if (mine !== run) return undefined;
    const weights = data.columns.map((c) => Number(form.elements[`w.${c.modality}`]?.value ?? 1));
    const totals = means(clean(), weights), { ranked, kinds } = data.variants[clean()];
    const pool = rows.filter((r) => ranked[data.at.get(r.name)] && passes(r, wanted)).map((r) => data.at.get(r.name));
    const places = new Map(medssl.rank.standings(totals, pool, data.replicates).map((s) => [s.encoder, s]));
    for (const entry of rows) {
      const index = data.at.get(entry.name);
      say(entry, { index, place: places.get(index), totals: moved ? totals : null });
    }
    return finish(wanted, moved, pool.length, (cells, otherwise) => medssl.rank.mean(kinds, weights, (c) => cells[c] ?? otherwise));
  }

  // Chance and ceilings stand on the scale that the reader's weights give.
  function drawAnchors(mean) {
    for (const { row, cells, first } of anchors) {
      const value = mean ? mean(cells, row.classList.contains("ceiling") ? 1 : 0) : Number(first);
      row.cells[column.score].textContent = mean ? number(value) : first;
      if (data) row.querySelector(".bar circle")?.setAttribute("cx", place(value).toFixed(1));
    }
  }

  // Means are made again only when the weights or the switch have moved, not for each filter.
  let last = { key: "", totals: null };
  function means(variant, weights) {
    const wanted = `${variant} ${weights}`;
    if (last.key !== wanted) last = { key: wanted, totals: medssl.rank.totals(data.variants[variant], weights) };
    return last.totals;
  }

  function prepare(raw) {
    const kinds = [...new Set(raw.columns.map((c) => c.kind))]
      .map((kind) => raw.columns.map((c, i) => (c.kind === kind ? i : -1)).filter((i) => i >= 0));
    const variants = {};
    for (const [name, v] of Object.entries(raw.variants)) {
      variants[name] = { ranked: v.ranked, cells: v.cells, shorts: medssl.state.shorts(v.shorts), kinds, replicates: raw.replicates };
    }
    return { ...raw, variants: { clean: variants.all, ...variants }, at: new Map(raw.encoders.map((n, i) => [n, i])) };
  }

  function finish(wanted, moved, pool, mean) {
    const found = show();
    drawAnchors(moved ? mean : null);
    table.dataset.view = moved ? "weighted" : wanted.any ? "filtered" : "";
    const parts = [];
    if (found < rows.length) parts.push(`${found} of ${rows.length} encoders shown.`);
    if (wanted.any && !moved) parts.push(`Ranks, rank intervals and tiers are among the ${pool} shown; no score has moved.`);
    if (moved) parts.push("Mean scores, intervals, ranks and tiers follow your choice of tasks; the cells have not moved.");
    status.textContent = parts.join(" ");
    opener.firstElementChild.textContent = wanted.any ? wanted.chosen.reduce((n, [, s]) => n + s.size, wanted.corpus ? 1 : 0) : "";
    form.querySelector('[data-count="weights"]').textContent = weighted() ? sliders.filter((s) => s.value !== "1").length : "";
    const switched = form.querySelector('[data-count="clean"]');
    if (switched) switched.textContent = clean() === "all" ? "" : "1";
    document.getElementById("reset").hidden = location.hash.length < 2;
  }

  // ---- columns
  function columns() {
    const wanted = new Set(ticked("cols"));
    heads.forEach((head, i) => {
      const name = head.dataset.col;
      if (!name || head.hidden === !wanted.has(name)) return;
      head.hidden = !wanted.has(name);
      [...rows, ...anchors].forEach((r) => { r.row.cells[i].hidden = head.hidden; });
    });
  }

  // ---- state
  function keep() {
    const values = { q: form.elements.q.value };
    for (const name of own) values[name] = ticked(name).join(",");
    values.c = form.elements.c.value;
    for (const s of sliders) if (s.value !== "1") values[s.name] = s.value;
    if (clean() !== "all") values.clean = clean();
    const cols = ticked("cols");
    if (cols.length !== shownAtFirst.size || cols.some((c) => !shownAtFirst.has(c))) values.cols = cols.join(",") || "none";
    if (order.column !== column.rank || order.sign < 0) values.sort = `${order.column}${order.sign < 0 ? "-" : ""}`;
    if (all) values.all = "1";
    if (pick.names().length) values.pick = pick.names().join(",");
    medssl.state.write(values);
    return values;
  }

  function apply() {
    const values = medssl.state.read();
    form.elements.q.value = values.q ?? "";
    const moved = document.getElementById("moved"), cited = values.data ?? table.dataset.fingerprint;
    moved.hidden = cited === table.dataset.fingerprint;
    moved.querySelector("code").textContent = cited.slice(0, 12);
    archived(moved, cited.slice(0, 12));
    for (const name of own) {
      const set = new Set((values[name] ?? "").split(","));
      inputs(name).forEach((i) => { i.checked = set.has(i.value); });
    }
    if (filters().any) open(true);
    form.elements.c.value = values.c ?? "";
    for (const s of sliders) { s.value = values[s.name] ?? 1; s.nextElementSibling.textContent = s.value; }
    if (form.elements.clean) form.elements.clean.value = values.clean === "clean" ? "clean" : "all";
    const cols = values.cols ? new Set(values.cols.split(",")) : shownAtFirst;
    form.querySelectorAll('[name="cols"]').forEach((i) => { i.checked = cols.has(i.value); });
    const sort = /^(\d+)(-?)$/.exec(values.sort ?? "");
    order = sort && Number(sort[1]) < heads.length ? { column: Number(sort[1]), sign: sort[2] ? -1 : 1 } : { column: column.rank, sign: 1 };
    all = values.all === "1" || (location.hash && byName.has(decodeURIComponent(location.hash.slice(1))));
    pick.set((values.pick ?? "").split(","));
    columns();
    medssl.table.mark(table, order.column, order.sign);
    return rerank();
  }

  // ---- the filter beside the table
  function open(wanted) {
    facets.hidden = !wanted;
    opener.setAttribute("aria-expanded", String(wanted));
    if (wanted) counts(filters(), words());
  }
  opener.addEventListener("click", () => {
    open(facets.hidden);
    if (!facets.hidden) facets.querySelector("input, select").focus({ preventScroll: true });
  });
  facets.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { open(false); opener.focus(); }
  });

  // A cited version that is in the archive is one click away.
  function archived(moved, cited) {
    const link = moved.querySelector("a"), known = moved.dataset.versions.split(" ").includes(cited);
    link.textContent = known ? "The boards as they were cited" : "The change log";
    link.href = known ? `${link.dataset.archive}${cited}.html` : `${table.dataset.root}changes.html`;
    moved.querySelector("span").textContent = known ? "are in the archive." : "lists every archived version; this one is not among them.";
  }

  // ---- citing the view
  document.getElementById("cite").addEventListener("click", () => {
    const values = { ...keep(), data: table.dataset.fingerprint };
    const address = `${location.href.split("#")[0]}#${medssl.state.text(values)}`;
    document.getElementById("citation-address").value = address;
    document.getElementById("citation-bibtex").value = table.dataset.bibtex.replace("ADDRESS", address);
    document.getElementById("citation").showModal();
  });

  let timer = 0;
  const changed = (event) => {
    if (event.target.type === "range") event.target.nextElementSibling.textContent = event.target.value;
    if (event.target.name === "cols") columns();
    keep();
    clearTimeout(timer);
    timer = setTimeout(rerank, event.target.type === "range" || event.target.name === "q" ? 40 : 0);
  };
  form.addEventListener("input", changed);
  facets.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => { event.preventDefault(); medssl.state.write({}); apply(); });
  addEventListener("hashchange", apply);
  addEventListener("beforeprint", () => { all = true; show(); });
  more.firstElementChild.addEventListener("click", () => { all = true; keep(); show(); });
  document.addEventListener("click", (event) => {
    form.querySelectorAll("details[open]").forEach((d) => { if (!d.contains(event.target)) d.open = false; });
  });
  form.addEventListener("keydown", (event) => {
    const open = event.target.closest("details[open]");
    if (event.key === "Escape" && open) { open.open = false; open.querySelector("summary").focus(); }
  });
  const pick = medssl.pick(table, keep);
  medssl.table.headings(table, (c, sign) => { order = { column: c, sign }; medssl.table.mark(table, c, sign); keep(); show(); });
  Promise.resolve(apply()).then(() => {
    const row = byName.get(decodeURIComponent(location.hash.slice(1)));
    if (row) { row.row.scrollIntoView({ block: "center" }); row.row.classList.add("target"); }
  });
});
