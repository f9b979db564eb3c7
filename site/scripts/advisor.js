// The advisor: shows the one situation that is chosen; every answer is already in the page.
addEventListener("DOMContentLoaded", () => {
  const wanted = medssl.state.read();
  for (const section of document.querySelectorAll(".advisor")) {
    const form = section.querySelector("form"), status = section.querySelector(".status");
    const all = [...section.querySelectorAll(".advice")], fields = ["modality", "kind", "labels"];
    for (const f of fields) {
      if ([...form.elements[f].options].some((o) => o.value === wanted[f])) form.elements[f].value = wanted[f];
    }
    const draw = () => {
      let shown = 0;
      for (const a of all) {
        a.hidden = !fields.every((f) => a.dataset[f] === form.elements[f].value);
        shown += !a.hidden;
      }
      status.textContent = shown ? "" : "No results for this situation yet.";
    };
    form.addEventListener("input", () => {
      medssl.state.write(Object.fromEntries(fields.map((f) => [f, form.elements[f].value])));
      draw();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    draw();
  }
});
