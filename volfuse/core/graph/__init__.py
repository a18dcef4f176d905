"""Who shares what: the graph of containers and sources, its layout, and how it is printed."""
