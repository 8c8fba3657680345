"""Drawing in a real browser with mouse, fingers, pencil and keyboard, at any scroll position and zoom."""

import re

import pytest
from playwright.sync_api import Request, expect

from testing.handwriting import DIGITS, EUROPEAN_1, EUROPEAN_7
from testing.pad import Fingers, draw, has_ink, place, wait_until
from testing.page import OpenPage, expect_answer, expect_nothing_drawn

pytestmark = pytest.mark.browser

LEFT = [[40, 40], [40, 60], [40, 100], [40, 140]]
RIGHT = [[240, 40], [240, 60], [240, 100], [240, 140]]


@pytest.mark.parametrize("digit", [0, 4, 9])
def test_digit_is_read_before_the_button_is_released(open_page: OpenPage, digit: int) -> None:
    page = open_page()
    draw(page, DIGITS[digit], release=False)
    expect_answer(page, digit)
    page.mouse.up()
    expect_answer(page, digit)


@pytest.mark.parametrize(("digit", "drawing"), [(1, EUROPEAN_1), (7, EUROPEAN_7)])
def test_european_digit_is_read(open_page: OpenPage, digit: int, drawing: list) -> None:
    page = open_page()
    draw(page, drawing)
    expect_answer(page, digit)


def test_answer_is_complete(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[3])
    expect(page.locator("[data-slot=words]")).to_have_text("This is a 3")
    expect(page.locator("[data-slot=note]")).to_contain_text("% sure")
    expect(page.locator("[data-slot=top] .percent")).to_contain_text(["%", "%", "%"])
    expect(page.locator("[data-slot=all] .percent")).to_contain_text(["%"] * 10)
    assert page.locator("[data-slot=frame]").evaluate("frame => [frame.naturalWidth, frame.naturalHeight]") == [28, 28]


