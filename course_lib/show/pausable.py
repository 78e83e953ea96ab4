"""The HTML of a film: a GIF, a still in its place for readers who want no motion, and a button."""

import base64
import html
import io

from PIL import Image

from .plots import Picture

# A GIF cannot be stopped, but a picture element can show something else: its source is the still, and
# what decides between the two is the source's media query. A handler in an attribute needs no element
# ids, and survives viewers that copy or re-create the elements of an output. A page opened from disk may
# not read the pixels of a file beside it; then the still that it came with is shown.
SCRIPT = """
const [source, image] = this.closest('figure').querySelectorAll('source, img');
const plays = image.currentSrc === image.src;
if (plays) {
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext('2d').drawImage(image, 0, 0);
  try { source.srcset = canvas.toDataURL(); } catch { }
}
source.media = plays ? 'all' : 'not all';
this.dataset.next = plays ? 'play' : 'pause';
"""

# Until the button was pressed, the reader's system decides what it says, as it decides what is shown.
STYLE = """
.film { margin: 1em 0; max-width: max-content; }
.film button {
  display: block; min-height: 2.2em; margin: .4em 0 0; padding: .2em .9em; font: inherit;
  color: inherit; background: none; border: 1px solid; border-radius: 6px; cursor: pointer;
}
.film button:not([data-next=play]) > .play, .film [data-next=play] > .pause { display: none; }
@media (prefers-reduced-motion: reduce) {
  .film button:not([data-next]) > .pause { display: none; }
  .film button:not([data-next]) > .play { display: inline; }
}
@media print { .film button { display: none; } }
"""


def with_button(image: str, still: str) -> str:
    """A moving picture that can be stopped; it belongs into a ``figure`` of class "film".

    Parameters
    ----------
    image : str
        The ``img`` element of the moving picture.
    still : str
        Address of the picture in its place for readers who want no motion.

    Returns
    -------
    str
    """
    # On the button itself: JupyterLab takes the space bar for its own if it does not find this.
    return (
        f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
        f"{image}</picture>\n"
        f'<button type="button" data-lm-suppress-shortcuts="true" '
        f'onclick="{html.escape(SCRIPT.strip())}">'
        '<span class="pause">Pause the film</span><span class="play">Play the film</span>'
        "</button>"
    )


class Film(Picture):
    """A GIF that displays itself in a notebook, and that its reader can stop.

    Who asked the system for less motion sees the first frame until the button is pressed. Stopped, it
    shows the frame it was stopped at, or the first one, as the browser draws a moving picture.

    Parameters
    ----------
    data : bytes
        The encoded GIF.
    alt : str
        What happens in the film, for readers who do not see it.
    width : int
        Width on the page in pixels; never more than the page has.

    Raises
    ------
    ValueError
        If the text equivalent is empty.
    """

    def __init__(self, data: bytes, alt: str, width: int) -> None:
        super().__init__(data, "image/gif", alt, width)

    def _repr_html_(self) -> str:
        still = io.BytesIO()
        with Image.open(io.BytesIO(self.data)) as image:
            image.save(still, "PNG")
        address = "data:image/png;base64," + base64.b64encode(still.getvalue()).decode()
        shown = with_button(super()._repr_html_(), address)
        return f'<figure class="film">\n<style>{STYLE}</style>\n{shown}\n</figure>'
