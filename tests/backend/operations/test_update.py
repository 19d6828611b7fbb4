"""The difference between the job that runs and the one that the devfile describes now."""

from __future__ import annotations

from dataclasses import replace

from wsdash.backend.operations.update import differences
from wsdash.workload import Command, EnvVar, Port, Workload

JOB = Workload(image="debian:12", env=(EnvVar("GREETING", "hello"),))


def test_the_same_job_has_no_difference() -> None:
    assert differences(JOB, replace(JOB)) == ()


def test_lines_of_the_job_and_its_image_are_named() -> None:
    wanted = replace(JOB, image=None, env=(EnvVar("GREETING", "good day"),))
    lines = differences(JOB, wanted)
    assert any(line.startswith("-") and "GREETING=hello" in line for line in lines)
    assert any(line.startswith("+") and "good day" in line for line in lines)
    assert lines[-2:] == ("-image debian:12", "+image none")


def test_a_change_that_the_script_does_not_show_is_a_change() -> None:
    (line,) = differences(JOB, replace(JOB, ports=(Port("web", 8080),)))
    assert line.startswith("@ ")


def test_no_secret_of_an_address_is_shown_though_it_makes_a_difference() -> None:
    before = replace(JOB, post_start=(Command("clone", "git clone https://ada:MARKER1@host/x"),))
    after = replace(JOB, post_start=(Command("clone", "git clone https://ada:MARKER2@host/x"),))
    lines = differences(before, after)
    assert lines
    assert "MARKER" not in "".join(lines)
