"""One module per area of the command line; each has `register(app)`. `lastcall.cli` lists them."""
