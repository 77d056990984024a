"""Datasets for unpaired translation: rendered, published, or a student's own photographs."""
