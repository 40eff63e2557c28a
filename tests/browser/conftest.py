import pytest

from tests.browser.site import a_site  # noqa: F401 - a fixture
from tests.support.needs import PAGE, needs


@pytest.fixture(autouse=True)
def browser_and_page() -> None:
    needs("chromium", PAGE)
