"""One function per drawn species: it paints an individual with a Pen; the Random decides what varies in it."""
