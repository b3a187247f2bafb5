"""Skills: folders of instructions that a person approved, with a manifest of what they may use."""

from mainspring.skills.installed import Installed, Skills
from mainspring.skills.manifest import Manifest
from mainspring.skills.rights import Held, narrow, restrict
from mainspring.skills.skill import Skill, load_skill

__all__ = ["Held", "Installed", "Manifest", "Skill", "Skills", "load_skill", "narrow", "restrict"]
