"""What the JSON files beside this folder are made from. `python dashboards/build.py` writes them."""
