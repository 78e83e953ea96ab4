"""The HTML of a playable figure: pictures, sliders, a text for each picture, and a little script."""

import html
import itertools
import json
from collections.abc import Mapping, Sequence

# Input events of all sliders bubble up to the figure. A handler in an attribute needs no element
# ids, and survives viewers that copy or re-create the elements of an output.
SCRIPT = """
const frames = this.querySelectorAll('img');
let index = 0;
for (const slider of this.querySelectorAll('input')) {
  const values = JSON.parse(slider.dataset.values);
  index = index * values.length + slider.valueAsNumber;
  slider.setAttribute('aria-valuetext', values[slider.valueAsNumber]);
  slider.closest('div').querySelector('output').textContent = values[slider.valueAsNumber];
}
frames.forEach((frame, i) => { frame.hidden = i !== index; });
this.querySelector('figcaption').textContent = frames[index].alt;
"""

STYLE = """
.playable { margin: 1.5em 0; max-width: max-content; color: inherit; }
.playable img {
  display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px;
}
.playable img[hidden] { display: none; }
.playable-sliders { display: grid; gap: .25em 1em; padding: .75em 0 .25em; }
.playable-sliders div {
  display: grid; grid-template-columns: minmax(5em, auto) minmax(0, 1fr) minmax(4em, max-content);
  gap: 1em; align-items: center;
}
.playable-sliders label { display: contents; }
.playable-sliders input {
  width: 100%; min-height: 24px; margin: 0; cursor: pointer; accent-color: #2f6db3;
}
.playable-sliders output { font-variant-numeric: tabular-nums; font-weight: 600; }
.playable figcaption { min-height: 3em; font-size: .9em; line-height: 1.5; text-align: left; }
@media print { .playable-sliders input { visibility: hidden; } }
"""


class PlayableFigure:
    """Pictures behind one or more sliders; displays itself in a notebook.

    Made by :func:`course_lib.show.explore.playable`.

    Parameters
    ----------
    pictures : sequence of str
        One ``data:`` address for each combination of values, the last slider moving fastest.
    sliders : mapping of str to sequence of str
        The values to show, by label.
    alt : sequence of str
        A text equivalent for each picture.
    start : int
        The frame shown first.
    size : tuple of int
        Width and height on the page, in pixels.
    """

    def __init__(
        self,
        pictures: Sequence[str],
        sliders: Mapping[str, Sequence[str]],
        alt: Sequence[str],
        start: int,
        size: tuple[int, int],
    ) -> None:
        self.pictures = list(pictures)
        self.sliders = {label: list(values) for label, values in sliders.items()}
        self.alt = list(alt)
        self.start = start
        self.size = size

    def _repr_html_(self) -> str:
        """The figure as self-contained HTML; the same figure always gives the same text."""
        width, height = self.size
        images = "\n".join(
            f'<img src="{picture}" alt="{html.escape(text)}" width="{width}" height="{height}"'
            f"{'' if i == self.start else ' hidden'}>"
            for i, (picture, text) in enumerate(zip(self.pictures, self.alt, strict=True))
        )
        return (
            f'<figure class="playable" oninput="{html.escape(SCRIPT.strip())}">\n'
            f"<style>{STYLE}</style>\n"
            f"{images}\n"
            f'<div class="playable-sliders">\n{self._sliders_html()}\n</div>\n'
            f'<figcaption aria-live="polite">{html.escape(self.alt[self.start])}</figcaption>\n'
            "</figure>"
        )

    def _sliders_html(self) -> str:
        positions = list(
            itertools.product(*(range(len(values)) for values in self.sliders.values()))
        )
        rows = []
        for (label, values), position in zip(
            self.sliders.items(), positions[self.start], strict=True
        ):
            # On the slider itself: JupyterLab looks for the attribute from the focused element up,
            # and takes the arrow keys for its own shortcuts if it does not find it at once.
            rows.append(
                f"<div><label>{html.escape(label)}"
                f'<input type="range" min="0" max="{len(values) - 1}" step="1" value="{position}"'
                f' autocomplete="off" data-lm-suppress-shortcuts="true"'
                f' aria-valuetext="{html.escape(values[position])}"'
                f' data-values="{html.escape(json.dumps(values))}"></label>'
                f'<output aria-live="off">{html.escape(values[position])}</output></div>'
            )
        return "\n".join(rows)

    def __repr__(self) -> str:
        return f"PlayableFigure({', '.join(self.sliders)}: {len(self.pictures)} frames)"
