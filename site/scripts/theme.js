// Theme: the reader's choice, else the system's. Runs before the page is drawn so that nothing flashes. On narrow
// screens the navigation scrolls to the page one is on.
window.medssl = window.medssl || {};
// Fixed digits, a true minus sign, and none before what rounds to zero.
medssl.fixed = (v, digits) => v.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const store = (value) => { try { localStorage.setItem("theme", value); } catch { /* private window */ } };
  if (["light", "dark"].includes(stored())) root.dataset.theme = stored();
  const dark = () => root.dataset.theme === "dark"
    || (root.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  addEventListener("DOMContentLoaded", () => {
    const here = document.querySelector(".top [aria-current]"), nav = here?.closest("nav");
    if (nav) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
    const button = document.getElementById("theme");
    button?.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      store(root.dataset.theme);
    });
  });
})();
