"""Other systems that the benchmarks run beside Mainspring, each in an environment of its own."""
