"""Figures: pictures in rows, curves, diagrams of networks, and what the training panel draws."""
