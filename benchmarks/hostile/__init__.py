"""Hostile and broken submissions: each changes a valid one, and must be refused or shown harmless."""
