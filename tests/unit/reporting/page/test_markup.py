"""Nothing that a user wrote becomes a tag."""

from __future__ import annotations

from picojoule.reporting.page.markup import Markup, css, joined, tag


def test_text_and_attributes_are_escaped_and_markup_is_not():
    assert tag("p", "<b>", tag("i", "&"), title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt;<i>&amp;</i></p>'


def test_lists_are_flattened_and_nothing_is_nothing():
    assert joined([None, "a", [tag("br"), 3]]) == "a<br>3"
    assert isinstance(joined([]), Markup)


def test_an_attribute_that_is_none_or_false_is_left_out():
    assert tag("input", hidden=True, value=None, checked=False, data_of="x", class_="c") == '<input hidden data-of="x" class="c">'


def test_what_could_steer_a_terminal_or_hide_is_replaced():
    assert joined("a\x1b[2J\u202eb\nc") == "a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b\nc"


def test_a_number_stays_with_its_unit():
    assert joined("29.7 % of 4 mJ in 2 layers") == "29.7&nbsp;% of 4&nbsp;mJ in 2 layers"


def test_numbers_of_css_are_short():
    assert css(w=1 / 3, c="#fff") == "--w:0.3333;--c:#fff"
