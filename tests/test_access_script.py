"""What the pages' own script does to a page: names in tables break where a word of them ends."""

from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "book" / "static" / "access.js"


def test_names_in_tables_break_between_their_words_and_a_few_letters_do_not(chromium, tmp_path):
    (tmp_path / "page.html").write_text(
        '<!doctype html><meta charset="utf-8"><div class="bd-article"><table><tr>'
        '<td><code id="name">value_clip_range</code></td><td><code id="class">BoxSpace</code></td>'
        '<td id="few">20 minutes</td><td id="many">twenty minutes and more</td></tr></table>'
        f'</div><script src="{SCRIPT}"></script>'
    )
    chromium.get((tmp_path / "page.html").as_uri())
    html = {
        name: chromium.execute_script(f"return document.getElementById('{name}').innerHTML")
        for name in ("name", "class")
    }
    assert html == {"name": "value_<wbr>clip_<wbr>range", "class": "Box<wbr>Space"}
    assert chromium.find_element("id", "name").text == "value_clip_range"
    assert chromium.find_element("id", "few").get_attribute("class") == "few-letters"
    assert not chromium.find_element("id", "many").get_attribute("class")