def test_answer_is_read_out_once_it_has_settled(open_page: OpenPage) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            window.spoken = [];
            const region = document.querySelector('[role=status]');
            new MutationObserver(() => spoken.push(region.textContent)).observe(region, { childList: true });
        }"""
    )
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    draw(page, DIGITS[3])
    expect(page.locator("[data-slot=words]")).to_have_text("This is a 3")
    assert page.evaluate("spoken") == []
    page.clock.run_for(1000)
    (spoken,) = page.evaluate("spoken")
    assert spoken.startswith("This is a 3. ")


def test_ink_is_under_the_mouse_on_a_scrolled_page(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 700, "height": 560})
    page.mouse.wheel(0, 120)
    wait_until(page, "scrollY > 100")
    draw(page, DIGITS[2])
    assert has_ink(page, *DIGITS[2][0][10])
    expect_answer(page, 2)


@pytest.mark.parametrize("ratio", [1.5, 3])
def test_ink_is_sharp_and_in_place_at_every_pixel_ratio(open_page: OpenPage, ratio: float) -> None:
    page = open_page(device_scale_factor=ratio)
    draw(page, DIGITS[5])
    box = page.locator("#pad").bounding_box()
    assert box
    assert page.locator("#pad").evaluate("pad => pad.width") == pytest.approx(box["width"] * ratio, abs=1)
    assert has_ink(page, *DIGITS[5][0][20])
    expect_answer(page, 5)


def test_ink_survives_a_resize(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[6])
    before = page.locator("#pad").evaluate("pad => pad.width")
    page.set_viewport_size({"width": 360, "height": 700})
    wait_until(page, f"document.getElementById('pad').width !== {before}")
    assert has_ink(page, *DIGITS[6][0][10])
    expect_answer(page, 6)


def test_place_and_size_make_no_difference(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, [[[x * 0.3 + 180, y * 0.3 + 10] for x, y in stroke] for stroke in DIGITS[4]])
    expect_answer(page, 4)


def test_finger_draws_and_the_page_stays_where_it_is(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 390, "height": 500}, has_touch=True, is_mobile=True)
    for stroke in DIGITS[7]:
        Fingers(page).draw(stroke)
    expect_answer(page, 7)
    assert page.evaluate("scrollY") == 0


def test_ink_is_under_the_finger_on_a_magnified_page(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    page.context.new_cdp_session(page).send("Emulation.setPageScaleFactor", {"pageScaleFactor": 1.5})
    wait_until(page, "visualViewport.scale === 1.5")
    for stroke in DIGITS[2]:
        Fingers(page).draw(stroke)
    assert has_ink(page, *DIGITS[2][0][10])
    expect_answer(page, 2)
    assert page.evaluate("visualViewport.scale") == 1.5


def test_two_fingers_on_the_pad_change_the_size_of_a_magnified_page_alone(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    touch_action = "getComputedStyle(document.getElementById('pad')).touchAction"
    assert page.evaluate(touch_action) == "none"
    session = page.context.new_cdp_session(page)
    for factor, allowed in ((3, "pinch-zoom"), (1, "none")):
        session.send("Emulation.setPageScaleFactor", {"pageScaleFactor": factor})
        wait_until(page, f"{touch_action} === '{allowed}'")


def test_second_finger_draws_nothing(open_page: OpenPage) -> None:
    page = open_page(has_touch=True)
    fingers = Fingers(page)
    fingers.put(1, *LEFT[0])
    fingers.put(2, *RIGHT[0])
    for left, right in zip(LEFT, RIGHT, strict=True):
        fingers.put(1, *left)
        fingers.put(2, *right)
    fingers.lift(2)
    fingers.lift(1)
    assert has_ink(page, *LEFT[2])
    assert not has_ink(page, *RIGHT[2])
    fingers.draw(RIGHT, finger=3)
    assert has_ink(page, *RIGHT[2])


def test_cancelled_touch_leaves_no_ink(open_page: OpenPage) -> None:
    page = open_page(has_touch=True)
    fingers = Fingers(page)
    for x, y in LEFT:
        fingers.put(1, x, y)
    assert has_ink(page, *LEFT[2])
    fingers.cancel()
    assert not has_ink(page, *LEFT[2])
    expect_nothing_drawn(page)
    fingers.draw(RIGHT)
    assert has_ink(page, *RIGHT[2])


def test_pen_takes_over_from_the_palm_that_landed_first(open_page: OpenPage) -> None:
    page = open_page(has_touch=True)
    Fingers(page).put(1, *LEFT[0])
    session = page.context.new_cdp_session(page)

    def pen(kind: str, point: list[int]) -> None:
        x, y = place(page, *point)
        event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "pointerType": "pen", "force": 0.5}
        session.send("Input.dispatchMouseEvent", event)

    pen("mousePressed", RIGHT[0])
    for point in RIGHT:
        pen("mouseMoved", point)
    pen("mouseReleased", RIGHT[-1])
    assert has_ink(page, *RIGHT[2])
    assert not has_ink(page, *LEFT[0])


def test_no_quick_stroke_of_a_pencil_is_lost(open_page: OpenPage) -> None:
    page = open_page(has_touch=True)
    page.evaluate(
        """() => {
            window.refused = [];
            const note = (event) => refused.push(event.defaultPrevented);
            document.addEventListener("touchmove", note, { passive: true });
        }"""
    )
    fingers = Fingers(page)
    for x in range(40, 240, 40):
        fingers.draw([[x, 60], [x, 80], [x, 110]])
    assert page.evaluate("JSON.parse(sessionStorage.getItem('digits.drawing')).length") == 5
    assert set(page.evaluate("refused")) == {True}  # or else iPadOS would take them for its own handwriting input


def test_only_the_main_button_draws(open_page: OpenPage) -> None:
    page = open_page()
    page.mouse.move(*place(page, 100, 100))
    page.mouse.down(button="right")
    page.mouse.move(*place(page, 100, 150))
    page.mouse.up(button="right")
    expect_nothing_drawn(page)


def test_stroke_goes_on_outside_the_pad(open_page: OpenPage) -> None:
    page = open_page()
    page.mouse.move(*place(page, 140, 200))
    page.mouse.down()
    page.mouse.move(*place(page, 140, 400))
    page.mouse.up()
    page.mouse.move(*place(page, 40, 100))
    assert has_ink(page, 140, 270)
    assert not has_ink(page, 90, 150)


def test_undo_removes_the_last_stroke_and_updates_the_prediction(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    page.get_by_role("button", name="Undo").click()
    assert not has_ink(page, *EUROPEAN_7[1][2])
    assert has_ink(page, *EUROPEAN_7[0][12])
    expect_answer(page, 7)
    page.get_by_role("button", name="Undo").click()
    expect_nothing_drawn(page)
    page.get_by_role("button", name="Undo").click(force=True)  # Playwright would wait for it to be enabled
    expect_nothing_drawn(page)


def test_redo_by_buttons_and_keys(open_page: OpenPage) -> None:
    page = open_page()
    bar = EUROPEAN_7[1][2]
    draw(page, EUROPEAN_7)
    page.keyboard.press("Control+z")
    assert not has_ink(page, *bar)
    page.keyboard.press("Control+Shift+z")
    assert has_ink(page, *bar)
    page.get_by_role("button", name="Undo").click()
    page.keyboard.press("Control+y")
    assert has_ink(page, *bar)
    page.get_by_role("button", name="Clear").click()
    expect_nothing_drawn(page)
    page.get_by_role("button", name="Undo").click()
    expect_answer(page, 7)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Redo").click()
    assert has_ink(page, *bar)
    page.get_by_role("button", name="Undo").click()
    draw(page, [LEFT])
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


def test_eraser_takes_a_whole_stroke(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_role("button", name="Eraser")).to_be_disabled()
    draw(page, EUROPEAN_7)
    bar = EUROPEAN_7[1][2]
    page.get_by_role("button", name="Eraser").click()
    page.mouse.click(*place(page, 20, 20))
    assert has_ink(page, *bar)
    x, y = EUROPEAN_7[1][0]
    draw(page, [[[x, y + 60], [x, y], [x, y - 1]]])
    assert not has_ink(page, *bar)
    assert has_ink(page, *EUROPEAN_7[0][12])
    page.keyboard.press("Control+z")
    assert has_ink(page, *bar)
    page.get_by_role("button", name="Eraser").click()
    draw(page, [LEFT])
    assert has_ink(page, *LEFT[2])


def test_pen_that_is_turned_round_erases(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, [LEFT, RIGHT])
    page.evaluate(
        """([x, y]) => {
            const pad = document.getElementById("pad");
            const pen = { pointerId: 7, pointerType: "pen", clientX: x, clientY: y, bubbles: true };
            pad.setPointerCapture = () => {};
            pad.dispatchEvent(new PointerEvent("pointerdown", { ...pen, button: 5, buttons: 32 }));
            pad.dispatchEvent(new PointerEvent("pointerup", { ...pen, button: 5 }));
        }""",
        list(place(page, *LEFT[2])),
    )
    assert not has_ink(page, *LEFT[2])
    assert has_ink(page, *RIGHT[2])
    draw(page, [LEFT])
    assert has_ink(page, *LEFT[2])


def test_delete_key_erases_the_stroke_under_the_pen(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, [LEFT, [[140, 100], [140, 140], [140, 180]]])
    page.get_by_role("application").focus()
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    assert not has_ink(page, 140, 120)
    assert has_ink(page, *LEFT[2])


def test_drawing_survives_a_reload_and_the_way_back(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    page.reload()
    expect_answer(page, 7)
    assert has_ink(page, *EUROPEAN_7[1][2])
    page.goto(page.url + "docs")
    page.go_back()
    expect_answer(page, 7)
    page.get_by_role("button", name="Undo").click()
    assert not has_ink(page, *EUROPEAN_7[1][2])
    assert has_ink(page, *EUROPEAN_7[0][12])


def test_invalid_content_of_the_storage_is_ignored(open_page: OpenPage) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            sessionStorage.setItem("digits.drawing", '[[["<b>", 1]]]');
            localStorage.setItem("digits.history", '[{"strokes": 7}, null, {"answer": {}}]');
            localStorage.setItem("digits.side", '{');
        }"""
    )
    page.reload()
    expect_nothing_drawn(page)
    draw(page, DIGITS[3])
    expect_answer(page, 3)


