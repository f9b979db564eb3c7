// Two encoders on the same test images: the reader's choice takes the place of the first pair.
addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("pair");
  if (!form) return;
  const { root, name, failed } = form.dataset, status = document.getElementById("status"), sides = ["a", "b"].filter((s) => form.elements[s]);
  const number = (v) => (v === null ? "–" : v.toFixed(2));

  async function draw() {
    const { encoders } = await medssl.state.load(name, `${root}data/${name}.js`);
    for (const place of document.querySelectorAll("[data-side]")) {
      const said = encoders[form.elements[place.dataset.side].value], i = Number(place.dataset.case), value = number(said.values[i]);
      place.querySelector(".who").textContent = said.title;
      const mask = place.querySelector(".drawn");
      place.querySelector("b").textContent = mask ? `Dice ${value}` : said.said[i];
      if (!mask) { place.querySelector("small").textContent = `${value} for the truth`; continue; }
      mask.hidden = said.drawn[i] === null;
      place.querySelector(".lost").hidden = !mask.hidden;
      if (!mask.hidden) mask.src = `${root}${said.drawn[i]}`;
      mask.alt = `Prediction of ${said.title} against the truth`;
    }
    status.textContent = sides.map((s) => encoders[form.elements[s].value]).map((e) => `${e.title}: ${failed} on ${e.failed} of ${e.of} test images.`).join(" ");
  }
  function restore() {
    const wanted = medssl.state.read(), moved = sides.filter((s) => [...form.elements[s].options].some((o) => o.value === wanted[s]));
    for (const s of moved) form.elements[s].value = wanted[s];
    if (moved.length) draw();
  }
  form.addEventListener("change", () => { medssl.state.write(Object.fromEntries(sides.map((s) => [s, form.elements[s].value]))); draw(); });
  addEventListener("hashchange", restore);
  restore();
});
