"""Lastcall: may we delete this shim yet?"""