def test_clear_empties_the_sheet(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[8])
    expect_answer(page, 8)
    page.get_by_role("button", name="Clear").click()
    expect_nothing_drawn(page)
    assert not has_ink(page, *DIGITS[8][0][3])
    draw(page, DIGITS[9])
    expect_answer(page, 9)


def test_tap_is_ink(open_page: OpenPage) -> None:
    page = open_page()
    page.mouse.click(*place(page, 100, 100))
    assert has_ink(page, 100, 100)
    expect(page.locator("[data-slot=words]")).not_to_have_text("Nothing drawn yet")


def test_tap_of_a_trembling_hand_is_a_dot_and_not_a_digit(open_page: OpenPage) -> None:
    page = open_page()
    box = page.locator("#pad").bounding_box()
    assert box
    x, y = box["x"] + 100, box["y"] + 100
    drawings: list[list[list[object]]] = []

    def record(request: Request) -> None:
        if "read" in request.url:
            drawings.append((request.post_data_json or {})["strokes"])

    page.on("request", record)
    page.mouse.move(x, y)
    page.mouse.down()
    for dx, dy in ((1, 2), (2, 1), (0, -2), (-2, 2)):
        page.mouse.move(x + dx, y + dy)
    page.mouse.up()
    expect(page.locator("[data-slot=words]")).to_have_text("Keep writing …")
    assert drawings
    assert all(len(stroke) == 1 for strokes in drawings for stroke in strokes)


