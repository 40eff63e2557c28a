import os

import pytest

from tests.browser.site import CHROMIUM, PAGE


@pytest.fixture(autouse=True)
def needs() -> None:
    missing = [] if CHROMIUM else ["Chromium (apt-get install chromium)"]
    missing += [] if PAGE.is_file() else ["the call page (make build/web/index.html)"]
    if missing:
        sentence = f"This needs {' and '.join(missing)}."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
