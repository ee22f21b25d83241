"""Threads, tasks, a fair queue and memory, for whoever works in the background."""
