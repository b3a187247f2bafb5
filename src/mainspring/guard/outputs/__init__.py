"""Outputs are effects: what is shown must not fetch, lead, hide or tell the wrong people."""

from mainspring.guard.outputs.channels import PUBLIC, Channel, check_url, may_show
from mainspring.guard.outputs.markdown import inert
from mainspring.guard.outputs.visible import plain_hosts, visible

__all__ = ["PUBLIC", "Channel", "check_url", "inert", "may_show", "plain_hosts", "visible"]
