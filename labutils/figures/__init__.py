"""Figures: pictures in rows, curves, diagrams of networks, and the plots of the training panel."""
