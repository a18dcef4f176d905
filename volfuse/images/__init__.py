"""Images: unpacking archives, and the private trees that containers get of them."""
