// One slide at a time; its number stands in the address, so that a reload or a link finds it.
const slides = [...document.querySelectorAll('section')];
const place = document.querySelector('nav output');
let current = -1;

function show(number, focus = true) {
  const next = Math.min(Math.max(number, 0), slides.length - 1);
  if (next === current) return;
  current = next;
  slides.forEach((slide, i) => {
    slide.classList.toggle('shown', i === current);
    slide.inert = i !== current;
  });
  place.textContent = `${current + 1} / ${slides.length}`;
  location.replace(`#${current + 1}`);
  if (focus) slides[current].focus({preventScroll: true});  // what reads aloud goes along
}

const fromAddress = () => show((parseInt(location.hash.slice(1), 10) || 1) - 1);
const keys = {
  ArrowRight: () => show(current + 1), ArrowDown: () => show(current + 1),
  PageDown: () => show(current + 1), ' ': () => show(current + 1),
  ArrowLeft: () => show(current - 1), ArrowUp: () => show(current - 1),
  PageUp: () => show(current - 1),
  Home: () => show(0), End: () => show(slides.length - 1),
  f: () => document.fullscreenElement
    ? document.exitFullscreen() : document.documentElement.requestFullscreen(),
};

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in keys)) return;
  // A slider keeps its keys, a button and a link theirs.
  const turns = event.key.startsWith('Page');
  if (event.target.closest('input, select') && !turns) return;
  if (event.target.closest('button, a, summary') && event.key === ' ') return;
  event.preventDefault();
  keys[event.key]();
});
for (const button of document.querySelectorAll('nav button'))
  button.addEventListener('click', () => show(current + Number(button.dataset.step), false));
addEventListener('hashchange', fromAddress);
fromAddress();
