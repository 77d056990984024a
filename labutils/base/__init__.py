"""What any program needs, and no program for translation in particular: files, threads, and input from strangers.

It imports nothing else of ``labutils``. The core may use it; nobody needs to read it to understand the method.
"""
