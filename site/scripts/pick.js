// Choosing rows of a table to compare: a box in each row, and a bar at the foot of the window that follows.
medssl.pick = (table, changed = () => {}) => {
  const MOST = 4, chosen = new Map(), at = [...table.tHead.rows[0].cells].findIndex((h) => h.classList.contains("pick"));
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    return node;
  };
  const bar = make("section", "", { class: "tray", "aria-label": "Chosen encoders" });
  bar.hidden = true;
  document.body.append(bar);
  const boxes = new Map([...table.tBodies[0].rows].map((row) => {
    const title = row.querySelector(".name a").textContent, box = make("input", "", { type: "checkbox", "aria-label": `Compare ${title}` });
    row.cells[at].append(box);
    box.addEventListener("change", () => { note(row.id, box.checked); changed(); });
    return [row.id, { box, title }];
  }));

  function note(name, on) {
    if (on) chosen.set(name, boxes.get(name).title);
    else chosen.delete(name);
    draw();
  }
  function draw() {
    bar.hidden = chosen.size === 0;
    const names = [...chosen].map(([name, title]) => {
      const button = make("button", `${title} ×`, { type: "button", "aria-label": `Leave out ${title}` });
      button.addEventListener("click", () => { boxes.get(name).box.checked = false; note(name, false); changed(); });
      return button;
    });
    const go = make("a", chosen.size < 2 ? "Choose one more to compare" : chosen.size > MOST ? `Compare: at most ${MOST}` : `Compare ${chosen.size}`, { id: "compare" });
    if (chosen.size > 1 && chosen.size <= MOST) go.href = `${table.dataset.root}compare.html#suite=${table.dataset.suite}&e=${[...chosen.keys()].join(",")}`;
    bar.replaceChildren(...names, go);
  }
  return {
    names: () => [...chosen.keys()],
    set(names) {
      chosen.clear();
      for (const [name, { box }] of boxes) box.checked = false;
      for (const name of names) if (boxes.has(name)) { boxes.get(name).box.checked = true; chosen.set(name, boxes.get(name).title); }
      draw();
    },
  };
};
addEventListener("DOMContentLoaded", () => document.querySelectorAll("table.picking").forEach((table) => medssl.pick(table)));
