"""The machine that a worker runs on, and its owner: power, heat, hours, sleep, and starting with the machine."""
