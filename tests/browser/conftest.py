import pytest

from tests.support.needs import PAGE, needs


@pytest.fixture(autouse=True)
def browser_and_page() -> None:
    needs("chromium", PAGE)
