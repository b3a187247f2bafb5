"""Constants of python-ldap."""

SCOPE_SUBTREE = 2
