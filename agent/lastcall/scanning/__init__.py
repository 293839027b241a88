"""Discovery in the source: which callables a tree calls deprecated, and who refers to a target.

Nothing here imports the code it reads. The order of the modules is the order of the data:
`tree` (which files) -> `detect` (one file's marks) -> `work` (many files, two processes, a cache)
-> `survey` (the whole tree's findings) -> `rendering` and `writing`. `bindings` and `resolving` are the
same two steps for references: one file, then the tree.
"""
