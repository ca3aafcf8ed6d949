"""What the page of a run tells in large type."""

from srcli.reports.run_page import RunView, run_page_html


def page_of(points):
    curves = {"validation": {"psnr": points}}
    run = RunView(
        name="a",
        state="done",
        steps=2,
        wanted_steps=2,
        seconds=1,
        curves=curves,
        start={"psnr": 30.0},
    )
    return run_page_html([run], written=0)


def test_the_best_is_a_step_of_the_training_as_the_weights_that_are_kept_are():
    page = page_of([(0, 30.0), (1, 28.5), (2, 28.25)])
    assert '"value": "28.50 dB", "detail": "step 1, before 30.00 dB"' in page


def test_before_the_first_step_nothing_is_the_best():
    assert "best PSNR" not in page_of([(0, 30.0)])
