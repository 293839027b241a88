"""The local web page over a store: `lastcall ui`, and `lastcall report --format html`.

Data flows one way: `gathering` (SQL) -> `board` (what all pages show, as of one moment) -> `pages` (what
one page shows) -> templates. `keeping` replaces the board when the store has changed; `app` and `guard`
speak HTTP.
"""
