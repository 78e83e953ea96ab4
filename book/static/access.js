/* What a style sheet cannot do for keyboard and paper. */
(() => {

// What scrolls by itself, a long equation, a wide table, a long line of code, can be scrolled with the
// arrow keys once it can be focused; what does not scroll is no stop on the way.
const SCROLLERS =
  "div.math, span.math, pre, .cell_output .text_html, .pst-scrollable-table-container, .output";

// A formula within a line that is wider than the column becomes a line of its own, which scrolls.
function giveWideFormulasALine() {
  const formulas = [...document.querySelectorAll("span.math")];
  for (const formula of formulas) formula.classList.remove("math-wide");
  const wide = formulas.filter(formula => {
    const column = formula.closest("p, li, dd, dt, figcaption, summary, h1, h2, h3, h4");
    return column && formula.getBoundingClientRect().width > column.clientWidth;
  });
  for (const formula of wide) formula.classList.add("math-wide");
}

// In a table, a long name breaks where a word of it ends (value_|clip, envs.|Box, Action|Map), not within
// one, and a few letters ("20 minutes") do not break at all. A table that is still too wide scrolls.
const BREAKS = /[_.:/=](?=\w)|[a-z](?=[A-Z])/g;
const FEW = 10;
function breakTablesWhereTheyShould() {
  for (const cell of document.querySelectorAll(".bd-article td:not(:has(.math, code))")) {
    if (cell.textContent.trim().length <= FEW) cell.classList.add("few-letters");
  }
  for (const name of document.querySelectorAll("td code, td code .pre")) {
    if (name.childElementCount === 0) name.innerHTML = name.innerHTML.replace(BREAKS, "$&<wbr>");
  }
}

function letScrollersBeFocused() {
  for (const box of document.querySelectorAll(SCROLLERS)) {
    const style = getComputedStyle(box);
    const scrolls =
      (box.scrollWidth > box.clientWidth && /auto|scroll/.test(style.overflowX)) ||
      (box.scrollHeight > box.clientHeight && /auto|scroll/.test(style.overflowY));
    if (scrolls) box.tabIndex = 0;
    else if (box.tabIndex === 0) box.removeAttribute("tabindex");
  }
}

function fit() {
  giveWideFormulasALine();
  letScrollersBeFocused();
}

let waiting = 0;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(fit, 100);
}

// On paper folds are open and the colours are the light ones; afterwards all is as it was.
let opened = [], theme;
function turnToPaper() {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const fold of opened) fold.open = true;
  theme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
}
function turnToScreen() {
  for (const fold of opened) fold.open = false;
  opened = [];
  if (theme) document.documentElement.dataset.theme = theme;
}

addEventListener("beforeprint", turnToPaper);
addEventListener("afterprint", turnToScreen);
addEventListener("resize", soon);
document.addEventListener("toggle", soon, true);
addEventListener("load", () => {
  breakTablesWhereTheyShould();
  const typeset = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
  typeset.then(fit);
});

})();
