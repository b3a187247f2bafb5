"""What a path says of a file: test code, generated, vendored, a lock file, configuration of checks."""

from __future__ import annotations

import re

__all__ = ["is_ci", "is_config_of_checks", "is_generated", "is_hook", "is_lock", "is_test"]

_TEST = re.compile(
    r"(^|/)(tests?|testing|__tests__|spec|specs|fixtures|testdata)/|(^|/)(test_[^/]*|conftest)\.py$|_test\.(py|go|rs|c|cc|cpp)$|"
    r"\.(test|spec)\.[cm]?[jt]sx?$|(Test|Tests|IT)\.java$|(^|/)tests?\.(py|rs)$"
)
_GENERATED = re.compile(
    r"(^|/)(node_modules|vendor|third_party|site-packages|dist|build|target|\.venv|__generated__)/|\.min\.(js|css)$|"
    r"(_pb2|_pb2_grpc)\.pyi?$|\.pb\.go$|\.generated\.\w+$|\.map$|(^|/)generated/"
)
_LOCK = re.compile(
    r"(^|/)(uv\.lock|poetry\.lock|Pipfile\.lock|package-lock\.json|yarn\.lock|pnpm-lock\.yaml|Cargo\.lock|go\.sum|"
    r"composer\.lock|Gemfile\.lock|pdm\.lock)$"
)
_CI = re.compile(
    r"(^|/)(\.github/(workflows|actions)/|\.gitlab-ci\.ya?ml$|Jenkinsfile$|\.circleci/|azure-pipelines\.ya?ml$|"
    r"\.travis\.yml$|\.drone\.yml$|bitbucket-pipelines\.yml$|\.buildkite/)"
)
_HOOK = re.compile(r"(^|/)(\.githooks|\.husky|hooks)/|(^|/)\.git/|(^|/)\.gitattributes$|(^|/)\.gitmodules$")
_CHECKS = re.compile(
    r"(^|/)(\.flake8|\.pylintrc|pylintrc|ruff\.toml|\.ruff\.toml|mypy\.ini|pyrightconfig\.json|\.bandit|bandit\.ya?ml|tox\.ini|"
    r"setup\.cfg|pytest\.ini|\.coveragerc|\.eslintrc(\.\w+)?|eslint\.config\.\w+|\.eslintignore|tsconfig(\.\w+)?\.json|"
    r"jest\.config\.\w+|vitest\.config\.\w+|\.golangci\.ya?ml|clippy\.toml|\.clippy\.toml|\.pre-commit-config\.ya?ml|"
    r"\.semgrepignore|sonar-project\.properties|codecov\.ya?ml|\.gitleaks\.toml|\.gitleaksignore|\.snyk|\.trivyignore|"
    r"checkstyle\.xml|CODEOWNERS|\.clang-tidy)$"
)


def is_test(path: str) -> bool:
    """Whether it is test code or data for tests."""
    return _TEST.search(path) is not None


def is_generated(path: str) -> bool:
    """Whether it is built or copied from elsewhere."""
    return _GENERATED.search(path) is not None


def is_lock(path: str) -> bool:
    """Whether it is a lock file."""
    return _LOCK.search(path) is not None


def is_ci(path: str) -> bool:
    """Whether a build server runs what it says."""
    return _CI.search(path) is not None


def is_hook(path: str) -> bool:
    """Whether git runs or obeys it."""
    return _HOOK.search(path) is not None


def is_config_of_checks(path: str) -> bool:
    """Whether it configures linters, type checkers or test runners and nothing else."""
    return _CHECKS.search(path) is not None
