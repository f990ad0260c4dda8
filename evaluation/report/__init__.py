"""Result files to one HTML page."""
