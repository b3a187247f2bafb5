"""What a step of an agent's loop costs: CPU, time and disk, here and in other systems."""
