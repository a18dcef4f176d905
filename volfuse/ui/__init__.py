"""The page to look at: a small web server for one user's browser, and the page's files in `static`."""
