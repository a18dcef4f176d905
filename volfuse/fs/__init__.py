"""What a name, a permission and a change mean in a view. Knows no FUSE library; transports translate requests to it.

Two levels. The primitives (`attributes`, `directories`, `files`, `links`, `xattrs`) take a mount, a directory
descriptor and one name, and serve transports that keep directories open. `paths` is a thin layer above for transports
that have paths.
"""
