"""The container that becomes the job."""

from __future__ import annotations

from tests.devfile.examples import devfile, translated, unsupported_parts

DB = "- {name: db, container: {image: postgres, mountSources: false}}"


class TestMainComponent:
    def test_the_mark_of_gitlab_decides(self) -> None:
        marked = (
            "- {name: b, attributes: {gl/inject-editor: true}, container: {image: x, mountSources: false}}"
        )
        translation = translated(devfile(components=marked))
        assert (translation.main, unsupported_parts(translation)) == ("b", ["ignored.mount-sources"])

    def test_else_the_only_container_with_the_sources(self) -> None:
        assert translated(devfile(components=DB)).main == "dev"
        first = devfile(container="mountSources: false", components="- {name: b, container: {image: x}}")
        assert translated(first).main == "b"

    def test_a_guess_is_said_with_the_candidates_and_how_to_choose(self) -> None:
        text = devfile(components="- {name: b, container: {image: x}}\n" + DB)
        [found] = [d for d in translated(text).diagnostics if d.code == "main.ambiguous"]
        assert (found.line, found.severity) == (3, "warning")
        assert "dev, b, or mark" in found.hint and "db" not in found.hint

    def test_the_caller_can_choose(self) -> None:
        text = devfile(components="- {name: b, container: {image: x}}")
        assert translated(text, main="b").main == "b"
        assert "main.ambiguous" not in unsupported_parts(translated(text, main="b"))

    def test_a_choice_that_is_no_container_is_an_error(self) -> None:
        translation = translated(devfile(), main="nothing")
        assert (translation.main, unsupported_parts(translation), translation.usable) == (
            "dev",
            ["main.unknown"],
            False,
        )

    def test_without_a_container_there_is_no_workspace(self) -> None:
        translation = translated("schemaVersion: 2.2.0\ncomponents: [{name: v, volume: {}}]\n")
        assert (translation.main, translation.usable) == (None, False)
        assert "main.missing" in unsupported_parts(translation)
