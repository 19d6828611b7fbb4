"""A project's CI configuration, read as GitLab reads it: inputs, schema, workflow, jobs.

GitLab's pages "CI/CD YAML syntax reference" and "Use CI/CD configuration inputs".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import yaml

RESERVED = {"default", "include", "stages", "variables", "workflow", "image", "services", "cache", "spec"}
RESERVED |= {"before_script", "after_script", "pages"}
_INPUT = re.compile(r"\$\[\[\s*inputs\.([A-Za-z0-9_-]+)\s*\]\]")
_DURATION = re.compile(r"(\d+)\s*(seconds?|s|minutes?|m|hours?|h|days?|d)\b")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class ConfigError(Exception):
    """The configuration cannot make a pipeline; the text is GitLab's answer."""


@dataclass(frozen=True, slots=True)
class CiConfig:
    name: str | None
    jobs: dict[str, dict[str, Any]]


@cache
def schema() -> Any:  # noqa: ANN401
    """GitLab's own schema, as check-jsonschema ships it."""
    text = (files("check_jsonschema") / "builtin_schemas" / "vendor" / "gitlab-ci.json").read_text()
    return jsonschema.Draft7Validator(json.loads(text))


def read(text: str, inputs: dict[str, Any], source: str) -> CiConfig:
    """Raises ConfigError."""
    try:
        document = _interpolated(text, inputs)
    except yaml.YAMLError as error:
        raise ConfigError(f"Invalid configuration format: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError("Please provide content of .gitlab-ci.yml")
    problem = next(iter(schema().iter_errors(document)), None)
    if problem is not None:
        raise ConfigError(
            f"{'.'.join(map(str, problem.absolute_path)) or 'root'} config: {problem.message[:200]}"
        )
    workflow = document.get("workflow") or {}
    if not _passes(workflow.get("rules"), source):
        raise ConfigError("Pipeline filtered out by workflow rules.")
    jobs = {
        name: _job(job, document)
        for name, job in document.items()
        if name not in RESERVED and not name.startswith(".")
    }
    if not jobs:
        raise ConfigError("The resulting pipeline would have been empty. Review the rules configuration.")
    return CiConfig(workflow.get("name"), jobs)


def _interpolated(text: str, inputs: dict[str, Any]) -> Any:  # noqa: ANN401
    header, separator, body = text.partition("\n---\n")
    spec = yaml.safe_load(header) if separator else None
    if not isinstance(spec, dict) or "spec" not in spec:
        if inputs:
            raise ConfigError(
                "Given inputs not defined in the `spec` section of the included configuration file"
            )
        return yaml.safe_load(text)
    declared = (spec["spec"] or {}).get("inputs") or {}
    unknown = inputs.keys() - declared.keys()
    if unknown:
        raise ConfigError(f"unknown input arguments: {', '.join(sorted(unknown))}")
    values = {}
    for name, about in declared.items():
        about = about or {}
        if name not in inputs and "default" not in about:
            raise ConfigError(f"`{name}` input: required value has not been provided")
        values[name] = str(inputs.get(name, about.get("default")))
        if "options" in about and values[name] not in map(str, about["options"]):
            raise ConfigError(
                f"`{name}` input: `{values[name]}` cannot be used because it is not in the list of allowed options"
            )

    def value_of(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ConfigError(f"unknown interpolation key: `{found[1]}`")
        return values[found[1]]

    if "$[[" in _INPUT.sub("", body):
        raise ConfigError("invalid interpolation access pattern")
    return yaml.safe_load(_INPUT.sub(value_of, body))


def _passes(rules: list[dict[str, Any]] | None, source: str) -> bool:
    """Only the one form of rule that wsdash writes; any other is an error, and not a guess."""
    if not rules:
        return True
    for rule in rules:
        found = re.fullmatch(r'\$CI_PIPELINE_SOURCE == "(\w+)"', rule.get("if", ""))
        if found is None:
            raise ConfigError(f"this server does not know the rule {rule}")
        if found[1] == source:
            return rule.get("when") != "never"
    return False


def _job(job: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    config = dict(job)
    if "script" not in config and "run" not in config:
        raise ConfigError("jobs config should contain at least one visible job with a script")
    inherit = config.get("inherit") or {}
    if inherit.get("variables") is not False:
        config["variables"] = {**(document.get("variables") or {}), **(config.get("variables") or {})}
    for name, value in (config.get("variables") or {}).items():
        if isinstance(value.get("value") if isinstance(value, dict) else value, bool | float):
            raise ConfigError(
                f"variable definition of {name} is neither a string nor a number as it was written"
            )
    if "timeout" in config:
        config["timeout_s"] = _seconds(str(config["timeout"]))
    return config


def _seconds(text: str) -> float:
    found = _DURATION.findall(text)
    if not found:
        raise ConfigError("timeout config should be a duration")
    return float(sum(int(number) * _UNITS[unit[0]] for number, unit in found))
