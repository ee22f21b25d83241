"""The app's pages through Streamlit's own tester, without a browser and without networks."""

from __future__ import annotations

from unittest.mock import patch

from streamlit.testing.v1 import AppTest

from detector.analysis.engine import Engine
from tests.helpers.processes import ROOT


def open_page(page: str, **parameters: str) -> AppTest:
    """Return the app on one of its pages, as a link opens it."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    # Only clips need the networks, which would load for seconds in the background.
    with patch.object(Engine, "warm_up", lambda self, settings=None: None):
        app.run()
    for key, value in parameters.items():
        app.query_params[key] = value
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """Return everything the page says."""
    said = [
        *app.title,
        *app.subheader,
        *app.markdown,
        *app.caption,
        *app.info,
        *app.warning,
        *app.error,
        *app.toast,
    ]
    return "\n".join(str(element.value) for element in said)
