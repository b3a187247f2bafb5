"""What a person has written in `mainspring.toml`: what tools may do, who the people are, which servers there are.

from mainspring.config import load_config

config = load_config()
tool = config.apply_to(tool)
"""

from mainspring.config.load import Config, find_config, load_config
from mainspring.config.sections import (
    ApprovalRule,
    Approvals,
    FleetSettings,
    LibrarySettings,
    MemorySettings,
    Person,
    PolicyFiles,
    RateSettings,
    SandboxSettings,
    ScheduleSettings,
    SwarmSettings,
)
from mainspring.config.servers import ServerSettings, ToolSettings, read_server, read_tool
from mainspring.config.tools import configured, said

__all__ = [
    "ApprovalRule",
    "Approvals",
    "Config",
    "FleetSettings",
    "LibrarySettings",
    "MemorySettings",
    "Person",
    "PolicyFiles",
    "RateSettings",
    "SandboxSettings",
    "ScheduleSettings",
    "ServerSettings",
    "SwarmSettings",
    "ToolSettings",
    "configured",
    "find_config",
    "load_config",
    "read_server",
    "read_tool",
    "said",
]
