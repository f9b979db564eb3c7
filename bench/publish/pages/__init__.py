"""One module a kind of page, each with `PAGE = Page(...)`."""
