// Sorting: every table of class "sortable", and the cell values the board sorts by.
medssl.table = (() => {
  const LONG = 200, FIRST = 100;
  const LETTERS = { k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

  // A number from a cell as shown ("0.812", "85.8 M", "3–7", "−0.2"), or its text; null where there is no value.
  function value(cell) {
    const text = cell.textContent.trim();
    if (text === "" || text === "–") return null;
    const found = /^([−-]?\d[\d.,]*)(?:\s*([kMGT])\b)?/.exec(text);
    if (cell.classList.contains("n") && found) {
      return parseFloat(found[1].replace("−", "-").replaceAll(",", "")) * (LETTERS[found[2]] ?? 1);
    }
    return text.toLocaleLowerCase("en");
  }

  // Order of two values; what has none comes last whichever the direction.
  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === typeof b) return sign * (a < b ? -1 : a > b ? 1 : 0);
    return sign * (typeof a === "number" ? -1 : 1);
  }

  // Turn headings into buttons; `sort(column, sign)` is called on a click.
  function headings(table, sort) {
    table.querySelectorAll("thead th").forEach((th, column) => {
      if (th.classList.contains("bar") || th.classList.contains("pick")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...th.childNodes);
      th.append(button);
      button.addEventListener("click", () => {
        const before = th.getAttribute("aria-sort");
        const first = th.dataset.sort === "desc" ? "descending" : "ascending";
        const next = before === null ? first : before === "ascending" ? "descending" : "ascending";
        sort(column, next === "ascending" ? 1 : -1);
      });
    });
  }

  function mark(table, column, sign) {
    table.querySelectorAll("thead th").forEach((th, i) => {
      if (i === column) th.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    });
  }

  // A long table shows its first rows until it is asked for all, or an address leads to one of the others.
  function paged(table) {
    const rows = table.tBodies[0].rows, count = rows.length;
    if (count <= LONG) return () => {};
    const more = document.createElement("p"), button = document.createElement("button");
    let all = false;
    more.className = "more";
    button.type = "button";
    button.textContent = `Show all ${count} rows`;
    more.append(button);
    (table.closest(".scroll") ?? table).after(more);
    const show = (wanted = all) => {
      all = wanted;
      [...rows].forEach((row, i) => { row.hidden = !all && i >= FIRST; });
      more.hidden = all;
    };
    const lead = () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      show(all || target?.closest("table") === table);
      target?.scrollIntoView();
    };
    button.addEventListener("click", () => show(true));
    addEventListener("hashchange", lead);
    addEventListener("beforeprint", () => show(true));
    lead();
    return () => show();
  }

  function sortable(table) {
    const body = table.tBodies[0], show = paged(table);
    headings(table, (column, sign) => {
      const rows = [...body.rows].map((row, i) => ({ row, i, key: value(row.cells[column]) }));
      rows.sort((a, b) => compare(a.key, b.key, sign) || a.i - b.i);
      body.append(...rows.map((r) => r.row));
      show();
      mark(table, column, sign);
    });
  }

  // The head of a long table stays in sight: by CSS where the table fits its box, else it is moved as the page scrolls.
  function follow(box) {
    const table = box.querySelector("table"), head = table.tHead;
    const place = () => {
      const room = table.offsetHeight - head.offsetTop - 3 * head.offsetHeight;
      const y = box.classList.contains("fits") ? 0 : Math.min(room, -(table.getBoundingClientRect().top + head.offsetTop));
      head.style.transform = y > 0 ? `translateY(${y}px)` : "";
    };
    const fit = () => { box.classList.toggle("fits", table.offsetWidth <= box.clientWidth + 1); place(); };
    new ResizeObserver(fit).observe(table);
    new ResizeObserver(fit).observe(box);
    addEventListener("scroll", place, { passive: true });
  }

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("table.sortable").forEach(sortable);
    document.querySelectorAll(".scroll.long").forEach(follow);
  });
  return { value, compare, headings, mark };
})();
