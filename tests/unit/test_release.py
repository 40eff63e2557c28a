"""All packages have one version: `make release` refuses otherwise, and this says it sooner."""

from tests.support.ci import program

release = program("release")


def test_all_packages_have_one_version() -> None:
    places = dict(release.versions())
    assert len(places) > 10
    assert len(set(places.values())) == 1, places
