"""The widgets; nothing else in ``labutils`` imports ipywidgets."""
