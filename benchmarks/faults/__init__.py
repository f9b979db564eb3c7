"""Fault injection: runs that are killed, starved of disk, robbed of their cache; what is left of them."""