def test_non_digit_is_not_reported_before_the_pen_is_lifted(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, [[[x, y] for x in range(20, 260, 40) for y in (20, 260)]], release=False)
    expect(page.locator("#answer")).to_have_attribute("data-state", "writing")
    page.mouse.up()
    expect(page.locator("[data-slot=words]")).to_have_text("I'm not sure this is a digit")
    expect(page.locator("[data-slot=note]")).to_have_text(re.compile(r"The closest is \d\."))


def test_pen_draws_broader_where_it_is_pressed_harder(open_page: OpenPage) -> None:
    page = open_page()
    session = page.context.new_cdp_session(page)

    def draw_pressed(stroke: list, force: float) -> None:
        for kind, points in (("mousePressed", stroke[:1]), ("mouseMoved", stroke), ("mouseReleased", stroke[-1:])):
            for point in points:
                x, y = place(page, *point)
                pen = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen", "force": force}
                session.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **pen})

    draw_pressed(LEFT, 0.1)
    draw_pressed(RIGHT, 1.0)
    assert has_ink(page, LEFT[1][0], LEFT[1][1])
    assert not has_ink(page, LEFT[1][0] + 8, LEFT[1][1])
    assert has_ink(page, RIGHT[1][0] + 8, RIGHT[1][1])
    with page.expect_request(lambda request: "read" in request.url) as asked:
        draw_pressed(RIGHT, 0.5)
    assert {len(point) for stroke in (asked.value.post_data_json or {})["strokes"] for point in stroke} == {2}


def test_keys_draw(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.locator("#keys")).to_be_visible()
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    expect_nothing_drawn(page)
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_have_text("Pen down")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert has_ink(page, 140, 140)
    expect(page.get_by_role("status")).to_have_text("Pen up")
    expect_answer(page, 1)
    expect(page.get_by_role("status")).to_contain_text("This is a 1.")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")  # the ring that shows the pen goes
    assert not has_ink(page, 120, 230)


def test_two_arrow_keys_draw_diagonally_and_shift_draws_finely(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("application").focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowRight")
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    page.keyboard.up("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Tab")
    stroke = page.evaluate("JSON.parse(sessionStorage.getItem('digits.drawing'))")[0]
    assert stroke[-1] == [198, 90]


def test_rotating_the_device_loses_nothing(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    for stroke in EUROPEAN_7:
        Fingers(page).draw(stroke)
    page.set_viewport_size({"width": 844, "height": 390})
    assert has_ink(page, *EUROPEAN_7[0][12])
    assert has_ink(page, *EUROPEAN_7[1][2])
    expect_answer(page, 7)


def test_without_live_only_the_button_predicts(open_page: OpenPage) -> None:
    page = open_page()
    asked = []
    page.on("request", lambda request: asked.append(request) if request.method == "POST" else None)
    page.get_by_label("Live").uncheck()
    draw(page, DIGITS[3])
    expect(page.locator("[data-slot=words]")).to_have_text("Not read yet")
    assert asked == []
    page.get_by_role("button", name="Predict").click()
    expect_answer(page, 3)
    draw(page, [[[10, 10], [20, 10]]])
    expect(page.locator("[data-slot=words]")).to_have_text("Not read yet")
    page.reload()
    expect(page.get_by_label("Live")).not_to_be_checked()
    page.get_by_label("Live").check()
    expect(page.locator("[data-slot=words]")).not_to_have_text("Not read yet")
    expect(page.get_by_role("button", name="Predict")).to_be_hidden()


def test_keyboard_reaches_every_control_and_shows_where_it_is(open_page: OpenPage) -> None:
    page = open_page()
    names = []
    for _ in range(20):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert names == [
        *("pad", "undo", "redo", "erase", "clear", "play", "explain", "live", "copy", "link", "file"),
        *(["BUTTON"] * 6),
        *("pad-side", "A", "A"),
    ]


def test_tools_work_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[8])
    expect_answer(page, 8)
    page.locator("#clear").focus()
    page.keyboard.press("Enter")
    expect_nothing_drawn(page)
