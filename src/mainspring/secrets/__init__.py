"""Secrets by reference. A model that prints a reference learns nothing, and what comes back is scrubbed.

secrets = Secrets({"api": {"from": "env:API_KEY", "tools": ["post"], "hosts": ["api.example.com"]}})
filled = secrets.fill({"url": "https://api.example.com/", "auth": "Bearer {secret:api}"}, "post", ("ann", "clerk"))
secrets.scrub(post(**filled))
"""

from mainspring.secrets.matcher import Stream
from mainspring.secrets.source import MIN_CHARACTERS
from mainspring.secrets.store import Rule, Secrets, references

__all__ = ["MIN_CHARACTERS", "Rule", "Secrets", "Stream", "references"]
