"""Redirects."""

from urllib.parse import urlsplit


def url_has_allowed_host_and_scheme(url, allowed_hosts, require_https=False):
    parts = urlsplit(url)
    return (not parts.netloc and not parts.scheme) or parts.netloc in (allowed_hosts or ())
