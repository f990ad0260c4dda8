"""Result files to one page and one table that people read."""
