"""Shards, tars, tables and made-up pairs -> batches in an order that is a function of the seed."""
